"""What `reproduce` still has to do: the jobs of the runs and studies that figures need, and what they will cost."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from metarl_cli.config import RunConfig, load_config, settable_keys
from metarl_cli.errors import UserError
from metarl_cli.grid.display import Share
from metarl_cli.grid.jobs import Job
from metarl_cli.papers import Figure
from metarl_cli.papers.figure import PlannedRun, planned_runs
from metarl_cli.papers.settings import run_config
from metarl_cli.reproduction.costs import expected_seconds
from metarl_cli.reproduction.tables import STUDIES, command, is_current
from metarl_cli.runs import directory as runs
from metarl_cli.runs.progress import PROGRESS
from metarl_cli.store import runs_directory

__all__ = ["State", "Step", "plan", "run_state"]

State: TypeAlias = Literal["finished", "unfinished", "missing", "changed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: the job, its part of the whole, and what is there of it now."""

    job: Job
    share: Share
    state: State


def plan(figures: Sequence[Figure], profile: str, results: Path) -> list[Step]:
    """Every run and study that the figures need, once; each study after its runs. What is finished is in it too."""
    steps: dict[str, Step] = {}
    for figure in figures:
        for run in planned_runs(figure, profile):
            if _name(run) not in steps:
                steps[_name(run)] = _training(run, runs_directory(results, profile) / run.path)
        if figure.name in STUDIES:
            steps[figure.name] = _study(figure, profile, results)
    return list(steps.values())


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


def _name(run: PlannedRun) -> str:
    return run.path.as_posix()


MODES: Mapping[State, tuple[str, ...]] = MappingProxyType(
    {"missing": (), "unfinished": ("--resume",), "finished": ("--resume",), "changed": ("--overwrite",)}
)
"""How `metarl train` is told to treat what its directory holds."""


def _training(run: PlannedRun, directory: Path) -> Step:
    config = run.config
    job = Job(
        name=_name(run),
        argv=partial(_training_command, directory, config),
        is_done=lambda: run_state(directory, config) == "finished",
    )
    share = Share(expected_seconds(config), partial(_fraction, directory, config))
    return Step(job, share, run_state(directory, config))


def _study(figure: Figure, profile: str, results: Path) -> Step:
    needed = [_name(run) for run in planned_runs(figure, profile)]
    done = partial(is_current, figure, profile, results)
    job = Job(
        name=figure.name,
        argv=partial(command, figure, profile, results),
        is_done=done,
        after=frozenset((*needed, *STUDIES[figure.name].after)),
    )
    share = Share(STUDIES[figure.name].seconds(figure, profile), lambda: float(done()))
    return Step(job, share, "finished" if done() else "missing")


def _training_command(directory: Path, config: RunConfig) -> list[str]:
    """`metarl train` with every setting that is not the profile's own, as the directory is now."""
    mode = MODES[run_state(directory, config)]
    own = settable_keys(run_config(config.algorithm, config.environment.name, profile=config.profile))
    changed = {key: value for key, value in settable_keys(config).items() if value != own[key]}
    chosen = ("--algo", config.algorithm, "--env", config.environment.name, "--profile", config.profile)
    # also where it is the profile's own, because a run that is resumed would keep the number that it began with
    counted = ("--iterations", str(config.iterations))
    settings = [f"--set={key}={_text(value)}" for key, value in changed.items() if key != "iterations"]
    where = ("--out", str(directory), "--quiet")
    return [sys.executable, "-m", "metarl_cli", "train", *chosen, *counted, *settings, *where, *mode]


def _fraction(directory: Path, config: RunConfig) -> float:
    """The share of the iterations that have their row in `progress.csv`."""
    if run_state(directory, config) in ("missing", "changed"):
        return 0.0
    try:
        lines = (directory / PROGRESS).read_bytes().count(b"\n")
    except FileNotFoundError:  # not begun, or just beginning anew
        return 0.0
    return min(max(lines - 1, 0) / config.iterations, 1.0)


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
