"""Tables 1 and 2 of Fallah et al. (2021): the return of trained policies on tasks that no training has seen.

Every run of a table is adapted to the same held-out tasks, with the inner step and the number of trajectories that it
was trained with. The tasks depend on `SEED` and the environment alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from metarl_cli.papers.figure import Figure
from metarl_cli.runs.evaluate import evaluate
from metarl_cli.studies.trained import runs_to_study

__all__ = ["COLUMNS", "settings", "study"]

COLUMNS = ("curve", "environment", "profile", "steps", "seed", "tasks", "return")

SEED = 0
"""Of the held-out tasks; training seeds begin at 1."""

TASKS: Mapping[str, int] = MappingProxyType({"smoke": 4, "quick": 40, "overnight": 100, "standard": 200, "paper": 200})


def settings(profile: str) -> int:
    """How many held-out tasks."""
    return TASKS[profile]


def study(figure: Figure, profile: str, results: Path) -> pd.DataFrame:
    """Mean return over the held-out tasks of a figure's runs that are finished, after each of 0 … K adaptation steps.

    Returns:
        One row per curve, environment, seed and number of `steps`; `tasks` says how many the mean is over.

    Raises:
        UserError: if none is.
    """
    frames = []
    for run in runs_to_study(figure, profile, results):
        config, home = run.config, run.directory(results)
        table = evaluate(home, steps=None, tasks=settings(profile), trajectories=None, seed=SEED, threads=1)
        named = table.rename(columns={"step": "steps"}).assign(
            curve=config.label, environment=config.environment.name, profile=config.profile, seed=config.seed
        )
        frames.append(named)
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]
