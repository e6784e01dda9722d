"""The user's own environments as the trainer sees environments: tasks of any kind, one episode each, finite numbers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper

from metarl_cli.envs.vector import BoolArray, FloatArray
from metarl_cli.errors import UserError

__all__ = ["SUCCESS", "OneEpisode", "OwnWorkers", "SideBySide", "attribute", "blaming", "give_tasks"]

SUCCESS, ENDED = "success", "ended"
"""Keys of `info`: what an environment may report at every step, and what `OneEpisode` does."""


class OneEpisode(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that stands still once its episode has ended, which is told in `info` alone.

    `SyncVectorEnv` resets one that has ended, or refuses to step the others.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the episode."""
        self._ended = False
        self._last, info = self.env.reset(seed=seed, options=options)
        return self._last, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go on with the episode, if it has not ended."""
        if self._ended:
            return self._last, 0.0, False, False, {ENDED: True}
        self._last, reward, terminated, truncated, info = self.env.step(action)
        self._ended = bool(terminated or truncated)
        return self._last, float(reward), False, False, {**info, ENDED: self._ended}


class SideBySide(SyncVectorEnv):
    """`OneEpisode` of each of `count` environments that `make` makes."""

    def __init__(self, make: Callable[[], Any], count: int) -> None:
        super().__init__([lambda: OneEpisode(make())] * count, autoreset_mode=AutoresetMode.DISABLED)


class OwnWorkers:
    """Environments of the user's, `Workers` for the trainer. Once an episode has ended its rewards are 0.

    Args:
        reference: Their name in messages.
        envs: A vector environment with `sample_tasks` and `set_tasks`, or `SideBySide`.

    Attributes:
        divergences: 0: an environment that returns what is not finite ends the run.
    """

    divergences = 0

    def __init__(self, reference: str, envs: Any) -> None:
        self._reference, self._envs = reference, envs
        self._task_home = envs.envs[0] if isinstance(envs, SideBySide) else envs
        self.num_envs: int = envs.num_envs
        self.single_observation_space: Box = envs.single_observation_space
        self.single_action_space: Box = envs.single_action_space

    def sample_tasks(self, n: int, rng: np.random.Generator) -> Any:
        """Draw n tasks, [n, …]; an array of objects if the environment draws anything but an array."""
        return self._sampled("sample_tasks", n, rng)

    def sample_test_tasks(self, n: int, rng: np.random.Generator) -> Any:
        """Draw n of the tasks that are kept for testing, or fresh ones if none are."""
        kept = attribute(self._task_home, "sample_test_tasks") is not None
        return self._sampled("sample_test_tasks" if kept else "sample_tasks", n, rng)

    def set_tasks(self, tasks: Any) -> None:
        """Give each environment its task, [num_envs, …]."""
        self._tasks = tasks
        if isinstance(self._envs, SideBySide):
            for env, task in zip(self._envs.envs, tasks, strict=True):
                give_tasks(self._reference, env, [task])
        else:
            give_tasks(self._reference, self._envs, tasks)

    def reset(self, *, seed: int) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode in every environment."""
        with blaming(self._reference, "reset"):
            observations, info = self._envs.reset(seed=seed)
        self._steps, self._ended = 0, np.zeros(self.num_envs, np.bool_)
        return self._checked("observation", observations), info

    def step(self, actions: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """One step of every environment whose episode has not ended."""
        with blaming(self._reference, "step"):
            given = actions.astype(self.single_action_space.dtype)
            observations, rewards, terminated, truncated, info = self._envs.step(given)
            info = dict(info)  # or it is refused here
            if isinstance(self._envs, SideBySide):
                terminated = info[ENDED]
            ended = self._ended | np.asarray(terminated, np.bool_) | np.asarray(truncated, np.bool_)
        self._steps += 1
        live, observations = ~self._ended, self._checked("observation", observations)
        rewards = np.where(live, self._checked("reward", rewards), 0.0)
        if ended.shape != live.shape:
            got = f"{list(ended.shape)}, expected {list(live.shape)}"
            raise UserError(f"{self._reference}: the ends are of shape {got}.")
        self._ended = ended
        return observations, rewards, ended.copy(), np.zeros_like(live), info

    def _sampled(self, method: str, n: int, rng: np.random.Generator) -> Any:
        with blaming(self._reference, method):
            drawn = attribute(self._task_home, method)(n, rng)
            if len(drawn) != n:
                raise UserError(f"{self._reference}: {method}({n}, rng) drew {len(drawn)} tasks, expected {n}.")
            if isinstance(drawn, np.ndarray):
                return drawn
            tasks = np.empty(n, object)
            for i, task in enumerate(drawn):  # NumPy would take a list of pairs apart
                tasks[i] = task
            return tasks

    def _checked(self, kind: str, values: Any) -> FloatArray:
        """The values as floats, refused if they are not finite; after the end of an episode 0 stands for such."""
        shape = (self.num_envs, *(self.single_observation_space.shape if kind == "observation" else ()))
        array = np.asarray(values)
        if array.shape != shape or array.dtype.kind not in "fiub":
            got = f"{array.dtype} {list(array.shape)}"
            raise UserError(f"{self._reference}: the {kind}s are {got}, expected numbers {list(shape)}.")
        wrong = ~np.isfinite(array).reshape(self.num_envs, -1).all(axis=1) & ~self._ended
        if wrong.any():
            first = int(np.argmax(wrong))
            task = " ".join(str(self._tasks[first]).split())
            task = task if len(task) <= 80 else f"{task[:77]}…"
            raise UserError(
                f"{self._reference}: the {kind} of step {self._steps} is {array[first]}, with the task "
                f"{task}; expected finite numbers."
            )
        return np.nan_to_num(array.astype(np.float64), posinf=0.0, neginf=0.0)


def give_tasks(reference: str, env: Any, tasks: Any) -> None:
    """Give an environment of the user's its only task, or a vector environment one for each, [num_envs, …]."""
    vector = isinstance(env, VectorEnv)
    with blaming(reference, "set_tasks" if vector else "set_task"):
        if vector:
            attribute(env, "set_tasks")(list(tasks) if tasks.dtype == object else tasks)
        else:
            env.get_wrapper_attr("set_task")(tasks[0])


@contextmanager
def blaming(reference: str, method: str) -> Iterator[None]:
    """Say which method of the user's environment has failed, and where."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}, line {last.lineno}"
        raise UserError(f"{reference}: {method} raised {type(error).__name__}: {error} ({place}).") from error


def attribute(env: Any, name: str) -> Any:
    """An attribute of an environment or of one that it wraps, or None."""
    if isinstance(env, gymnasium.Env):
        return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None
    while isinstance(env, VectorWrapper) and not hasattr(env, name):
        env = env.env
    return getattr(env, name, None)
