"""Pictures of the user's own environments, which draw themselves: an episode is played again, and drawn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from metarl_cli.envs.episodes import OwnWorkers, blaming
from metarl_cli.envs.own import make_one
from metarl_cli.envs.vector import BoolArray, FloatArray
from metarl_cli.errors import UserError

__all__ = ["ActionRecorder", "Played", "pictures"]


class Played(NamedTuple):
    """What decides the episodes between two resets: seed and actions, [num_envs, A] each."""

    seed: int
    actions: list[FloatArray]


class ActionRecorder:
    """Environments that remember what they were given."""

    def __init__(self, workers: OwnWorkers) -> None:
        self._workers = workers
        self.num_envs, self.divergences = workers.num_envs, workers.divergences
        self.single_observation_space = workers.single_observation_space
        self.single_action_space = workers.single_action_space
        self.sample_tasks, self.sample_test_tasks = workers.sample_tasks, workers.sample_test_tasks
        self.set_tasks = workers.set_tasks
        self.episodes: list[Played] = []

    def reset(self, *, seed: int) -> tuple[FloatArray, dict[str, Any]]:
        """Begin new episodes, and a new record."""
        self.episodes.append(Played(seed, []))
        return self._workers.reset(seed=seed)

    def step(self, actions: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Go on, and note the actions."""
        self.episodes[-1].actions.append(actions)
        return self._workers.step(actions)


def pictures(
    reference: str, variant: str, *, task: Any, seed: int, actions: Sequence[FloatArray], steps: Collection[int]
) -> NDArray[np.uint8]:
    """Play one episode again and draw it after those steps, [F, height, width, 3].

    Raises:
        UserError: If the environment has no renderer that gives arrays of one size, or is a vector environment.
    """
    env = make_one(reference, variant, render_mode="rgb_array")
    if not isinstance(env, gymnasium.Env):
        raise UserError(f"{reference} is a vector environment; pictures need a gymnasium.Env with render().")
    images = []
    with blaming(reference, "an episode that is drawn"):
        env.get_wrapper_attr("set_task")(task)
        env.reset(seed=seed)
        for t in range(max(steps) + 1):
            if t:
                env.step(actions[t - 1].astype(env.action_space.dtype))
            if t in steps:
                images.append(np.array(env.render()))  # the environment may draw on the same array again
    if any(image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 for image in images):
        raise UserError(
            f"{reference}: render() gives no picture, uint8 [height, width, 3], with render_mode='rgb_array'."
        )
    if any(image.shape != images[0].shape for image in images):
        raise UserError(f"{reference}: render() gives pictures of different sizes.")
    return np.stack(images)
