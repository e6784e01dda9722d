"""What one seed of the 1-D study draws: goals, a partially trained policy, its control variate, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metarl_cli.envs.points import TOY_1D
from metarl_cli.params import ascend, flatten
from metarl_cli.seeding import numpy_generator, torch_generator
from metarl_cli.studies.toy1d.derivatives import Expansion, expand, hessian, interpolation
from metarl_cli.studies.toy1d.line import STATE_LIMIT, Line, grid, meta_gradient, simulate, value_of_means
from metarl_cli.training import policies
from metarl_cli.training.meta_learned import MetaSettings, init_meta, update_meta
from metarl_cli.training.returns import discounted_returns
from metarl_cli.types import Params

__all__ = ["Problem", "Toy1DSettings", "make_problem"]


VARIATE = MetaSettings(repetitions=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy1DSettings:
    """Settings of the study; the paper states the ranges of start and goal, the network's size and nothing else.

    Attributes:
        profile: the name under which the table and the figure show these settings.
        seeds: how many seeds, 0 … seeds − 1.
        samples: the N of the figure, trajectories per task and stage.
        tasks: M, goals per seed.
        truth_samples: trajectories per task of the Monte-Carlo truth, a multiple of `truth_batch`.
        truth_batch: how many of them make one estimate.
        hidden: hidden sizes of the policy; (18, 18) gives 398 parameters with log σ, "400" in the paper.
        inner_lr: α of a step on the mean over steps, as in the released code; α/T on the sum.
        training_steps, training_lr: steps along the exact meta-gradient that make the policy "partially trained".
        variate_batches: batches on which the control variate is meta-learned.
        variate_tasks, variate_samples: goals per batch and trajectories per goal.
        variate: settings of Alg. 1.
        spacing: grid spacing of the exact value.
        nodes: Chebyshev nodes that represent the policy.
    """

    profile: str = "custom"
    seeds: int = 20
    samples: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000, 2000)
    tasks: int = 2
    truth_samples: int = 20_000
    truth_batch: int = 1000
    hidden: tuple[int, ...] = (18, 18)
    inner_lr: float = 0.1
    training_steps: int = 20
    training_lr: float = 0.3
    variate_batches: int = 30
    variate_tasks: int = 8
    variate_samples: int = 20
    variate: MetaSettings = VARIATE
    spacing: float = 0.005
    nodes: int = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What one seed estimates, and the truth.

    Attributes:
        profile, seed: where it comes from.
        line: the goals.
        theta: the partially trained policy.
        expansion: its derivatives.
        variate: the meta-learned control variate at that policy.
        hessians: ∇²J of each goal, [M, D, D].
        meta_gradient: [D].
    """

    profile: str
    seed: int
    line: Line
    theta: Params
    expansion: Expansion
    variate: Params
    hessians: Tensor
    meta_gradient: Tensor


def make_problem(settings: Toy1DSettings, seed: int) -> Problem:
    """Goals, a partially trained policy, its control variate and its true derivatives, all of one seed."""
    goals = TOY_1D.draw(settings.tasks, numpy_generator(seed, "toy1d/goals"))
    line = Line(goals=tuple(goals.tolist()), spacing=settings.spacing)
    theta = train(line, settings, torch_generator(seed, "toy1d/policy"))
    expansion = expand(theta, count=settings.nodes, limit=STATE_LIMIT)
    return Problem(
        profile=settings.profile,
        seed=seed,
        line=line,
        theta=theta,
        expansion=expansion,
        variate=learn_variate(line, theta, settings, seed),
        hessians=true_hessians(line, expansion),
        meta_gradient=flatten(meta_gradient(line, theta, settings.inner_lr)),
    )


def train(line: Line, settings: Toy1DSettings, generator: torch.Generator) -> Params:
    """Some ascent along the exact meta-gradient, from fresh weights: the paper's "partially trained" policy."""
    theta = policies.init(generator, (1, *settings.hidden, 1), dtype=torch.float64)
    for _ in range(settings.training_steps):
        theta = ascend(theta, meta_gradient(line, theta, settings.inner_lr), settings.training_lr)
    return theta


def learn_variate(line: Line, theta: Params, settings: Toy1DSettings, seed: int) -> Params:
    """Alg. 1 on fresh goals and trajectories of the policy, so that it has seen none that it will predict."""
    state = init_meta(torch_generator(seed, "toy1d/variate"), 1, dtype=torch.float64)
    for batch in range(settings.variate_batches):
        rng = numpy_generator(seed, "toy1d/variate", batch)
        drawn = replace(line, goals=tuple(TOY_1D.draw(settings.variate_tasks, rng).tolist()))
        shared = policies.repeat(theta, settings.variate_tasks)
        data = simulate(drawn, shared, settings.variate_samples, rng, torch_generator(seed, "toy1d/noise", batch))
        returns = discounted_returns(data.rewards, 1.0)
        state = update_meta(state, settings.variate, data.observations, returns, data.mask)
    return state


def true_hessians(line: Line, expansion: Expansion) -> Tensor:
    """∇²J(θ) of each goal, [M, D, D]."""
    weights = interpolation(grid(line)[:, 0], len(expansion.means), STATE_LIMIT)

    def of_goal(goal: float) -> Tensor:
        return hessian(lambda means, log_std: value_of_means(line, weights @ means, log_std, goal), expansion)

    return torch.stack([of_goal(goal) for goal in line.goals])
