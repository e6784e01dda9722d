"""Many sub-environments that advance together, each with its own task.

`TaskVectorEnv` keeps the books of Gymnasium's interface (spaces, seeds, episode ends, masked resets, tasks). What moves
is a `Simulator`, what it moves in is a `Problem`; both kinds, `points` and `physics`, are used through these protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from metarl_cli.envs.registry import find_environment, find_variant

__all__ = ["BoolArray", "FloatArray", "Outcome", "Problem", "Simulator", "TaskVectorEnv", "find_problem", "make_vec"]

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]


class Outcome(NamedTuple):
    """What one step did to each sub-environment, [num_envs] each."""

    rewards: FloatArray
    terminated: BoolArray
    diverged: BoolArray


class Simulator(Protocol):
    """The states of all sub-environments and how they change. Masks are [num_envs]."""

    observation_space: Box
    action_space: Box

    def assign(self, tasks: FloatArray) -> None:
        """Let each sub-environment follow its task, [num_envs, ...]."""

    def draw_starts(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw what `restart` makes n initial states of, [n, ...]."""

    def restart(self, mask: BoolArray, starts: FloatArray) -> None:
        """Put the sub-environments in the mask at these initial states and leave the others as they are."""

    def advance(self, live: BoolArray, actions: FloatArray) -> Outcome:
        """Step the live sub-environments; what the outcome says of the others is not looked at."""

    def observe(self) -> FloatArray:
        """The observations of all sub-environments, a new array [num_envs, S]."""

    def positions(self) -> FloatArray:
        """Where everything is, observed or not: what a picture needs, a new array [num_envs, Q]."""


class Problem(Protocol):
    """A task distribution: pure data from which simulators are made."""

    @property
    def draw(self) -> Callable[[int, np.random.Generator], FloatArray]:
        """Gives n independent tasks, `draw(n, rng)`, [n, ...]."""

    def simulator(self, num_envs: int, threads: int) -> Simulator:
        """The states of `num_envs` sub-environments; `threads` is for those that run an engine."""


class TaskVectorEnv(VectorEnv[FloatArray, FloatArray, Any]):
    """A Gymnasium vector environment whose sub-environments each have a task.

    Sub-environments are not reset by themselves (`AutoresetMode.DISABLED`): one that has terminated stands still, costs
    nothing, gets reward 0 and stays terminated until `reset`. With `AutoresetMode.NEXT_STEP`, which Gymnasium's own
    wrappers take too, the step after an end or the time limit is a reset, with reward 0. Tasks stay as set by
    `set_tasks`; as long as it was never called, every reset draws a new task for each sub-environment that it resets.
    All random numbers come from the one stream `np_random`, in the order of the resets: the same seed and the same
    calls give the same trajectories, and the noise of a reset with a mask depends on the resets before it.

    A pickle, or a copy, has the tasks and the stream of the original, but not the episodes under way, which an engine
    does not hand out whole: it begins with a reset.

    Attributes:
        divergences: How many simulations have diverged since construction. One that does is terminated at that step,
            with reward 0 from it on, and is marked in `info["diverged"]`.

    Args:
        problem: The task distribution.
        num_envs: Number of sub-environments.
        max_episode_steps: Steps after which an episode is truncated; None for never.
        threads: Threads of the simulation.
        autoreset_mode: `DISABLED` or `NEXT_STEP`, or its text.

    Raises:
        ValueError: If the mode is another one.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}  # noqa: RUF012 (Gymnasium's)

    def __init__(
        self,
        problem: Problem,
        *,
        num_envs: int,
        max_episode_steps: int | None = None,
        threads: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.DISABLED,
    ) -> None:
        if (mode := AutoresetMode(autoreset_mode)) is AutoresetMode.SAME_STEP:
            raise ValueError("autoreset_mode: expected DISABLED or NEXT_STEP, got SAME_STEP.")
        self.metadata = {**self.metadata, "autoreset_mode": mode}
        self._resets_itself = mode is AutoresetMode.NEXT_STEP
        self._problem, self._threads = problem, threads
        self._simulator = problem.simulator(num_envs, threads)
        self.num_envs = num_envs
        self.single_observation_space = self._simulator.observation_space
        self.single_action_space = self._simulator.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._low, self._high = self._simulator.action_space.low, self._simulator.action_space.high
        self._horizon = np.inf if max_episode_steps is None else max_episode_steps
        self._task_shape = problem.draw(1, np.random.default_rng(0)).shape[1:]
        self._tasks = np.zeros((num_envs, *self._task_shape))
        self._tasks_are_set = False
        self.divergences = 0
        self._forget_episodes()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_simulator"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._simulator = self._problem.simulator(self.num_envs, self._threads)
        self._assign(self._tasks)
        self._forget_episodes()

    def sample_tasks(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent tasks, [n, ...]."""
        return self._problem.draw(n, rng)

    def sample_test_tasks(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n independent tasks: none are kept for testing, and those that training draws are not drawn again."""
        return self._problem.draw(n, rng)

    def set_tasks(self, tasks: FloatArray) -> None:
        """Give each sub-environment its task, [num_envs, ...], from its next step on.

        Raises:
            ValueError: If there is not one task per sub-environment, of the shape that `sample_tasks` draws.
        """
        expected = (self.num_envs, *self._task_shape)
        if np.shape(tasks) != expected:
            raise ValueError(f"tasks: expected shape {list(expected)}, got {list(np.shape(tasks))}.")
        self._assign(np.array(tasks, np.float64))
        self._tasks_are_set = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: Restarts the stream of random numbers.
            options: `{"reset_mask": mask}` resets only the sub-environments in the boolean mask, [num_envs].

        Returns:
            The observations of all sub-environments, [num_envs, S], and an empty info.

        Raises:
            ValueError: If the mask is not boolean with one entry per sub-environment.
            ResetNeeded: If the first reset has a mask that leaves some out.
        """
        super().reset(seed=seed)
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, np.bool_)))
        if mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise ValueError(f"reset_mask: expected bool [{self.num_envs}], got {mask.dtype} {list(mask.shape)}.")
        if not self._started and not mask.all():
            raise ResetNeeded("the first reset must reset every sub-environment.")
        if not self._tasks_are_set:
            tasks = self._tasks.copy()
            tasks[mask] = self.sample_tasks(int(mask.sum()), self.np_random)
            self._assign(tasks)
        return self.begin(mask, self.draw_starts(int(mask.sum()), self.np_random)), {}

    def draw_starts(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw what a reset makes n initial states of, [n, ...]."""
        return self._simulator.draw_starts(n, rng)

    def begin(self, mask: BoolArray, starts: FloatArray) -> FloatArray:
        """`reset` of the masked sub-environments to starts that were drawn before; all observations, [num_envs, S]."""
        self._simulator.restart(mask, starts)
        self._started = True
        self._steps[mask], self._terminated[mask], self._diverged[mask] = 0, False, False
        return self._simulator.observe()

    def step(self, actions: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Advance every sub-environment that has not terminated by one action, clipped to the action space.

        Args:
            actions: In the environment's own units, [num_envs, A].

        Returns:
            Observations [num_envs, S], rewards, terminations and truncations [num_envs], and `{"diverged": mask}`.

        Raises:
            ValueError: If the actions have another shape or are not finite.
            ResetNeeded: Before the first reset.
        """
        if not self._started:
            raise ResetNeeded("step before the first reset.")
        if np.shape(actions) != self.action_space.shape:
            expected = [self.num_envs, *self._low.shape]
            raise ValueError(f"actions: expected shape {expected}, got {list(np.shape(actions))}.")
        if not np.isfinite(actions).all():
            raise ValueError("actions: expected finite numbers, got NaN or infinity.")
        clipped = np.clip(actions, self._low, self._high, dtype=np.float64)
        new_episode = self._terminated | (self._steps >= self._horizon)
        if not self._resets_itself:
            new_episode[:] = False
        elif new_episode.any():
            self.reset(options={"reset_mask": new_episode})
        live = ~self._terminated & ~new_episode
        outcome = self._simulator.advance(live, clipped)
        new = live & outcome.diverged
        self._diverged |= new
        self.divergences += int(new.sum())
        self._terminated |= live & (outcome.terminated | outcome.diverged)
        self._steps += live
        rewards = np.where(live & ~new, outcome.rewards, 0.0)
        truncated, info = self._steps >= self._horizon, {"diverged": self._diverged.copy()}
        return self._simulator.observe(), rewards, self._terminated.copy(), truncated, info

    def positions(self) -> FloatArray:
        """Coordinates of points, `qpos` of bodies: what a picture needs and an observation may hide, [num_envs, Q]."""
        return self._simulator.positions()

    def _forget_episodes(self) -> None:
        self._started = False
        self._steps = np.zeros(self.num_envs, np.int64)
        self._terminated = np.zeros(self.num_envs, np.bool_)
        self._diverged = np.zeros(self.num_envs, np.bool_)

    def _assign(self, tasks: FloatArray) -> None:
        self._tasks = tasks
        self._simulator.assign(tasks)


def make_vec(
    name: str,
    num_envs: int = 1,
    *,
    max_episode_steps: int | None = None,
    variant: str | None = None,
    threads: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.DISABLED,
) -> TaskVectorEnv:
    """The vector environment of that name; what `gymnasium.make_vec` calls.

    Args:
        name: A key of `ENVIRONMENTS`.
        num_envs: Number of sub-environments.
        max_episode_steps: Steps after which an episode is truncated; None for never.
        variant: One of the environment's variants; None for its first.
        threads: Threads of the simulation.
        autoreset_mode: What happens after an end, see `TaskVectorEnv`.

    Raises:
        UserError: If there is no such environment or variant.
    """
    return TaskVectorEnv(
        find_problem(name, variant),
        num_envs=num_envs,
        max_episode_steps=max_episode_steps,
        threads=threads,
        autoreset_mode=autoreset_mode,
    )


def find_problem(name: str, variant: str | None) -> Problem:
    """The task distribution behind `make_vec`; same arguments and errors."""
    spec = find_environment(name)
    problems: Mapping[str, Mapping[str, Problem]] = import_module(spec.module).PROBLEMS
    return problems[name][find_variant(spec, variant)]
