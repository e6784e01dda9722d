"""Exact meta-gradients with stochastic inner steps: SG-MRL, Fallah et al. (2021), by enumeration of the batches.

    V_ζ(θ) = E_{D₁~θ} E_{D₂~θ¹} … [J(θ^ζ)],   θ^k = θ^{k−1} + α ∇J̃(θ^{k−1}, D_k),   θ⁰ = θ                 (Eq. 6, 7)

A batch holds N ordered trajectories of an enumeration of P: P^N batches per step, so this is for tiny cases.

The paper's Eq. 32 takes ∂∇J̃(θ, D)/∂θ for the Hessian estimate of Eq. 9. With the data D held fixed it is only the
Hessian of `reinforce`, Σ Gₜ ∇² log π: that D depends on θ is what the extra term of Eq. 10 stands for, and Eq. 9 would
count it twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metarl_cli.exact.enumeration import enumerate_trajectories, probabilities, tabular_sample
from metarl_cli.exact.oracles import TabularMDP, gradient_of, value
from metarl_cli.types import Surrogate, check_shape

__all__ = ["InnerLoop", "sgmrl_gradient", "sgmrl_value"]


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
    states, actions = enumerate_trajectories(mdp)
    # all ordered batches with replacement, [P^N, N, T]
    batches = torch.cartesian_prod(*[torch.arange(len(states))] * loop.trajectories).reshape(-1, loop.trajectories)
    return _expected_value(logits, mdp, loop, loop.steps, states[batches], actions[batches])


def sgmrl_gradient(logits: Tensor, mdp: TabularMDP, loop: InnerLoop) -> Tensor:
    """∇V_ζ(θ), [S, A]: the derivative of `sgmrl_value` itself."""
    return gradient_of(lambda theta: sgmrl_value(theta, mdp, loop), logits)


def _expected_value(
    logits: Tensor, mdp: TabularMDP, loop: InnerLoop, steps: int, states: Tensor, actions: Tensor
) -> Tensor:
    """Branch over every batch, adapt on each, and weigh what follows by its probability: [..., S, A] to [...]."""
    if steps == 0:
        return value(logits, mdp)
    branches = logits.unsqueeze(-3).expand(*logits.shape[:-2], len(states), *logits.shape[-2:])
    # The recorded probabilities of the fixed actions move with θ: data of another θ would have other ones.
    behaviour_logp = _branch_logp(branches, states, actions)
    shape = behaviour_logp.shape
    sample = tabular_sample(mdp, states.expand(shape), actions.expand(shape), behaviour_logp, loop.baseline)
    inner_gradient = gradient_of(lambda theta: loop.surrogate(_branch_logp(theta, states, actions), sample), branches)
    adapted = branches + loop.step_size * inner_gradient
    weights = probabilities(logits, mdp, states, actions).prod(dim=-1)
    return (weights * _expected_value(adapted, mdp, loop, steps - 1, states, actions)).sum(dim=-1)


def _branch_logp(logits: Tensor, states: Tensor, actions: Tensor) -> Tensor:
    """log π_θ(aₜ|sₜ) of batch b under the logits of branch b, [..., B, N, T]."""
    cells = (states * logits.shape[-1] + actions).flatten(start_dim=-2)
    logp = logits.log_softmax(dim=-1).flatten(start_dim=-2)
    return logp.gather(-1, cells.expand(*logp.shape[:-1], -1)).reshape(*logp.shape[:-1], *states.shape[-2:])
