"""Cross-fitting: fit to one half of a task's trajectories, predict the other half, so that none predicts itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.types import check_shape

__all__ = [
    "FitQuality",
    "Predictor",
    "Regression",
    "cross_fitted",
    "fit_quality",
    "halves",
    "masked_mean",
    "masked_moments",
    "standardised",
    "standardised_features",
    "timed",
]

FEATURE_LIMIT = 5.0
"""Standardised features are clipped here: what hardly varied in one half may be far off in the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A regression problem per task: features [M, n, T, F], targets [M, n, T] and their mask [M, n, T]."""

    features: Tensor
    targets: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        check_shape("targets", self.targets, self.features.shape[:-1])
        check_shape("mask", self.mask, self.features.shape[:-1])


Predictor: TypeAlias = Callable[[Regression, Tensor], Tensor]
"""`predict(fitted, features) -> b`: fit to one half, predict at the features of the other."""


@dataclass(frozen=True, slots=True)
class FitQuality:
    """How well b predicts the returns G of a batch: mean (G − b)², and 1 − that / the variance within tasks."""

    loss: float
    explained_variance: float


def fit_quality(predictions: Tensor, returns: Tensor, mask: Tensor) -> FitQuality:
    """How well b predicts Gₜ[M, N, T] over the unmasked steps of all tasks; 0 where all returns are equal.

    b is [M, N, T], or [M, N, T, A]: the errors of what each action dimension subtracts are then averaged.
    """
    location, _ = masked_moments(returns, mask)
    variance = masked_mean(((returns - location) * mask) ** 2, mask).mean()
    errors = ((returns.unsqueeze(-1) - predictions.reshape(*returns.shape, -1)) ** 2).mean(-1)
    loss = masked_mean(errors, mask).mean()
    explained = 1.0 - (loss / variance).item() if variance > 0 else 0.0
    return FitQuality(loss.item(), explained)


def cross_fitted(data: Regression, predict: Predictor) -> Tensor:
    """Fit to each half of the trajectories, predict the other."""
    first, second = halves(data)
    predictions = torch.cat([predict(second, first.features), predict(first, second.features)], dim=1)
    return predictions * data.mask.reshape(*data.mask.shape, *[1] * (predictions.dim() - data.mask.dim()))


def halves(data: Regression) -> tuple[Regression, Regression]:
    """The first N // 2 trajectories of every task, and the others."""
    trajectories = data.mask.shape[1]
    if trajectories < 2:
        raise ValueError(f"data: expected at least 2 trajectories per task to cross-fit, got {trajectories}.")
    middle = trajectories // 2
    first, second = (
        replace(data, features=data.features[:, part], targets=data.targets[:, part], mask=data.mask[:, part])
        for part in (slice(middle), slice(middle, None))
    )
    return first, second


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the unmasked steps of each task: [M, n, T, ...] to [M, 1, 1, ...], the mask broadcastable."""
    return (values * mask).sum((1, 2), keepdim=True) / mask.sum((1, 2), keepdim=True)


def masked_moments(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the unmasked steps of each task, shapes as `masked_mean`; the latter not 0."""
    location = masked_mean(values, mask)
    return location, masked_mean((values - location) ** 2, mask).sqrt() + 1e-8


def timed(observations: Tensor) -> Tensor:
    """[sₜ, t], to be standardised: the value of a finite horizon depends on the time."""
    time = torch.arange(observations.shape[2], dtype=observations.dtype, device=observations.device)
    return torch.cat([observations, time[:, None].expand(*observations.shape[:-1], 1)], dim=-1)


def standardised(data: Regression, reference: Regression) -> Regression:
    """The same steps in the units of a reference half: mean 0 and deviation 1 there."""
    location, scale = masked_moments(reference.targets, reference.mask)
    features = standardised_features(data.features, reference)
    return Regression(features=features, targets=(data.targets - location) / scale, mask=data.mask)


def standardised_features(features: Tensor, reference: Regression) -> Tensor:
    """Features [M, n, T, F] in the units of a reference half, clipped."""
    centre, spread = masked_moments(reference.features, reference.mask.unsqueeze(-1))
    return ((features - centre) / spread).clamp(-FEATURE_LIMIT, FEATURE_LIMIT)
