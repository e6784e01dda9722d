"""The control variates of the inner estimator: none, a linear baseline, TMAML's (Liu et al. 2019).

TMAML has one that is meta-learned, see `meta_learned`, and one per task (Eq. 11). All are cross-fitted: the
trajectories of a task are split into halves, and what is fitted to one half predicts the other. A prediction for
trajectory n therefore depends on n through nothing but the states (and actions) that are evaluated, so a surrogate with
it keeps its expectation (Tucker et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from metarl_cli.training.baselines import linear_features, ridge_weights
from metarl_cli.training.cross_fitting import Regression, cross_fitted, masked_moments
from metarl_cli.training.meta_learned import (
    ClosedFormSettings,
    MetaLearned,
    MetaSettings,
    init_meta,
    meta_control_variate,
    update_meta,
)
from metarl_cli.types import Gaussian, Params, Trajectories, check_shape

__all__ = ["CONTROL_VARIATES", "ControlVariate", "per_task_control_variate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlVariate:
    """How bₜ is predicted for the inner estimator, and what is learned for it from one meta-iteration to the next.

    Attributes:
        init: `(generator, observation_size) -> state`.
        predict: `(state, trajectories, returns) -> b`, [M, N, T], or [M, N, T, A] per action dimension.
        update: `(state, trajectories, returns) -> state`.
        per_action: whether b is per action dimension.
    """

    init: Callable[[torch.Generator, int], Params]
    predict: Callable[[Params, Trajectories, Tensor], Tensor]
    update: Callable[[Params, Trajectories, Tensor], Params]
    per_action: bool = False


def per_task_control_variate(
    observations: Tensor, actions: Tensor, behaviour: Gaussian, returns: Tensor, mask: Tensor, *, ridge: float = 0.01
) -> Tensor:
    """bⁱ(sₜ, aₜ^{−i}) = E_{aⁱ~π}[Q(sₜ, aₜ)], one baseline per action dimension i: Eq. 11 of Liu et al. (2019).

        Q(s, a) = w·φ(s, t) + Σᵢ uᵢ zᵢ + vᵢ (zᵢ² − 1),   z = (a − μ(s)) / σ

    is fitted for each task and half by ridge regression to the returns. Under π the terms of each zᵢ have mean zero:
    bⁱ is Q without those of dimension i, exactly and without sampling. With A = 1 it is a state baseline.

    Args:
        observations: sₜ, [M, N, T, S].
        actions: aₜ, [M, N, T, A].
        behaviour: π(·|sₜ), mean [M, N, T, A].
        returns: Gₜ, [M, N, T].
        mask: [M, N, T].
        ridge: penalty on the weights of standardised features and targets, relative to the mean squared error.

    Returns:
        b, zero where masked, [M, N, T, A].

    Raises:
        ValueError: for shapes that do not fit, or fewer than two trajectories.
    """
    check_shape("actions", actions, behaviour.mean.shape)
    z = (actions - behaviour.mean) * torch.exp(-behaviour.log_std)
    action_features = torch.cat([z, z**2 - 1.0], dim=-1).double()
    features = torch.cat([linear_features(observations), action_features], dim=-1)
    data = Regression(features=features, targets=returns.double(), mask=mask.double())

    def predict(fitted: Regression, features: Tensor) -> Tensor:
        """Q at features [M, n, T, F] less its terms of each action dimension, within the range it was fitted to."""
        known = fitted.mask.unsqueeze(-1)
        count = known.sum((1, 2))[..., None]
        centre, spread = masked_moments(fitted.features, known)
        location, scale = masked_moments(fitted.targets.unsqueeze(-1), known)
        rows = ((fitted.features - centre) / spread * known).flatten(1, 2)
        outcomes = ((fitted.targets.unsqueeze(-1) - location) / scale * known).flatten(1, 2)
        gram = rows.mT @ rows / count + ridge * torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
        solution: Tensor = torch.linalg.solve(gram, rows.mT @ outcomes / count)
        weights = solution.mT.unsqueeze(1) * scale / spread  # of the features as they are
        intercept = location - (weights * centre).sum(-1, keepdim=True)
        weighted, size = features * weights, actions.shape[-1]
        own = weighted[..., -2 * size : -size] + weighted[..., -size:]
        values = weighted.sum(-1, keepdim=True) + intercept - own
        seen = fitted.targets * fitted.mask
        return values.clamp(seen.amin((1, 2))[:, None, None, None], seen.amax((1, 2))[:, None, None, None])

    return cross_fitted(data, predict).to(returns.dtype)


def _linear(state: Params, trajectories: Trajectories, returns: Tensor) -> Tensor:
    data = Regression(features=linear_features(trajectories.observations), targets=returns, mask=trajectories.mask)

    def predict(fitted: Regression, features: Tensor) -> Tensor:
        weights = ridge_weights(fitted.features, fitted.targets, fitted.mask)
        return (features @ weights.unsqueeze(1)).squeeze(-1).to(returns.dtype)

    return cross_fitted(data, predict)


def _fitted_afresh(
    predict: Callable[[Params, Trajectories, Tensor], Tensor], *, per_action: bool = False
) -> ControlVariate:
    """One that carries nothing from one meta-iteration to the next."""
    return ControlVariate(
        init=lambda generator, observation_size: {},
        predict=predict,
        update=lambda state, trajectories, returns: state,
        per_action=per_action,
    )


def _meta_learned(settings: MetaLearned) -> ControlVariate:
    return ControlVariate(
        init=init_meta,
        predict=lambda state, data, returns: meta_control_variate(
            state, settings, data.observations, returns, data.mask
        ),
        update=lambda state, data, returns: update_meta(state, settings, data.observations, returns, data.mask),
    )


CONTROL_VARIATES: Mapping[str, ControlVariate] = MappingProxyType(
    {
        "none": _fitted_afresh(lambda state, trajectories, returns: torch.zeros_like(returns)),
        "linear": _fitted_afresh(_linear),
        "meta": _meta_learned(ClosedFormSettings()),
        "meta-paper": _meta_learned(MetaSettings()),
        "per-task": _fitted_afresh(
            lambda state, data, returns: per_task_control_variate(
                data.observations, data.actions, data.behaviour, returns, data.mask
            ),
            per_action=True,
        ),
    }
)
