"""Exact meta-gradients with stochastic inner steps: SG-MRL, Fallah et al. (2021), by enumeration of the batches.

    V_ζ(θ) = E_{D₁~θ} E_{D₂~θ¹} … [J(θ^ζ)],   θ^k = θ^{k−1} + α ∇J̃(θ^{k−1}, D_k),   θ⁰ = θ                 (Eq. 6, 7)

A batch holds N ordered trajectories of an enumeration of P: P^N batches per step, so this is for tiny cases.

The paper's Eq. 32 takes ∂∇J̃(θ, D)/∂θ for the Hessian estimate of Eq. 9. With the data D held fixed it is only the
Hessian of `reinforce`, Σ Gₜ ∇² log π: that D depends on θ is what the extra term of Eq. 10 stands for, and Eq. 9 would
count it twice. `sgmrl_gradient` is the truth, and `sgmrl_expected_estimate` the mean of the estimator with the Hessian
of any surrogate; they agree for `reinforce`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metarl_cli.exact.enumeration import enumerate_trajectories, probabilities, tabular_sample
from metarl_cli.exact.oracles import TabularMDP, gradient_of, value
from metarl_cli.types import Surrogate, check_shape

__all__ = ["InnerLoop", "sgmrl_expected_estimate", "sgmrl_gradient", "sgmrl_value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerLoop:
    """How θ becomes θ^ζ.

    Attributes:
        surrogate: J̃; the inner gradient is its first derivative at π_θ = μ.
        step_size: α.
        trajectories: N, the size of each batch.
        steps: ζ.
        baseline: b(s) of the inner samples, [S]; zero if None.
    """

    surrogate: Surrogate
    step_size: float
    trajectories: int
    steps: int = 1
    baseline: Tensor | None = None


def sgmrl_value(logits: Tensor, mdp: TabularMDP, loop: InnerLoop) -> Tensor:
    """V_ζ(θ), differentiable, for logits [S, A] and a finite horizon (Fallah et al., 2021, Eq. 6 and 7)."""
    check_shape("logits", logits, mdp.rewards.shape)
    return _expected_value(logits, mdp, loop, loop.steps, *_batches(mdp, loop.trajectories), follow=True)


def sgmrl_gradient(logits: Tensor, mdp: TabularMDP, loop: InnerLoop) -> Tensor:
    """∇V_ζ(θ), [S, A]: the derivative of `sgmrl_value` itself."""
    return gradient_of(lambda theta: sgmrl_value(theta, mdp, loop), logits)


def sgmrl_expected_estimate(logits: Tensor, mdp: TabularMDP, loop: InnerLoop) -> Tensor:
    """The expectation of the estimator with the surrogate's own Hessian ∇²J̃ at fixed data, [S, A].

    E[Πₜ (I + α ∇²J̃ₜ) ∇J(θ^ζ) + J(θ^ζ) Σₜ Π_{t'<t} (I + α ∇²J̃_{t'}) Σ_{τ∈Dₜ} ∇ log π(τ; θ^{t−1})]
    (Fallah et al., 2021, Eq. 10 and 30, whose estimates are Eq. 13 and 39).
    """
    check_shape("logits", logits, mdp.rewards.shape)
    batches = _batches(mdp, loop.trajectories)
    return gradient_of(lambda theta: _expected_value(theta, mdp, loop, loop.steps, *batches, follow=False), logits)


def _batches(mdp: TabularMDP, size: int) -> tuple[Tensor, Tensor]:
    """States and actions of all ordered batches with replacement, both [P^N, N, T]."""
    states, actions = enumerate_trajectories(mdp)
    index = torch.cartesian_prod(*[torch.arange(len(states))] * size).reshape(-1, size)
    return states[index], actions[index]


def _expected_value(
    logits: Tensor, mdp: TabularMDP, loop: InnerLoop, steps: int, states: Tensor, actions: Tensor, *, follow: bool
) -> Tensor:
    """Branch over every batch, adapt on each, and weigh what follows by its probability: [..., S, A] to [...]."""
    if steps == 0:
        return value(logits, mdp)
    branches = logits.unsqueeze(-3).expand(*logits.shape[:-2], len(states), *logits.shape[-2:])
    adapted = branches + loop.step_size * _inner_gradient(branches, mdp, loop, states, actions, follow=follow)
    weights = probabilities(logits, mdp, states, actions).prod(dim=-1)
    return (weights * _expected_value(adapted, mdp, loop, steps - 1, states, actions, follow=follow)).sum(dim=-1)


def _inner_gradient(
    logits: Tensor, mdp: TabularMDP, loop: InnerLoop, states: Tensor, actions: Tensor, *, follow: bool
) -> Tensor:
    """∇J̃(θ, D) of one batch per branch, [..., B, S, A].

    With `follow`, the recorded probabilities of the fixed actions move with θ, as they do when data of another θ is
    asked for; without, they are data, as they are to an estimator.
    """
    behaviour_logp = _branch_logp(logits, states, actions)
    if not follow:
        behaviour_logp = behaviour_logp.detach()  # an estimator differentiates the surrogate at recorded data
    shape = behaviour_logp.shape
    sample = tabular_sample(mdp, states.expand(shape), actions.expand(shape), behaviour_logp, loop.baseline)
    return gradient_of(lambda theta: loop.surrogate(_branch_logp(theta, states, actions), sample), logits)


def _branch_logp(logits: Tensor, states: Tensor, actions: Tensor) -> Tensor:
    """log π_θ(aₜ|sₜ) of batch b under the logits of branch b, [..., B, N, T]."""
    cells = (states * logits.shape[-1] + actions).flatten(start_dim=-2)
    logp = logits.log_softmax(dim=-1).flatten(start_dim=-2)
    return logp.gather(-1, cells.expand(*logp.shape[:-1], -1)).reshape(*logp.shape[:-1], *states.shape[-2:])
