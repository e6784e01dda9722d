"""What a claim of a paper is, as data: the numbers it speaks of, and where they must lie.

Its entries: one module per paper. `claims.judge` judges them; no verdict is written by hand.

A claim is the conjunction of its comparisons, or speaks of most of them where the paper says "generally". A difference
or ratio pairs two curves or estimators seed by seed: one seed gives all of them the same tasks, initial weights and, in
the studies, the same data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = [
    "AS_ACCURATE",
    "Claim",
    "Comparison",
    "ExactCheck",
    "Measure",
    "Position",
    "Range",
    "Reported",
    "Summary",
    "Where",
    "beats",
    "beats_all",
    "deviates",
    "exact",
    "order",
    "ranking",
    "trained",
]

Where: TypeAlias = tuple[tuple[str, str | int | None], ...]
Summary: TypeAlias = Literal["mean", "median", "final"]
Statistic: TypeAlias = Literal["value", "difference", "ratio"]
Position: TypeAlias = Literal["each", "first", "last"]

TOLERANCE = 1e-10
"""Of exact checks, relative: float64 sums over a few hundred trajectories."""

AS_ACCURATE = -0.01
"""The least difference of two correlations at which the first estimator passes for the more accurate one at every point
of a sweep. Curves that are nearer than a hundredth of the scale from 0 to 1 are one line in the papers' figures, and
where estimators agree, on-policy or with many samples, no number of seeds would put one above the other."""

RETURN = "return/post"
"""Undiscounted return after adaptation, the column that the papers' learning curves show."""


@dataclass(frozen=True, slots=True)
class Range:
    """Where a claim wants a number: from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A column of a table, in the rows that match.

    Attributes:
        column: which.
        where: (column, value) that a row must have; None for a column without a value there.
    """

    column: str
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A number, averaged over seeds, that a claim needs in a range.

    Attributes:
        label: what is compared, in the names of curves, estimators and environments.
        statistic: the `value` of the measure, its `difference` from another or its `ratio` to it, seed by seed; ratios
            are averaged geometrically.
        measure: the first.
        against: the other, for difference and ratio.
        summary: of the rows of one seed: their `mean`, their `median`, or `final`, the mean over the last tenth of the
            iterations.
        wanted: where the claim wants the number.
        sweep: a column whose values are taken one by one; empty for none.
        at: which of these values: `each`, the `first` or the `last`.
    """

    label: str
    statistic: Statistic
    measure: Measure
    against: Measure | None = None
    summary: Summary = "mean"
    wanted: Range
    sweep: str = ""
    at: Position = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactCheck:
    """A number without Monte-Carlo error that a claim needs in a range: `check` is a key of `exact.theorems`."""

    label: str
    check: str
    wanted: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim.

    Attributes:
        name: `<paper>-<what>`.
        statement: what is claimed, one sentence.
        source: paper, section, figure.
        figure: the artefact that shows it; empty for a theorem.
        reads: `runs`: training runs; `study`: the table of the figure; `exact`: nothing, it is computed.
        decided_at: the smallest profile whose results can decide it; smaller ones are shown, and leave it undecided.
        iterations: the fewest of training that can decide it.
        comparisons: what must hold.
        needs: `all` of them, or `most`, more than half, where the paper says "generally" or "typically".
    """

    name: str
    statement: str
    source: str
    figure: str = ""
    reads: Literal["runs", "study", "exact"] = "exact"
    decided_at: str = "quick"
    iterations: int = 0
    comparisons: tuple[Comparison | ExactCheck, ...]
    needs: Literal["all", "most"] = "all"

    @property
    def paper(self) -> str:
        """The short name of the paper."""
        return self.name.partition("-")[0]


trained = partial(Claim, reads="runs", decided_at="paper", iterations=500)
"""A claim on the end of a long training."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A number that a paper prints in a table: mean and spread; what spread, the papers do not all say."""

    environment: str
    curve: str
    mean: float
    spread: float


def ranking(reported: Sequence[Reported], environment: str) -> list[str]:
    """The curves of a printed table in one environment, from the largest number to the smallest."""
    entries = [entry for entry in reported if entry.environment == environment]
    return [entry.curve for entry in sorted(entries, key=lambda entry: -entry.mean)]


_SUMMARIES: Mapping[Summary, str] = MappingProxyType(
    {"final": "final return", "mean": "mean return over training", "median": "median return"}
)


def beats(winner: str, loser: str, environment: str, summary: Summary = "final") -> Comparison:
    """The post-update return of one curve minus that of another, at least zero."""

    def measure(curve: str) -> Measure:
        return Measure(column=RETURN, where=(("curve", curve), ("environment", environment)))

    return Comparison(
        label=f"{winner} − {loser}, {environment}, {_SUMMARIES[summary]}",
        statistic="difference",
        measure=measure(winner),
        against=measure(loser),
        summary=summary,
        wanted=Range(low=0.0),
    )


def beats_all(
    winners: Sequence[str], losers: Sequence[str], environments: Sequence[str], summary: Summary = "final"
) -> tuple[Comparison, ...]:
    """Each of the winners beats each of the losers in each environment."""
    return tuple(
        beats(winner, loser, environment, summary)
        for environment in environments
        for winner in winners
        for loser in losers
    )


def order(curves: Sequence[str], environment: str) -> tuple[Comparison, ...]:
    """Final returns fall from one curve to the next."""
    return tuple(beats(better, worse, environment) for better, worse in pairwise(curves))


def deviates(estimator: str, rival: str, quantity: str, wanted: Range) -> Comparison:
    """A quantity that the variance study measures, of one estimator over that of another."""

    def measure(curve: str) -> Measure:
        return Measure(column="value", where=(("curve", curve), ("quantity", quantity)))

    return Comparison(
        label=f"{quantity}, {estimator} / {rival}",
        statistic="ratio",
        measure=measure(estimator),
        against=measure(rival),
        wanted=wanted,
    )


def exact(label: str, check: str, *, low: float = -math.inf, high: float = math.inf) -> ExactCheck:
    """An exact check; without limits: zero within `TOLERANCE`."""
    wanted = Range(low, high) if math.isfinite(low) or math.isfinite(high) else Range(high=TOLERANCE)
    return ExactCheck(label=label, check=check, wanted=wanted)
