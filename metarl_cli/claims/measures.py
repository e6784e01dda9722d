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

from metarl_cli.claims.statistics import RangeTest, mean_interval, range_test
from metarl_cli.papers.claim import Comparison, Measure, Range, Summary, Where

__all__ = ["Effect", "Grouped", "effects", "summarised"]

Array: TypeAlias = NDArray[Any]


class Effect(NamedTuple):
    """The number of a comparison, averaged over seeds.

    Attributes:
        label: the comparison, and where on its sweep.
        mean, low, high: with a 95 % Student t interval, in logarithms for a ratio; NaN where there is none.
        test: of the range in which the comparison wants it.
        seeds: the seeds that went in.
        iterations: that all of these seeds have: of training, or checkpoints of a study; 0 where there are none.
        env_steps: of each run until the last of these iterations, of the run with fewest; 0 where nothing was trained.
    """

    label: str
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    test: RangeTest = RangeTest()
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
        self.seeds, self._seed = np.unique(self.column("seed"), return_inverse=True)
        self._iterations, self._iteration = np.unique(self.column("iteration"), return_inverse=True)

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

    def numbers(self, rows: Array, column: str, *, trained: bool) -> tuple[Array, Array]:
        """Of these rows one number for each seed and iteration, a mean where several have them.

        Args:
            rows: the places of rows.
            column: of the numbers.
            trained: whether there are iterations; else there is one.

        Returns:
            Numbers, [seeds, iterations] of the whole table, in order, and where there is one.
        """
        shape = len(self.seeds), len(self._iterations) if trained else 1
        at = self._seed[rows] * shape[1] + (self._iteration[rows] if trained else 0)
        counts = np.bincount(at, minlength=math.prod(shape))
        sums = np.bincount(at, self.column(column)[rows], minlength=math.prod(shape))
        return (sums / np.maximum(counts, 1)).reshape(shape), (counts > 0).reshape(shape)


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


def summarised(table: Grouped, column: str, summary: Summary, where: Where, against: Where | None = None) -> Effect:
    """A column of the rows that match, as a claim has it, or its difference from that of others; wanted nowhere."""
    comparison = Comparison(
        label="",
        statistic="difference" if against else "value",
        measure=Measure(column=column, where=where),
        against=Measure(column=column, where=against) if against else None,
        summary=summary,
        wanted=Range(),
    )
    (effect,) = effects(comparison, table)
    return effect


def _effect(comparison: Comparison, label: str, table: Grouped, rows: Sequence[Array]) -> Effect:
    """Of the rows of one or two measures."""
    trained = not any(pd.isna(table.column("iteration")[at]).any() for at in rows)
    columns = (comparison.measure.column, (comparison.against or comparison.measure).column)
    found = [table.numbers(at, column, trained=trained) for at, column in zip(rows, columns, strict=False)]
    shared = np.logical_and.reduce([there for _, there in found])
    seeds = shared.any(axis=1)
    iterations = np.flatnonzero(shared[seeds].all(axis=0))
    if not seeds.any() or not len(iterations):
        return Effect(label)
    summary = _SUMMARIES[comparison.summary if trained else "mean"]
    first, *second = (summary(numbers[np.ix_(seeds, iterations)]) for numbers, _ in found)
    wanted = comparison.wanted
    if comparison.statistic == "ratio":
        logarithms = _logarithms(first) - _logarithms(second[0])
        mean, low, high = np.exp(mean_interval(logarithms))
        test = range_test(logarithms, _logarithm(wanted.low), _logarithm(wanted.high))
    else:
        values = first - second[0] if comparison.statistic == "difference" else first
        mean, low, high = mean_interval(values)
        test = range_test(values, wanted.low, wanted.high)
    steps = np.concatenate([table.numbers(at, "env_steps", trained=trained)[0][seeds, iterations[-1]] for at in rows])
    return Effect(
        label,
        float(mean),
        float(low),
        float(high),
        test,
        seeds=tuple(table.seeds[seeds].tolist()),
        iterations=len(iterations) if trained else 0,
        env_steps=int(min(steps[~np.isnan(steps)], default=0)),
    )


def _logarithms(values: Array) -> Array:
    """NaN where there is none."""
    return np.log(values, where=values > 0.0, out=np.full_like(values, np.nan))


def _logarithm(limit: float) -> float:
    """Of a limit of a ratio; what is not positive limits nothing."""
    return math.log(limit) if limit > 0.0 else -math.inf
