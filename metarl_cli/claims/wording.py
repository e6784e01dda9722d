"""Judgements in words and as rows: what `metarl list claims` and the report say alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from metarl_cli.claims.judge import DECIDED, Finding, Judgement, Verdict
from metarl_cli.claims.measures import Effect
from metarl_cli.papers.claim import Claim, Comparison, Range

__all__ = [
    "chance_text",
    "claim_row",
    "conclusion_text",
    "counts_text",
    "evidence_text",
    "extent",
    "interval",
    "interval_text",
    "number",
    "range_text",
    "scope_text",
    "statistic_text",
    "steps_text",
    "tally",
    "verdict_text",
]


def number(value: float) -> str:
    """Four significant digits, two of very small numbers; an en dash for a number that does not exist.

    What only rounding keeps from zero differs from processor to processor, and is shown as a bound.
    """
    if not math.isfinite(value):
        return "–"
    if 0.0 < abs(value) < 1e-12:
        return "< 1e−12" if value > 0.0 else "> −1e−12"
    digits = ".2g" if abs(value) < 1e-3 else ".4g" if abs(value) < 9999.5 else ".0f"  # of more, `.4g` makes 1e+04
    return f"{value:{digits}}".replace("-", "−")


def interval(mean: float, low: float, high: float) -> str:
    """A number and its interval, where it has one."""
    return f"{number(mean)} [{number(low)}, {number(high)}]" if math.isfinite(low) else number(mean)


def interval_text(effect: Effect) -> str:
    """The number and its interval, or what there is of them."""
    return interval(effect.mean, effect.low if effect.seeds else math.nan, effect.high)


def range_text(wanted: Range) -> str:
    """≥ a, ≤ b, or a to b."""
    if math.isinf(wanted.high):
        return f"≥ {number(wanted.low)}"
    return f"≤ {number(wanted.high)}" if math.isinf(wanted.low) else f"{number(wanted.low)} to {number(wanted.high)}"


def counts_text(judgement: Judgement) -> str:
    """For instance "holds on 2, undecided on 4", at the size of the results; one comparison needs no count."""
    if len(judgement.findings) == 1:
        return str(judgement.scoped)
    return ", ".join(f"{verdict} on {count}" for verdict, count in judgement.counts.items())


def tally(judgements: Sequence[Judgement]) -> str:
    """How many claims there are of each verdict, as printed and at the size of what was run."""
    total, scoped = len(judgements), [judgement.scoped for judgement in judgements]
    decided = sum(verdict in DECIDED for verdict in scoped)
    return (
        f"{total} claims as printed: {_numbers_of([judgement.verdict for judgement in judgements])}. "
        f"At the size that their scope names {decided} of {total} are decided: {_numbers_of(scoped)}"
    )


def _numbers_of(verdicts: Sequence[Verdict]) -> str:
    counted = Counter(verdicts)
    several = {Verdict.HOLDS: "hold", Verdict.FAILS: "fail"}
    words = {verdict: several.get(verdict, verdict) if counted[verdict] > 1 else verdict for verdict in Verdict}
    return ", ".join(f"{counted[verdict]} {word}" for verdict, word in words.items() if counted[verdict])


def verdict_text(judgement: Judgement) -> str:
    """The verdict with its scope; both verdicts where that scope cannot decide the claim as printed."""
    scope = scope_text(judgement)
    if judgement.decisive:
        return f"{judgement.verdict} at {scope}" if scope else str(judgement.verdict)
    return f"as printed: {judgement.verdict} · at {scope}: {judgement.scoped}"


def scope_text(judgement: Judgement) -> str:
    """For instance "2.0M steps, n = 3": environment steps of a run, and seeds; nothing where nothing was sampled."""
    sampled = [finding.effect for finding in judgement.findings if finding.effect.seeds]
    if not sampled:
        return ""
    env_steps = [effect.env_steps for effect in sampled]
    steps = f"{extent(env_steps, steps_text)} steps, " if any(env_steps) else ""
    return f"{steps}n = {extent((len(effect.seeds) for effect in sampled), str)}"


def steps_text(env_steps: int) -> str:
    """Millions of environment steps."""
    millions = env_steps / 1e6
    return f"{millions:.{0 if millions >= 10 else 1 if millions >= 0.1 else 2}f}M"


def extent(values: Iterable[int], text: Callable[[int], str]) -> str:
    """From the least to the most, or the one text of both."""
    numbers = list(values)
    return " to ".join(dict.fromkeys(map(text, (min(numbers), max(numbers)))))


def conclusion_text(judgement: Judgement) -> str:
    """What a reader should conclude: whether the results bear the claim out, at which size, and on what that hangs."""
    claim, deciding = judgement.claim, judgement.deciding
    if judgement.scoped == Verdict.NOT_RUN:
        return f"Not yet run: {claim.statement}"
    lead = {Verdict.HOLDS: "Borne out", Verdict.FAILS: "Contradicted", Verdict.UNDECIDED: "Left open"}
    found = f" ({counts_text(judgement)})" if len(judgement.findings) > 1 else ""
    reserve = "" if judgement.decisive else " The paper's own size is larger: as printed that decides nothing."
    return (
        f"{lead[judgement.scoped]} at {scope_text(judgement)}{found}: {claim.statement}{reserve} It hangs on "
        f"{deciding.effect.label} ({_size_text(deciding.profile, [deciding.effect])}): "
        f"{interval_text(deciding.effect)}, wanted {range_text(deciding.wanted)}{chance_text(deciding)}."
    )


def evidence_text(findings: Sequence[Finding]) -> str:
    """What is behind one number or several, a profile at a time: seeds, iterations, and if that is too small."""
    kinds = dict[tuple[str, bool], list[Effect]]()
    for finding in findings:
        kinds.setdefault((finding.profile, finding.decisive), []).append(finding.effect)
    texts = [
        _size_text(profile, effects) + ("" if decisive else ", too small to decide as printed")
        for (profile, decisive), effects in kinds.items()
        if profile
    ]
    return "; ".join(texts) or "no data"


def _size_text(profile: str, effects: Sequence[Effect]) -> str:
    """Profile, seeds, and iterations that were looked at; of what is exact or a study's there are not all of these."""
    if not effects[0].seeds:
        return profile
    seeds = f"{profile}, n = {extent((len(effect.seeds) for effect in effects), str)}"
    iterations = [effect.iterations for effect in effects]
    return f"{seeds} over {extent(iterations, str)} iterations" if any(iterations) else seeds


def chance_text(finding: Finding) -> str:
    """Why a number is undecided whose interval would decide it, if it were the claim's only one; else nothing."""
    return ", enough for a single comparison and not for one of so many" if finding.perhaps_by_chance else ""


def statistic_text(claim: Claim) -> str:
    """What is measured, in the tables' own column names."""
    summaries = {"mean": "mean", "median": "median", "final": "last tenth"}
    parts = [part for part in claim.comparisons if isinstance(part, Comparison)]
    texts = (f"{part.statistic} of {part.measure.column}, {summaries[part.summary]} per seed" for part in parts)
    return "; ".join(dict.fromkeys(texts))


def claim_row(judgement: Judgement) -> dict[str, object]:
    """Everything about a claim, with numbers as numbers.

    `verdict` is on the claim as printed, `scoped` at the size of the results, `scope`. Effect, interval, profile and n
    are those of the comparison on which the verdicts hang; `findings` has them all.
    """
    claim, deciding = judgement.claim, judgement.deciding
    return {
        "claim": claim.name,
        "verdict": str(judgement.verdict),
        "scoped": str(judgement.scoped),
        "scope": scope_text(judgement),
        "verdicts": verdict_text(judgement),
        "found": counts_text(judgement),
        **finding_row(deciding),
        "evidence": evidence_text(judgement.findings),
        "statistic": statistic_text(claim) or "exact",
        "figure": claim.figure,
        "source": claim.source,
        "statement": claim.statement,
        "findings": [
            {"verdict": str(finding.verdict), "scoped": str(finding.scoped), **finding_row(finding)}
            for finding in judgement.findings
        ],
    }


def finding_row(finding: Finding) -> dict[str, object]:
    """The number, its interval, also in words, where the claim wants it, and the evidence; None where there is none."""
    effect = finding.effect
    return {
        "of": effect.label,
        "effect": _rounded(effect.mean),
        "low": _rounded(effect.low),
        "high": _rounded(effect.high),
        "interval": interval_text(effect),
        "wanted": range_text(finding.wanted),
        "profile": finding.profile,
        "n": len(effect.seeds),
        "iterations": effect.iterations,
        "env_steps": effect.env_steps,
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
