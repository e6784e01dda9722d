"""When a reproduction is expected to end, on how many cores: what is left to do, scheduled as the grid would."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from metarl_cli.figures.curves import ranges
from metarl_cli.papers import Figure
from metarl_cli.papers.figure import WHOLE, Part, planned_runs
from metarl_cli.references import unpinned
from metarl_cli.reproduction.plan import State, Step, plan, unfinished

__all__ = ["CORES", "ends", "forecast"]

CORES = (2, 16, 64)
HOUR = 3600.0
Schedules = Mapping[int, Mapping[str, float]]
"""By the number of cores: the expected second at which each job ends."""


def forecast(figures: Sequence[Figure], profile: str, results: Path, part: Part = WHOLE) -> list[dict[str, object]]:
    """One row per figure and one for all of them: what is left, in core-hours, and after how many hours it ends.

    The runs that figures share are made once, in the first of them: a row counts every run that its figure needs, and
    its end is that within the whole, so that neither adds up to the last row. Of a single figure there is a row per
    environment and curve that lacks a run, as `--env` and `--curves` name them.
    """
    left = unfinished(figures, profile, results, part)
    schedules = {cores: ends(left, cores) for cores in CORES}
    rows = []
    for figure in figures:
        names = {step.job.name for step in plan([figure], profile, results, part)}
        lacked = [step for step in left if step.job.name in names]
        rows.append(_row(figure.name, _counted(lacked), lacked, schedules))
    if len(figures) == 1:
        return [*rows, *_curves(figures[0], profile, part, left, schedules)]
    return [*rows, _row(f"all {len(rows)}", _counted(left), left, schedules)]


def _curves(
    figure: Figure, profile: str, part: Part, left: Sequence[Step], schedules: Schedules
) -> list[dict[str, object]]:
    steps = {step.job.name: step for step in left}
    lacked = dict[tuple[str, str], dict[int, Step]]()  # all curves in their order, also those that lack nothing
    for run in planned_runs(figure, profile, part):
        of_seeds = lacked.setdefault((unpinned(run.config.environment.name), run.config.label), {})
        if run.name in steps:
            of_seeds[run.config.seed] = steps[run.name]
    return [
        _row(", ".join(curve), _seeds_text(of_seeds), list(of_seeds.values()), schedules)
        for curve, of_seeds in lacked.items()
        if of_seeds
    ]


def _seeds_text(steps: Mapping[int, Step]) -> str:
    """For instance "seeds 1–3 missing, seed 4 unfinished"."""
    states = defaultdict[State, list[int]](list)
    for seed, step in steps.items():
        states[step.state].append(seed)
    texts = (f"seed{'s' * (len(seeds) > 1)} {ranges(seeds)} {state}" for state, seeds in states.items())
    return ", ".join(texts)


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


def _row(what: str, left: str, steps: Sequence[Step], schedules: Schedules) -> dict[str, object]:
    last = {cores: max((ended[step.job.name] for step in steps), default=0.0) for cores, ended in schedules.items()}
    return {
        "what": what,
        "left": left,
        "core-hours": _hours(sum(_seconds(step) for step in steps)),
        **{f"end on {cores} cores": f"{_hours(seconds)} h" for cores, seconds in last.items()},
    }


def _counted(steps: Sequence[Step]) -> str:
    """For instance "36 runs missing, 1 run unfinished, 1 study missing"."""
    several = {"run": "runs", "study": "studies"}
    states = Counter((step.kind, step.state) for step in steps)
    texts = (f"{count} {kind if count == 1 else several[kind]} {state}" for (kind, state), count in states.items())
    return ", ".join(texts) or "nothing"


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR:.2f}" if seconds < HOUR else f"{seconds / HOUR:.1f}"
