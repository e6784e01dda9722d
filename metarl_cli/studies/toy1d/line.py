"""The 1-D toy of Liu et al. (2019), Sec. 5.3: a point on a line, its trajectories, and its exact value.

A step moves the point by u = clip(κ a, ±limit), with κ = limit / action_scale as in training; positions, moves and
rewards are those of the environment. As the state is one number, J(θ) is an integral over a grid, exact to O(h²), and
automatic differentiation of it gives the true gradient, Hessian and meta-gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metarl_cli.envs.points import TOY_1D
from metarl_cli.params import ascend
from metarl_cli.training import policies
from metarl_cli.types import Gaussian, Params, Trajectories

__all__ = [
    "STATE_LIMIT",
    "Line",
    "adapted_params",
    "gradient",
    "grid",
    "meta_gradient",
    "simulate",
    "value",
    "value_of_means",
]

STATE_LIMIT, STEP_LIMIT = TOY_1D.state_limit, TOY_1D.action_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The problem: every episode has `horizon` steps and undiscounted reward.

    Attributes:
        goals: the tasks, one goal each; truth and estimates are about the same ones.
        horizon: T.
        action_scale: the action that moves the point by the largest step.
        spacing: h, the distance of the grid points of the exact value; it divides the limits of position and step.
    """

    goals: tuple[float, ...]
    horizon: int = 10
    action_scale: float = 2.0
    spacing: float = 0.005

    @property
    def step_per_action(self) -> float:
        """κ."""
        return STEP_LIMIT / self.action_scale


def simulate(
    line: Line, params: Params, samples: int, rng: np.random.Generator, generator: torch.Generator
) -> Trajectories:
    """`samples` trajectories of each task with its policy, float64.

    Args:
        line: the problem.
        params: one policy per goal, [M, …].
        samples: N.
        rng: the source of the initial positions.
        generator: the source of the action noise.
    """
    shape = (len(line.goals), samples)
    goals = np.repeat(line.goals, samples)
    noise = torch.randn((line.horizon, *shape, 1), generator=generator, dtype=torch.float64)
    std = params["log_std"].exp().unsqueeze(1)
    positions, means, actions, rewards = [TOY_1D.start(len(goals), rng)], [], [], []
    for t in range(line.horizon):
        means.append(policies.distribution(params, torch.from_numpy(positions[-1]).reshape(*shape, 1)).mean)
        actions.append(means[-1] + std * noise[t])
        moves = np.clip(line.step_per_action * actions[-1].numpy().reshape(-1, 1), -STEP_LIMIT, STEP_LIMIT)
        position, reward = TOY_1D.move(positions[-1], moves, goals)
        positions.append(position)
        rewards.append(reward)
    behaviour = Gaussian(torch.stack(means, 2), params["log_std"][:, None, None, :])
    drawn = torch.stack(actions, 2)
    return Trajectories(
        observations=torch.from_numpy(np.stack(positions[:-1], 1)).reshape(*shape, line.horizon, 1),
        actions=drawn,
        rewards=torch.from_numpy(np.stack(rewards, 1)).reshape(*shape, line.horizon),
        mask=torch.ones((*shape, line.horizon), dtype=torch.float64),
        behaviour=behaviour,
        behaviour_logp=policies.log_prob(behaviour, drawn),
    )


def value(line: Line, params: Params, goal: float) -> Tensor:
    """J(θ) = E[Σₜ rₜ] for one goal, differentiable in the parameters."""
    return value_of_means(line, policies.distribution(params, grid(line)).mean[:, 0], params["log_std"][0], goal)


def grid(line: Line) -> Tensor:
    """The positions −limit, −limit + h, …, limit, [K, 1]."""
    return torch.from_numpy(_multiples(STATE_LIMIT, line.spacing)).unsqueeze(-1)


def value_of_means(line: Line, means: Tensor, log_std: Tensor, goal: float) -> Tensor:
    """J as a function of μ at the grid positions [K] and of log σ: dynamic programming over the probabilities of u.

        V_t(s) = Σ_u P(u|s) (r(s, u) + V_{t+1}(s + u)),   J = E_{s₀}[V_0(s₀)]

    P(u|s) is the trapezoidal rule for the density of κ a between the step limits, and the mass beyond them at them.
    """
    positions, moves = _multiples(STATE_LIMIT, line.spacing), _multiples(STEP_LIMIT, line.spacing)
    shape = (len(positions), len(moves))  # of every quantity of a position and a move, [K, U]
    start, move = (each.reshape(-1, 1) for each in np.meshgrid(positions, moves, indexing="ij"))
    moved, reward = TOY_1D.move(start, move, np.full(len(start), goal))
    reached = np.rint((moved[:, 0] + STATE_LIMIT) / line.spacing).astype(np.int64)
    following, rewards = torch.from_numpy(reached.reshape(shape)), torch.from_numpy(reward.reshape(shape))

    u = torch.from_numpy(moves)
    centre, spread = line.step_per_action * means[:, None], line.step_per_action * log_std.exp()
    inside = line.spacing * torch.exp(-0.5 * ((u - centre) / spread) ** 2) / (spread * (2.0 * torch.pi) ** 0.5)
    below = torch.special.ndtr((-STEP_LIMIT - centre) / spread)
    above = torch.special.ndtr((centre - STEP_LIMIT) / spread)
    probabilities = torch.cat([0.5 * inside[:, :1] + below, inside[:, 1:-1], 0.5 * inside[:, -1:] + above], dim=1)

    values = torch.zeros_like(means)
    for _ in range(line.horizon):
        values = (probabilities * (rewards + values[following])).sum(1)
    return torch.trapezoid(values) / (len(values) - 1)


def gradient(line: Line, params: Params, goal: float) -> Params:
    """∇J(θ) for one goal, differentiable."""
    result: Params = torch.func.grad(lambda theta: value(line, theta, goal))(params)
    return result


def meta_gradient(line: Line, params: Params, lr: float) -> Params:
    """∇_θ of the mean over goals of J(θ + α ∇J(θ)/T)/T: the inner step and the objective are means over steps."""

    def objective(theta: Params) -> Tensor:
        adapted = [adapted_params(line, theta, goal, lr) for goal in line.goals]
        values = [value(line, each, goal) for each, goal in zip(adapted, line.goals, strict=True)]
        return torch.stack(values).mean() / line.horizon

    result: Params = torch.func.grad(objective)(params)
    return result


def adapted_params(line: Line, params: Params, goal: float, lr: float) -> Params:
    """θ′ = θ + α ∇J(θ)/T with the exact gradient, differentiable."""
    return ascend(params, gradient(line, params, goal), lr / line.horizon)


def _multiples(limit: float, spacing: float) -> NDArray[np.float64]:
    count = round(limit / spacing)
    return np.arange(-count, count + 1, dtype=np.float64) * spacing
