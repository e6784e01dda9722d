"""Linear baselines, fitted by ridge regression to the batch that they then predict, task by task.

That they are fitted in-sample is the released code's choice (Duan et al. 2016 features); it makes the advantages
slightly biased. The cross-fitted control variates of TMAML are in `control_variates.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["linear_features", "ridge_predictions", "ridge_weights", "time_features"]

RIDGE = 1e-5
OBSERVATION_LIMIT = 10.0
TIME_SCALE = 100.0


def time_features(like: Tensor) -> Tensor:
    """[τ, τ², τ³, 1] with τ = t/100, for `like[..., T]`: [..., T, 4]."""
    tau = torch.arange(like.shape[-1], dtype=torch.float64, device=like.device) / TIME_SCALE
    features = torch.stack([tau, tau**2, tau**3, torch.ones_like(tau)], dim=-1)
    return features.expand(*like.shape, 4)


def linear_features(observations: Tensor) -> Tensor:
    """[ō, ō², τ, τ², τ³, 1] with ō = clip(o, ±10) and τ = t/100: [..., T, S] to [..., T, 2S + 4], in float64."""
    clipped = observations.double().clamp(-OBSERVATION_LIMIT, OBSERVATION_LIMIT)
    return torch.cat([clipped, clipped**2, time_features(observations[..., 0])], dim=-1)


def ridge_weights(features: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """w = (XᵀX + λI)⁻¹ Xᵀy over the unmasked steps of each task, λ = 1e-5.

    Args:
        features: X, [..., N, T, F], float64.
        targets: y, [..., N, T].
        mask: [..., N, T].

    Returns:
        [..., F, 1], float64.
    """
    rows = (features * mask.unsqueeze(-1)).flatten(-3, -2)
    outcomes = (targets * mask).double().flatten(-2).unsqueeze(-1)
    gram = rows.mT @ rows + RIDGE * torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
    weights: Tensor = torch.linalg.solve(gram, rows.mT @ outcomes)
    return weights


def ridge_predictions(features: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Xw of `ridge_weights` at the steps they were fitted to, in the type of `targets`, zero where masked."""
    weights = ridge_weights(features, targets, mask)
    predictions = (features.flatten(-3, -2) @ weights).reshape(targets.shape)
    return predictions.to(targets.dtype) * mask
