"""The numbers that a comparison is about: from a tidy table to one number per seed, and to an effect with its interval.

Two measures are paired by seed and, where there is training, by iteration: what only one of them has is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from metarl_cli.papers.claim import Comparison, Measure
from metarl_cli.reporting.frames import require
from metarl_cli.reporting.statistics import mean_interval, range_p_value

__all__ = ["Effect", "effects"]


class Effect(NamedTuple):
    """The number of a comparison, averaged over seeds.

    Attributes:
        label: the comparison, and where on its sweep.
        mean, low, high: with a 95 % Student t interval, in logarithms for a ratio; NaN where there is none.
        p_value: of a mean in the range that the comparison wants, see `statistics.range_p_value`.
        seeds: the seeds that went in.
        iterations: that all of these seeds have: of training, or checkpoints of a study; 0 where there are none.
        env_steps: of each run until the last of these iterations, of the run with fewest; 0 where nothing was trained.
    """

    label: str
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_value: float = 1.0
    seeds: tuple[int, ...] = ()
    iterations: int = 0
    env_steps: int = 0


_SUMMARIES: Mapping[str, Callable[[pd.Series], float]] = MappingProxyType(
    {
        "mean": lambda values: values.mean(skipna=False),
        "median": lambda values: values.median(skipna=False),
        "final": lambda values: values.tail(math.ceil(len(values) / 10)).mean(skipna=False),
    }
)


def effects(comparison: Comparison, frame: pd.DataFrame, table: str) -> Iterator[Effect]:
    """The effect of a comparison, or one per value of its sweep.

    Args:
        comparison: which.
        frame: the rows, with a column `seed`.
        table: what to call the frame in a message.

    Raises:
        UserError: if the frame lacks a column.
    """
    _check_columns(comparison, frame, table)
    if not comparison.sweep:
        yield _effect(comparison, comparison.label, frame)
        return
    values = sorted(_rows(frame, comparison.measure)[comparison.sweep].unique())
    for value in {"each": values, "first": values[:1], "last": values[-1:]}[comparison.at]:
        label = f"{comparison.label}, {comparison.sweep} = {value:g}"
        yield _effect(comparison, label, frame[frame[comparison.sweep] == value])


def _effect(comparison: Comparison, label: str, frame: pd.DataFrame) -> Effect:
    numbers, iterations = _per_seed(comparison, frame)
    if numbers.empty:
        return Effect(label)
    first, *second = numbers.to_numpy(dtype=np.float64).T
    wanted, seeds = comparison.wanted, tuple(int(seed) for seed in numbers.index)
    if comparison.statistic == "ratio":
        logarithms = np.log(first) - np.log(second[0])
        mean, low, high = np.exp(mean_interval(logarithms))
        p_value = range_p_value(logarithms, _logarithm(wanted.low), _logarithm(wanted.high))
    else:
        values = first - second[0] if comparison.statistic == "difference" else first
        mean, low, high = mean_interval(values)
        p_value = range_p_value(values, wanted.low, wanted.high)
    env_steps = _env_steps(comparison, frame, seeds, iterations)
    return Effect(label, float(mean), float(low), float(high), p_value, seeds, len(iterations), env_steps)


def _env_steps(comparison: Comparison, frame: pd.DataFrame, seeds: tuple[int, ...], iterations: pd.Index) -> int:
    """Of the run that was trained least, where the table says so, until the last of the iterations."""
    if "env_steps" not in frame:
        return 0
    summarised = frame["iteration"] <= iterations.max() if len(iterations) else True
    trained = frame[frame["seed"].isin(seeds) & frame["env_steps"].notna() & summarised]
    of_runs = [_rows(trained, measure).groupby("seed")["env_steps"].max() for measure in _measures(comparison)]
    return int(pd.concat(of_runs).min()) if len(trained) else 0


def _logarithm(limit: float) -> float:
    """Of a limit of a ratio; what is not positive limits nothing."""
    return math.log(limit) if limit > 0.0 else -math.inf


def _per_seed(comparison: Comparison, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Index]:
    """One row per seed that all measures have, one column per measure; and the iterations that were summarised."""
    parts = [(measure.column, _rows(frame, measure)) for measure in _measures(comparison)]
    trained = "iteration" in frame and all(rows["iteration"].notna().all() for _, rows in parts)
    keys = ["seed", "iteration"] if trained else ["seed"]
    series = [_means(rows.set_index(keys)[column]) for column, rows in parts]
    joined = pd.concat(series, axis=1, join="inner", keys=range(len(series))).sort_index()
    if not trained:
        return joined, pd.Index([])
    seeds = joined.index.get_level_values("seed").nunique()
    common = joined.groupby(level="iteration").filter(lambda at: len(at) == seeds)
    numbers = common.groupby(level="seed").agg(_SUMMARIES[comparison.summary])
    return numbers, common.index.get_level_values("iteration").unique()


def _means(series: pd.Series) -> pd.Series:
    """One number for each entry of the index."""
    return series if series.index.is_unique else series.groupby(level=series.index.names).agg(_SUMMARIES["mean"])


def _measures(comparison: Comparison) -> list[Measure]:
    return [measure for measure in (comparison.measure, comparison.against) if measure]


def _rows(frame: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    matches = [frame[column].isna() if value is None else frame[column] == value for column, value in measure.where]
    return frame[np.logical_and.reduce(matches)]


def _check_columns(comparison: Comparison, frame: pd.DataFrame, table: str) -> None:
    needed = {"seed", comparison.sweep or "seed"}
    for measure in _measures(comparison):
        needed |= {measure.column, *(column for column, _ in measure.where)}
    require(frame, needed, table)
