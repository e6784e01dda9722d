"""One training run in its directory: iterate the trainer, write a row and a checkpoint each time, stop when asked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

import torch

from metarl_cli.config import RunConfig
from metarl_cli.errors import RunFailedError
from metarl_cli.studies import checkpoints, progress
from metarl_cli.studies import directory as runs
from metarl_cli.training.build import build, optimizer_columns
from metarl_cli.training.processing import prediction_quality
from metarl_cli.training.step_lengths import mean_step
from metarl_cli.training.trainer import Trainer, TrainState
from metarl_cli.types import Round

__all__ = ["Row", "progress_columns", "train"]

Row: TypeAlias = dict[str, float]


def progress_columns(config: RunConfig) -> list[str]:
    """The header of `progress.csv`, known before the first row.

    `return/*` are undiscounted and averaged over all tasks and trajectories; `return/step_k` are those after k of
    several adaptation steps. `inner/step_norm` and `inner/kl` are ‖θ′ − θ‖ and D_KL(π_θ ‖ π_θ′) on what θ sampled,
    means over tasks and adaptation steps. `env_steps` counts full horizons, as the papers' axes do, `env_steps_actual`
    the steps before the episodes' ends; both include the row's own sampling. `kl/*` and `loss/after` are taken after
    the update.
    Control variate, adaptive penalty and optimiser add columns of their own where there is one. Only `wall_seconds`
    and `time/*` differ between two runs of one seed.
    """
    between = [f"return/step_{k}" for k in range(1, config.inner.steps)]
    variate = ["control_variate/loss", "control_variate/explained_variance"]
    return [
        *("iteration", "env_steps", "env_steps_actual", "wall_seconds"),
        *("return/pre", *between, "return/post", "return/post_std", "policy/std"),
        *("inner/step_norm", "inner/kl"),
        *("loss/before", "loss/after", "kl/pre", "kl/post"),
        *(variate if config.inner.control_variate != "none" else []),
        *(["kl/coefficient"] if config.outer.kl_target > 0 else []),
        *(f"update/{name}" for name in optimizer_columns(config)),
        *("time/sampling", "time/update"),
    ]


def train(
    directory: Path,
    config: RunConfig,
    *,
    threads: int,
    on_row: Callable[[Row], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Run, or go on with, the training in a directory that was made ready for it.

    Args:
        directory: holds `config.json`, and a checkpoint if the run was begun before.
        config: the settings, as in `config.json`.
        threads: of the simulation and of the meta-update; no number depends on it.
        on_row: told of every row as it is written.
        should_stop: asked after every iteration.

    Returns:
        Whether the run is finished; it is not if it was asked to stop before.

    Raises:
        UserError: if what the directory holds is damaged, or is no run with these settings.
        RunFailedError: if a number stops being finite, or the directory cannot be written any more. What was reached
            before stays.
    """
    torch.set_num_threads(1)  # products of one task are small; and the sums keep one order, whatever the machine
    trainer, fresh = build(config, threads=threads)
    state = checkpoints.load(directory, config, fresh) or fresh
    rows = progress.truncate(directory, progress_columns(config), state.iteration)
    previous = {name: float(value) for name, value in rows[-1].items()} if rows else {}
    runs.write_meta(directory, threads=threads, status="running")
    status = "failed"
    try:
        with progress.writer(directory, progress_columns(config)) as write:  # ignores what has no column
            while state.iteration < config.iterations and not should_stop():
                state, previous = _iterate(trainer, state, previous)
                write(previous)
                checkpoints.save(directory, config, state)
                with suppress(OSError):  # a terminal that is gone or full costs no run
                    on_row(previous)
        status = "finished" if state.iteration == config.iterations else "interrupted"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except (RunFailedError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]  # public, not exported
        raise RunFailedError(f"iteration {state.iteration}: {error} {_last_good(directory, state)}") from None
    finally:
        runs.write_meta(directory, threads=threads, status=status, diverged=trainer.workers.divergences)
    if status == "finished":
        runs.finish(directory)
    return status == "finished"


def _last_good(directory: Path, state: TrainState) -> str:
    if state.iteration == 0:
        return "There is no checkpoint yet."
    return f"The last good checkpoint, after {state.iteration} iterations, is {directory / checkpoints.CHECKPOINT}."


def _iterate(trainer: Trainer, state: TrainState, previous: Mapping[str, float]) -> tuple[TrainState, Row]:
    start = time.perf_counter()
    rounds = trainer.sample(state, trainer.draw_tasks(state.iteration), state.iteration)
    sampled = time.perf_counter()
    following, (before, after) = trainer.step(state, rounds)
    updated = time.perf_counter()
    row = {
        "iteration": state.iteration,
        **_env_steps(rounds, previous),
        "wall_seconds": round(previous.get("wall_seconds", 0.0) + updated - start, 3),
        **_returns(rounds),
        "policy/std": following.theta["log_std"].exp().mean().item(),
        **dict(zip(("inner/step_norm", "inner/kl"), mean_step(rounds), strict=True)),
        "loss/before": -before.objective,
        "loss/after": -after.objective,
        "kl/pre": after.kl[0],
        "kl/post": after.kl[-1],
        **_control_variate(trainer, state, rounds),
        **{f"kl/{name}": value.mean().item() for name, value in state.penalty.items()},
        **{f"update/{name}": following.optimizer_state[name].item() for name in trainer.optimizer.columns},
        "time/sampling": round(sampled - start, 3),
        "time/update": round(updated - sampled, 3),
    }
    _check_finite(row, following)
    return following, row


def _control_variate(trainer: Trainer, state: TrainState, rounds: Sequence[Round]) -> Row:
    stages = prediction_quality(rounds, trainer.processing, state.control_variate)
    return {
        "control_variate/loss": fmean(stage.loss for stage in stages),
        "control_variate/explained_variance": fmean(stage.explained_variance for stage in stages),
    }


def _env_steps(rounds: Sequence[Round], previous: Mapping[str, float]) -> Row:
    nominal = sum(round_.sample.mask.numel() for round_ in rounds)
    actual = sum(int(round_.sample.mask.sum()) for round_ in rounds)
    return {
        "env_steps": int(previous.get("env_steps", 0)) + nominal,
        "env_steps_actual": int(previous.get("env_steps_actual", 0)) + actual,
    }


def _returns(rounds: Sequence[Round]) -> Row:
    returns = [round_.trajectories.rewards.double().sum(-1) for round_ in rounds]
    between = {f"return/step_{k}": value.mean().item() for k, value in enumerate(returns[1:-1], start=1)}
    return {
        "return/pre": returns[0].mean().item(),
        **between,
        "return/post": returns[-1].mean().item(),
        "return/post_std": returns[-1].std().item(),
    }


def _check_finite(row: Row, state: TrainState) -> None:
    bad = [name for name, value in row.items() if not math.isfinite(value)]
    held = checkpoints.tensors_of(state)
    bad += [name for name, value in held.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise RunFailedError(f"{', '.join(bad)} is not finite.")
