"""The control variates of TMAML (Liu et al. 2019): meta-learned (Alg. 1, Eq. 12) and per task (Eq. 11).

The meta-learned one is here as Alg. 1 has it, `meta-paper`; `closed_form` has the default, `meta`, and says why.

Both are cross-fitted: the trajectories of a task are split into halves, and what is fitted to one half predicts the
other. A prediction for trajectory n therefore depends on n through nothing but the states (and actions) that are
evaluated, so a surrogate with it keeps its expectation (Tucker et al. 2018).

Differences from the paper: losses are means instead of sums; returns are standardised with the mean and deviation of
the half that is fitted; the network also sees the time t/T, as the value of a finite horizon depends on it; the
network that predicts is the one from before the update on the same batch, so that line 6 of Alg. 1 cannot leak a
trajectory into its own prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metarl_cli.training import policies
from metarl_cli.training.baselines import linear_features
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
from metarl_cli.types import Gaussian, Params, check_shape

__all__ = [
    "MetaSettings",
    "MetaState",
    "descended",
    "init_meta",
    "meta_control_variate",
    "per_task_control_variate",
    "update_meta",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaSettings:
    """Settings of Alg. 1. The paper's two step sizes are 0.01, for losses that are sums over steps; these are means.

    Attributes:
        inner_lr: α′.
        inner_steps: gradient steps of one adaptation.
        outer_lr: β′.
        repetitions: how often line 6 is repeated on one batch; "until convergence" in the paper.
    """

    inner_lr: float = 0.1
    inner_steps: int = 1
    outer_lr: float = 0.1
    repetitions: int = 5


@dataclass(frozen=True, slots=True)
class MetaState:
    """θ_V: the network that adapts to a task, carried from one meta-iteration to the next."""

    params: Params


def init_meta(
    generator: torch.Generator,
    observation_size: int,
    hidden: tuple[int, ...] = (64, 64),
    *,
    dtype: torch.dtype = torch.float32,
) -> MetaState:
    """A fresh V_{θ_V}(s, t/T): a tanh network with a zero output layer, so that it begins by predicting the mean."""
    params = policies.init(generator, (observation_size + 1, *hidden, 1), dtype=dtype)
    return MetaState({**params, "mean.weight": torch.zeros_like(params["mean.weight"])})


def meta_control_variate(
    state: MetaState, settings: MetaSettings, observations: Tensor, returns: Tensor, mask: Tensor
) -> Tensor:
    """b(sₜ) of the meta-learned control variate, each half predicted by the network adapted to the other.

        θ_V¹ = θ_V − α′ ∇L(τ_{1:N/2}) predicts τ_{N/2:N}, θ_V² = θ_V − α′ ∇L(τ_{N/2:N}) predicts τ_{1:N/2}

    Lines 2 to 5 of Alg. 1, Liu et al. (2019). Use the state from before `update_meta` saw the same trajectories.

    Args:
        state: θ_V.
        settings: step size and number of the adaptation steps.
        observations: sₜ, [M, N, T, S].
        returns: Gₜ = Σ_{k≥t} γ^{k−t} rₖ, [M, N, T].
        mask: [M, N, T].

    Returns:
        b, zero where masked, [M, N, T].

    Raises:
        ValueError: for shapes that do not fit, or fewer than two trajectories.
    """
    data = Regression(features=timed(observations), targets=returns, mask=mask)

    def predict(fitted: Regression, features: Tensor) -> Tensor:
        location, scale = masked_moments(fitted.targets, fitted.mask)
        params = _adapt(policies.repeat(state.params, len(location)), settings, standardised(fitted, fitted))
        return location + scale * _network(params, standardised_features(features, fitted))

    with torch.no_grad():
        return cross_fitted(data, predict)


def update_meta(
    state: MetaState, settings: MetaSettings, observations: Tensor, returns: Tensor, mask: Tensor
) -> MetaState:
    """θ_V ← θ_V − β′ ∇_{θ_V} [L_{θ_V¹}(τ_{N/2:N}) + L_{θ_V²}(τ_{1:N/2})], repeatedly: line 6 of Alg. 1.

    The gradient passes through the adaptation (MAML), and is shortened to norm 1 where it is longer. Arguments as for
    `meta_control_variate`.
    """
    data = Regression(features=timed(observations), targets=returns, mask=mask)
    params = state.params
    for _ in range(settings.repetitions):
        gradients = torch.func.grad(lambda theta: _meta_loss(theta, settings, data))(params)
        params = descended(params, gradients, settings.outer_lr)
    return MetaState(params)


def descended(params: Params, gradients: Params, lr: float) -> Params:
    """A step of gradient descent, the gradient shortened to norm 1 where it is longer."""
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    rate = lr / norm.clamp(min=1.0)  # with hundreds of inputs a full step would overshoot
    return {name: value - rate * gradients[name] for name, value in params.items()}


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
    size = actions.shape[-1]
    return cross_fitted(data, lambda fitted, held_out: _marginals(fitted, held_out, size, ridge)).to(returns.dtype)


def _network(params: Params, features: Tensor) -> Tensor:
    """V_{θ_V} at features [M, n, T, F] with one set of weights per task: the mean of a policy with one action."""
    return policies.distribution(params, features.flatten(1, 2)).mean.reshape(features.shape[:-1])


def _adapt(params: Params, settings: MetaSettings, data: Regression) -> Params:
    """θ_V − α′ ∇L, `inner_steps` times, for every task at once; differentiable in θ_V."""
    for _ in range(settings.inner_steps):
        gradients = torch.func.grad(lambda theta: _squared_errors(theta, data).sum())(params)
        params = {name: value - settings.inner_lr * gradients[name] for name, value in params.items()}
    return params


def _squared_errors(params: Params, data: Regression) -> Tensor:
    """L of each task, Eq. 12 as a mean, [M, 1, 1]."""
    return masked_mean((_network(params, data.features) - data.targets) ** 2, data.mask)


def _meta_loss(params: Params, settings: MetaSettings, data: Regression) -> Tensor:
    """L_{θ_V¹}(second half) + L_{θ_V²}(first half), mean over tasks, in the units of the half that was fitted."""
    first, second = halves(data)
    return _transfer_loss(params, settings, first, second) + _transfer_loss(params, settings, second, first)


def _transfer_loss(params: Params, settings: MetaSettings, fitted: Regression, held_out: Regression) -> Tensor:
    shared = policies.repeat(params, len(fitted.mask))
    adapted = _adapt(shared, settings, standardised(fitted, fitted))
    return _squared_errors(adapted, standardised(held_out, fitted)).mean()


def _marginals(fitted: Regression, features: Tensor, actions: int, ridge: float) -> Tensor:
    """Q at features [M, n, T, F] less its terms of each action dimension, within the range it was fitted to."""
    weights, intercept = _ridge_fit(fitted, ridge)
    weighted = features * weights
    own = weighted[..., -2 * actions : -actions] + weighted[..., -actions:]
    values = weighted.sum(-1, keepdim=True) + intercept - own
    seen = fitted.targets * fitted.mask
    return values.clamp(seen.amin((1, 2))[:, None, None, None], seen.amax((1, 2))[:, None, None, None])


def _ridge_fit(data: Regression, ridge: float) -> tuple[Tensor, Tensor]:
    """Weights [M, 1, 1, F] and intercept [M, 1, 1, 1] of a ridge regression on standardised features and targets."""
    mask = data.mask.unsqueeze(-1)
    count = mask.sum((1, 2))[..., None]
    centre, spread = masked_moments(data.features, mask)
    location, scale = masked_moments(data.targets.unsqueeze(-1), mask)
    rows = ((data.features - centre) / spread * mask).flatten(1, 2)
    outcomes = ((data.targets.unsqueeze(-1) - location) / scale * mask).flatten(1, 2)
    gram = rows.mT @ rows / count + ridge * torch.eye(rows.shape[-1], dtype=rows.dtype, device=rows.device)
    solution: Tensor = torch.linalg.solve(gram, rows.mT @ outcomes / count)
    weights = solution.mT.unsqueeze(1) * scale / spread
    return weights, location - (weights * centre).sum(-1, keepdim=True)
