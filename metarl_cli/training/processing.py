"""From trajectories to what the objectives see: baselines, normalised advantages, rewards, control variates.

All discounting is done here, so that a sample's own discount is 1 and one sample serves every estimator:

    advantages       GAE on an in-sample linear baseline, normalised per task, without γᵗ, as all four released codes do
    rewards          `controlled`: γᵗ rₜ / s with s² the mean of (Gₜ − bₜ)², so that what multiplies the scores has
                     mean square 1, as the normalised advantages have, and steps are as long as theirs
                     `released`: γᵗ rₜ − b(t) with a cubic time baseline, normalised over all N·H cells: the DiCE of the
                     released code, whose steps are several times longer
                     `matched`: `controlled`, times what makes the inner step as long as LVC's on the same batch, see
                     `step_lengths`
    control variate  in the units of the rewards: γᵗ bₜ / s, or normalised where the rewards are `released`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from metarl_cli.training import policies
from metarl_cli.training.baselines import linear_features, ridge_predictions, ridge_weights, time_features
from metarl_cli.training.closed_form import (
    ClosedFormSettings,
    closed_form_control_variate,
    update_closed_form,
)
from metarl_cli.training.control_variates import (
    MetaSettings,
    MetaState,
    init_meta,
    meta_control_variate,
    per_task_control_variate,
    update_meta,
)
from metarl_cli.training.cross_fitting import FitQuality, Regression, cross_fitted, fit_quality
from metarl_cli.training.returns import discount_weights, discounted_returns, generalised_advantages, normalise
from metarl_cli.types import Params, Round, Sample, Trajectories

__all__ = [
    "CONTROL_VARIATES",
    "MATCHED",
    "REWARD_SCALINGS",
    "ControlVariate",
    "Processing",
    "Unscaled",
    "prediction_quality",
    "process",
]

RewardScaling: TypeAlias = Callable[["Unscaled"], tuple[Tensor, Tensor]]
"""The rewards and the control variate in the units that reward-based estimators see."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """γ, λ of GAE, the scaling of rewards and control variate, and the control variate of the inner estimator."""

    discount: float
    gae_lambda: float
    scaling: RewardScaling
    control_variate: ControlVariate


def process(trajectories: Trajectories, processing: Processing, state: Params) -> Round:
    """One stage of all tasks as the objectives see it.

    Args:
        trajectories: of one stage.
        processing: how.
        state: of the control variate, from before these trajectories were seen.
    """
    mask, rewards = trajectories.mask, trajectories.rewards
    returns = discounted_returns(rewards, processing.discount)
    values = ridge_predictions(linear_features(trajectories.observations), returns, mask)
    raw = generalised_advantages(rewards, values, processing.discount, processing.gae_lambda)
    advantages, scale = normalise(raw, mask)
    variate = processing.control_variate.predict(state, trajectories, returns)
    gammas = discount_weights(processing.discount, rewards)
    scaled_rewards, scaled_variate = processing.scaling(Unscaled(gammas * rewards, gammas, returns, variate, mask))
    sample = Sample(
        behaviour_logp=_behaviour_logp(trajectories, per_action=processing.control_variate.per_action),
        rewards=scaled_rewards,
        advantages=advantages,
        control_variate=scaled_variate,
        mask=mask,
    )
    return Round(trajectories=trajectories, sample=sample, returns=returns, scale=scale, predicted=variate)


def prediction_quality(rounds: Sequence[Round]) -> list[FitQuality]:
    """How well the control variate predicts the returns of each stage that is adapted on, that is all but the last."""
    return [
        fit_quality(round_.predicted, round_.returns, round_.trajectories.mask)
        for round_ in rounds[:-1]
        if round_.predicted is not None
    ]


def _behaviour_logp(trajectories: Trajectories, *, per_action: bool) -> Tensor:
    if not per_action:
        return trajectories.behaviour_logp
    return policies.log_prob_per_action(trajectories.behaviour, trajectories.actions)


class Unscaled(NamedTuple):
    """What a scaling may use: γᵗrₜ [M, N, T], γᵗ [T], Gₜ, b in the units of Gₜ, the mask."""

    discounted_rewards: Tensor
    gammas: Tensor
    returns: Tensor
    variate: Tensor
    mask: Tensor


def _controlled(given: Unscaled) -> tuple[Tensor, Tensor]:
    mask = given.mask
    per_action = (1,) * (given.variate.dim() - mask.dim())
    residuals = (given.returns.reshape(*mask.shape, *per_action) - given.variate) * mask.reshape(
        *mask.shape, *per_action
    )
    squares = (residuals**2).flatten(3).mean(-1) if per_action else residuals**2
    scale = (squares.sum((-2, -1)) / mask.sum((-2, -1))).sqrt()[:, None, None] + 1e-8
    variate = given.gammas.reshape(-1, *per_action) * given.variate / scale.reshape(*scale.shape, *per_action)
    return given.discounted_rewards / scale, variate


def _released(given: Unscaled) -> tuple[Tensor, Tensor]:
    discounted, mask = given.discounted_rewards, given.mask
    adjusted = discounted - ridge_predictions(time_features(discounted), discounted, mask)
    # The released statistics count the padding: every one of the N·H cells.
    rewards, _ = normalise(adjusted, torch.ones_like(mask))
    return rewards * mask, _normalised_variate(given.variate, mask)


def _normalised_variate(variate: Tensor, mask: Tensor) -> Tensor:
    if variate.dim() == mask.dim():
        return normalise(variate, mask)[0]
    return normalise(variate.movedim(-1, 0), mask)[0].movedim(0, -1)  # each action dimension by itself


MATCHED = "matched"
"""Scaled once more by the trainer, who knows the gradients."""

REWARD_SCALINGS: Mapping[str, RewardScaling] = MappingProxyType(
    {"controlled": _controlled, "released": _released, MATCHED: _controlled}
)


def _no_state(generator: torch.Generator, observation_size: int) -> Params:
    return {}


def _unchanged(state: Params, trajectories: Trajectories, returns: Tensor) -> Params:
    return state


def _zero(state: Params, trajectories: Trajectories, returns: Tensor) -> Tensor:
    return torch.zeros_like(returns)


def _linear(state: Params, trajectories: Trajectories, returns: Tensor) -> Tensor:
    data = Regression(features=linear_features(trajectories.observations), targets=returns, mask=trajectories.mask)

    def predict(fitted: Regression, features: Tensor) -> Tensor:
        weights = ridge_weights(fitted.features, fitted.targets, fitted.mask)
        return (features @ weights.unsqueeze(1)).squeeze(-1).to(returns.dtype)

    return cross_fitted(data, predict)


def _fresh_network(generator: torch.Generator, observation_size: int) -> Params:
    return init_meta(generator, observation_size).params


_META = ClosedFormSettings()


def _meta(state: Params, trajectories: Trajectories, returns: Tensor) -> Tensor:
    return closed_form_control_variate(MetaState(state), _META, trajectories.observations, returns, trajectories.mask)


def _meta_update(state: Params, trajectories: Trajectories, returns: Tensor) -> Params:
    return update_closed_form(MetaState(state), _META, trajectories.observations, returns, trajectories.mask).params


_META_PAPER = MetaSettings(repetitions=5)  # as often per batch as the released code


def _meta_paper(state: Params, trajectories: Trajectories, returns: Tensor) -> Tensor:
    return meta_control_variate(MetaState(state), _META_PAPER, trajectories.observations, returns, trajectories.mask)


def _meta_paper_update(state: Params, trajectories: Trajectories, returns: Tensor) -> Params:
    return update_meta(MetaState(state), _META_PAPER, trajectories.observations, returns, trajectories.mask).params


def _per_task(state: Params, trajectories: Trajectories, returns: Tensor) -> Tensor:
    data = trajectories
    return per_task_control_variate(data.observations, data.actions, data.behaviour, returns, data.mask)


CONTROL_VARIATES: Mapping[str, ControlVariate] = MappingProxyType(
    {
        "none": ControlVariate(init=_no_state, predict=_zero, update=_unchanged),
        "linear": ControlVariate(init=_no_state, predict=_linear, update=_unchanged),
        "meta": ControlVariate(init=_fresh_network, predict=_meta, update=_meta_update),
        "meta-paper": ControlVariate(init=_fresh_network, predict=_meta_paper, update=_meta_paper_update),
        "per-task": ControlVariate(init=_no_state, predict=_per_task, update=_unchanged, per_action=True),
    }
)
