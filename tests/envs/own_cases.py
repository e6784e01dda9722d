"""Environments as users write them: one that is right, of each kind, and ones that are wrong in one thing each."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers.vector import ClipReward

LENGTH = 6


class Line(gymnasium.Env):
    """s' = s + a, r = −|s' − g|; the episode ends beyond ±1. Knows neither a horizon nor success."""

    observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    action_space = Box(-0.5, 1.5, (1,), np.float32)

    def sample_tasks(self, n, rng):
        return rng.uniform(-1.0, 1.0, n)

    def set_task(self, task):
        self.goal = task

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.steps = self.np_random.uniform(-0.1, 0.1), 0
        return self.observe(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.state, self.steps = self.state + float(action[0]), self.steps + 1
        return self.observe(), self.reward(), abs(self.state) > 1.0, False, {}

    def reward(self):
        return -float(abs(self.state - self.goal))

    def observe(self):
        return np.array([self.state], np.float32)


class Objects(Line):
    """Its tasks are dicts; it is cut short after six steps and says what it has accomplished."""

    max_episode_steps = LENGTH

    def __init__(self, variant="far"):
        self.scale = {"far": 1.0, "near": 0.1}[variant]

    def sample_tasks(self, n, rng):
        return [{"goal": float(goal)} for goal in self.scale * rng.uniform(-1.0, 1.0, n)]

    def sample_test_tasks(self, n, rng):
        return [{"goal": 5.0} for _ in range(n)]

    def set_task(self, task):
        self.goal = task["goal"]

    def step(self, action):
        observation, reward, terminated, _, _ = super().step(action)
        return observation, reward, terminated, self.steps == LENGTH, {"success": self.steps == 2 and self.goal > 0.0}


class Lines(VectorEnv):
    """Many lines that advance together; each begins anew in the step after its end."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (Gymnasium's)

    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = Line.observation_space, Line.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def sample_tasks(self, n, rng):
        return rng.uniform(-1.0, 1.0, n)

    def set_tasks(self, tasks):
        self.goals = np.array(tasks)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.states, self.over = self.np_random.uniform(-0.1, 0.1, self.num_envs), np.zeros(self.num_envs, bool)
        return self.observe(), {}

    def step(self, actions):
        self.states = np.where(self.over, 0.0, self.states + actions[:, 0])
        rewards = np.where(self.over, 0.0, -abs(self.states - self.goals))
        self.over = ~self.over & (abs(self.states) > 1.0)
        return self.observe(), rewards, self.over.copy(), np.zeros(self.num_envs, bool), {}

    def observe(self):
        return self.states[:, None].astype(np.float32)


class NoTasks(gymnasium.Env):
    observation_space, action_space = Line.observation_space, Line.action_space


class NoSetTasks(VectorEnv):
    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = Line.observation_space, Line.action_space

    def sample_tasks(self, n, rng):
        return np.zeros(n)


class Buttons(Line):
    action_space = Discrete(2)


class Unbounded(Line):
    action_space = Box(-np.inf, np.inf, (1,), np.float32)


class Image(Line):
    observation_space = Box(0, 255, (4, 4), np.uint8)


class NanReward(Line):
    def reward(self):
        return float("nan") if self.steps == 3 else 0.0


class InfiniteObservation(Line):
    def observe(self):
        return np.array([np.inf if self.steps == 2 else 0.0])


class HugeObservation(Line):
    """An observation that float32 does not hold."""

    observation_space = Box(-np.inf, np.inf, (1,), np.float64)

    def observe(self):
        return np.array([1e300 if self.steps == 2 else 0.0])


class Breaks(Line):
    def reward(self):
        return 1.0 / (self.steps - 1)


class TooFew(Line):
    def sample_tasks(self, n, rng):
        return rng.uniform(size=n // 2)


class Forgets(Line):
    """Resets are not seeded."""

    def reset(self, *, seed=None, options=None):
        return super().reset()


class OwnDice(Line):
    """Tasks are not drawn from the generator that it is given."""

    def sample_tasks(self, n, rng):
        return np.random.default_rng().uniform(-1.0, 1.0, n)


class Deaf(Line):
    """All tasks are one."""

    def set_task(self, task):
        self.goal = 0.5


class Hysteresis(Line):
    """A task leaves something behind."""

    goal = 0.0

    def set_task(self, task):
        self.goal += task


class Stretches(Line):
    """A task changes a space."""

    def set_task(self, task):
        self.goal = task
        self.observation_space = Box(-1.0 - abs(task), 1.0 + abs(task), (1,), np.float32)


class Leaves(Line):
    """Observations leave their space."""

    observation_space = Box(-0.2, 0.2, (1,), np.float32)


class SameArray(Line):
    """Every observation is the same array."""

    def __init__(self):
        self.array = np.zeros(1, np.float32)

    def observe(self):
        self.array[0] = self.state
        return self.array


class SameArrayInStep(SameArray):
    """`reset` returns an array of its own, and every `step` the same one."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return observation.copy(), info


class Unpicklable(Line):
    def __init__(self):
        self.secret = lambda: None


class Leaks(Lines):
    """The first environment's task counts for all."""

    def set_tasks(self, tasks):
        self.goals = np.full(self.num_envs, tasks[0])


class Huge(Line):
    """Rewards that float32 does not hold."""

    def reward(self):
        return 1e300


class Restless(Line):
    """Where an episode begins depends on whether one was ended."""

    over = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state += 0.1 * self.over
        return self.observe(), {}

    def step(self, action):
        answer = super().step(action)
        self.over = self.over or bool(answer[2])
        return answer


class NoMode(Lines):
    metadata = {}  # noqa: RUF012 (Gymnasium's)


class Verbose(Line):
    """Returns a truncation that is no bool."""

    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, 0, info


class FloatEnds(Lines):
    """Ends are told as numbers."""

    def step(self, actions):
        observations, rewards, terminated, truncated, info = super().step(actions)
        return observations, rewards, terminated.astype(float), truncated.astype(float), info


class OwnEnded(Lines):
    """Its info has a key that means something else elsewhere."""

    def step(self, actions):
        return *super().step(actions)[:4], {"ended": 0}


class InfiniteEnds(Lines):
    """Observes infinity once an episode has ended."""

    def reset(self, *, seed=None, options=None):
        self.ended = np.zeros(self.num_envs, bool)
        return super().reset(seed=seed)

    def step(self, actions):
        observations, rewards, terminated, truncated, info = super().step(actions)
        observations = np.where(self.ended[:, None], np.inf, observations)
        self.ended |= terminated
        return observations, rewards, terminated, truncated, info


class WideEnds(Lines):
    def step(self, actions):
        observations, rewards, terminated, truncated, info = super().step(actions)
        return observations, rewards, terminated[:, None].repeat(2, axis=1), truncated, info


class NoInfo(Lines):
    def step(self, actions):
        return *super().step(actions)[:4], None


class Part(Line):
    sample_tasks = set_task = None


class Rows(SyncVectorEnv):
    """Gymnasium's own vector environment, which has the tasks that its parts know nothing of."""

    def __init__(self, num_envs):
        super().__init__([Part] * num_envs)

    def sample_tasks(self, n, rng):
        return rng.uniform(-1.0, 1.0, n)

    def set_tasks(self, tasks):
        for env, task in zip(self.envs, tasks, strict=True):
            env.goal = task


class Canvas(Line):
    """Draws on one array: the step in every pixel, one row of pixels or, as `variant` says, one more at each step."""

    def __init__(self, variant="", render_mode=None):
        self.grows = variant == "grows"
        self.canvas = np.zeros((1, 2, 3), np.uint8)

    def render(self):
        if self.grows:
            self.canvas = np.zeros((1 + self.steps, 2, 3), np.uint8)
        self.canvas[:] = self.steps
        return self.canvas


class Blind(Line):
    def __init__(self, render_mode=None):
        pass

    def render(self):
        return None


class Dictionary(Line):
    observation_space = Dict({"a": Line.observation_space, "b": Line.observation_space})


class NoArray(Line):
    def sample_tasks(self, n, rng):
        return np.array(0.5)


class Forever(Line):
    max_episode_steps = np.inf


class Never(Line):
    max_episode_steps = 0


class Picky(Line):
    """Refuses some of the tasks that it draws itself."""

    def set_task(self, task):
        if task < -0.5:
            raise ValueError("too far left")
        self.goal = task


class Superstitious(Line):
    def reset(self, *, seed=None, options=None):
        if seed == 1:
            raise RuntimeError("not this one")
        return super().reset(seed=seed)


class Functions(Line):
    """Tasks that know no equality and cannot be pickled."""

    def sample_tasks(self, n, rng):
        return [lambda goal=goal: goal for goal in rng.uniform(-1.0, 1.0, n)]

    def set_task(self, task):
        self.goal = task()


def wrapped_lines(num_envs):
    """A function that makes a vector environment, behind a wrapper of Gymnasium's."""
    return ClipReward(Lines(num_envs), -10.0, 10.0)


def wrapped():
    """A function that makes an environment, behind wrappers of Gymnasium's."""
    return gymnasium.wrappers.TimeLimit(gymnasium.wrappers.FlattenObservation(Line()), 1)


NOTHING = 3
