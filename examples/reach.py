"""An environment of one's own: reach a hidden point of the plane, about as many lines as it takes.

metarl check env examples/reach.py:Reach
metarl train --env examples/reach.py:Reach --profile smoke --iterations 3 --out runs/reach
metarl evaluate runs/reach --tasks 20
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box


class Reach(gymnasium.Env[np.ndarray, np.ndarray]):
    """A point that an action moves; the reward is −‖s − g‖, and the goal g, the task, is never observed."""

    max_episode_steps = 20
    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space = Box(-2.0, 2.0, (2,), np.float32)
        self.action_space = Box(-0.2, 0.2, (2,), np.float32)
        self.render_mode = render_mode

    def sample_tasks(self, n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
        """Goals on the unit circle. A task may be anything: an array, a number, a dict."""
        angles = rng.uniform(0.0, 2.0 * np.pi, n)
        return [{"goal": np.array([np.cos(angle), np.sin(angle)])} for angle in angles]

    def set_task(self, task: dict[str, Any]) -> None:
        self._goal = task["goal"]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._position = self.np_random.uniform(-0.1, 0.1, 2)
        return self._position.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._position = np.clip(self._position + action, -2.0, 2.0)
        distance = float(np.linalg.norm(self._position - self._goal))
        return self._position.astype(np.float32), -distance, False, False, {"success": distance < 0.1}

    def render(self) -> np.ndarray:
        """The point in blue, the goal in orange, on a white square of 4 by 4."""
        image = np.full((80, 80, 3), 255, np.uint8)
        for (x, y), colour in ((self._goal, (213, 94, 0)), (self._position, (0, 114, 178))):
            row, column = int(39.0 - 19.0 * y), int(39.0 + 19.0 * x)
            image[row - 2 : row + 3, column - 2 : column + 3] = colour
        return image
