"""Returns and advantages: one backward recursion, and the released normalisations."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["discount_weights", "discounted_returns", "generalised_advantages", "normalise"]


def discount_weights(discount: float, like: Tensor) -> Tensor:
    """γᵗ for t = 0 … T−1, [T], in the type of `like[..., T]`."""
    return discount ** torch.arange(like.shape[-1], dtype=like.dtype, device=like.device)


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    """Gₜ = rₜ + γ Gₜ₊₁, with G_T = 0.

    Args:
        rewards: rₜ, zero after the end of an episode, [..., T].
        discount: γ.

    Returns:
        Gₜ, [..., T].
    """
    following, returns = torch.zeros_like(rewards[..., 0]), []
    for reward in reversed(rewards.unbind(-1)):
        following = reward + discount * following
        returns.append(following)
    return torch.stack(returns[::-1], dim=-1)


def generalised_advantages(rewards: Tensor, values: Tensor, discount: float, lambda_: float) -> Tensor:
    """Âₜ = Σ_l (γλ)ˡ δₜ₊ₗ with δₜ = rₜ + γ Vₜ₊₁ − Vₜ and V_T = 0 (Schulman et al. 2016, Eq. 16).

    Nothing is bootstrapped at the horizon, as in the released code of all four papers. λ = 1 gives Gₜ − Vₜ.

    Args:
        rewards: rₜ, zero after the end, [..., T].
        values: Vₜ, zero after the end, [..., T].
        discount: γ.
        lambda_: λ.

    Returns:
        Âₜ, [..., T].
    """
    next_values = torch.cat([values[..., 1:], torch.zeros_like(values[..., :1])], dim=-1)
    return discounted_returns(rewards + discount * next_values - values, discount * lambda_)


def normalise(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(x − x̄)/(s + ε), ε = 1e-8, over the last two axes [N, T], counting only unmasked steps; zero elsewhere.

    The papers' code normalises the advantages of each task and each adaptation step by themselves.

    Returns:
        The normalised values, [..., N, T], and s + ε, [...].
    """
    count = mask.sum((-2, -1), keepdim=True)
    mean = (values * mask).sum((-2, -1), keepdim=True) / count
    centred = (values - mean) * mask
    scale = ((centred**2).sum((-2, -1), keepdim=True) / count).sqrt() + 1e-8
    return centred / scale, scale[..., 0, 0]
