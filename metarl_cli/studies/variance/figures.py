"""Variance of meta-gradients along a training run: Fig. 3 of Rothfuss et al. (2019), Fig. 2 of Liu et al. (2019).

LVC-VPG is trained as the carrier. At its checkpoints R batches of the *same* tasks are drawn at the same θ, and every
estimator's meta-gradient is taken on each: `estimators` says on which batches, `statistics` what is
made of the gradients. The released code of ProMP resamples at every iteration of each algorithm's own training, and
draws the tasks anew for the last round: here θ and the tasks are the same for all, so sampling noise alone remains.

Both figures show one set of measurements, `<results>/<profile>/variance/<environment>/seed<k>/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from metarl_cli import schema
from metarl_cli.papers.figure import Figure, planned_runs
from metarl_cli.papers.settings import run_config, with_code
from metarl_cli.references import directory_name, pinned
from metarl_cli.runs.progress import PROGRESS
from metarl_cli.studies.variance.estimators import MEASURED
from metarl_cli.studies.variance.run import STATISTICS, VarianceSettings, has_other_settings, measure
from metarl_cli.tables import read_table

__all__ = [
    "COLUMNS",
    "FIGURE_ESTIMATORS",
    "SIZES",
    "foreign",
    "home",
    "measurements",
    "settings",
    "settings_for",
    "study",
]

KEYS = ("environment", "profile", "seed", "rounds", "curve", "iteration", "env_steps")
RETURNS = ("return/pre", "return/post")
COLUMNS = (*KEYS, "quantity", "value")
"""Of a figure's table. `curve` is an estimator, `carrier`, or the label of a trained run, which has 0 rounds."""

FIGURE_ESTIMATORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "promp-fig3": ("lvc", "dice-full-released", "dice-full", "dice", "loaded_dice"),
        "tmaml-fig2": ("tmaml", "tmaml-per-task", "lvc", "reinforce", "dice-released", "dice"),
    }
)
"""The papers' estimators, DiCE with both scalings of its rewards, and Loaded DiCE, which is as unbiased as DiCE but has
a baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceSize:
    """How much is measured: tasks M, trajectories N, rounds R, the iterations at which, and how many seeds."""

    tasks: int
    trajectories: int
    rounds: int
    checkpoints: tuple[int, ...]
    seeds: int


SIZES: Mapping[str, VarianceSize] = MappingProxyType(
    {
        "smoke": VarianceSize(tasks=2, trajectories=4, rounds=3, checkpoints=(0, 1), seeds=1),
        "quick": VarianceSize(tasks=10, trajectories=10, rounds=10, checkpoints=(0, 20, 40), seeds=2),
        "overnight": VarianceSize(tasks=20, trajectories=10, rounds=10, checkpoints=(0, 25, 50), seeds=3),
        "standard": VarianceSize(tasks=20, trajectories=10, rounds=40, checkpoints=(0, 75, 150, 225, 300), seeds=5),
        "paper": VarianceSize(tasks=20, trajectories=40, rounds=10, checkpoints=tuple(range(0, 301, 10)), seeds=5),
    }
)
"""By profile. `overnight` and `standard` follow the carrier through a training of that profile; `paper` is the size
of ProMP's experiment, at every tenth of its iterations. With 20 × 10 trajectories ten rounds hold little but noise late
in training, where estimators cannot be told apart: `standard` has forty."""


def settings_for(
    environment: str,
    *,
    profile: str,
    seed: int,
    estimators: tuple[str, ...] = (),
    rounds: int | None = None,
    checkpoints: tuple[int, ...] = (),
) -> VarianceSettings:
    """A measurement at the size of a profile. What is not given: the profile's, and the estimators of both figures.

    Raises:
        UserError: for a name that does not exist, or numbers that measure nothing.
    """
    base = run_config("lvc-vpg", environment, profile=profile)  # knows which profiles there are
    size = SIZES[profile]
    sampling = replace(base.sampling, tasks=size.tasks, trajectories=size.trajectories)
    every = dict.fromkeys(name for names in FIGURE_ESTIMATORS.values() for name in names)
    at = checkpoints or size.checkpoints
    return VarianceSettings(
        config=with_code(replace(base, label="carrier", seed=seed, iterations=max(*at, 1), sampling=sampling)),
        estimators=tuple(dict.fromkeys(pinned(name, "function") for name in estimators or every)),
        rounds=size.rounds if rounds is None else rounds,
        checkpoints=at,
    )


def settings(profile: str) -> object:
    """What decides a figure's table besides the trained runs."""
    return SIZES[profile], dict(FIGURE_ESTIMATORS), dict(MEASURED)


def home(asked: VarianceSettings, results: Path) -> Path:
    """Where a measurement lies among the results."""
    config = asked.config
    return results / config.profile / "variance" / directory_name(config.environment.name) / f"seed{config.seed}"


def measurements(figure: Figure, profile: str, results: Path) -> list[Path]:
    """The directories of a figure's measurements."""
    return [home(asked, results) for asked in _needed(figure, profile)]


def foreign(figure: Figure, profile: str, results: Path) -> list[Path]:
    """Those that hold a measurement with other settings: a user's, or one of an earlier version."""
    asked = _needed(figure, profile)
    return [home(each, results) for each in asked if has_other_settings(home(each, results), each)]


def study(figure: Figure, profile: str, results: Path) -> pd.DataFrame:
    """The measurements of a figure's estimators, the carrier's returns, and those of whatever runs the figure has.

    Raises:
        UserError: for a profile that does not exist, a damaged `progress.csv`, or a directory of measurements that is
            in use or of others.
        RunFailedError: if a gradient stops being finite.
    """
    frames = []
    for run in planned_runs(figure, profile):
        path, config = run.directory(results) / PROGRESS, run.config
        if path.exists() and path.stat().st_size:
            named = read_table(path, schema.PROGRESS).assign(
                environment=config.environment.name, profile=profile, seed=config.seed
            )
            frames.append(_long(named.assign(curve=config.label, rounds=0), RETURNS))
    for asked in _needed(figure, profile):
        config = asked.config
        table = measure(home(asked, results), asked)
        table = table.assign(environment=config.environment.name, profile=profile, seed=config.seed)
        estimators = table[table["estimator"].isin(FIGURE_ESTIMATORS[figure.name])]
        carrier = table.drop_duplicates("iteration").assign(curve="carrier")  # beside every estimator, and counts once
        frames += [_long(carrier, RETURNS), _long(estimators.rename(columns={"estimator": "curve"}), STATISTICS)]
    return pd.concat(frames, ignore_index=True).dropna(subset="value")


def _needed(figure: Figure, profile: str) -> list[VarianceSettings]:
    (environment,) = figure.environments
    return [settings_for(environment, profile=profile, seed=seed) for seed in range(1, SIZES[profile].seeds + 1)]


def _long(table: pd.DataFrame, quantities: tuple[str, ...]) -> pd.DataFrame:
    return table.melt(list(KEYS), list(quantities), "quantity", "value")
