"""What the evidence behind a claim is worth, in a word."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from metarl_cli.reporting.claims import DECIDED, Judgement, Verdict

__all__ = ["MEANINGS", "Worth", "worth"]


class Worth(StrEnum):
    """From the strongest to none."""

    EXACT = "exact"
    DECISIVE = "decisive"
    SUGGESTIVE = "suggestive"
    INCONCLUSIVE = "inconclusive"
    INCOMPLETE = "incomplete"
    TOO_SMALL = "too small"
    NONE = "none"


MEANINGS: Mapping[Worth, str] = MappingProxyType(
    {
        Worth.EXACT: "computed without sampling error",
        Worth.DECISIVE: "decides the claim as printed",
        Worth.SUGGESTIVE: "decides it at the size of the results, which is smaller than the claim's",
        Worth.INCONCLUSIVE: "as large as the claim asks, and its interval still leaves it open",
        Worth.INCOMPLETE: "of some comparisons there are no results yet",
        Worth.TOO_SMALL: "smaller than the claim asks, and open even at that size",
        Worth.NONE: "nothing was run yet",
    }
)


def worth(judgement: Judgement) -> Worth:
    """The word for a judgement: by its verdict as printed, then at its scope, then by what keeps it open."""
    if judgement.scoped == Verdict.NOT_RUN:
        return Worth.NONE
    if all(finding.profile == "exact" for finding in judgement.findings):
        return Worth.EXACT
    if judgement.verdict in DECIDED:
        return Worth.DECISIVE
    if judgement.scoped in DECIDED:
        return Worth.SUGGESTIVE
    if not judgement.decisive:
        return Worth.TOO_SMALL
    return Worth.INCOMPLETE if Verdict.NOT_RUN in judgement.counts else Worth.INCONCLUSIVE
