"""What a run records of each iteration: the columns of `progress.csv`, and the row under them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from statistics import fmean
from typing import TypeAlias

import torch

from metarl_cli.config import RunConfig
from metarl_cli.envs.own import reports_success
from metarl_cli.errors import RunFailedError
from metarl_cli.runs import checkpoints
from metarl_cli.training.build import optimizer_columns
from metarl_cli.training.processing import prediction_quality
from metarl_cli.training.step_lengths import mean_step
from metarl_cli.training.trainer import Trainer, TrainState

__all__ = ["Row", "iterate", "progress_columns"]

Row: TypeAlias = dict[str, float]


def progress_columns(config: RunConfig) -> list[str]:
    """The header of `progress.csv`, known before the first row; `columns.COLUMNS` says what each column means.

    An environment that says what success is, control variate, adaptive penalty and optimiser add columns of their own.
    """
    between = [f"return/step_{k}" for k in range(1, config.inner.steps)]
    successes = reports_success(config.environment.name, config.environment.variant)
    variate = ["control_variate/loss", "control_variate/explained_variance"]
    return [
        *("iteration", "env_steps", "env_steps_actual", "wall_seconds"),
        *("return/pre", *between, "return/post", "return/post_std", "policy/std"),
        *(["success/pre", "success/post"] if successes else []),
        *("inner/step_norm", "inner/kl"),
        *("loss/before", "loss/after", "kl/pre", "kl/post"),
        *(variate if config.inner.control_variate != "none" else []),
        *(["kl/coefficient"] if config.outer.kl_target > 0 else []),
        *(f"update/{name}" for name in optimizer_columns(config)),
        *("time/sampling", "time/update"),
    ]


def iterate(trainer: Trainer, state: TrainState, previous: Mapping[str, float]) -> tuple[TrainState, Row]:
    """One meta-iteration: the state after it, and its row; the row before goes on in what is counted from the start.

    Raises:
        RunFailedError: if a number of the row or of the state is not finite.
    """
    start = time.perf_counter()
    rounds = trainer.sample(state, trainer.draw_tasks(state.iteration), state.iteration)
    sampled = time.perf_counter()
    following, (before, after) = trainer.step(state, rounds)
    updated = time.perf_counter()
    masks = [round_.sample.mask for round_ in rounds]
    returns = [round_.trajectories.undiscounted_returns for round_ in rounds]
    successes = {"pre": rounds[0].trajectories.success, "post": rounds[-1].trajectories.success}
    step_norm, step_kl = mean_step(rounds)
    stages = prediction_quality(rounds)
    row = {
        "iteration": state.iteration,
        "env_steps": int(previous.get("env_steps", 0)) + sum(mask.numel() for mask in masks),
        "env_steps_actual": int(previous.get("env_steps_actual", 0)) + sum(int(mask.sum()) for mask in masks),
        "wall_seconds": round(previous.get("wall_seconds", 0.0) + updated - start, 3),
        "return/pre": returns[0].mean().item(),
        **{f"return/step_{k}": value.mean().item() for k, value in enumerate(returns[1:-1], start=1)},
        "return/post": returns[-1].mean().item(),
        "return/post_std": returns[-1].std(correction=min(1, returns[-1].numel() - 1)).item(),
        "policy/std": following.theta["log_std"].exp().mean().item(),
        **{f"success/{name}": share.mean().item() for name, share in successes.items() if share is not None},
        "inner/step_norm": step_norm,
        "inner/kl": step_kl,
        "loss/before": -before.objective,
        "loss/after": -after.objective,
        "kl/pre": after.kl[0],
        "kl/post": after.kl[-1],
        "control_variate/loss": fmean(stage.loss for stage in stages),
        "control_variate/explained_variance": fmean(stage.explained_variance for stage in stages),
        **{f"kl/{name}": value.mean().item() for name, value in state.penalty.items()},
        **{f"update/{name}": following.optimizer_state[name].item() for name in trainer.optimizer.columns},
        "time/sampling": round(sampled - start, 3),
        "time/update": round(updated - sampled, 3),
    }
    bad = [name for name, value in row.items() if not math.isfinite(value)]
    held = checkpoints.tensors_of(following)
    bad += [name for name, value in held.items() if not bool(torch.isfinite(value).all())]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise RunFailedError(f"not finite: {', '.join(bad[:3])}{more}.")
    return following, row
