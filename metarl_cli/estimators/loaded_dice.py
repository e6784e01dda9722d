"""Loaded DiCE: Farquhar, Whiteson and Foerster (2019); with λ = 1 also the any-order baseline of Mao et al. (2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from metarl_cli.estimators.ratios import check_fields, decay_matrix, discounted, log_ratio
from metarl_cli.types import Sample

__all__ = ["loaded_dice"]


def loaded_dice(logp: Tensor, sample: Sample, *, lam: float = 1.0) -> Tensor:
    """Advantages, loaded with a dependence on the past that decays with λ.

        J = (1/N) Σₙ Σₜ γᵗ [exp(Wₜ) − exp(Wₜ − lₜ)] Aₜ,  Wₜ = λ Wₜ₋₁ + lₜ,  lₜ = log ρₜ    (Farquhar et al., 2019)

    λ = 1 gives (ρ_≤t − ρ_<t) Aₜ, unbiased at every order on- and off-policy; λ = 0 gives (ρₜ − 1) Aₜ, which is LVC;
    between them the cross terms gₛgₜᵀ of the Hessian are weighted by λ^{t−s}. J is 0 at π_θ = μ.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, advantages, mask, discount.
        lam: λ in [0, 1].

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if λ is outside [0, 1], or a shape differs from that of logp.
    """
    if not 0 <= lam <= 1:
        raise ValueError(f"lam: expected a number in [0, 1], got {lam}.")
    check_fields(logp, sample, "advantages")
    step = log_ratio(logp, sample)
    past = step @ decay_matrix(step, lam).mT - step
    return discounted(past.exp() * torch.expm1(step) * sample.advantages, sample)
