"""From settings to functions: the only place that resolves a name to what it stands for."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from metarl_cli.config import InnerConfig, OuterConfig, RunConfig
from metarl_cli.envs.registry import ENVIRONMENTS, LOCOMOTION
from metarl_cli.errors import UserError
from metarl_cli.estimators import per_step, per_subset, reinforce
from metarl_cli.estimators.own import find_estimator
from metarl_cli.seeding import torch_generator
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner
from metarl_cli.training.composition import PER_ACTION_FORM, check_composition
from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.meta_gradient import Parts
from metarl_cli.training.objectives import Objective, Penalty, clipped, dice, ratio, vpg
from metarl_cli.training.optimizers import Optimizer, adam, sgd
from metarl_cli.training.processing import MATCHED, REWARD_SCALINGS, Processing
from metarl_cli.training.rollouts import make_workers
from metarl_cli.training.trainer import Trainer, TrainState
from metarl_cli.training.trust_region import trust_region
from metarl_cli.types import on_device

__all__ = ["OBJECTIVES", "OPTIMIZERS", "build", "check_device", "optimizer_columns"]

OBJECTIVES: Mapping[str, Callable[[OuterConfig], Objective]] = MappingProxyType(
    {
        "clipped": lambda outer: Objective(
            value=partial(clipped, epsilon=outer.clip),
            penalty=Penalty(coefficient=outer.kl_coefficient, target=outer.kl_target),
        ),
        "vpg": lambda outer: Objective(value=vpg),
        "ratio": lambda outer: Objective(value=ratio),
        "dice": lambda outer: Objective(value=dice),
    }
)

OPTIMIZERS: Mapping[str, Callable[[OuterConfig], Optimizer]] = MappingProxyType(
    {
        "adam": lambda outer: adam(lr=outer.lr, steps=outer.gradient_steps),
        "sgd": lambda outer: sgd(lr=outer.lr, steps=outer.gradient_steps),
        "trpo": lambda outer: trust_region(max_kl=outer.max_kl),
    }
)

SWITCH_INTERVAL = 5e-4
"""Seconds until a thread that waits for Python's lock is given it, instead of .005: one that has many short operations
leaves it at each of them, and has it again before the other has woken."""


def build(config: RunConfig, *, threads: int = 1, device: str = "cpu") -> tuple[Trainer, TrainState]:
    """The trainer that the settings describe, and its state before the first iteration.

    Args:
        config: what decides the numbers.
        threads: simulation threads, and groups of tasks that are differentiated at once; neither changes a number. With
            several, PyTorch has one of its own from then on, the process over.
        device: of all but the simulations; it changes numbers by their rounding, as another processor does.

    Raises:
        UserError: for a name that does not exist, parts that do not go together, or a device that is not there.
    """
    check_composition(config)
    check_device(device)
    halves = _halves(config, threads)
    if threads > 1:
        _keep_heaps()
        sys.setswitchinterval(SWITCH_INTERVAL)
    sampling, outer = config.sampling, config.outer
    env_options: dict[str, Any] = {
        "threads": threads - 1 if halves else threads,  # of each half, while a thread decides for the other
        "max_episode_steps": sampling.horizon,
    }
    if config.environment.variant:
        env_options["variant"] = config.environment.variant
    trainer = Trainer(
        workers=make_workers(
            config.environment.name,
            num_envs=sampling.tasks * sampling.trajectories,
            env_options=env_options,
            halves=halves,
        ),
        tasks=sampling.tasks,
        horizon=sampling.horizon,
        action_scale=sampling.action_scale,
        processing=Processing(
            discount=config.returns.discount,
            gae_lambda=config.returns.gae_lambda,
            scaling=REWARD_SCALINGS[config.inner.rewards],
            control_variate=CONTROL_VARIATES[config.inner.control_variate],
        ),
        parts=Parts(
            inner=_inner(config.inner),
            exploration=EXPLORATIONS[outer.exploration],
            objective=OBJECTIVES[outer.objective](outer),
        ),
        steps=config.inner.steps,
        optimizer=OPTIMIZERS[outer.optimizer](outer),
        seed=config.seed,
        threads=threads,
    )
    (observation_size,) = trainer.workers.single_observation_space.shape
    (action_size,) = trainer.workers.single_action_space.shape
    theta = policies.init(torch_generator(config.seed, "init"), (observation_size, *config.policy.hidden, action_size))
    return trainer, trainer.init(on_device(theta, device))


def _keep_heaps() -> None:
    """Let the heap of every thread keep what is freed, where the C library is glibc.

    It would give large blocks back and fault them in again, thousands of pages for each gradient.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # of <malloc.h>
    with suppress(AttributeError, OSError, TypeError):  # there is no glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 32 * 2**20)
        mallopt(trim_threshold, 256 * 2**20)
        mallopt(top_pad, 64 * 2**20)  # a thread's heap consists of such pieces, and gives back whole ones but for this


def check_device(device: str) -> None:
    """Raise `UserError` unless torch can use a device of that name: cpu, cuda, or one of several, as cuda:1."""
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    available = ["cpu", *(["cuda", *cards] if cards else [])]
    if device not in available:
        raise UserError(
            f"--device {device}: torch {torch.__version__} finds no such device. There is {', '.join(available)}."
        )


def optimizer_columns(config: RunConfig) -> tuple[str, ...]:
    """What the optimiser's state adds to `progress.csv`."""
    return OPTIMIZERS[config.outer.optimizer](config.outer).columns


def _inner(inner: InnerConfig) -> Inner:
    """The adaptation step, with the estimator as a mean over steps."""
    per_action = CONTROL_VARIATES[inner.control_variate].per_action
    estimator = find_estimator(PER_ACTION_FORM[inner.estimator] if per_action else inner.estimator)
    if estimator.orders and inner.average == "orders":
        surrogate = per_subset(partial(estimator.orders, lam=inner.dependence))
    elif estimator.damped:
        surrogate = per_step(partial(estimator.surrogate, lam=inner.dependence))
    else:
        surrogate = per_step(estimator.surrogate)
    return Inner(
        surrogate=surrogate,
        lr=inner.lr,
        first_order=inner.first_order,
        per_action=per_action,
        magic_box=inner.magic_box,
        # On-policy the score-function surrogate has LVC's gradient, and needs no ratio.
        reference=per_step(reinforce) if inner.rewards == MATCHED else None,
    )


def _halves(config: RunConfig, threads: int) -> tuple[int, int] | None:
    """Sub-environments of each half; None where it does not pay, as for points, which are faster than the policy.

    A product of matrices has the same bits in a half as in the whole if it is not the only one there, and begins at an
    address that is as round: at a multiple of 16 bytes, four numbers.
    """
    spec, tasks, each = ENVIRONMENTS.get(config.environment.name), config.sampling.tasks, config.sampling.trajectories
    if threads == 1 or spec is None or spec.module != LOCOMOTION:
        return None
    borders = (task for task in range(tasks // 2, 1, -1) if task * each % 4 == 0)
    return next(((task * each, (tasks - task) * each) for task in borders), None)
