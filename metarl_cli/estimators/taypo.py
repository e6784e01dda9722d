"""Taylor expansions of the value function in ρ − 1: Tang et al. (2021), TayPO-K."""

from __future__ import annotations

import torch
from torch import Tensor

from metarl_cli.estimators.ratios import before, check_fields, discounted, log_ratio
from metarl_cli.types import Sample

__all__ = ["taypo", "taypo2"]


def taypo(logp: Tensor, sample: Sample, *, order: int) -> Tensor:
    """All products of at most K excess ratios xₜ = ρₜ − 1, the last of which meets the advantage.

        J = (1/N) Σₙ Σ_{k=1..K} Σ_{t₁<…<t_k} γ^{t_k} x_{t₁} … x_{t_k} A_{t_k}      (Tang et al., 2021, Eq. 6 and 8)

    Only the last index carries γ and A, so the sums over the earlier ones are elementary symmetric polynomials of
    x₀ … x_{t−1}, eₖ(t) = Σ_{s<t} xₛ eₖ₋₁(s) with e₀ = 1: O(K·T) where the paper sub-samples O(Tᴷ) terms. On-policy
    the derivatives up to order K are unbiased; with K ≥ T all of them are, off-policy too. The constant V^μ of the
    expansion has no derivative and is left out: J is 0 at π_θ = μ.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, advantages, mask, discount.
        order: K ≥ 1.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if the order is below 1, or a shape differs from that of logp.
    """
    if order < 1:
        raise ValueError(f"order: expected at least 1, got {order}.")
    check_fields(logp, sample, "advantages")
    excess = torch.expm1(log_ratio(logp, sample))
    symmetric = torch.ones_like(excess)
    dependence = symmetric
    for _ in range(1, order):
        symmetric = before(excess * symmetric)
        dependence = dependence + symmetric
    return discounted(excess * dependence * sample.advantages, sample)


def taypo2(logp: Tensor, sample: Sample) -> Tensor:
    """Singles and pairs: the smallest order with an unbiased on-policy Hessian, see `taypo`.

    J = (1/N) Σₙ [Σₜ γᵗ (ρₜ − 1) Aₜ + Σ_{s<t} γᵗ (ρₛ − 1)(ρₜ − 1) Aₜ]              (Tang et al., 2021, Eq. 8, K = 2)
    """
    return taypo(logp, sample, order=2)
