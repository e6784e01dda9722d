"""From trajectories to what the objectives see: baselines, normalised advantages, rewards, control variates.

All discounting is done here, so that a sample's own discount is 1 and one sample serves every estimator:

    advantages       GAE on an in-sample linear baseline, normalised per task, without γᵗ, as all four released codes do
    rewards          `controlled`: γᵗ rₜ / s with s² the mean of (Gₜ − bₜ)², which is 1 of the normalised advantages;
                     the scores are multiplied with γᵗ (Gₜ − bₜ) / s, so that steps are somewhat shorter than theirs
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
from metarl_cli.training.baselines import linear_features, ridge_predictions, time_features
from metarl_cli.training.control_variates import ControlVariate
from metarl_cli.training.cross_fitting import FitQuality, fit_quality
from metarl_cli.training.returns import discount_weights, discounted_returns, generalised_advantages, normalise
from metarl_cli.types import Params, Round, Sample, Trajectories

__all__ = [
    "MATCHED",
    "REWARD_SCALINGS",
    "Processing",
    "Unscaled",
    "predicted",
    "prediction_quality",
    "process",
    "processed",
]

RewardScaling: TypeAlias = Callable[["Unscaled"], tuple[Tensor, Tensor]]
"""The rewards and the control variate in the units that reward-based estimators see."""


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
    return processed(trajectories, *predicted(trajectories, processing, state), processing)


def predicted(trajectories: Trajectories, processing: Processing, state: Params) -> tuple[Tensor, Tensor]:
    """Gₜ [M, N, T], and b as the control variate predicts it, of all tasks at once."""
    returns = discounted_returns(trajectories.rewards, processing.discount)
    return returns, processing.control_variate.predict(state, trajectories, returns)


def processed(trajectories: Trajectories, returns: Tensor, variate: Tensor, processing: Processing) -> Round:
    """What is left of `process`: nothing that a task gets depends on the others."""
    mask, rewards = trajectories.mask, trajectories.rewards
    values = ridge_predictions(linear_features(trajectories.observations), returns, mask)
    raw = generalised_advantages(rewards, values, processing.discount, processing.gae_lambda)
    advantages, scale = normalise(raw, mask)
    gammas = discount_weights(processing.discount, rewards)
    behaviour_logp = trajectories.behaviour_logp
    if processing.control_variate.per_action:
        behaviour_logp = policies.log_prob_per_action(trajectories.behaviour, trajectories.actions)
    scaled_rewards, scaled_variate = processing.scaling(Unscaled(gammas * rewards, gammas, returns, variate, mask))
    sample = Sample(
        behaviour_logp=behaviour_logp,
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
    returns, known = (tensor.reshape(*mask.shape, *per_action) for tensor in (given.returns, mask))
    residuals = (returns - given.variate) * known
    squares = (residuals**2).flatten(3).mean(-1) if per_action else residuals**2
    scale = (squares.sum((-2, -1)) / mask.sum((-2, -1))).sqrt()[:, None, None] + 1e-8
    variate = given.gammas.reshape(-1, *per_action) * given.variate / scale.reshape(*scale.shape, *per_action)
    return given.discounted_rewards / scale, variate


def _released(given: Unscaled) -> tuple[Tensor, Tensor]:
    discounted, mask = given.discounted_rewards, given.mask
    adjusted = discounted - ridge_predictions(time_features(discounted), discounted, mask)
    # The released statistics count the padding: every one of the N·H cells.
    rewards, _ = normalise(adjusted, torch.ones_like(mask))
    if given.variate.dim() == mask.dim():
        variate, _ = normalise(given.variate, mask)
    else:  # each action dimension by itself
        variate = normalise(given.variate.movedim(-1, 0), mask)[0].movedim(0, -1)
    return rewards * mask, variate


MATCHED = "matched"
"""Scaled once more by the trainer, who knows the gradients."""

REWARD_SCALINGS: Mapping[str, RewardScaling] = MappingProxyType(
    {"controlled": _controlled, "released": _released, MATCHED: _controlled}
)
