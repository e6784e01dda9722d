"""One vector environment in two halves, so that one simulates while somebody decides what the other does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from metarl_cli.envs.vector import BoolArray, FloatArray, TaskVectorEnv

__all__ = ["Halves"]


class Halves(VectorEnv[FloatArray, FloatArray, Any]):
    """Two `TaskVectorEnv` in the place of one: together they give its numbers, and each may be stepped on a thread.

    Resets are of all sub-environments; tasks are set before the first.

    Attributes:
        pair: The first sub-environments, and the others; alike but for their number.
    """

    def __init__(self, pair: tuple[TaskVectorEnv, TaskVectorEnv]) -> None:
        self.pair = pair
        first, second = pair
        self.metadata, self.num_envs = first.metadata, first.num_envs + second.num_envs
        self.single_observation_space = first.single_observation_space
        self.single_action_space = first.single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.sample_tasks, self.sample_test_tasks = first.sample_tasks, first.sample_test_tasks

    @property
    def divergences(self) -> int:
        """How many simulations have diverged since construction."""
        return sum(half.divergences for half in self.pair)

    def set_tasks(self, tasks: FloatArray) -> None:
        """Give each sub-environment its task, [num_envs, ...]."""
        for half, part in zip(self.pair, self._split(tasks), strict=True):
            half.set_tasks(part)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start new episodes; their starts are drawn for all at once, as one environment would."""
        if seed is not None or self._np_random is None:
            self._np_random, self._np_random_seed = np_random(seed)
        starts = self._split(self.pair[0].draw_starts(self.num_envs, self.np_random))
        observations = [
            half.begin(np.ones(half.num_envs, np.bool_), part) for half, part in zip(self.pair, starts, strict=True)
        ]
        return np.concatenate(observations), {}

    def step(self, actions: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Advance both, one after the other."""
        first, second = (half.step(part) for half, part in zip(self.pair, self._split(actions), strict=True))
        return (
            np.concatenate([first[0], second[0]]),
            np.concatenate([first[1], second[1]]),
            np.concatenate([first[2], second[2]]),
            np.concatenate([first[3], second[3]]),
            {name: np.concatenate([first[4][name], second[4][name]]) for name in first[4]},
        )

    def positions(self) -> FloatArray:
        """Where everything is, [num_envs, Q]."""
        return np.concatenate([half.positions() for half in self.pair])

    def _split(self, rows: FloatArray) -> Sequence[FloatArray]:
        return np.split(rows, [self.pair[0].num_envs])
