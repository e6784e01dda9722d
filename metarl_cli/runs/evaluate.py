"""Meta-test: adapt a trained policy to held-out tasks with exactly the inner step it was trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.config import RunConfig, load_config
from metarl_cli.errors import UserError, check_there, nearest
from metarl_cli.references import pinned, unpinned
from metarl_cli.runs import checkpoints
from metarl_cli.runs import directory as runs
from metarl_cli.runs.settings_file import read_settings
from metarl_cli.seeding import numpy_generator
from metarl_cli.training.build import build
from metarl_cli.training.trainer import TrainState

__all__ = ["evaluate", "load_run", "load_start"]

HELD_OUT = (0, 0)
"""The random stream of the evaluation, which no training iteration draws from: theirs have one index."""


def load_run(directory: Path, tell: Callable[[str], None] = lambda message: None) -> tuple[RunConfig, TrainState]:
    """The settings of a run, and its state after the last completed iteration.

    An environment of the user's own is what it is now: `tell` hears if that is not the code of the run, and of a
    damaged checkpoint.

    Raises:
        UserError: if there is no such directory, or in it no run, one without a completed iteration, or a damaged one.
    """
    check_there(directory)
    if not (directory / runs.CONFIG).exists():
        raise UserError(f"{directory} holds no run: there is no {runs.CONFIG}. `metarl train --out` makes one.")
    trained = load_config(directory / runs.CONFIG)
    name = trained.environment.name
    config = replace(trained, environment=replace(trained.environment, name=unpinned(name)))
    if name not in (now := (unpinned(name), pinned(unpinned(name), "environment"))):
        tell(f"The code of {now[0]} is not that which {directory} was trained with: what follows is of {now[1]}.")
    _, fresh = build(config)
    state = checkpoints.load(directory, trained, fresh, tell)
    if state is None:
        raise UserError(f"{directory} has no {checkpoints.CHECKPOINT}: no iteration of that run was completed here.")
    return config, state


def load_start(source: Path, tell: Callable[[str], None] = lambda message: None) -> tuple[RunConfig, TrainState | None]:
    """Settings to look at: those of a run, with its state as `load_run` gives it; or of a file, before all training.

    Raises:
        UserError: if there is neither a run with a completed iteration nor a file of settings there.
    """
    if not source.is_dir() and str(source) != "-" and source.suffix not in (".json", ".toml"):
        known = (place.name for place in source.parent.glob("*/"))
        raise UserError(
            f"{source} is no directory of a run, nor the name of a file of settings, FILE.json or FILE.toml."
            f"{nearest(source.name, known)}"
        )
    return load_run(source, tell) if source.is_dir() else (read_settings(source), None)


def evaluate(
    directory: Path,
    *,
    steps: int | None,
    tasks: int,
    trajectories: int | None,
    seed: int,
    threads: int,
    tell: Callable[[str], None] = lambda message: None,
) -> pd.DataFrame:
    """Undiscounted return after each adaptation step on a task set that depends on the evaluation's seed alone.

    Args:
        directory: of the run.
        steps: K; None for the run's own.
        tasks: how many held-out tasks.
        trajectories: per task and stage; None for the run's own number, with which its step size was chosen.
        seed: of tasks, noise and actions; the same seed gives every run the same tasks.
        threads: of the simulation and the adaptation.
        tell: as for `load_run`.

    Returns:
        One row per adaptation step: `step`, `return`, and the limits `low` and `high` of a 95 % Student t interval over
        the `tasks` tasks; and `success`, the share of trajectories that accomplish their task, where the environment
        says so. An environment that keeps tasks for testing is tested on those.

    Raises:
        UserError: if the directory holds no run that could be tested.
    """
    config, state = load_run(directory, tell)
    adapted = replace(
        config,
        seed=seed,
        sampling=replace(config.sampling, tasks=tasks, trajectories=trajectories or config.sampling.trajectories),
        inner=replace(config.inner, steps=steps or config.inner.steps),
    )
    torch.set_num_threads(1)
    trainer, _ = build(adapted, threads=threads)
    held_out = trainer.workers.sample_test_tasks(tasks, numpy_generator(seed, "tasks", *HELD_OUT))
    rounds = trainer.sample(state, held_out, *HELD_OUT)
    returns = torch.stack([round_.trajectories.undiscounted_returns.mean(-1) for round_ in rounds], dim=1)
    mean, low, high = mean_interval(returns.numpy())
    table = pd.DataFrame({"step": range(len(rounds)), "return": mean, "low": low, "high": high})
    successes = [round_.trajectories.success for round_ in rounds]
    if shares := [share.mean().item() for share in successes if share is not None]:
        table["success"] = shares
    return table.assign(tasks=tasks)
