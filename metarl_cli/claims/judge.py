"""Verdicts: each claim of the papers against the results in a directory. No verdict is written by hand.

A comparison pairs two curves or estimators by seed, because one seed gives both the same tasks and initial weights; its
effect is the mean over seeds with a Student t interval. It `holds` where the whole interval lies in the range that the
claim wants, and `fails` where it lies wholly outside; else it is `undecided`, as with fewer than two seeds.

A claim holds if u of its m comparisons do: all of them, or more than half of what is so "generally". It fails once so
many fail that this cannot be. Among many comparisons some would hold, or fail, by chance; so that each verdict on the
claim errs at most once in twenty times, an interval is that of the level 1 − 5 % / (m − u + 1) to hold, and 1 − 5 % / u
to fail (Bonferroni's test of a partial conjunction, Benjamini and Heller 2008,
https://doi.org/10.1111/j.1541-0420.2007.00984.x). Of a conjunction that is 95 % to hold, for it takes all of them, and
1 − 5 % / m to fail, for one of them is enough.

A claim has two verdicts. The one at its scope says what the results show at the size that they have. The one as
printed is the same where that size can decide what the paper claims of its own, and `undecided` where the results were
made at a smaller profile, or trained for fewer iterations.

Of several profiles with an interval, those count that decide the claim as printed, then the one with most training,
most seeds, the largest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

import pandas as pd

from metarl_cli.claims.exact import exact_number
from metarl_cli.claims.measures import Effect, Grouped, effects
from metarl_cli.claims.statistics import range_test
from metarl_cli.errors import UserError
from metarl_cli.papers import CLAIMS, FIGURES
from metarl_cli.papers.claim import Claim, Comparison, ExactCheck, Range
from metarl_cli.profiles import PROFILES
from metarl_cli.results import Results

__all__ = [
    "DECIDED",
    "Finding",
    "Judgement",
    "Tables",
    "Verdict",
    "judge",
    "judge_all",
    "load_tables",
]

Tables: TypeAlias = Mapping[tuple[str, str], Grouped]
"""The tables that claims read, by profile and name: `runs`, or a figure."""

RUNS = "runs"

LEVEL = 0.05
"""At which a claim holds or fails, all its comparisons together."""


class Verdict(StrEnum):
    """What the results say of a claim."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    NOT_RUN = "not yet run"


DECIDED = frozenset({Verdict.HOLDS, Verdict.FAILS})


@dataclass(frozen=True, slots=True)
class Finding:
    """What one comparison gave.

    Attributes:
        effect: the number, its interval and its seeds.
        part: of the claim, which says where it is wanted.
        profile: of the results; `exact` for a number without sampling error; empty where there is none.
        decisive: whether they are large enough to decide the claim as printed.
        holds_at, fails_at: the levels below which its p-values decide, among all comparisons of the claim.
    """

    effect: Effect
    part: Comparison | ExactCheck
    profile: str = ""
    decisive: bool = True
    holds_at: float = LEVEL
    fails_at: float = LEVEL

    @property
    def wanted(self) -> Range:
        """Where the claim wants the number."""
        return self.part.wanted

    @property
    def scoped(self) -> Verdict:
        """The verdict on this comparison, at the size of the results."""
        if not self.profile:
            return Verdict.NOT_RUN
        if self.effect.test.outside < self.holds_at:
            return Verdict.HOLDS
        return Verdict.FAILS if self.effect.test.inside < self.fails_at else Verdict.UNDECIDED

    @property
    def verdict(self) -> Verdict:
        """As printed."""
        return self.scoped if self.decisive else Verdict.UNDECIDED

    @property
    def perhaps_by_chance(self) -> bool:
        """Whether it is undecided only as one of many: the only comparison of a claim would be decided by it."""
        return self.scoped == Verdict.UNDECIDED and min(self.effect.test) < LEVEL


@dataclass(frozen=True, slots=True)
class Judgement:
    """A claim and what was found of it."""

    claim: Claim
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """On the claim as printed."""
        return self._of([finding.verdict for finding in self.findings])

    @property
    def scoped(self) -> Verdict:
        """At the size of the results."""
        return self._of([finding.scoped for finding in self.findings])

    def _of(self, verdicts: Sequence[Verdict]) -> Verdict:
        if set(verdicts) == {Verdict.NOT_RUN}:
            return Verdict.NOT_RUN
        needed = _needed(self.claim, len(verdicts))
        if verdicts.count(Verdict.HOLDS) >= needed:
            return Verdict.HOLDS
        return Verdict.FAILS if verdicts.count(Verdict.FAILS) > len(verdicts) - needed else Verdict.UNDECIDED

    @property
    def decisive(self) -> bool:
        """Whether all results there are can decide the claim as printed."""
        return all(finding.decisive for finding in self.findings)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many comparisons hold, fail, are undecided and not yet run, at the size of the results."""
        counted = Counter(finding.scoped for finding in self.findings)
        return {verdict: counted[verdict] for verdict in Verdict if counted[verdict]}

    @property
    def deciding(self) -> Finding:
        """The finding on which the verdicts hang: the u-th best where u must hold, the worst where all must.

        Better is first a better verdict, then a number that lies farther inside, in half-widths of its interval.
        """

        def place(finding: Finding) -> tuple[int, int, float]:
            effect, wanted = finding.effect, finding.wanted
            inside = min(effect.mean - wanted.low, wanted.high - effect.mean)
            half = (effect.high - effect.low) / 2
            return _RANK[finding.verdict], _RANK[finding.scoped], inside / half if half > 0 else inside

        there = [finding for finding in self.findings if finding.scoped != Verdict.NOT_RUN] or self.findings
        needed = _needed(self.claim, len(self.findings))
        return sorted(there, key=place)[max(len(there) - needed, 0)]


_RANK: Mapping[Verdict, int] = MappingProxyType(
    {Verdict.FAILS: 0, Verdict.UNDECIDED: 1, Verdict.HOLDS: 2, Verdict.NOT_RUN: 3}
)


def _needed(claim: Claim, comparisons: int) -> int:
    """How many of a claim's comparisons must hold."""
    return comparisons if claim.needs == "all" else comparisons // 2 + 1


def judge_all(results: Results) -> list[Judgement]:
    """Every claim of the papers; what is damaged of the results is left out, and stands in `results.damage`."""
    tables = load_tables(results)
    return [judge(claim, tables) for claim in CLAIMS.values()]


def judge(claim: Claim, tables: Tables) -> Judgement:
    """One claim."""
    findings = [finding for part in claim.comparisons for finding in _findings(part, claim, tables)]
    compared, needed = sum(bool(finding.profile) for finding in findings), _needed(claim, len(findings))
    false = len(findings) - needed + 1  # so many must be, if the claim is
    holds_at, fails_at = (LEVEL / max(compared - wanted + 1, 1) for wanted in (needed, false))
    return Judgement(claim, tuple(replace(one, holds_at=holds_at, fails_at=fails_at) for one in findings))


def load_tables(results: Results) -> Tables:
    """All there is of what the claims read: runs with the seconds of an iteration, studies with their training."""
    figures = sorted({claim.figure for claim in CLAIMS.values() if claim.reads == "study"})
    tables = {}
    for profile in PROFILES:
        runs = results.runs(profile)
        if not runs.empty:
            seconds = runs["time/sampling"] + runs["time/update"]
            tables[profile, RUNS] = Grouped(runs.assign(**{"time/iteration": seconds}))
        for figure in figures:
            with suppress(UserError):  # a damaged one, which `results` remembers
                table = results.table(FIGURES[figure], profile)
                if table is not None:
                    tables[profile, figure] = Grouped(_with_training(table, runs))
    return tables


def _with_training(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The table of a study that tests trained runs, with the environment steps that each was trained for."""
    run = ["curve", "environment", "seed"]
    if runs.empty or "env_steps" in table or not set(run) <= set(table):
        return table
    return table.merge(runs.groupby(run, as_index=False)["env_steps"].max(), how="left", on=run)


def _findings(part: Comparison | ExactCheck, claim: Claim, tables: Tables) -> list[Finding]:
    """A number, or one for each value of a sweep, of the profile that counts most."""
    if isinstance(part, ExactCheck):
        number = exact_number(part.check)
        test = range_test([number, number], part.wanted.low, part.wanted.high)  # without error
        return [Finding(Effect(part.label, number, number, number, test), part, "exact")]
    found = list[list[Finding]]()
    for (profile, name), table in tables.items():
        if name == (RUNS if claim.reads == "runs" else claim.figure):
            large_enough = PROFILES.index(profile) >= PROFILES.index(claim.decided_at)
            findings = [
                Finding(effect, part, profile, large_enough and effect.iterations >= claim.iterations)
                if effect.seeds
                else Finding(effect, part)
                for effect in effects(part, table)
            ]
            if findings:  # else it is a table of another sweep, or of none, and has no place to compare at
                found.append(findings)
    return max(found, key=_weight, default=[Finding(Effect(part.label), part)])


def _weight(findings: Sequence[Finding]) -> tuple[int, bool, int, int, int]:
    """How much the results of a profile count beside those of another."""
    seeds = max(len(finding.effect.seeds) for finding in findings)
    decisive = bool(seeds) and all(finding.decisive for finding in findings)
    steps = max(finding.effect.env_steps for finding in findings)
    place = max((PROFILES.index(finding.profile) for finding in findings if finding.profile), default=-1)
    return min(seeds, 2), decisive, steps, seeds, place  # two give an interval
