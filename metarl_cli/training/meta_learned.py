"""Control variates that learn across tasks: Alg. 1 of Liu et al. (2019), as printed and with an adaptation that helps.

A network V_{θ_V}(s, t) adapts to one half of a task's trajectories and predicts the other half; what is learned is θ_V,
from how well it predicts, the gradient passing through the adaptation (line 6). The two differ in how they adapt:

    `MetaSettings`        lines 2 and 4: gradient steps on the whole network; the control variate `meta-paper`
    `ClosedFormSettings`  the last layer alone, all the way, by ridge regression around the weights that were
                          meta-learned (Bertinetto et al. 2019, R2D2; with a learned mean, Harrison et al. 2018,
                          ALPaCA); `meta`, the default of TMAML. What this is worth is in `docs/deviations.md`

Differences from the paper: losses are means instead of sums; returns are standardised with the mean and deviation of
the half that is fitted; the network also sees the time t/T, as the value of a finite horizon depends on it; the
network that predicts is the one from before the update on the same batch, so that line 6 of Alg. 1 cannot leak a
trajectory into its own prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from metarl_cli.training import policies
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

__all__ = ["ClosedFormSettings", "MetaLearned", "MetaSettings", "init_meta", "meta_control_variate", "update_meta"]


class MetaLearned(Protocol):
    """How θ_V adapts to half of a task's trajectories, and how it learns."""

    @property
    def outer_lr(self) -> float:
        """β′."""

    @property
    def repetitions(self) -> int:
        """How often line 6 is repeated on one batch; "until convergence" in the paper."""

    def adapted(self, params: Params, fitted: Regression, features: Tensor) -> Tensor:
        """V of θ_V adapted to a half of each task, at features [M, n, T, F], all in the units of that half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaSettings:
    """Settings of Alg. 1. The paper's two step sizes are 0.01, for losses that are sums over steps; these are means.

    Attributes:
        inner_lr: α′.
        inner_steps: gradient steps of one adaptation.
        outer_lr, repetitions: see `MetaLearned`.
    """

    inner_lr: float = 0.1
    inner_steps: int = 1
    outer_lr: float = 0.1
    repetitions: int = 5

    def adapted(self, params: Params, fitted: Regression, features: Tensor) -> Tensor:
        """V at θ_V − α′ ∇L, L the mean squared error of each task (Eq. 12)."""
        params = policies.repeat(params, len(fitted.mask))
        for _ in range(self.inner_steps):
            gradients = torch.func.grad(lambda theta: _error(_network(theta, fitted.features), fitted).sum())(params)
            params = {name: value - self.inner_lr * gradients[name] for name, value in params.items()}
        return _network(params, features)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedFormSettings:
    """Settings of the regression and of what is learned for it.

    Attributes:
        ridge: λ, beside mean squared errors of standardised returns.
        outer_lr, repetitions: see `MetaLearned`.
    """

    ridge: float = 0.1
    outer_lr: float = 0.1
    repetitions: int = 5

    def adapted(self, params: Params, fitted: Regression, features: Tensor) -> Tensor:
        """w′·φ, with φ = [last hidden layer, 1] and w the output layer.

        w′ = argmin_u mean_{τ of the half} (u·φ(sₜ, t) − Gₜ)² + λ ‖u − w‖²
        """
        shared = torch.cat([params["mean.weight"][0], params["mean.bias"]])
        known = _basis(params, fitted.features)
        rows = (known * fitted.mask.unsqueeze(-1)).flatten(1, 2)
        count = fitted.mask.sum((1, 2))[:, None, None]
        # The deviation from w is what the half says about the residuals of w.
        residuals = (fitted.targets - known @ shared).flatten(1, 2).unsqueeze(-1)
        gram = rows.mT @ rows / count + self.ridge * torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
        own = shared + torch.linalg.solve(gram, rows.mT @ residuals / count).squeeze(-1)
        return torch.einsum("mntf,mf->mnt", _basis(params, features), own)


def init_meta(
    generator: torch.Generator,
    observation_size: int,
    hidden: tuple[int, ...] = (64, 64),
    *,
    dtype: torch.dtype = torch.float32,
) -> Params:
    """A fresh θ_V: a tanh network with a zero output layer, so that it begins by predicting the mean."""
    params = policies.init(generator, (observation_size + 1, *hidden, 1), dtype=dtype)
    return {**params, "mean.weight": torch.zeros_like(params["mean.weight"])}


def meta_control_variate(
    params: Params, settings: MetaLearned, observations: Tensor, returns: Tensor, mask: Tensor
) -> Tensor:
    """b(sₜ), each half predicted by the network adapted to the other: lines 2 to 5 of Alg. 1, Liu et al. (2019).

    A prediction depends on its own trajectory through the states that are evaluated alone, provided that θ_V is from
    before `update_meta` saw the same trajectories.

    Args:
        params: θ_V.
        settings: how it adapts.
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
        return location + scale * settings.adapted(params, standardised(fitted, fitted), features)

    with torch.no_grad():
        return cross_fitted(Regression(features=timed(observations), targets=returns, mask=mask), predict)


def update_meta(params: Params, settings: MetaLearned, observations: Tensor, returns: Tensor, mask: Tensor) -> Params:
    """θ_V ← θ_V − β′ ∇_{θ_V} [L_{θ_V¹}(τ_{N/2:N}) + L_{θ_V²}(τ_{1:N/2})], repeatedly: line 6 of Alg. 1.

    L is the mean over tasks, in the units of the half that is fitted. The gradient is shortened to norm 1 where it is
    longer. Arguments as for `meta_control_variate`.
    """
    first, second = halves(Regression(features=timed(observations), targets=returns, mask=mask))
    both_ways = ((first, second), (second, first))
    pairs = [(standardised(fitted, fitted), standardised(new, fitted)) for fitted, new in both_ways]

    def loss(theta: Params) -> Tensor:
        errors = [_error(settings.adapted(theta, fitted, new.features), new).mean() for fitted, new in pairs]
        return torch.stack(errors).sum()

    for _ in range(settings.repetitions):
        gradients = torch.func.grad(loss)(params)
        norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
        rate = settings.outer_lr / norm.clamp(min=1.0)  # with hundreds of inputs a full step would overshoot
        params = {name: value - rate * gradients[name] for name, value in params.items()}
    return params


def _error(predictions: Tensor, data: Regression) -> Tensor:
    """The mean squared error of each task, [M, 1, 1]."""
    return masked_mean((predictions - data.targets) ** 2, data.mask)


def _network(params: Params, features: Tensor) -> Tensor:
    """V_{θ_V} at features [M, n, T, F] with one set of weights per task: the mean of a policy with one action."""
    return policies.distribution(params, features.flatten(1, 2)).mean.reshape(features.shape[:-1])


def _basis(params: Params, features: Tensor) -> Tensor:
    """φ = [last hidden layer, 1]."""
    values = policies.hidden(params, features)
    return torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)
