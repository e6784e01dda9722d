"""One sub-environment behind Gymnasium's single-environment interface."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from metarl_cli.envs.vector import FloatArray, make_vec

__all__ = ["TaskEnv"]


class TaskEnv(gymnasium.Env[FloatArray, FloatArray]):
    """A vector environment of one, without its leading dimension; what `gymnasium.make` calls.

    Until `set_task` is called, every reset draws a new task.

    Args:
        name: A key of `ENVIRONMENTS`.
        variant: One of the environment's variants; None for its first.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium's)

    def __init__(self, name: str, *, variant: str | None = None) -> None:
        self._envs = make_vec(name, variant=variant)
        self.observation_space = self._envs.single_observation_space
        self.action_space = self._envs.single_action_space

    def sample_tasks(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent tasks, [n, ...]."""
        return self._envs.sample_tasks(n, rng)

    def set_task(self, task: FloatArray) -> None:
        """Follow this task, one row of what `sample_tasks` draws, from the next step on."""
        self._envs.set_tasks(np.asarray(task)[None])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start a new episode. No options are known."""
        super().reset(seed=seed)
        observations, info = self._envs.reset(seed=seed)
        return observations[0], info

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Advance by one action, clipped to the action space; the time limit is Gymnasium's wrapper's."""
        observations, rewards, terminated, truncated, info = self._envs.step(np.asarray(action)[None])
        diverged = {key: value[0] for key, value in info.items()}
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), diverged
