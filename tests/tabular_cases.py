"""Five small random problems, and expectations over all their trajectories by differentiating one weighted sum."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metarl_cli.estimators import ESTIMATORS, Estimator
from metarl_cli.exact.enumeration import action_logp, enumerate_trajectories, probabilities, tabular_sample
from metarl_cli.exact.oracles import TabularMDP, gradient, gradient_of, random_mdp, value
from metarl_cli.types import Sample, Surrogate

HORIZON = 3
SIZES = ((2, 2), (2, 3), (3, 2), (4, 2), (3, 3))
SINGLE = [name for name, estimator in ESTIMATORS.items() if not estimator.pairs and not estimator.per_action]


@dataclass(frozen=True)
class Case:
    mdp: TabularMDP
    logits: Tensor
    behaviour: Tensor
    baseline: Tensor
    states: Tensor
    actions: Tensor
    weights: Tensor

    @property
    def size(self) -> int:
        return self.logits.numel()

    def sample(self, index: Tensor | None = None) -> Sample:
        index = torch.arange(len(self.states))[:, None] if index is None else index
        states, actions = self.states[index], self.actions[index]
        return tabular_sample(self.mdp, states, actions, action_logp(self.behaviour, states, actions), self.baseline)


def make_case(index: int, *, on_policy: bool) -> Case:
    rng = np.random.default_rng(index)
    states, actions = SIZES[index]
    mdp = random_mdp(rng, states=states, actions=actions, horizon=HORIZON, discount=0.9)
    logits, other = torch.from_numpy(rng.standard_normal((2, states, actions)))
    baseline = torch.from_numpy(rng.standard_normal(states))
    behaviour = logits if on_policy else other
    trajectories = enumerate_trajectories(mdp)
    return Case(mdp, logits, behaviour, baseline, *trajectories, probabilities(behaviour, mdp, *trajectories))


def first_and_second(function, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient [..., D] and Hessian [..., D, D] of a function of θ[S, A] with values [...]."""
    jacobian = torch.func.jacrev(function)(logits)
    hessian = torch.func.jacrev(torch.func.jacrev(function))(logits)
    return jacobian.flatten(-2), hessian.flatten(-2).flatten(-3, -2)


def by_copies(function, logits: Tensor, *shape: int) -> tuple[Tensor, Tensor]:
    """Gradient [..., D] and Hessian [..., D, D] where each value of the function sees its own copy of θ."""
    copies = logits.expand(*shape, *logits.shape)
    first = gradient_of(function, copies)
    cells = [(s, a) for s in range(logits.shape[0]) for a in range(logits.shape[1])]
    rows = [gradient_of(lambda x, s=s, a=a: gradient_of(function, x)[..., s, a], copies) for s, a in cells]
    return first.flatten(-2), torch.stack([row.flatten(-2) for row in rows], dim=-2)


def per_trajectory(surrogate: Surrogate, case: Case) -> tuple[Tensor, Tensor]:
    sample, rows = case.sample(), torch.arange(len(case.states))[:, None]

    def values(copies):
        logp = copies.log_softmax(-1)[rows, case.states, case.actions]
        return surrogate(logp[:, None], sample)

    return by_copies(values, case.logits, len(case.states))


def expected(estimator: Estimator, case: Case) -> tuple[Tensor, Tensor]:
    """E_μ of gradient and Hessian: derivatives of Σ_D p_μ(D) J(θ, D) over all batches of one, or of two, in θ."""
    batch = 2 if estimator.pairs else 1
    index = torch.cartesian_prod(*[torch.arange(len(case.states))] * batch).reshape(-1, batch)
    states, actions, sample = case.states[index], case.actions[index], case.sample(index)
    weights = case.weights[index].prod(-1)
    return first_and_second(
        lambda theta: (weights * estimator.surrogate(action_logp(theta, states, actions), sample)).sum(), case.logits
    )


def score_and_curvature(case: Case) -> tuple[Tensor, Tensor]:
    """gₜ = ∇ log π_θ(aₜ|sₜ), [P, T, D], and ∇² log π_θ(aₜ|sₜ), [P, T, D, D]."""

    def values(copies):
        logp = copies.log_softmax(-1).flatten(-2)
        cells = case.states * case.logits.shape[1] + case.actions
        return logp.gather(-1, cells[..., None])[..., 0]

    return by_copies(values, case.logits, *case.states.shape)


def discounts(case: Case) -> Tensor:
    return torch.tensor([case.mdp.discount**t for t in range(HORIZON)], dtype=torch.float64)


def weighted(case: Case, values: Tensor) -> Tensor:
    """p(τ) γᵗ xₜ for data [P, 1, T], [P, T]."""
    return case.weights[:, None] * discounts(case) * values[:, 0]


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def small(horizon=2, discount=0.9, states=2, actions=2, seed=3):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, states=states, actions=actions, horizon=horizon, discount=discount)
    return mdp, torch.from_numpy(rng.standard_normal((states, actions)))


def finite_differences(function, at, step=1e-5):
    """Central differences of a function of θ[S, A] with any shape of values: [..., S, A]."""
    columns = []
    for cell in itertools.product(*map(range, at.shape)):
        shift = torch.zeros_like(at)
        shift[cell] = step
        columns.append((function(at + shift) - function(at - shift)) / (2 * step))
    return torch.stack(columns, dim=-1).unflatten(-1, at.shape)


def maml_value(logits: Tensor, mdp: TabularMDP, *, step_size: float) -> Tensor:
    """J(θ + α ∇J(θ)), the one-step objective with the exact inner gradient (Fallah et al., 2021, Eq. 14)."""
    return value(logits + step_size * gradient(logits, mdp), mdp)


def maml_gradient(logits: Tensor, mdp: TabularMDP, *, step_size: float) -> Tensor:
    """(I + α ∇²J(θ)) ∇J(θ + α ∇J(θ)), [..., S, A] (Fallah et al., 2021, Eq. 15)."""
    return gradient_of(lambda theta: maml_value(theta, mdp, step_size=step_size), logits)
