"""Verdicts: each claim of the papers against the results in a directory. No verdict is written by hand.

A comparison pairs two curves or estimators by seed, because one seed gives both the same tasks and initial weights; its
effect is the mean over seeds with a 95 % Student t interval. It `holds` where the whole interval lies in the range that
the claim wants. It `fails` where the interval lies wholly outside even at the level 5 % / m, of m comparisons in the
claim (Bonferroni): a claim is the conjunction of its comparisons, so that one of them is enough to refute it, and among
many one would be found by chance. Else it is `undecided`, as with fewer than two seeds, or when all there is was made
at a smaller profile, or trained for fewer iterations, than can decide the claim.

Of several profiles the largest counts at which an interval exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import pandas as pd

from metarl_cli.papers import CLAIMS
from metarl_cli.papers.claim import Claim, Comparison, ExactCheck, Range
from metarl_cli.profiles import PROFILES
from metarl_cli.reporting.frames import load_runs, read_table
from metarl_cli.reporting.measures import Effect, effects
from metarl_cli.store import runs_directory, table_path

__all__ = ["Finding", "Judgement", "Tables", "Verdict", "judge", "judge_all", "load_tables", "verdict_of"]

Tables: TypeAlias = Mapping[tuple[str, str], pd.DataFrame]
"""The tables that claims read, by profile and name: `runs`, or a figure."""

RUNS, EXACT = "runs", "exact"

ENOUGH = 2
"""Seeds for an interval."""

LEVEL = 0.05
"""At which a claim is refuted, all its comparisons together."""


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
        decisive: whether it is large enough to decide the claim.
    """

    effect: Effect
    wanted: Range
    verdict: Verdict
    profile: str
    decisive: bool = True


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
    numbers = [number for part in claim.comparisons for number in _numbers(part, claim, tables, exact)]
    compared = sum(bool(number.profile) for number in numbers)
    return Judgement(claim, tuple(_finding(number, claim, compared) for number in numbers))


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


def verdict_of(effect: Effect, wanted: Range, compared: int = 1) -> Verdict:
    """What an effect says of a range, if it is one of so many that were compared; one without interval says nothing."""
    if wanted.low <= effect.low and effect.high <= wanted.high:
        return Verdict.HOLDS
    return Verdict.FAILS if effect.p_value * compared < LEVEL else Verdict.UNDECIDED


class _Number(NamedTuple):
    """An effect, where it is wanted and the profile that it is of; empty where there is none."""

    effect: Effect
    wanted: Range
    profile: str


def _numbers(
    part: Comparison | ExactCheck, claim: Claim, tables: Tables, exact: Callable[[str], float]
) -> list[_Number]:
    if isinstance(part, ExactCheck):
        return [_computed(part, exact(part.check))]
    return _measured(part, tables, RUNS if claim.reads == "runs" else claim.figure)


def _computed(check: ExactCheck, number: float) -> _Number:
    p_value = float(check.wanted.low <= number <= check.wanted.high)
    return _Number(Effect(check.label, number, number, number, p_value), check.wanted, EXACT)


def _measured(comparison: Comparison, tables: Tables, name: str) -> list[_Number]:
    """At the largest profile that has an interval, or any number at all."""
    best, most = [_Number(Effect(comparison.label), comparison.wanted, "")], 0
    for profile in reversed(PROFILES):
        if (profile, name) not in tables:
            continue
        found = list(effects(comparison, tables[profile, name], name))
        seeds = min(max((len(effect.seeds) for effect in found), default=0), ENOUGH)
        if seeds > most:
            best = [_Number(effect, comparison.wanted, profile if effect.seeds else "") for effect in found]
            most = seeds
        if most == ENOUGH:
            break
    return best


def _finding(number: _Number, claim: Claim, compared: int) -> Finding:
    effect, wanted, profile = number
    large_enough = profile in (EXACT, *PROFILES[PROFILES.index(claim.decided_at) :])
    decisive = large_enough and effect.iterations >= claim.iterations
    verdict = verdict_of(effect, wanted, compared) if decisive else Verdict.UNDECIDED
    return Finding(
        effect=effect,
        wanted=wanted,
        verdict=verdict if profile else Verdict.NOT_RUN,
        profile=profile,
        decisive=decisive or not profile,
    )


def _margin(finding: Finding) -> float:
    """Distance into the wanted range, negative outside, in half-widths of the interval where it has a width."""
    effect, wanted = finding.effect, finding.wanted
    inside = min(effect.mean - wanted.low, wanted.high - effect.mean)
    half = (effect.high - effect.low) / 2
    return inside / half if half > 0 else inside
