"""From settings to functions: the only place that resolves a name to what it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from metarl_cli.config import OuterConfig, RunConfig
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.seeding import torch_generator
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner
from metarl_cli.training.objectives import Objective, clipped, vpg
from metarl_cli.training.optimizers import Optimizer, adam
from metarl_cli.training.rollouts import make_workers
from metarl_cli.training.trainer import Trainer, TrainState

__all__ = ["OBJECTIVES", "OPTIMIZERS", "build"]

OBJECTIVES: Mapping[str, Callable[[OuterConfig], Objective]] = MappingProxyType(
    {
        "clipped": lambda outer: clipped(clip=outer.clip, kl_coefficient=outer.kl_coefficient),
        "vpg": lambda outer: vpg,
    }
)

OPTIMIZERS: Mapping[str, Callable[[OuterConfig], Optimizer]] = MappingProxyType(
    {
        "adam": lambda outer: adam(lr=outer.lr, steps=outer.gradient_steps),
    }
)


def build(config: RunConfig, *, threads: int = 1) -> tuple[Trainer, TrainState]:
    """The trainer that the settings describe, and its state before the first iteration.

    Args:
        config: what decides the numbers.
        threads: simulation threads, and tasks that are differentiated at once; neither changes a number.
    """
    sampling = config.sampling
    options: dict[str, Any] = {"threads": threads, "max_episode_steps": sampling.horizon}
    if config.environment.variant:
        options["variant"] = config.environment.variant
    workers = make_workers(
        config.environment.name, num_envs=sampling.tasks * sampling.trajectories, env_options=options
    )
    trainer = Trainer(
        workers=workers,
        tasks=sampling.tasks,
        horizon=sampling.horizon,
        action_scale=sampling.action_scale,
        discount=config.returns.discount,
        gae_lambda=config.returns.gae_lambda,
        inner=Inner(
            surrogate=ESTIMATORS[config.inner.estimator].surrogate,
            lr=config.inner.lr,
            first_order=config.inner.first_order,
        ),
        steps=config.inner.steps,
        objective=OBJECTIVES[config.outer.objective](config.outer),
        optimizer=OPTIMIZERS[config.outer.optimizer](config.outer),
        seed=config.seed,
        threads=threads,
    )
    (observation_size,) = workers.single_observation_space.shape
    (action_size,) = workers.single_action_space.shape
    sizes = (observation_size, *config.policy.hidden, action_size)
    return trainer, trainer.init(policies.init(torch_generator(config.seed, "init"), sizes))
