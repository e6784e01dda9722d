"""From what was asked on the command line to a run in a directory: new, resumed, or refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from metarl_cli.algorithms import CHOICES
from metarl_cli.circumstances import PHYSICS, other_physics
from metarl_cli.config import RunConfig, load_config, save_config, settable_keys, with_overrides
from metarl_cli.envs.registry import ENVIRONMENTS, LOCOMOTION
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.live_logs import check_live_log, live_log
from metarl_cli.papers.settings import run_config, with_code
from metarl_cli.references import directory_name, pinned
from metarl_cli.runs import checkpoints, progress
from metarl_cli.runs import directory as runs
from metarl_cli.runs.record import Row, progress_columns
from metarl_cli.runs.settings_file import read_settings
from metarl_cli.runs.train import train
from metarl_cli.stopping import graceful_stop
from metarl_cli.store import LOCAL
from metarl_cli.training.build import check_device
from metarl_cli.training.composition import check_composition

__all__ = ["RunOutcome", "RunRequest", "default_directory", "launch"]

RowListener: TypeAlias = Callable[[RunConfig, Row], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The settings that were asked for; None is the default, or with `--resume` the run's own.

    Attributes:
        algorithm: its name.
        environment: the name of the task distribution.
        profile: the size.
        file: all three, and whatever else, as `settings_file` reads it.
        overrides: as for `--set`; they come on top of all others.
    """

    algorithm: str | None = None
    environment: str | None = None
    profile: str | None = None
    file: Path | None = None
    overrides: tuple[str, ...] = ()

    def config(self) -> RunConfig:
        """The settings of a run from the start."""
        for override in self.overrides:
            key = override.partition("=")[0].strip()
            if key in CHOICES:
                raise UserError(f"--set {override}: choose it with {CHOICES[key]}, which sets all that goes with it.")
        if self.file is None:
            chosen = run_config(
                self.algorithm or "promp", self.environment or "HalfCheetahFwdBack", profile=self.profile or "paper"
            )
        elif named := [f"{CHOICES[key]} {value}" for key, value in self.choices().items()]:
            raise UserError(f"--config {self.file} says which run it is: leave out {', '.join(named)}.")
        else:
            chosen = read_settings(self.file)
        return with_code(with_overrides(chosen, self.overrides))

    def choices(self) -> dict[str, str]:
        """Of `CHOICES` what was asked for, as settings have it."""
        algorithm = self.algorithm and Path(self.algorithm).name  # of a file
        environment = self.environment and pinned(self.environment, "environment")
        given = {"algorithm": algorithm, "environment.name": environment, "profile": self.profile}
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended: finished, or stopped on request."""

    finished: bool
    message: str


def launch(
    request: RunRequest,
    *,
    out: Path | None,
    threads: int,
    device: str = "cpu",
    resume: bool,
    overwrite: bool,
    log: str | None = None,
    on_row: RowListener = lambda config, row: None,
    tell: Callable[[str], None] = lambda message: None,
) -> RunOutcome:
    """Train as requested.

    Args:
        request: the settings.
        out: the run directory; None for one named after the settings.
        threads: of the run.
        device: of its meta-updates.
        resume: continue the run in the directory; with settings from a file, begin it if there is none.
        overwrite: start again over a run in the directory.
        log: a live log besides, see `live_logs`.
        on_row: told of every row, with the run's settings, as it is written.
        tell: told in words what else a user should know.

    Raises:
        UserError: for settings or a device that do not exist, and for a directory that must not be written.
        RunFailedError: if the run's numbers stop being finite, or its directory cannot be written any more.
    """
    if resume and overwrite:
        raise UserError("--resume continues a run and --overwrite starts it again: give one of them.")
    check_live_log(log)
    check_device(device)
    wanted = request.config()
    directory = out or default_directory(wanted)
    is_begun = os.path.exists(directory / runs.CONFIG)  # False, too, for a name that no system takes
    if resume and not is_begun and not request.file:
        raise UserError(f"{directory} holds no run to resume. Without --resume a new one begins there.")
    if not (resume and is_begun):
        check_composition(wanted)  # a run that is resumed has its own
    with runs.exclusive(directory):
        if resume and is_begun:
            config, done = _resumed(directory, request, wanted, tell)
        else:
            config, done = wanted, 0
            runs.prepare_new(directory, config, overwrite=overwrite)
        if runs.is_finished(directory):
            progress.read_rows(directory, progress_columns(config), config.iterations)
            return RunOutcome(True, f"Already finished: {directory}")
        # Why the numbers from here on are not those of the published results, or of the run where it was.
        version, spec = other_physics(), ENVIRONMENTS.get(config.environment.name)
        has_bodies = spec is not None and spec.module == LOCOMOTION
        if version and has_bodies and version != runs.recorded(directory, "packages", "mujoco"):
            tell(
                f"MuJoCo {version} moves bodies otherwise than {PHYSICS}.x, which made the published results: compare "
                f"this run with none of them. {runs.META} records it."
            )
        before = runs.recorded(directory, "device")
        if before not in (None, device):
            tell(f"The run was on {before} and goes on on {device}, which rounds otherwise. {runs.META} records it.")
        return _run(directory, config, threads=threads, device=device, log=log, done=done, on_row=on_row)


def _run(
    directory: Path, config: RunConfig, *, threads: int, device: str, log: str | None, done: int, on_row: RowListener
) -> RunOutcome:
    columns = progress_columns(config)
    continues = f"metarl train --resume --out {directory}"
    try:
        with graceful_stop() as should_stop, live_log(log, directory, config, done=done) as record:

            def tell_row(row: Row) -> None:
                record({name: row[name] for name in columns})
                on_row(config, row)

            finished = train(
                directory, config, threads=threads, device=device, on_row=tell_row, should_stop=should_stop
            )
    except OSError as error:
        if not directory.is_dir():
            raise RunFailedError(progress.MOVED.format(directory)) from None
        reason = f"{error.filename or directory}: {error.strerror}"
        raise RunFailedError(f"{reason}. What was reached stays; to continue: {continues}") from None
    if finished:
        return RunOutcome(True, f"Finished: {directory}")
    return RunOutcome(False, f"Stopped. To continue: {continues}")


def default_directory(config: RunConfig) -> Path:
    """`results/local/<profile>/train/<algorithm>/<environment>/seed<k>`."""
    environment = directory_name(config.environment.name)
    return LOCAL / config.profile / "train" / config.algorithm / environment / f"seed{config.seed}"


def _resumed(
    directory: Path, request: RunRequest, wanted: RunConfig, tell: Callable[[str], None]
) -> tuple[RunConfig, int]:
    """The settings of the run, and how many of its iterations are done; they are changed only if all is well."""
    saved, is_finished = load_config(directory / runs.CONFIG), runs.is_finished(directory)
    found = checkpoints.restore(directory, tell)
    if found:
        checkpoints.check_settings(found, saved)
    asked = wanted if request.file else with_code(with_overrides(saved, request.overrides))
    before, after = settable_keys(saved), settable_keys(asked) | request.choices()
    changed = [key for key in before if before[key] != after[key] and key != "iterations"]
    if changed:
        pairs = ", ".join(f"{key} is {before[key]} there, not {after[key]}" for key in changed)
        kept = "A resumed run keeps its settings, all but iterations"
        raise UserError(f"{kept}: {pairs}. Choose another --out; --overwrite starts the run again.")
    done = found.state.iteration if found else saved.iterations if is_finished else 0
    if asked.iterations < done:
        raise UserError(f"--iterations {asked.iterations}: {directory} has done {done} already.")
    progress.read_rows(directory, progress_columns(asked), done)
    if asked.iterations > done and is_finished:
        if not found:
            raise UserError(f"{directory} has no checkpoint to go on from. --overwrite starts the run again.")
        runs.unfinish(directory)
    if asked != saved or request.file:  # who gives the settings in full finds them there as this version writes them
        save_config(asked, directory / runs.CONFIG)
    return asked, done
