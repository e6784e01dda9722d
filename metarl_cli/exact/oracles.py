"""Exact answers for small Markov decision processes with a tabular softmax policy: what the estimators estimate.

    π_θ(a|s) = exp(θ_{sa}) / Σ_b exp(θ_{sb})

Everything is float64 where the MDP is, differentiable in the logits θ[..., S, A], and free of Monte-Carlo error. In
this page S counts states and A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from metarl_cli.types import check_shape

__all__ = ["TabularMDP", "action_values", "gradient", "gradient_of", "hessian", "random_mdp", "state_values", "value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularMDP:
    """A finite Markov decision process with deterministic rewards and one start state.

    Attributes:
        transitions: P(s'|s, a), rows that sum to 1, [S, A, S].
        rewards: r(s, a), [S, A].
        start_state: s₀.
        horizon: H, the number of steps; None for an infinite horizon, which needs γ < 1.
        discount: γ in [0, 1].

    Raises:
        ValueError: if the shapes do not fit, the start state does not exist, or the horizon and γ do not go together.
    """

    transitions: Tensor
    rewards: Tensor
    start_state: int = 0
    horizon: int | None
    discount: float

    def __post_init__(self) -> None:
        check_shape("transitions", self.transitions, (*self.rewards.shape, self.states))
        if not 0 <= self.start_state < self.states:
            raise ValueError(f"start_state: expected 0 to {self.states - 1}, got {self.start_state}.")
        if self.horizon is None and not self.discount < 1:
            raise ValueError(f"discount: expected less than 1 with an infinite horizon, got {self.discount}.")
        if self.horizon is not None and self.horizon < 1:
            raise ValueError(f"horizon: expected at least 1 or None, got {self.horizon}.")

    @property
    def states(self) -> int:
        """S."""
        return self.rewards.shape[0]

    @property
    def actions(self) -> int:
        """A."""
        return self.rewards.shape[1]


def random_mdp(
    rng: np.random.Generator,
    *,
    states: int,
    actions: int,
    horizon: int | None,
    discount: float,
) -> TabularMDP:
    """Rows P(·|s, a) ~ Dirichlet(1, …), rewards r(s, a) ~ 𝒩(0, 1), start in state 0."""
    transitions = rng.dirichlet(np.ones(states), size=(states, actions))
    return TabularMDP(
        transitions=torch.from_numpy(transitions / transitions.sum(axis=-1, keepdims=True)),
        rewards=torch.from_numpy(rng.standard_normal((states, actions))),
        horizon=horizon,
        discount=discount,
    )


def state_values(logits: Tensor, mdp: TabularMDP) -> Tensor:
    """V_t(s), the value of what is left after t steps: t = 0 … H − 1 by dynamic programming, or one stationary V.

    Args:
        logits: θ, [..., S, A].
        mdp: the MDP.

    Returns:
        [..., H, S]; with an infinite horizon [..., 1, S], the solution of (I − γ P_π) V = r_π.
    """
    policy = logits.softmax(dim=-1)
    if mdp.horizon is None:
        rewards = (policy * mdp.rewards).sum(dim=-1)
        chain = torch.einsum("...ij,ijk->...ik", policy, mdp.transitions)
        identity = torch.eye(mdp.states, dtype=policy.dtype, device=policy.device)
        stationary: Tensor = torch.linalg.solve(identity - mdp.discount * chain, rewards)
        return stationary.unsqueeze(-2)
    following, values = torch.zeros_like(policy[..., 0]), []
    for _ in range(mdp.horizon):
        following = (policy * _backup(following, mdp)).sum(dim=-1)
        values.append(following)
    return torch.stack(values[::-1], dim=-2)


def action_values(logits: Tensor, mdp: TabularMDP) -> Tensor:
    """Q_t(s, a) = r(s, a) + γ Σ_{s'} P(s'|s, a) V_{t+1}(s'), [..., H, S, A], or [..., 1, S, A] as `state_values`."""
    values = state_values(logits, mdp)
    if mdp.horizon is not None:
        values = torch.cat([values[..., 1:, :], torch.zeros_like(values[..., :1, :])], dim=-2)
    return _backup(values, mdp)


def value(logits: Tensor, mdp: TabularMDP) -> Tensor:
    """J(θ) = V_0(s₀) = E[Σₜ γᵗ rₜ], exact and differentiable: [..., S, A] to [...]."""
    return state_values(logits, mdp)[..., 0, mdp.start_state]


def gradient(logits: Tensor, mdp: TabularMDP) -> Tensor:
    """∇J(θ), [..., S, A]: each leading index by itself. Differentiable."""
    return gradient_of(lambda theta: value(theta, mdp), logits)


def hessian(logits: Tensor, mdp: TabularMDP) -> Tensor:
    """∇²J(θ), [S, A, S, A] for logits [S, A]."""
    check_shape("logits", logits, mdp.rewards.shape)
    cells = torch.eye(logits.numel(), dtype=logits.dtype, device=logits.device).reshape(-1, *logits.shape)
    rows = gradient_of(lambda theta: (gradient(theta, mdp) * cells).sum(dim=(-2, -1)), logits.expand_as(cells))
    return rows.reshape(*logits.shape, *logits.shape)


def gradient_of(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """∇f of a function from [..., S, A] to [...], each leading index by itself, [..., S, A]; differentiable if `at` is.

    Not by `torch.func`: its first gradient imports PyTorch's compiler, which takes longer than all of the exact checks.
    """

    def total(x: Tensor) -> Tensor:
        return function(x).sum()

    first: Tensor = jacobian(total, at, create_graph=at.requires_grad)  # type: ignore[no-untyped-call]
    return first


def _backup(following: Tensor, mdp: TabularMDP) -> Tensor:
    """r(s, a) + γ Σ_{s'} P(s'|s, a) V(s'), [..., S] to [..., S, A]."""
    expected: Tensor = torch.einsum("ijk,...k->...ij", mdp.transitions, following)
    return mdp.rewards + mdp.discount * expected
