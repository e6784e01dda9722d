"""Verdicts: each claim of the papers against the results in a directory. No verdict is written by hand.

A comparison pairs two curves or estimators by seed, because one seed gives both the same tasks and initial weights; its
effect is the mean over seeds with a 95 % Student t interval. It `holds` where the whole interval lies in the range that
the claim wants, `fails` where the whole interval lies outside, and is `undecided` where the interval crosses a limit or
there are fewer than two seeds. A claim is the conjunction of its comparisons; intervals are not corrected for their
number. Of several profiles the largest counts at which an interval exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import pandas as pd

from metarl_cli.papers import CLAIMS
from metarl_cli.papers.claim import Claim, Comparison, ExactCheck, Range
from metarl_cli.papers.settings import PROFILES
from metarl_cli.reporting.frames import load_runs, read_table
from metarl_cli.reporting.measures import Effect, effects
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
    """What one comparison gave.

    Attributes:
        effect: the number, its interval and its seeds.
        wanted: where the claim wants it.
        verdict: of this comparison alone.
        profile: of the results; `exact` for a number without sampling error; empty where there is none.
    """

    effect: Effect
    wanted: Range
    verdict: Verdict
    profile: str


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


def judge_all(
    results: Path, exact: Callable[[str], float], load: Callable[[Path], pd.DataFrame] = load_runs
) -> list[Judgement]:
    """Every claim of the papers.

    Args:
        results: a directory as `store` lays it out.
        exact: the number behind the name of an exact check.
        load: reads the runs below a directory.

    Raises:
        UserError: if a table is damaged or lacks a column.
    """
    tables = load_tables(results, load)
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


def load_tables(results: Path, load: Callable[[Path], pd.DataFrame] = load_runs) -> Tables:
    """All there is of what the claims read; the seconds of an iteration are added up."""
    figures = sorted({claim.figure for claim in CLAIMS.values() if claim.reads == "study"})
    tables = {}
    for profile in PROFILES:
        runs = load(runs_directory(results, profile))
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
    effect = Effect(check.label, number, number, number)
    verdict = verdict_of(number, number, check.wanted)
    return Finding(effect=effect, wanted=check.wanted, verdict=verdict, profile="exact")


def _measured(comparison: Comparison, tables: Tables, name: str) -> list[Finding]:
    """At the largest profile that has an interval, or any number at all."""
    found = [
        [_finding(comparison, effect, profile) for effect in effects(comparison, tables[profile, name], name)]
        for profile in reversed(PROFILES)
        if (profile, name) in tables
    ]
    for seeds in (2, 1):
        for findings in found:
            if any(len(finding.effect.seeds) >= seeds for finding in findings):
                return findings
    return [_finding(comparison, Effect(comparison.label), "")]


def _finding(comparison: Comparison, effect: Effect, profile: str) -> Finding:
    wanted, found = comparison.wanted, bool(effect.seeds)
    verdict = verdict_of(effect.low, effect.high, wanted) if found else Verdict.NOT_RUN
    return Finding(effect=effect, wanted=wanted, verdict=verdict, profile=profile if found else "")


def _margin(finding: Finding) -> float:
    """Distance into the wanted range, negative outside, in half-widths of the interval where it has a width."""
    effect, wanted = finding.effect, finding.wanted
    inside = min(effect.mean - wanted.low, wanted.high - effect.mean)
    half = (effect.high - effect.low) / 2
    return inside / half if half > 0 else inside
