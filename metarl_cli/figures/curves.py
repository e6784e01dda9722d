"""Learning curves: from the rows of runs to a mean over seeds with its band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
    if runs.empty:
        return pd.DataFrame(columns=list(CURVES.columns))
    columns = {name: runs[name].to_numpy() for name in ("iteration", "seed", "env_steps", *quantities)}
    keys = ["curve", "environment", "profile"]
    groups = cast("Mapping[Any, NDArray[np.int64]]", runs.groupby(keys, sort=True).indices)
    tables = []
    for key, places in groups.items():
        iterations, seeds = columns["iteration"][places], np.unique(columns["seed"][places])
        by_iteration = places[np.lexsort((columns["seed"][places], iterations))]
        counts = np.unique(iterations, return_counts=True)[1]
        common = by_iteration[np.repeat(counts == len(seeds), counts)].reshape(-1, len(seeds))  # [iterations, n]
        for quantity in quantities:
            of_seeds = columns[quantity][common].T
            table = {
                **dict(zip(keys, map(str, key), strict=True)),
                "seeds": " ".join(map(str, seeds)),
                "quantity": quantity,
                "iteration": columns["iteration"][common[:, 0]],
                "env_steps": columns["env_steps"][common[:, 0]],
                **mean_interval(of_seeds)._asdict(),
                "least": np.fmin.reduce(of_seeds),
                "greatest": np.fmax.reduce(of_seeds),
            }
            tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def ranges(numbers: Iterable[int]) -> str:
    """Seeds in words, for instance "1–3, 5"; two in a row stay two."""
    neighbours = groupby(enumerate(sorted(numbers)), key=lambda entry: entry[1] - entry[0])
    runs = [[number for _, number in group] for _, group in neighbours]
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
