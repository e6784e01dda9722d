"""A point that a clipped action moves: the 2-D tasks of ProMP and SG-MRL and the 1-D toy of TMAML.

Every environment is one pure function `move(states, actions, tasks) -> (new states, rewards)` on arrays with a leading
num_envs; s is the position, g the goal, a the action, ' marks the new value. The observation is the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
from gymnasium.spaces import Box

from metarl_cli.envs.distributions import CORNERS, box, corner, direction, interval
from metarl_cli.envs.vector import BoolArray, FloatArray, Outcome

__all__ = ["PROBLEMS", "Point", "PointSimulator"]

Moved = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A task distribution over a moving point.

    Attributes:
        action_limit: Bound of every component of an action.
        action_size: A.
        state_size: S.
        state_limit: Bound of every component of the state, which is the observation.
        draw: n independent tasks, `draw(n, rng)`, [n, ...].
        start: n initial states, `start(n, rng)`, [n, S].
        move: New states and rewards, `move(states, actions, tasks)`.
        arrived: Sub-environments whose episode ends in their new state; None if none ever does.
    """

    action_limit: float
    action_size: int = 2
    state_size: int = 2
    state_limit: float = np.inf
    draw: Callable[[int, np.random.Generator], FloatArray]
    start: Callable[[int, np.random.Generator], FloatArray]
    move: Callable[[FloatArray, FloatArray, FloatArray], Moved]
    arrived: Callable[[FloatArray, FloatArray], BoolArray] | None = None

    def simulator(self, num_envs: int, threads: int) -> PointSimulator:
        """The states of `num_envs` points; they are not worth a thread."""
        return PointSimulator(self, num_envs)


class PointSimulator:
    """The states of `num_envs` points: a `Simulator`."""

    def __init__(self, problem: Point, num_envs: int) -> None:
        self._problem = problem
        self._states = np.zeros((num_envs, problem.state_size))
        self.observation_space = _space(problem.state_limit, problem.state_size)
        self.action_space = _space(problem.action_limit, problem.action_size)

    def assign(self, tasks: FloatArray) -> None:
        """Let each point follow its task."""
        self._tasks = tasks

    def draw_starts(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw n initial states, [n, S]."""
        return self._problem.start(n, rng)

    def restart(self, mask: BoolArray, starts: FloatArray) -> None:
        """Put the masked points at these initial states."""
        self._states[mask] = starts

    def advance(self, live: BoolArray, actions: FloatArray) -> Outcome:
        """Move the live points."""
        moved, rewards = self._problem.move(self._states, actions, self._tasks)
        self._states = np.where(live[:, None], moved, self._states)
        never, arrived = np.zeros_like(live), self._problem.arrived
        terminated = never if arrived is None else arrived(self._states, self._tasks)
        return Outcome(rewards, terminated, diverged=never)

    def observe(self) -> FloatArray:
        """The states, a new array [num_envs, S]."""
        return self._states.copy()

    def positions(self) -> FloatArray:
        """The states without velocities, a new array [num_envs, A]: an action moves every coordinate."""
        return self._states[:, : self._problem.action_size].copy()


def _space(limit: float, size: int) -> Box:
    return Box(-limit, limit, (size,), np.float64)


def _norm(vectors: FloatArray) -> FloatArray:
    """‖·‖₂ along the last axis."""
    norms: FloatArray = np.sqrt(np.square(vectors).sum(axis=-1))
    return norms


def _start_with_momentum(n: int, rng: np.random.Generator) -> FloatArray:
    """Positions U(−0.2, 0.2)² and velocities U(−0.1, 0.1)², [n, 4]."""
    return np.concatenate([box(n, rng, 0.2), box(n, rng, 0.1)], axis=1)


def _accelerate(states: FloatArray, actions: FloatArray, goals: FloatArray) -> Moved:
    """v' = v + a, s' = s + v', r = max(2 − ‖s' − g‖, 0)."""
    velocities = states[:, 2:] + actions
    positions = states[:, :2] + velocities
    return np.concatenate([positions, velocities], axis=1), np.maximum(2.0 - _norm(positions - goals), 0.0)


def _walk_to_corner(states: FloatArray, actions: FloatArray, goals: FloatArray) -> Moved:
    """s' = s + a, r = ‖s − g‖ − ‖s' − g‖ where g is the corner nearest to s' and ‖s'‖₁ ≥ 0.5, else 0."""
    moved = states + actions
    distances = _norm(moved - goals)
    nearest = _norm(moved[:, None] - CORNERS).min(axis=1)
    pays = (distances <= nearest) & (abs(moved).sum(axis=1) >= 0.5)
    return moved, np.where(pays, _norm(states - goals) - distances, 0.0)


def _corner_and_gaps(n: int, rng: np.random.Generator) -> FloatArray:
    """A corner and a point on each of the circles of radius 1 and 2, [n, 3, 2]."""
    return np.stack([corner(n, rng), direction(n, rng), 2.0 * direction(n, rng)], axis=1)


def _walk_through_walls(states: FloatArray, actions: FloatArray, tasks: FloatArray) -> Moved:
    """s' = s + a, r = −‖s' − g‖, then the walls of radius 1 and 2 hold s' back; the reward is that of the free s'."""
    free = states + actions
    goals, gaps_1, gaps_2 = tasks[:, 0], tasks[:, 1], tasks[:, 2]
    moved = _held_back(states, _held_back(states, free, gaps_1, 1.0), gaps_2, 2.0)
    return moved, -_norm(free - goals)


def _held_back(states: FloatArray, moved: FloatArray, gaps: FloatArray, radius: float) -> FloatArray:
    """Points that have crossed the wall outwards, farther than 1 from its gap, are put back just inside it."""
    distances = _norm(moved)
    held = (_norm(states) < radius) & (distances > radius) & (_norm(moved - gaps) > 1.0)
    inside = moved / (distances / radius + 1e-6)[:, None]
    return np.where(held[:, None], inside, moved)


def _navigate_squared(states: FloatArray, actions: FloatArray, goals: FloatArray) -> Moved:
    """s' = clip(s + a, ±0.5), r = −‖s' − g‖²."""
    moved = np.clip(states + actions, -0.5, 0.5)
    return moved, -np.square(moved - goals).sum(axis=1)


def _navigate_plain(states: FloatArray, actions: FloatArray, goals: FloatArray) -> Moved:
    """s' = clip(s + a, ±0.5), r = −‖s' − g‖."""
    moved = np.clip(states + actions, -0.5, 0.5)
    return moved, -_norm(moved - goals)


def _at_goal(states: FloatArray, goals: FloatArray) -> BoolArray:
    """Both |x − gₓ| and |y − g_y| below 0.01."""
    away = abs(states - goals)
    return (away[:, 0] < 0.01) & (away[:, 1] < 0.01)


def _walk_on_line(states: FloatArray, actions: FloatArray, goals: FloatArray) -> Moved:
    """s' = clip(s + a, ±2), r = −|s' − g|."""
    moved = np.clip(states + actions, -2.0, 2.0)
    return moved, -abs(moved[:, 0] - goals)


POINT_MOMENTUM = Point(action_limit=0.1, state_size=4, draw=corner, start=_start_with_momentum, move=_accelerate)
POINT_CORNER = Point(action_limit=0.2, draw=corner, start=partial(box, limit=0.2), move=_walk_to_corner)
POINT_WALLS = replace(POINT_CORNER, draw=_corner_and_gaps, move=_walk_through_walls)
NAVIGATION = Point(
    action_limit=0.1,
    state_limit=0.5,
    draw=partial(box, limit=0.5),
    start=partial(box, limit=0.0),
    move=_navigate_squared,
)
TOY_1D = Point(
    action_limit=0.2,
    action_size=1,
    state_size=1,
    state_limit=2.0,
    draw=partial(interval, low=-1.0, high=1.0),
    start=partial(box, limit=2.0, size=1),
    move=_walk_on_line,
)

PROBLEMS: Mapping[str, Mapping[str, Point]] = MappingProxyType(
    {
        "PointMomentum": {"released": POINT_MOMENTUM},
        "PointCorner": {"released": POINT_CORNER},
        "PointWalls": {"released": POINT_WALLS},
        "Navigation": {"squared": NAVIGATION, "plain": replace(NAVIGATION, move=_navigate_plain, arrived=_at_goal)},
        "Toy1D": {"suggested": TOY_1D},
    }
)
