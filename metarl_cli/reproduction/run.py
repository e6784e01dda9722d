"""`metarl reproduce`: run what figures lack, draw them, and say how they compare with what is published.

Everything is made below `<results>/<profile>/`: runs, tables, and the drawings in `figures/`. Published results are
read for the comparison alone, of numbers and of the verdicts on claims.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from metarl_cli.errors import UserError, unknown_name
from metarl_cli.grid.display import grid_display
from metarl_cli.grid.jobs import JobResult, run_jobs
from metarl_cli.papers import CLAIMS, FIGURES, Figure, find_figure
from metarl_cli.profiles import PROFILES
from metarl_cli.reporting.claims import DECIDED, judge, load_tables
from metarl_cli.reporting.comparison import compare, detail, summarise
from metarl_cli.reporting.draw import PLOTS, plot
from metarl_cli.reporting.frames import write_table
from metarl_cli.reproduction.forecast import forecast
from metarl_cli.reproduction.plan import Step, plan
from metarl_cli.reproduction.tables import STUDIES
from metarl_cli.stopping import count_interrupts
from metarl_cli.store import PUBLISHED, table_path
from metarl_cli.studies.exact_claims import exact_number

__all__ = ["Outcome", "Request", "contradictions", "planned", "reproduce"]

FIGURES_FOLDER, COMPARISON = "figures", "comparison.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for.

    Attributes:
        figure: the name of one, or None for all.
        profile: the size.
        results: where everything is made; what is finished there is not done again.
        jobs: child processes at a time, one thread each; None for as many as there are cores.
        quiet: show no progress.
    """

    figure: str | None
    profile: str
    results: Path
    jobs: int | None = None
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
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


def planned(request: Request) -> list[dict[str, object]]:
    """What is not done yet, one row per figure, and when it is expected to end on so many cores; nothing is started.

    Raises:
        UserError: for a figure or profile that does not exist.
    """
    figures = _figures(request.figure)
    _check_profile(request.profile)
    return forecast(figures, request.profile, request.results)


def reproduce(request: Request) -> Outcome:
    """Do what is missing, then draw every figure and compare it.

    Raises:
        UserError: for a figure or profile that does not exist.
    """
    figures = _figures(request.figure)
    steps = _lacking(figures, request)
    if changed := [step.job.name for step in steps if step.state == "changed"]:
        print(f"Their settings have changed, so they are done again: {', '.join(changed)}.", file=sys.stderr)
    over, stopped = _run(steps, request)
    problems = [f"{result.name}: {result.message}" for result in over if result.status != "done"]
    if stopped:
        advice = f"Stopped with {len(problems)} of {len(over)} jobs to do; the same command goes on from there."
        return Outcome(status="stopped", messages=(advice,))
    undone = {result.name for result in over if result.status != "done"}  # an older table of theirs may lie there
    comparisons, undrawn = _finish([figure for figure in figures if figure.name not in undone], request)
    against = contradictions(figures, request.results, request.profile, PUBLISHED)
    home = request.results / request.profile
    return Outcome(
        status="partial" if problems or undrawn else "contradicted" if against else "complete",
        rows=tuple(_rows(comparisons)),
        messages=(
            f"Drawn in {home / FIGURES_FOLDER}, compared in {home}/FIGURE/{COMPARISON}.",
            *problems,
            *undrawn,
            *against,
        ),
    )


def contradictions(figures: Sequence[Figure], results: Path, profile: str, published: Path) -> list[str]:
    """The claims of these figures that are decided one way at this profile and the other way in what is published.

    As printed they are compared with whatever is published, at a smaller scope with what has the same profile.
    """
    names = {figure.name for figure in figures}
    ours, theirs = load_tables(results), load_tables(published)
    here, there = ({key: table for key, table in tables.items() if key[0] == profile} for tables in (ours, theirs))
    found = []
    for claim in (claim for claim in CLAIMS.values() if claim.figure in names):
        judged, printed, scoped = (judge(claim, tables, exact_number) for tables in (here, theirs, there))
        if {judged.verdict, printed.verdict} == DECIDED:
            found.append(f"{claim.name} {judged.verdict} here, and {printed.verdict} in {published}.")
        elif {judged.scoped, scoped.scoped} == DECIDED:
            found.append(f"{claim.name} {judged.scoped} at {profile} here, and {scoped.scoped} in {published}.")
    return found


def _figures(name: str | None) -> list[Figure]:
    if name is None:
        return list(FIGURES.values())
    figure = find_figure(name)
    if figure.name not in FIGURES:
        raise UserError(f"{name} is a picture of whatever runs there are: `metarl plot {name}` draws it.")
    return [figure]


def _check_profile(profile: str) -> None:
    if profile not in PROFILES:
        raise unknown_name("profile", profile, PROFILES)


def _lacking(figures: Sequence[Figure], request: Request) -> list[Step]:
    _check_profile(request.profile)
    return [step for step in plan(figures, request.profile, request.results) if step.state != "finished"]


def _run(steps: Sequence[Step], request: Request) -> tuple[list[JobResult], bool]:
    """How every job ended; and whether all was stopped before they had."""
    if not steps:
        return [], False
    slots = request.jobs or os.cpu_count() or 1
    jobs, shares = [step.job for step in steps], {step.job.name: step.share for step in steps}
    with count_interrupts() as stop_requests, grid_display(shares, slots=slots, quiet=request.quiet) as show:
        over = run_jobs(jobs, slots=slots, on_event=show, stop_requests=stop_requests)
        return over, stop_requests() > 0 and any(result.status == "skipped" for result in over)


def _finish(figures: Sequence[Figure], request: Request) -> tuple[list[pd.DataFrame], list[str]]:
    """The comparison of every figure that could be drawn, and why the others could not."""
    comparisons, undrawn = [], []
    for figure in figures:
        try:
            _draw(figure, request)
            comparisons.append(_compare(figure, request))
        except Exception as error:  # one that cannot be drawn must not cost the others theirs
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            undrawn.append(f"{figure.name}: {kind}{error}")
    return comparisons, undrawn


def _rows(comparisons: Sequence[pd.DataFrame]) -> list[dict[str, object]]:
    if len(comparisons) == 1:
        return detail(comparisons[0])
    return summarise(pd.concat(comparisons, ignore_index=True)) if comparisons else []


def _draw(figure: Figure, request: Request) -> None:
    if figure.source == "study" and figure.name not in STUDIES:
        raise UserError("this version has no study for it; only its training was run.")
    if figure.plot not in PLOTS:
        raise UserError("this version cannot draw it; its numbers are complete.")
    out = request.results / request.profile / FIGURES_FOLDER
    plot(figure, results=request.results, out=out, profile=request.profile)


def _compare(figure: Figure, request: Request) -> pd.DataFrame:
    rows = compare(figure, results=request.results, profile=request.profile, published=PUBLISHED)
    write_table(rows, table_path(request.results, request.profile, figure.name).with_name(COMPARISON))
    return rows
