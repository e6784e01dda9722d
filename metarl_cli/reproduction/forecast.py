"""When a reproduction is expected to end, on how many cores: what is left to do, scheduled as the grid would."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from metarl_cli.papers import Figure
from metarl_cli.papers.figure import WHOLE, Part
from metarl_cli.reproduction.plan import Step, plan, unfinished

__all__ = ["CORES", "ends", "forecast"]

CORES = (2, 16, 64)
HOUR = 3600.0


def forecast(figures: Sequence[Figure], profile: str, results: Path, part: Part = WHOLE) -> list[dict[str, object]]:
    """One row per figure and one for all of them: what is left, in core-hours, and after how many hours it ends.

    The runs that figures share are made once, in the first of them: a row counts every run that its figure needs, and
    its end is that within the whole, so that neither adds up to the last row.
    """
    left = unfinished(figures, profile, results, part)
    schedules = {cores: ends(left, cores) for cores in CORES}
    rows = []
    for figure in figures:
        names = {step.job.name for step in plan([figure], profile, results, part)}
        rows.append(_row(figure.name, [step for step in left if step.job.name in names], schedules))
    return rows if len(rows) == 1 else [*rows, _row(f"all {len(rows)}", left, schedules)]


def ends(steps: Sequence[Step], cores: int) -> Mapping[str, float]:
    """The expected second at which each job ends: a free core takes the first job that waits for no other.

    Args:
        steps: each after all those that it waits for; those that are not among them are done.
        cores: how many jobs run at a time.
    """
    names = {step.job.name for step in steps}
    waiting, running, ended = list(steps), list[tuple[float, str]](), dict[str, float]()
    now = 0.0
    while waiting or running:
        for step in [step for step in waiting if step.job.after & names <= ended.keys()][: cores - len(running)]:
            waiting.remove(step)
            heapq.heappush(running, (now + _seconds(step), step.job.name))
        now, name = heapq.heappop(running)
        ended[name] = now
    return ended


def _seconds(step: Step) -> float:
    return step.share.seconds * (1.0 - step.share.fraction())


def _row(what: str, steps: Sequence[Step], schedules: Mapping[int, Mapping[str, float]]) -> dict[str, object]:
    states = Counter(step.state for step in steps if step.kind == "run")
    last = {cores: max((ended[step.job.name] for step in steps), default=0.0) for cores, ended in schedules.items()}
    return {
        "figure": what,
        "runs": ", ".join(f"{count} {state}" for state, count in states.items()) or "none",
        "studies": sum(step.kind == "study" for step in steps),
        "core-hours": _hours(sum(_seconds(step) for step in steps)),
        **{f"done after, {cores} cores": f"{_hours(seconds)} h" for cores, seconds in last.items()},
    }


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR:.2f}" if seconds < HOUR else f"{seconds / HOUR:.1f}"
