"""Closed-form gradients and Hessians of off-policy value estimates for a tabular softmax policy.

Every estimate of the study is, on one trajectory, a polynomial V̂(ρ₀, …, ρ_{T−1}) that is linear in each ratio. As
∇ρₜ = ρₜ gₜ and ∇²ρₜ = ρₜ (gₜ gₜᵀ + Lₜ), with gₜ = ∇log π(aₜ|sₜ) and Lₜ = ∇²log π(aₜ|sₜ), its derivatives are

    ∇V̂  = Σₜ Bₜₜ gₜ
    ∇²V̂ = Σₛₜ Bₛₜ gₛ gₜᵀ + Σₜ Bₜₜ Lₜ        Bₜₜ = ρₜ ∂V̂/∂ρₜ,   Bₛₜ = ρₛ ρₜ ∂²V̂/∂ρₛ∂ρₜ  (s ≠ t)

so an estimator is one function that returns B[N, T, T], and one function turns any B into both derivatives. Adding B up
per pair of (state, action) cells first makes the cost independent of the number of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["COEFFICIENTS", "Array", "Coefficients", "OffPolicyBatch", "derivatives"]

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicyBatch:
    """Trajectories of μ, as the estimates of V^π see them.

    Attributes:
        cells: sₜ |A| + aₜ, the row of the logits that step t used, [N, T].
        ratios: ρₜ = π(aₜ|sₜ) / μ(aₜ|sₜ), [N, T].
        rewards: rₜ, [N, T].
        values: the critic Ṽ(sₜ) along the path, [N, T + 1]; its last entry bootstraps the return.
        discount: γ.
    """

    cells: NDArray[np.int64]
    ratios: Array
    rewards: Array
    values: Array
    discount: float


Coefficients: TypeAlias = Callable[[OffPolicyBatch], Array]
"""An estimator: the coefficients B[N, T, T] of its derivatives."""


def derivatives(coefficients: Array, cells: NDArray[np.int64], policy: Array) -> tuple[Array, Array]:
    """Mean gradient and Hessian in the logits, of the estimates whose coefficients are B.

    Args:
        coefficients: B, [N, T, T].
        cells: sₜ |A| + aₜ, [N, T].
        policy: π(a|s), [S, A].

    Returns:
        Gradient [D] and Hessian [D, D], D = S A.
    """
    size, (samples, steps, _) = policy.size, coefficients.shape
    diagonal = coefficients[:, np.arange(steps), np.arange(steps)]
    visits = np.bincount(cells.ravel(), weights=diagonal.ravel(), minlength=size) / samples
    pairs = (cells[:, :, None] * size + cells[:, None, :]).ravel()
    pair_visits = np.bincount(pairs, weights=coefficients.ravel(), minlength=size * size) / samples
    scores = np.eye(size) - _block_diagonal(np.broadcast_to(policy[:, None, :], (*policy.shape, policy.shape[1])))
    curvature = visits.reshape(policy.shape).sum(1)[:, None, None] * _softmax_curvature(policy)
    return visits @ scores, scores.T @ pair_visits.reshape(size, size) @ scores + _block_diagonal(curvature)


def step_wise_is(batch: OffPolicyBatch) -> Array:
    """V̂ = Σₜ γᵗ ρ_≤t rₜ, Sec. 3.1 of Tang et al. (2021); DiCE (Foerster et al. 2018, Eq. 4) if on-policy."""
    return _product_coefficients(_discounts(batch) * batch.rewards, batch.ratios)


def doubly_robust(batch: OffPolicyBatch) -> Array:
    """V̂ₜ = Ṽ(sₜ) + ρₜ (rₜ + γ V̂ₜ₊₁ − Ṽ(sₜ)), Eq. 3 of Tang et al. with Q(x, a) = Ṽ(x); = Ṽ(s₀) + Σₜ γᵗ ρ_≤t δₜ."""
    return _product_coefficients(_discounts(batch) * _td_errors(batch), batch.ratios)


def truncated_dr(batch: OffPolicyBatch) -> Array:
    """The doubly robust recursion with min(ρₜ, 1); a truncated ratio is a constant and has no gradient (Sec. 5.1)."""
    kept = batch.ratios <= 1.0 + 1e-9  # a ratio of one is not truncated, whatever its last bit
    coefficients = _product_coefficients(_discounts(batch) * _td_errors(batch), np.where(kept, batch.ratios, 1.0))
    return coefficients * kept[:, :, None] * kept[:, None, :]


def taypo1(batch: OffPolicyBatch) -> Array:
    """V̂ = Σₜ γᵗ (ρₜ − 1) Aₜ with Aₜ = Gₜ − Ṽ(sₜ): Eq. 8 of Tang et al. at K = 1, and LVC."""
    return _with_diagonal(np.zeros((*batch.ratios.shape, batch.ratios.shape[1])), _weights(batch) * batch.ratios)


def taypo2(batch: OffPolicyBatch) -> Array:
    """V̂ = Σₜ γᵗ (ρₜ − 1) Aₜ + Σ_{s<t} γᵗ (ρₛ − 1)(ρₜ − 1) Aₜ: Eq. 8 of Tang et al. at K = 2."""
    weights, excess = _weights(batch), batch.ratios - 1.0
    before = excess.cumsum(1) - excess
    after = _reverse_cumsum(weights * excess) - weights * excess
    pairs = batch.ratios[:, :, None] * batch.ratios[:, None, :] * _at_later_step(weights)
    return _with_diagonal(pairs, batch.ratios * (weights * (1.0 + before) + after))


COEFFICIENTS: Mapping[str, Coefficients] = MappingProxyType(
    {
        "dice": step_wise_is,
        "doubly_robust": doubly_robust,
        "truncated_dr": truncated_dr,
        "lvc": taypo1,
        "taypo2": taypo2,
    }
)


def _product_coefficients(weights: Array, ratios: Array) -> Array:
    """B of Σₖ wₖ ρ_≤k: ρₜ ∂/∂ρₜ keeps the terms k ≥ t, and the second derivative those with k ≥ max(s, t)."""
    return _at_later_step(_reverse_cumsum(weights * ratios.cumprod(1)))


def _weights(batch: OffPolicyBatch) -> Array:
    """γᵗ Aₜ = Σ_{k≥t} γᵏ rₖ + γᵀ Ṽ(s_T) − γᵗ Ṽ(sₜ)."""
    discounts, steps = _discounts(batch), batch.rewards.shape[1]
    bootstrap: Array = batch.discount**steps * batch.values[:, -1:]
    return _reverse_cumsum(discounts * batch.rewards) + bootstrap - discounts * batch.values[:, :-1]


def _td_errors(batch: OffPolicyBatch) -> Array:
    return batch.rewards + batch.discount * batch.values[:, 1:] - batch.values[:, :-1]


def _discounts(batch: OffPolicyBatch) -> Array:
    weights: Array = batch.discount ** np.arange(batch.rewards.shape[1], dtype=np.float64)
    return weights


def _reverse_cumsum(values: Array) -> Array:
    return values[:, ::-1].cumsum(1)[:, ::-1]


def _at_later_step(values: Array) -> Array:
    """x_max(s,t) for every pair of steps, [N, T, T]."""
    steps = np.arange(values.shape[1])
    return values[:, np.maximum(steps[:, None], steps)]


def _with_diagonal(pairs: Array, diagonal: Array) -> Array:
    steps = np.arange(diagonal.shape[1])
    pairs[:, steps, steps] = diagonal
    return pairs


def _softmax_curvature(policy: Array) -> Array:
    """∇²log π(·|s) = −(diag p − p pᵀ), the same for every action, [S, A, A]."""
    return policy[:, :, None] * policy[:, None, :] - policy[:, :, None] * np.eye(policy.shape[1])


def _block_diagonal(blocks: Array) -> Array:
    states, actions, _ = blocks.shape
    matrix = np.zeros((states, actions, states, actions))
    matrix[np.arange(states), :, np.arange(states), :] = blocks
    return matrix.reshape(states * actions, states * actions)
