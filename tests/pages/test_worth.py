from __future__ import annotations

import pytest

from metarl_cli.claims.judge import Finding, Judgement, Verdict
from metarl_cli.claims.measures import Effect
from metarl_cli.claims.statistics import RangeTest
from metarl_cli.pages.worth import MEANINGS, Worth, worth
from metarl_cli.papers import CLAIMS

SEEDS = (1, 2, 3)
EFFECTS = {
    Verdict.HOLDS: Effect("a − b", 1.0, 0.5, 1.5, RangeTest(outside=0.0), SEEDS),
    Verdict.FAILS: Effect("a − b", -1.0, -1.5, -0.5, RangeTest(inside=0.0), SEEDS),
    Verdict.UNDECIDED: Effect("a − b", 0.0, -1.0, 1.0, RangeTest(), SEEDS),
    Verdict.NOT_RUN: Effect("a − b"),
}
PART = CLAIMS["promp-final-return"].comparisons[0]


def judgement(*findings):
    """A judgement of findings, each a verdict at its size, a profile, and whether that size decides the claim."""
    parts = [Finding(EFFECTS[verdict], PART, profile, decisive) for verdict, profile, decisive in findings]
    return Judgement(CLAIMS["promp-final-return"], tuple(parts))


HOLDS, FAILS, UNDECIDED, NOT_RUN = Verdict
EXACT, LARGE, SMALL = ("exact", True), ("paper", True), ("quick", False)


@pytest.mark.parametrize(
    ("word", "findings"),
    [
        ("exact", [(HOLDS, *EXACT)]),
        ("exact", [(HOLDS, *EXACT), (FAILS, *EXACT)]),
        ("decisive", [(HOLDS, *LARGE), (HOLDS, *LARGE)]),
        ("decisive", [(HOLDS, *EXACT), (HOLDS, *LARGE)]),
        ("decisive", [(FAILS, *LARGE), (UNDECIDED, *SMALL)]),
        ("suggestive", [(HOLDS, *SMALL)]),
        ("suggestive", [(HOLDS, *SMALL), (HOLDS, *LARGE)]),
        ("suggestive", [(FAILS, *SMALL), (NOT_RUN, "", True)]),
        ("inconclusive", [(UNDECIDED, *LARGE), (HOLDS, *LARGE)]),
        ("incomplete", [(HOLDS, *LARGE), (NOT_RUN, "", True)]),
        ("too small", [(UNDECIDED, *SMALL)]),
        ("too small", [(HOLDS, *SMALL), (NOT_RUN, "", True)]),
        ("none", [(NOT_RUN, "", True)]),
    ],
)
def test_the_word_follows_from_the_judgement(word, findings):
    assert worth(judgement(*findings)) == word


def test_every_word_has_a_meaning():
    assert list(MEANINGS) == list(Worth)
