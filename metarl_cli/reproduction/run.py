"""`metarl reproduce`: run what figures lack, draw them, and say how they compare with what is published.

Everything is made below `<results>/<profile>/`: runs, tables, and the drawings in `figures/`. Published results are
read for the comparison alone, of numbers and of the verdicts on claims.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pandas as pd

from metarl_cli.claims.judge import DECIDED, judge, load_tables
from metarl_cli.errors import UserError, check_known
from metarl_cli.figures.comparison import compare, detail, summarise
from metarl_cli.figures.draw import plot
from metarl_cli.grid.cluster import dask_engine
from metarl_cli.grid.jobs import Engine, JobResult, Listener, Share, run_jobs
from metarl_cli.grid.local import local_engine
from metarl_cli.papers import ADAPTATION, CLAIMS, FIGURES, Figure, find_figure
from metarl_cli.papers.figure import WHOLE, Part, planned_runs
from metarl_cli.profiles import PROFILES
from metarl_cli.reproduction.aside import set_aside
from metarl_cli.reproduction.forecast import forecast
from metarl_cli.reproduction.plan import Step, unfinished
from metarl_cli.results import Results
from metarl_cli.stopping import count_interrupts
from metarl_cli.store import PUBLISHED
from metarl_cli.tables import write_table

__all__ = ["Reproduction", "ReproductionOutcome", "contradictions", "planned", "reproduce"]

Display: TypeAlias = Callable[[Mapping[str, Share], int], AbstractContextManager[Listener]]
"""From the jobs' parts of the whole, and how many run at a time, to what is told of their starts and ends."""

PRELOAD = ("metarl_cli.cli", "metarl_cli.runs.launch", "metarl_cli.reproduction.tables")
"""What jobs import."""

FIGURES_FOLDER, COMPARISON = "figures", "comparison.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What was asked for.

    Attributes:
        figure: the name of one, or None for all.
        profile: the size.
        results: where everything is made; what is finished there is not done again.
        part: which runs; of a part of them studies wait for the others.
        jobs: child processes at a time, one thread each; None for as many as there are cores.
        scheduler: the address of the Dask scheduler whose workers do the jobs; None for this machine.
    """

    figure: str | None
    profile: str
    results: Path
    part: Part = WHOLE
    jobs: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproductionOutcome:
    """What a reproduction came to.

    Attributes:
        status: whether all was done, a part, or it was stopped on request; or a claim was decided against what is
            published.
        rows: how it compares with what is published: number by number for one figure, else one row per figure.
        messages: where things are, what is not done and why.
    """

    status: Literal["complete", "partial", "stopped", "contradicted"]
    rows: tuple[dict[str, object], ...] = ()
    messages: tuple[str, ...]


def planned(request: Reproduction) -> list[dict[str, object]]:
    """What is not done yet, one row per figure, and when it is expected to end on so many cores; nothing is started.

    Raises:
        UserError: for a figure, profile, environment or curve that does not exist.
    """
    return forecast(_figures(request), request.profile, request.results, request.part)


def reproduce(request: Reproduction, display: Display) -> ReproductionOutcome:
    """Do what is missing, then draw every figure and compare it.

    Args:
        request: what was asked for.
        display: shows how far the jobs are.

    Raises:
        UserError: for a figure, profile, environment or curve that does not exist.
    """
    figures = _figures(request)
    steps = unfinished(figures, request.profile, request.results, request.part)
    home = request.results / request.profile
    kept = [set_aside(path, home) for path in dict.fromkeys(path for step in steps for path in step.obstacles)]
    over, stopped = _run(steps, request, display)
    undone = {result.name: result.message for result in over if result.status != "done"}
    problems = [f"{name}: {message}" for name, message in undone.items()]
    if stopped:
        advice = f"Stopped with {len(problems)} of {len(over)} jobs to do; the same command goes on from there."
        return ReproductionOutcome(status="stopped", messages=(*map(_kept, kept), advice))
    ours, published = Results(request.results), Results(PUBLISHED)
    waiting = [figure for figure in figures if figure.source == "study" and request.part != WHOLE]
    # Of those that wait or failed an older table may lie there.
    drawable = [figure for figure in figures if figure.name not in undone and figure not in waiting]
    comparisons, undrawn = _finish(drawable, ours, request.profile, published)
    against = contradictions(figures, ours, request.profile, published)
    damage = [reason for reason in ours.damage.values() if not any(reason in told for told in undrawn)]
    compared = home / (figures[0].name if len(figures) == 1 else "FIGURE") / COMPARISON
    if len(comparisons) == 1:
        rows = detail(comparisons[0])
    else:
        rows = summarise(pd.concat(comparisons, ignore_index=True)) if comparisons else []
    return ReproductionOutcome(
        status="partial" if problems or undrawn else "contradicted" if against else "complete",
        rows=tuple(rows),
        messages=(
            *([f"Drawn in {home / FIGURES_FOLDER}, compared in {compared}."] if comparisons else []),
            *(f"{figure.name}: its study waits for all its runs, and is not made of a part." for figure in waiting),
            *map(_kept, kept),
            *problems,
            *undrawn,
            *damage,
            *against,
        ),
    )


def contradictions(figures: Sequence[Figure], results: Results, profile: str, published: Results) -> list[str]:
    """The claims of these figures that are decided one way at this profile and the other way in what is published.

    As printed they are compared with whatever is published, at a smaller scope with what has the same profile.
    """
    names = {figure.name for figure in figures}
    claims = [claim for claim in CLAIMS.values() if claim.figure in names]
    if not claims:
        return []
    ours, theirs = load_tables(results), load_tables(published)
    here, there = ({key: table for key, table in tables.items() if key[0] == profile} for tables in (ours, theirs))
    found = []
    for claim in claims:
        judged, printed, scoped = (judge(claim, tables) for tables in (here, theirs, there))
        if {judged.verdict, printed.verdict} == DECIDED:
            found.append(f"{claim.name} {judged.verdict} here, and {printed.verdict} in {published.directory}.")
        elif {judged.scoped, scoped.scoped} == DECIDED:
            found.append(
                f"{claim.name} {judged.scoped} at {profile} here, and {scoped.scoped} in {published.directory}."
            )
    return found


def _figures(request: Reproduction) -> list[Figure]:
    """Those that were asked for; of a part of them those that have such runs."""
    check_known("profile", request.profile, PROFILES)
    figures = list(FIGURES.values()) if request.figure is None else [find_figure(request.figure)]
    if ADAPTATION in figures:
        raise UserError(
            f"{request.figure} is a picture of whatever runs there are: `metarl plot {request.figure}` draws it."
        )
    for name in request.part.environments:
        check_known("environment", name, {name for figure in figures for name in figure.environments})
    for label in request.part.curves:
        check_known("curve", label, {curve.label for figure in figures for curve in figure.curves})
    if request.part == WHOLE:
        return figures
    having = [each for each in figures if any(planned_runs(each, request.profile, request.part))]
    if not having:
        raise UserError(f"--env, --curves and --seeds choose no run of {request.figure or 'any figure'}.")
    return having


def _kept(path: Path) -> str:
    return f"It was not made by this reproduction, or with other settings, and is kept: {path}."


def _run(steps: Sequence[Step], request: Reproduction, display: Display) -> tuple[list[JobResult], bool]:
    """How every job ended; and whether all was stopped before they had."""
    if not steps:
        return [], False
    request.results.mkdir(parents=True, exist_ok=True)
    jobs, shares = [step.job for step in steps], {step.job.name: step.share for step in steps}
    run_by: AbstractContextManager[Engine]
    if request.scheduler:
        run_by = dask_engine(request.scheduler, request.results, preload=PRELOAD)
    else:
        run_by = local_engine(request.jobs or os.cpu_count() or 1, request.results, preload=PRELOAD)
    with (
        count_interrupts() as stop_requests,
        run_by as engine,
        display(shares, engine.slots) as show,
    ):
        over = run_jobs(jobs, engine, on_event=show, stop_requests=stop_requests)
        return over, stop_requests() > 0 and any(result.status == "skipped" for result in over)


def _finish(
    figures: Sequence[Figure], ours: Results, profile: str, published: Results
) -> tuple[list[pd.DataFrame], list[str]]:
    """The comparison of every figure that could be drawn, and why the others could not."""
    comparisons, undrawn = [], []
    for figure in figures:
        try:
            plot(figure, ours, out=ours.directory / profile / FIGURES_FOLDER, profile=profile)
            rows = compare(figure, ours, profile=profile, published=published)
            write_table(rows, ours.table_path(figure, profile).with_name(COMPARISON))
            comparisons.append(rows)
        except Exception as error:  # one that cannot be drawn must not cost the others theirs
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            undrawn.append(f"{figure.name}: {kind}{error}")
    return comparisons, undrawn
