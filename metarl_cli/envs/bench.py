"""What the checks of an environment have in common: how it is made, and what it does under given actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from gymnasium.spaces import Box

from metarl_cli.envs.episodes import OwnWorkers
from metarl_cli.envs.own import horizon_of, make_one, make_own
from metarl_cli.envs.registry import find_environment
from metarl_cli.envs.single import TaskEnv
from metarl_cli.envs.vector import FloatArray, TaskVectorEnv, make_vec
from metarl_cli.references import is_reference

__all__ = ["TASKS", "Bench", "Rollout", "Workers", "bounds", "roll"]

Workers: TypeAlias = OwnWorkers | TaskVectorEnv

STEPS, TASKS = 50, 8
"""How long a rollout is at most, and how many tasks are tried."""


@dataclass(frozen=True, slots=True)
class Bench:
    """An environment to be tried, built in or the user's own."""

    name: str
    variant: str

    @property
    def horizon(self) -> int:
        """H."""
        return horizon_of(self.name, self.variant)

    def workers(self, num_envs: int) -> Workers:
        """As the trainer sees it."""
        if is_reference(self.name):
            return make_own(self.name, num_envs=num_envs, variant=self.variant)
        return make_vec(self.name, num_envs, variant=self.variant or None, max_episode_steps=self.horizon)

    def one(self) -> Any:
        """A single environment, or a vector environment of one where there is no single one."""
        if is_reference(self.name):
            return make_one(self.name, self.variant)
        return TaskEnv(find_environment(self.name).name, variant=self.variant or None)

    def tasks(self, n: int = TASKS) -> Any:
        """The same n tasks each time."""
        return self.workers(1).sample_tasks(n, np.random.default_rng(0))


class Rollout(NamedTuple):
    """Observations [T + 1, n, S] and rewards [T, n] under actions that are always the same; and all `info`."""

    observations: FloatArray
    rewards: FloatArray
    info: dict[str, Any]

    def same(self, other: Rollout, env: int | slice = slice(None)) -> bool:
        """Whether the two agree to the last bit."""
        return np.array_equal(self.observations[:, env], other.observations[:, env]) and np.array_equal(
            self.rewards[:, env], other.rewards[:, env]
        )


def roll(workers: Workers, tasks: Any, *, steps: int = STEPS, where: float | None = None) -> Rollout:
    """Give each environment its task and act, at random or always at one place between the bounds, 0 to 1."""
    rng, (low, high) = np.random.default_rng(1), bounds(workers.single_action_space)
    workers.set_tasks(tasks)
    observations, info = workers.reset(seed=1)
    seen, rewards = [observations], []
    for _ in range(steps):
        at = rng.uniform(size=(workers.num_envs, *low.shape)) if where is None else where
        actions = np.broadcast_to(low + at * (high - low), (workers.num_envs, *low.shape))
        observation, reward, _, _, info = workers.step(actions)
        seen.append(observation)
        rewards.append(reward)
    return Rollout(np.stack(seen), np.stack(rewards), info)


def bounds(space: Any) -> tuple[FloatArray, FloatArray]:
    """The limits of a Box as floats."""
    if not isinstance(space, Box):
        raise TypeError(f"space: expected a Box, got {space}.")
    return space.low.astype(np.float64), space.high.astype(np.float64)
