"""Learning curves: from the rows of runs to a mean over seeds with its band."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.schema import CURVES

__all__ = ["curves", "ranges"]


def curves(runs: pd.DataFrame, quantities: Sequence[str]) -> pd.DataFrame:
    """Mean and 95 % Student t band over seeds, at the iterations that all seeds of a group have.

    Args:
        runs: as `results.load_runs` gives them.
        quantities: columns to summarise, for instance `return/post`.

    Returns:
        One row per curve, environment, profile, quantity and iteration: `mean`, `low`, `high`, the `least` and the
        `greatest` of the seeds, and `seeds`, those that went in.
    """
    tables = []
    for (curve, environment, profile), frame in runs.groupby(["curve", "environment", "profile"], sort=True):
        seeds = sorted(frame["seed"].unique())
        counts = frame["iteration"].value_counts()
        common = frame[frame["iteration"].isin(counts.index[counts == len(seeds)])].sort_values(["iteration", "seed"])
        columns = {
            name: common[name].to_numpy().reshape(-1, len(seeds)) for name in ("iteration", "env_steps", *quantities)
        }  # [iterations, n]
        for quantity in quantities:
            of_seeds = columns[quantity].T
            table = {
                "curve": str(curve),
                "environment": str(environment),
                "profile": str(profile),
                "seeds": " ".join(map(str, seeds)),
                "quantity": quantity,
                "iteration": columns["iteration"][:, 0],
                "env_steps": columns["env_steps"][:, 0],
                **mean_interval(of_seeds)._asdict(),
                "least": np.fmin.reduce(of_seeds),
                "greatest": np.fmax.reduce(of_seeds),
            }
            tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(CURVES.columns))


def ranges(numbers: Iterable[int]) -> str:
    """Seeds in words, for instance "1–3, 5"; two in a row stay two."""
    neighbours = groupby(enumerate(sorted(numbers)), key=lambda entry: entry[1] - entry[0])
    runs = [[number for _, number in group] for _, group in neighbours]
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
