"""The numbers that a comparison is about: from a tidy table to one number per seed, and to an effect with its interval.

Two measures are paired by seed and, where there is training, by iteration: what only one of them has is left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metarl_cli.claims.statistics import mean_interval, range_p_value
from metarl_cli.papers.claim import Comparison, Where

__all__ = ["Effect", "Grouped", "effects"]

Array: TypeAlias = NDArray[Any]


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


_SUMMARIES: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "mean": lambda values: np.mean(values, axis=-1),
        "median": lambda values: np.median(values, axis=-1),
        "final": lambda values: np.mean(values[:, -math.ceil(values.shape[-1] / 10) :], axis=-1),
    }
)
"""Of the iterations of every seed, [n, iterations]."""


class Grouped:
    """A tidy table that is asked for the rows of hundreds of measures: it is grouped once by each set of columns."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.columns: Mapping[str, Array] = {str(name): frame[name].to_numpy() for name in frame}
        self._blank = np.full(len(frame), np.nan)
        self._groups: dict[tuple[str, ...], dict[tuple[Any, ...], Array]] = {}

    def column(self, name: str) -> Array:
        """All its cells: blank in a table that lacks it, as one does that has none of the rows that would have it."""
        return self.columns.get(name, self._blank)

    def rows(self, where: Where) -> Array:
        """The places of the rows that match."""
        names, values = tuple(name for name, _ in where), tuple(value for _, value in where)
        if names not in self._groups:
            columns = [pd.Series(self.column(name), dtype=object) for name in names]
            cells = [column.where(column.notna(), None).tolist() for column in columns]
            places = defaultdict(list)
            for place, row in enumerate(zip(*cells, strict=True)):
                places[row].append(place)
            self._groups[names] = {row: np.array(found) for row, found in places.items()}
        return self._groups[names].get(values, np.array([], dtype=np.int64))

    def numbers(self, rows: Array, column: str, *, trained: bool) -> dict[tuple[int, int], float]:
        """Of these rows one number for each seed and iteration, a mean where several have them.

        The iteration is −1 where nothing was trained.
        """
        seeds = self.column("seed")[rows].tolist()
        iterations = self.column("iteration")[rows].tolist() if trained else [-1] * len(rows)
        found = defaultdict(list)
        for seed, iteration, number in zip(seeds, iterations, self.column(column)[rows].tolist(), strict=True):
            found[int(seed), int(iteration)].append(number)
        return {key: several[0] if len(several) == 1 else float(np.mean(several)) for key, several in found.items()}


def effects(comparison: Comparison, table: Grouped) -> Iterator[Effect]:
    """The effect of a comparison, or one per value of its sweep; the table has a column `seed`."""
    measures = [measure for measure in (comparison.measure, comparison.against) if measure]
    rows = [table.rows(measure.where) for measure in measures]
    if not comparison.sweep:
        yield _effect(comparison, comparison.label, table, rows)
        return
    swept = table.column(comparison.sweep)
    values = sorted(set(swept[rows[0]].tolist()))
    for value in {"each": values, "first": values[:1], "last": values[-1:]}[comparison.at]:
        label = f"{comparison.label}, {comparison.sweep} = {value:g}"
        yield _effect(comparison, label, table, [found[swept[found] == value] for found in rows])


def _effect(comparison: Comparison, label: str, table: Grouped, rows: Sequence[Array]) -> Effect:
    """Of the rows of one or two measures."""
    iterations = table.column("iteration")
    trained = not any(pd.isna(iterations[found]).any() for found in rows)
    columns = (comparison.measure.column, (comparison.against or comparison.measure).column)
    numbers = [table.numbers(found, column, trained=trained) for found, column in zip(rows, columns, strict=False)]
    iterations_of = defaultdict(set)  # each seed's that all measures have
    for seed, iteration in set.intersection(*(set(of) for of in numbers)):
        iterations_of[seed].add(iteration)
    shared = sorted(set.intersection(*iterations_of.values())) if iterations_of else []
    if not shared:
        return Effect(label)
    seeds = tuple(sorted(iterations_of))
    summary = _SUMMARIES[comparison.summary if trained else "mean"]
    first, *second = (summary(np.array([[of[seed, at] for at in shared] for seed in seeds])) for of in numbers)
    wanted = comparison.wanted
    if comparison.statistic == "ratio":
        logarithms = _logarithms(first) - _logarithms(second[0])
        mean, low, high = np.exp(mean_interval(logarithms))
        p_value = range_p_value(logarithms, _logarithm(wanted.low), _logarithm(wanted.high))
    else:
        values = first - second[0] if comparison.statistic == "difference" else first
        mean, low, high = mean_interval(values)
        p_value = range_p_value(values, wanted.low, wanted.high)
    least = []  # steps of each run, where the table says so, until the last iteration that counts
    for found in rows:
        if trained:
            found = found[iterations[found] <= shared[-1]]
        steps, owners = table.column("env_steps")[found], table.column("seed")[found]
        least += [steps[owners == seed].max(initial=0) for seed in seeds]
    env_steps = int(min((steps for steps in least if not math.isnan(steps)), default=0))
    return Effect(label, float(mean), float(low), float(high), p_value, seeds, len(shared) if trained else 0, env_steps)


def _logarithms(values: Array) -> Array:
    """NaN where there is none."""
    return np.log(values, where=values > 0.0, out=np.full_like(values, np.nan))


def _logarithm(limit: float) -> float:
    """Of a limit of a ratio; what is not positive limits nothing."""
    return math.log(limit) if limit > 0.0 else -math.inf
