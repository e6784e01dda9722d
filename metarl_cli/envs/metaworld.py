"""Meta-World's ML1 and ML10 (McLean et al., 2025; Yu et al., 2019), with their own training and test tasks.

`--env metaworld:ML1 --set environment.variant=push-v3`, reach-v3 without a variant, and `--env metaworld:ML10`.
Fifty goals per environment, drawn once with seed 1; the goal is not observed. `info["success"]` is Meta-World's own.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from metarl_cli.envs.vector import FloatArray
from metarl_cli.errors import UserError, check_known

__all__ = ["ML1", "ML10"]

BENCHMARK_SEED = 1


class MetaWorldEnv(gymnasium.Env[FloatArray, FloatArray]):
    """One environment that becomes whatever a task says; what it was is left for others to become.

    Args:
        benchmark: Of Meta-World.
        render_mode: `rgb_array`, or None.
    """

    max_episode_steps = 500
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 (Gymnasium's)

    def __init__(self, benchmark: Any, render_mode: str | None) -> None:
        self._benchmark, self.render_mode = benchmark, render_mode
        self._kind, self._env = "", cast(Any, None)
        self.set_task(benchmark.train_tasks[0])
        # Meta-World's own bounds are another in every kind, and the goal's are zero.
        self.observation_space = Box(-np.inf, np.inf, self._env.observation_space.shape, np.float64)
        self.action_space = self._env.action_space

    def sample_tasks(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Training tasks, of every kind about as many."""
        return _balanced(self._benchmark.train_tasks, n, rng)

    def sample_test_tasks(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Test tasks, of every kind about as many: other goals, and in ML10 other kinds of tasks."""
        return _balanced(self._benchmark.test_tasks, n, rng)

    def set_task(self, task: Any) -> None:
        """Become an environment of the task's kind, and have its goal from the next reset on."""
        if self._kind != task.env_name:
            idle = _idle(self._benchmark, self.render_mode)
            if self._kind:
                idle[self._kind].append(self._env)
            known = {**self._benchmark.train_classes, **self._benchmark.test_classes}
            free = idle[task.env_name]
            one = free.pop() if free else known[task.env_name](render_mode=self.render_mode)
            self._kind, self._env = task.env_name, one
        self._env.set_task(task)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start a new episode; the initial state is the task's."""
        super().reset(seed=seed)
        observation, info = self._env.reset(seed=seed)
        return np.array(observation), info

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Advance by one action."""
        observation, reward, terminated, truncated, info = self._env.step(action)
        return np.array(observation), float(reward), bool(terminated), bool(truncated), {"success": info["success"]}

    def render(self) -> Any:
        """The picture that Meta-World draws, upright."""
        return self._env.render()


class ML1(MetaWorldEnv):
    """One kind of task, with other goals for testing.

    Args:
        variant: The kind, as in reach-v3.
        render_mode: `rgb_array`, or None.

    Raises:
        UserError: If Meta-World is not installed, or has no such kind.
    """

    def __init__(self, variant: str = "reach-v3", render_mode: str | None = None) -> None:
        super().__init__(_benchmark(variant), render_mode)


class ML10(MetaWorldEnv):
    """Ten kinds of tasks, and five others for testing.

    Args:
        render_mode: `rgb_array`, or None.

    Raises:
        UserError: If Meta-World is not installed.
    """

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(_benchmark(""), render_mode)


@cache
def _benchmark(kind: str) -> Any:
    """The ML1 of that kind, or ML10 if none is named; once per process: its tasks take 50 resets per kind."""
    try:
        import metaworld
    except ImportError as error:
        raise UserError(f"Meta-World cannot be imported ({error}): pip install 'metarl-lab[metaworld]'.") from error
    import mujoco
    from metaworld.sawyer_xyz_env import SawyerMocapBase

    def reset_mocap_welds(self: Any) -> None:
        for i in np.flatnonzero(self.model.eq_type == mujoco.mjtEq.mjEQ_WELD):
            self.model.eq_data[i, :11] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 5.0]

    # Meta-World sets eleven numbers of each weld, as MuJoCo 3.3 has them; later releases have one more.
    if mujoco.mjNEQDATA > 11:
        SawyerMocapBase.reset_mocap_welds = reset_mocap_welds
    if not kind:
        return metaworld.ML10(seed=BENCHMARK_SEED)
    check_known("Meta-World task", kind, metaworld.ML1.ENV_NAMES)
    return metaworld.ML1(kind, seed=BENCHMARK_SEED)


@cache
def _idle(benchmark: Any, render_mode: str | None) -> dict[str, list[Any]]:
    """The simulations of each kind that no environment is at present: each holds a model of many megabytes."""
    return defaultdict(list)


def _balanced(tasks: Any, n: int, rng: np.random.Generator) -> list[Any]:
    """The kinds in random order, again and again, and of each a random task."""
    kinds = sorted({task.env_name for task in tasks})
    order = np.concatenate([rng.permutation(len(kinds)) for _ in range(-(-n // len(kinds)))])[:n]
    of_kind = {kind: [task for task in tasks if task.env_name == kind] for kind in kinds}
    return [of_kind[kinds[i]][rng.integers(len(of_kind[kinds[i]]))] for i in order]
