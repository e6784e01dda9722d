"""What `reproduce` still has to do: the jobs of the runs and studies that figures need, and what they will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from metarl_cli.config import RunConfig, config_text, load_config
from metarl_cli.errors import UserError
from metarl_cli.grid.jobs import Job, Share, is_done
from metarl_cli.papers import Figure
from metarl_cli.papers.figure import WHOLE, Part, PlannedRun, planned_runs, studied_runs
from metarl_cli.reproduction.costs import expected_seconds
from metarl_cli.reproduction.tables import STUDIES, origin_path, origin_text
from metarl_cli.runs import directory as runs
from metarl_cli.runs.progress import PROGRESS
from metarl_cli.store import table_path
from metarl_cli.training.composition import check_composition

__all__ = ["State", "Step", "plan", "run_state", "unfinished"]

State: TypeAlias = Literal["finished", "unfinished", "missing", "changed"]
HERE = Path()
"""Jobs run in the directory of the results, so that they can run in one of another machine."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: the job, its part of the whole, and what is there of it now.

    Attributes:
        job: what is run.
        kind: a run, or a study.
        share: of the whole.
        state: of what is there.
        obstacles: what lies where the job writes, and is not its own work.
    """

    job: Job
    kind: Literal["run", "study"]
    share: Share
    state: State
    obstacles: tuple[Path, ...] = ()


def plan(figures: Sequence[Figure], profile: str, results: Path, part: Part = WHOLE) -> list[Step]:
    """Every run and study that the figures need, once; each study after its runs. What is finished is in it too.

    Of a part there are runs alone: a study takes all of its figure.

    Raises:
        UserError: if the parts of a run do not exist or go together, as they may of a figure of the user's own.
    """
    steps: dict[str, Step] = {}
    for figure in figures:
        for run in planned_runs(figure, profile, part):
            if run.name not in steps:
                steps[run.name] = _training(run, results)
        if figure.source == "study" and part == WHOLE:
            steps[figure.name] = _study(figure, profile, results)
    return list(steps.values())


def unfinished(figures: Sequence[Figure], profile: str, results: Path, part: Part = WHOLE) -> list[Step]:
    """Of `plan` what there is still to do."""
    return [step for step in plan(figures, profile, results, part) if step.state != "finished"]


def run_state(directory: Path, config: RunConfig) -> State:
    """What a directory holds of a planned run; a run with other settings is `changed`, and has to be done again.

    One that differs in nothing but fewer iterations is unfinished: it can go on to the new number.
    """
    if not (directory / runs.CONFIG).exists():
        return "missing"
    try:
        saved = load_config(directory / runs.CONFIG)
    except UserError:  # damaged, or of a version that knew other settings
        return "changed"
    if saved == config:
        return "finished" if runs.is_finished(directory) else "unfinished"
    shorter = saved.iterations < config.iterations and replace(saved, iterations=config.iterations) == config
    return "unfinished" if shorter else "changed"


def _training(run: PlannedRun, results: Path) -> Step:
    place, config = run.directory(HERE), run.config
    try:
        check_composition(config)
    except UserError as error:
        raise UserError(f"{run.name}: {error}") from None
    settings = config_text(config)
    job = Job(
        name=run.name,
        argv=("metarl_cli", "train", "--config", "-", "--out", str(place), "--resume", "--quiet"),
        stdin=settings,
        proofs={str(place / runs.DONE): None, str(place / runs.CONFIG): settings},
        writes=(str(place),),
    )
    directory = results / place
    state = run_state(directory, config)
    share = Share(expected_seconds(config), partial(_fraction, directory, config))
    return Step(job, "run", share, state, (directory,) if state == "changed" else ())


def _study(figure: Figure, profile: str, results: Path) -> Step:
    needed, study = studied_runs(figure, profile), STUDIES[figure.plot]
    table = table_path(HERE, profile, figure.name)
    measured = tuple(str(path) for path in study.measurements(figure, profile, HERE))
    job = Job(
        name=figure.name,
        argv=("metarl_cli.reproduction", figure.name, profile, str(HERE)),
        proofs={str(table): None, str(origin_path(table)): origin_text(figure, profile, needed)},
        reads=tuple(str(run.directory(HERE)) for run in needed),
        writes=(str(table.parent), *measured),
        after=frozenset((*(run.name for run in needed), *study.after)),
    )
    share = Share(study.seconds(figure, profile), lambda: float(is_done(job, results)))
    state: State = "finished" if is_done(job, results) else "missing"
    return Step(job, "study", share, state, tuple(study.obstacles(figure, profile, results)))


def _fraction(directory: Path, config: RunConfig) -> float:
    """The share of the iterations that have their row in `progress.csv`."""
    if run_state(directory, config) in ("missing", "changed"):
        return 0.0
    try:
        lines = (directory / PROGRESS).read_bytes().count(b"\n")
    except FileNotFoundError:  # not begun, or just beginning anew
        return 0.0
    return min(max(lines - 1, 0) / config.iterations, 1.0)
