"""From what was asked on the command line to a run in a directory: new, resumed, or refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from metarl_cli.circumstances import PHYSICS, other_physics
from metarl_cli.config import RunConfig, load_config, save_config, settable_keys, with_overrides
from metarl_cli.envs.registry import ENVIRONMENTS, LOCOMOTION
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.live_logs import check_live_log, live_log
from metarl_cli.papers.settings import run_config
from metarl_cli.references import directory_name
from metarl_cli.runs import checkpoints, progress
from metarl_cli.runs import directory as runs
from metarl_cli.runs.record import progress_columns
from metarl_cli.runs.train import train
from metarl_cli.stopping import graceful_stop
from metarl_cli.store import LOCAL
from metarl_cli.terminal import training_display
from metarl_cli.training.composition import check_composition

__all__ = ["Outcome", "Request", "default_directory", "launch"]

CHOICES: Mapping[str, str] = MappingProxyType(
    {"algorithm": "--algo", "environment.name": "--env", "profile": "--profile"}
)
"""Settings that decide others, and the flags that take them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The settings that were asked for; None is the default, or with `--resume` the run's own."""

    algorithm: str | None = None
    environment: str | None = None
    profile: str | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: finished, or stopped on request."""

    directory: Path
    finished: bool
    message: str


def launch(
    request: Request,
    *,
    out: Path | None,
    threads: int,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    log: str | None = None,
) -> Outcome:
    """Train as requested.

    Args:
        request: the settings.
        out: the run directory; None for one named after the settings.
        threads: of the run.
        resume: continue the run in the directory.
        overwrite: start again over a run in the directory.
        quiet: show no progress.
        log: a live log besides, see `live_logs`.

    Raises:
        UserError: for settings that do not exist, and for a directory that must not be written.
        RunFailedError: if the run's numbers stop being finite.
    """
    if resume and overwrite:
        raise UserError("--resume continues a run and --overwrite starts it again: give one of them.")
    check_live_log(log)
    wanted = _new_config(request)
    if not resume:
        check_composition(wanted)  # a run that is resumed has its own
    directory = out or default_directory(wanted)
    if resume and not (directory / runs.CONFIG).exists():
        raise UserError(f"{directory} holds no run to resume. Without --resume a new one begins there.")
    with runs.exclusive(directory):
        if resume:
            config = _resumed_config(directory, request)
        else:
            config = wanted
            runs.prepare_new(directory, config, overwrite=overwrite)
        if runs.is_finished(directory):
            progress.read_rows(directory, progress_columns(config), config.iterations)
            return Outcome(directory, True, f"Already finished: {directory}")
        return _run(directory, config, threads=threads, quiet=quiet, log=log)


def _run(directory: Path, config: RunConfig, *, threads: int, quiet: bool, log: str | None) -> Outcome:
    found = checkpoints.latest(directory)
    done = found.state.iteration if found else 0
    if not quiet and (notice := _other_physics(directory, config)):
        print(notice, file=sys.stderr)
    columns = progress_columns(config)
    continues = f"metarl train --resume --out {directory}"
    try:
        with (
            graceful_stop() as should_stop,
            live_log(log, directory, config, done=done) as record,
            training_display(config, done=done, quiet=quiet) as show,
        ):

            def on_row(row: Mapping[str, float]) -> None:
                record({name: row[name] for name in columns})
                show(row)

            finished = train(directory, config, threads=threads, on_row=on_row, should_stop=should_stop)
    except OSError as error:
        reason = f"{error.filename or directory}: {error.strerror}"
        raise RunFailedError(f"{reason}. What was reached stays; to continue: {continues}") from None
    if finished:
        return Outcome(directory, True, f"Finished: {directory}")
    return Outcome(directory, False, f"Stopped. To continue: {continues}")


def _other_physics(directory: Path, config: RunConfig) -> str | None:
    """That these bodies move otherwise than the published ones; said once per run directory and version."""
    version, spec = other_physics(), ENVIRONMENTS.get(config.environment.name)
    if version is None or spec is None or spec.module != LOCOMOTION or runs.recorded_physics(directory) == version:
        return None
    return (
        f"MuJoCo {version} moves bodies otherwise than {PHYSICS}.x, which made the published results: compare "
        "this run with none of them. meta.json records it."
    )


def default_directory(config: RunConfig) -> Path:
    """`results/local/<profile>/train/<algorithm>/<environment>/seed<k>`."""
    environment = directory_name(config.environment.name)
    return LOCAL / config.profile / "train" / config.algorithm / environment / f"seed{config.seed}"


def _new_config(request: Request) -> RunConfig:
    for override in request.overrides:
        key = override.partition("=")[0].strip()
        if key in CHOICES:
            raise UserError(f"--set {override}: choose it with {CHOICES[key]}, which sets all that goes with it.")
    config = run_config(
        request.algorithm or "promp",
        request.environment or "HalfCheetahFwdBack",
        profile=request.profile or "paper",
    )
    return with_overrides(config, request.overrides)


def _resumed_config(directory: Path, request: Request) -> RunConfig:
    saved = load_config(directory / runs.CONFIG)
    named = {
        "algorithm": request.algorithm,
        "environment.name": request.environment,
        "profile": request.profile,
    }
    found = checkpoints.restore(directory)
    if found:
        checkpoints.check_settings(found, saved)
    asked = with_overrides(saved, request.overrides)
    before, after = settable_keys(saved), settable_keys(asked) | {k: v for k, v in named.items() if v is not None}
    changed = [key for key in before if before[key] != after[key] and key != "iterations"]
    if changed:
        pairs = ", ".join(f"{key} is {before[key]} there, not {after[key]}" for key in changed)
        raise UserError(f"A resumed run keeps its settings, all but iterations: {pairs}. Choose another --out.")
    done = found.state.iteration if found else 0
    if asked.iterations < done:
        raise UserError(f"--iterations {asked.iterations}: {directory} has done {done} already.")
    if asked.iterations > (done or saved.iterations) and runs.is_finished(directory):
        if not found:
            raise UserError(f"{directory} has no checkpoint to go on from. --overwrite starts the run again.")
        runs.unfinish(directory)
    if asdict(asked) != asdict(saved):
        save_config(asked, directory / runs.CONFIG)
    return asked
