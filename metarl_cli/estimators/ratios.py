"""Importance ratios and discounted sums: the few operations that every surrogate is made of.

    ρₜ = π_θ(aₜ|sₜ) / μ(aₜ|sₜ)     ρ_≤t = Π_{s≤t} ρₛ     ρ_<t = Π_{s<t} ρₛ

Products are taken as sums of logarithms. After the end of an episode log ρₜ = 0 and the weight is 0, so padded steps
contribute nothing, to the value and to every derivative, whatever numbers stand there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metarl_cli.types import Sample, check_shape

__all__ = ["alive", "before", "check_fields", "decay_matrix", "discounted", "log_ratio", "up_to"]


def check_fields(logp: Tensor, sample: Sample, *names: str) -> None:
    """Raise `ValueError` unless the mask and the named fields of the sample have the shape of logp."""
    for name in ("mask", *names):
        check_shape(name, getattr(sample, name), logp.shape)


def alive(x: Tensor, mask: Tensor) -> Tensor:
    """x before the end of the episode and 0 after, where a product with the mask would leave ∞ · 0."""
    return x.masked_fill(mask == 0, 0.0)


def log_ratio(logp: Tensor, sample: Sample) -> Tensor:
    """log ρₜ = log π_θ(aₜ|sₜ) − log μ(aₜ|sₜ), 0 after the end, [..., N, T]."""
    check_fields(logp, sample, "behaviour_logp")
    return alive(logp - sample.behaviour_logp, sample.mask)


def up_to(x: Tensor) -> Tensor:
    """Σ_{s≤t} xₛ, [..., T]."""
    return x.cumsum(dim=-1)


def before(x: Tensor) -> Tensor:
    """Σ_{s<t} xₛ, zero at t = 0, [..., T]."""
    return x.cumsum(dim=-1) - x


def decay_matrix(x: Tensor, decay: float) -> Tensor:
    """λ^{t−s} at [t, s] for s ≤ t and 0 above, [T, T] for x[..., T]: loops over time as one product of matrices."""
    steps = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
    return torch.tril(decay ** (steps[:, None] - steps).clamp(min=0))


def discounted(terms: Tensor, sample: Sample) -> Tensor:
    """(1/N) Σₙ Σₜ γᵗ xₜ over the steps before the end: [..., N, T] to [...]."""
    steps = torch.arange(terms.shape[-1], dtype=terms.dtype, device=terms.device)
    return alive(sample.discount**steps * terms, sample.mask).sum(dim=-1).mean(dim=-1)
