"""The meta-learned control variate whose adaptation to a task is a ridge regression: `meta`, the default of TMAML.

It is Alg. 1 of Liu et al. (2019), `meta-paper` in `control_variates`, in all but lines 2 and 4: instead of a gradient
step on the whole network the last layer alone adapts, all the way, by ridge regression around the weights that were
meta-learned (Bertinetto et al. 2019, R2D2; with a learned mean, Harrison et al. 2018, ALPaCA). Line 6 stays: learn from
how well the adapted network predicts the other half, the gradient passing through the adaptation. What this is worth
is in `docs/deviations.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metarl_cli.training import policies
from metarl_cli.training.control_variates import MetaState, descended
from metarl_cli.training.cross_fitting import (
    Regression,
    cross_fitted,
    halves,
    masked_mean,
    masked_moments,
    standardised,
    standardised_features,
    timed,
)
from metarl_cli.types import Params

__all__ = ["ClosedFormSettings", "closed_form_control_variate", "update_closed_form"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedFormSettings:
    """Settings of the regression and of what is learned for it.

    Attributes:
        ridge: λ, beside mean squared errors of standardised returns.
        lr: β′.
        repetitions: how often line 6 is repeated on one batch.
    """

    ridge: float = 0.1
    lr: float = 0.1
    repetitions: int = 5


def closed_form_control_variate(
    state: MetaState, settings: ClosedFormSettings, observations: Tensor, returns: Tensor, mask: Tensor
) -> Tensor:
    """b(sₜ) = w′·φ(sₜ, t), each half predicted with the w′ of the other.

        w′ = argmin_u mean_{τ of the half} (u·φ(sₜ, t) − Gₜ)² + λ ‖u − w‖²

    in the units of that half. A prediction depends on its own trajectory through the states that are evaluated alone,
    provided that the state is from before `update_closed_form` saw the same trajectories.

    Args:
        state: of φ, the last hidden layer with a 1 beside it, and w, the output layer; see `init_meta`.
        settings: λ.
        observations: sₜ, [M, N, T, S].
        returns: Gₜ = Σ_{k≥t} γ^{k−t} rₖ, [M, N, T].
        mask: [M, N, T].

    Returns:
        b, zero where masked, [M, N, T].

    Raises:
        ValueError: for shapes that do not fit, or fewer than two trajectories.
    """

    def predict(fitted: Regression, features: Tensor) -> Tensor:
        location, scale = masked_moments(fitted.targets, fitted.mask)
        features = standardised_features(features, fitted)
        return location + scale * _prediction(state.params, settings.ridge, standardised(fitted, fitted), features)

    with torch.no_grad():
        return cross_fitted(Regression(features=timed(observations), targets=returns, mask=mask), predict)


def update_closed_form(
    state: MetaState, settings: ClosedFormSettings, observations: Tensor, returns: Tensor, mask: Tensor
) -> MetaState:
    """θ_V ← θ_V − β′ ∇_{θ_V} Σ mean squared error of each half predicted from the other, mean over tasks, repeatedly.

    The gradient is shortened to norm 1 where it is longer. Arguments as for `closed_form_control_variate`.
    """
    first, second = halves(Regression(features=timed(observations), targets=returns, mask=mask))
    both_ways = ((first, second), (second, first))
    pairs = [(standardised(fitted, fitted), standardised(new, fitted)) for fitted, new in both_ways]

    def loss(theta: Params) -> Tensor:
        return torch.stack([_error(theta, settings.ridge, fitted, new) for fitted, new in pairs]).sum()

    params = state.params
    for _ in range(settings.repetitions):
        params = descended(params, torch.func.grad(loss)(params), settings.lr)
    return MetaState(params)


def _error(params: Params, ridge: float, fitted: Regression, new: Regression) -> Tensor:
    return masked_mean((_prediction(params, ridge, fitted, new.features) - new.targets) ** 2, new.mask).mean()


def _prediction(params: Params, ridge: float, fitted: Regression, features: Tensor) -> Tensor:
    """w′·φ at features [M, n, T, F], everything in the units of the half that is fitted."""
    shared = torch.cat([params["mean.weight"][0], params["mean.bias"]])
    known = _basis(params, fitted.features)
    rows = (known * fitted.mask.unsqueeze(-1)).flatten(1, 2)
    count = fitted.mask.sum((1, 2))[:, None, None]
    # The deviation from w is what the half says about the residuals of w.
    residuals = (fitted.targets - known @ shared).flatten(1, 2).unsqueeze(-1)
    gram = rows.mT @ rows / count + ridge * torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
    own = shared + torch.linalg.solve(gram, rows.mT @ residuals / count).squeeze(-1)
    return torch.einsum("mntf,mf->mnt", _basis(params, features), own)


def _basis(params: Params, features: Tensor) -> Tensor:
    """φ = [last hidden layer, 1]."""
    values = policies.hidden(params, features)
    return torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)
