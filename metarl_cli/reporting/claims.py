"""Verdicts: each claim of the papers against the results in a directory. No verdict is written by hand.

A comparison pairs two curves or estimators by seed, because one seed gives both the same tasks and initial weights; its
effect is the mean over seeds with a 95 % Student t interval. It `holds` where the whole interval lies in the range that
the claim wants, `fails` where the whole interval lies outside, and is `undecided` where the interval crosses a limit or
there are fewer than two seeds. A claim is the conjunction of its comparisons; intervals are not corrected for their
number. Of several profiles the largest counts at which an interval exists.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import pandas as pd

from metarl_cli.errors import UserError
from metarl_cli.papers import CLAIMS
from metarl_cli.papers.claim import Claim, Comparison, ExactCheck, Measure, Range
from metarl_cli.papers.settings import PROFILES
from metarl_cli.reporting.frames import load_runs, read_table
from metarl_cli.reporting.statistics import mean_interval
from metarl_cli.store import runs_directory, table_path

__all__ = ["Finding", "Judgement", "Tables", "Verdict", "judge", "judge_all", "load_tables", "verdict_of"]

Tables: TypeAlias = Mapping[tuple[str, str], pd.DataFrame]
"""The tables that claims read, by profile and name: `runs`, or a figure."""

RUNS = "runs"


class Verdict(StrEnum):
    """What the results say of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    NOT_RUN = "not yet run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one comparison.

    Attributes:
        label: what was compared.
        verdict: of this comparison alone.
        effect, low, high: the number and its 95 % interval; NaN where there is none.
        wanted: where the claim wants it.
        profile: of the results; empty where there are none, `exact` for a number without sampling error.
        seeds: the seeds that went in.
        iterations: of training, that all of these seeds have; 0 for what is not training.
    """

    label: str
    verdict: Verdict
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    wanted: Range
    profile: str = ""
    seeds: tuple[int, ...] = ()
    iterations: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """A claim and what was found of it."""

    claim: Claim
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many comparisons hold, fail, are undecided and not yet run; only what occurs."""
        counted = Counter(finding.verdict for finding in self.findings)
        return {verdict: counted[verdict] for verdict in Verdict if counted[verdict]}

    @property
    def verdict(self) -> Verdict:
        """It fails if one comparison does, holds if all do, and is undecided between."""
        if Verdict.FAILS in self.counts:
            return Verdict.FAILS
        return next(iter(self.counts)) if len(self.counts) == 1 else Verdict.UNDECIDED

    @property
    def weakest(self) -> Finding:
        """The finding on which the verdict hangs: of the worst kind, and of these the farthest on the wrong side."""
        return min(self.findings, key=lambda finding: (_RANK[finding.verdict], _margin(finding)))


_RANK: Mapping[Verdict, int] = MappingProxyType(
    {Verdict.FAILS: 0, Verdict.UNDECIDED: 1, Verdict.HOLDS: 2, Verdict.NOT_RUN: 3}
)

_SUMMARIES: Mapping[str, Callable[[pd.Series], float]] = MappingProxyType(
    {
        "mean": lambda values: values.mean(skipna=False),
        "median": lambda values: values.median(skipna=False),
        "final": lambda values: values.tail(math.ceil(len(values) / 10)).mean(skipna=False),
    }
)


def judge_all(results: Path, exact: Callable[[str], float]) -> list[Judgement]:
    """Every claim of the papers.

    Args:
        results: a directory as `store` lays it out.
        exact: the number behind the name of an exact check.

    Raises:
        UserError: if a table is damaged or lacks a column.
    """
    tables = load_tables(results)
    return [judge(claim, tables, exact) for claim in CLAIMS.values()]


def judge(claim: Claim, tables: Tables, exact: Callable[[str], float]) -> Judgement:
    """One claim; arguments and errors as for `judge_all`."""
    findings: list[Finding] = []
    for comparison in claim.comparisons:
        if isinstance(comparison, ExactCheck):
            findings.append(_computed(comparison, exact(comparison.check)))
        else:
            findings += _measured(comparison, tables, RUNS if claim.reads == "runs" else claim.figure)
    return Judgement(claim, tuple(findings))


def load_tables(results: Path) -> Tables:
    """All there is of what the claims read; the seconds of an iteration are added up."""
    figures = sorted({claim.figure for claim in CLAIMS.values() if claim.reads == "study"})
    tables = {}
    for profile in PROFILES:
        runs = load_runs(runs_directory(results, profile))
        if not runs.empty:
            tables[profile, RUNS] = runs.assign(**{"time/iteration": runs["time/sampling"] + runs["time/update"]})
        paths = {figure: table_path(results, profile, figure) for figure in figures}
        tables |= {(profile, figure): read_table(path) for figure, path in paths.items() if path.exists()}
    return tables


def verdict_of(low: float, high: float, wanted: Range) -> Verdict:
    """What an interval says of a range; one without limits, NaN, says nothing."""
    if wanted.low <= low and high <= wanted.high:
        return Verdict.HOLDS
    if high < wanted.low or wanted.high < low:
        return Verdict.FAILS
    return Verdict.UNDECIDED


def _computed(check: ExactCheck, number: float) -> Finding:
    verdict = verdict_of(number, number, check.wanted)
    return Finding(
        label=check.label,
        verdict=verdict,
        effect=number,
        low=number,
        high=number,
        wanted=check.wanted,
        profile="exact",
    )


def _measured(comparison: Comparison, tables: Tables, name: str) -> list[Finding]:
    """At the largest profile that has an interval, or any number at all."""
    found = [
        findings
        for profile in reversed(PROFILES)
        if (profile, name) in tables
        and any(f.seeds for f in (findings := list(_at_points(comparison, tables[profile, name], profile, name))))
    ]
    with_interval = (findings for findings in found if any(len(finding.seeds) > 1 for finding in findings))
    nothing = [Finding(label=comparison.label, verdict=Verdict.NOT_RUN, wanted=comparison.wanted)]
    return next(with_interval, found[0] if found else nothing)


def _at_points(comparison: Comparison, frame: pd.DataFrame, profile: str, name: str) -> Iterator[Finding]:
    """One finding, or one per value of the sweep."""
    _check_columns(comparison, frame, f"{name} at profile {profile}")
    if not comparison.sweep:
        yield _finding(comparison, comparison.label, frame, profile)
        return
    values = sorted(_rows(frame, comparison.measure)[comparison.sweep].unique())
    chosen = {"each": values, "first": values[:1], "last": values[-1:]}[comparison.at]
    for value in chosen:
        label = f"{comparison.label}, {comparison.sweep} = {value:g}"
        yield _finding(comparison, label, frame[frame[comparison.sweep] == value], profile)


def _finding(comparison: Comparison, label: str, frame: pd.DataFrame, profile: str) -> Finding:
    numbers, iterations = _per_seed(comparison, frame)
    if numbers.empty:
        return Finding(label=label, verdict=Verdict.NOT_RUN, wanted=comparison.wanted)
    effect, low, high = _effect(comparison, numbers)
    return Finding(
        label=label,
        verdict=verdict_of(low, high, comparison.wanted),
        effect=effect,
        low=low,
        high=high,
        wanted=comparison.wanted,
        profile=profile,
        seeds=tuple(int(seed) for seed in numbers.index),
        iterations=iterations,
    )


def _effect(comparison: Comparison, numbers: pd.DataFrame) -> tuple[float, float, float]:
    """The mean over seeds and its interval, of a value, a difference or, in logarithms, a ratio."""
    sides = numbers.to_numpy(dtype=np.float64)
    if comparison.statistic == "ratio":
        mean, low, high = (float(np.exp(limit)) for limit in mean_interval(np.log(sides[:, 0]) - np.log(sides[:, 1])))
    else:
        values = sides[:, 0] - sides[:, 1] if comparison.statistic == "difference" else sides[:, 0]
        mean, low, high = (float(limit) for limit in mean_interval(values))
    return mean, low, high


def _per_seed(comparison: Comparison, frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """One row per seed that all measures have, one column per measure; and how many iterations were summarised."""
    keys = ["seed", "iteration"] if "iteration" in frame else ["seed"]
    measures = [measure for measure in (comparison.measure, comparison.against) if measure]
    series = [_rows(frame, measure).groupby(keys)[measure.column].agg(_SUMMARIES["mean"]) for measure in measures]
    joined = pd.concat(series, axis=1, join="inner", keys=range(len(series))).sort_index()
    if len(keys) > 1:
        seeds = joined.index.get_level_values("seed").nunique()
        joined = joined.groupby(level="iteration").filter(lambda at: len(at) == seeds)
    numbers = joined.groupby(level="seed").agg(_SUMMARIES[comparison.summary])
    return numbers, joined.index.get_level_values("iteration").nunique() if len(keys) > 1 else 0


def _rows(frame: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    matches = np.logical_and.reduce([frame[column] == value for column, value in measure.where])
    return frame[matches]


def _check_columns(comparison: Comparison, frame: pd.DataFrame, table: str) -> None:
    measures: Iterable[Measure] = (m for m in (comparison.measure, comparison.against) if m)
    needed = {"seed", *((comparison.sweep,) if comparison.sweep else ())}
    for measure in measures:
        needed |= {measure.column, *(column for column, _ in measure.where)}
    if missing := sorted(needed - set(frame.columns)):
        raise UserError(
            f"The table {table} has no column {', '.join(missing)}: another version wrote it. Run it again."
        )


def _margin(finding: Finding) -> float:
    """Distance into the wanted range, negative outside, in half-widths of the interval where it has a width."""
    inside = min(finding.effect - finding.wanted.low, finding.wanted.high - finding.effect)
    half = (finding.high - finding.low) / 2
    return inside / half if half > 0 else inside
