"""Taylor expansions of the value function in ρ − 1: Tang et al. (2021), TayPO-K."""

from __future__ import annotations

import torch
from torch import Tensor

from metarl_cli.estimators.ratios import before, check_fields, decay_matrix, discounted, log_ratio
from metarl_cli.types import Sample

__all__ = ["taypo", "taypo2", "taypo_orders"]


def taypo(logp: Tensor, sample: Sample, *, order: int, lam: float = 1.0) -> Tensor:
    """All products of at most K excess ratios xₜ = ρₜ − 1, the last of which meets the advantage.

        J = (1/N) Σₙ Σ_{k=1..K} Σ_{t₁<…<t_k} γ^{t_k} x_{t₁} … x_{t_k} A_{t_k}      (Tang et al., 2021, Eq. 6 and 8)

    On-policy the derivatives up to order K are unbiased; with K ≥ T all of them are, off-policy too. The constant V^μ
    of the expansion has no derivative and is left out: J is 0 at π_θ = μ. With λ < 1 a product is damped by
    λ^{t_k − t₁}, so that the pairs' part of the Hessian is that of Loaded DiCE with the same λ; λ = 0 leaves order 1.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, advantages, mask, discount.
        order: K ≥ 1.
        lam: λ in [0, 1].

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if the order is below 1, λ outside [0, 1], or a shape differs from that of logp.
    """
    return torch.stack(taypo_orders(logp, sample, order=order, lam=lam)).sum(dim=0)


def taypo_orders(logp: Tensor, sample: Sample, *, order: int, lam: float = 1.0) -> list[Tensor]:
    """J_1 … J_K of `taypo` by themselves, each [...]; arguments and errors are its own.

    Only the last index carries γ and A, so the sums over the earlier ones are, undamped, elementary symmetric
    polynomials of x₀ … x_{t−1}: eₖ(t) = Σ_{s<t} λ^{t−s} xₛ eₖ₋₁(s) with e₀ = 1, which is O(K·T) where the paper
    sub-samples O(Tᴷ) terms.
    """
    if order < 1:
        raise ValueError(f"order: expected at least 1, got {order}.")
    if not 0 <= lam <= 1:
        raise ValueError(f"lam: expected a number in [0, 1], got {lam}.")
    check_fields(logp, sample, "advantages")
    excess = torch.expm1(log_ratio(logp, sample))
    symmetric, terms = torch.ones_like(excess), []
    for k in range(order):
        if k:
            x = excess * symmetric
            symmetric = before(x) if lam == 1.0 else x @ decay_matrix(x, lam).mT - x
        terms.append(discounted(excess * symmetric * sample.advantages, sample))
    return terms


def taypo2(logp: Tensor, sample: Sample, *, lam: float = 1.0) -> Tensor:
    """Singles and pairs: the smallest order with an unbiased on-policy Hessian, see `taypo`.

    J = (1/N) Σₙ [Σₜ γᵗ (ρₜ − 1) Aₜ + Σ_{s<t} γᵗ (ρₛ − 1)(ρₜ − 1) Aₜ]              (Tang et al., 2021, Eq. 8, K = 2)
    """
    return taypo(logp, sample, order=2, lam=lam)
