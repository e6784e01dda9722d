"""Exploration terms: credit to the pre-update policy for the data that made the adaptation good.

Each adds `credit · score` to the objective of a task: a number that is data, times log-probabilities of what was
sampled before the update. The main objective is in units of J/(H σ): per step, of advantages divided by σ.

    E-MAML  Stadie et al. 2018; Rothfuss et al. 2019, Eq. 2 and App. B
    SG-MRL  Fallah et al. 2021, Eq. 13, and Eq. 39 for several steps:  J̃_i(θ^K, D_out) Σ_k Σ_{τ∈D_k} log π(τ; θ^k)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.estimators.ratios import alive
from metarl_cli.training.adaptation import Stage
from metarl_cli.training.objectives import step_mean
from metarl_cli.training.returns import discount_weights
from metarl_cli.types import Round

__all__ = ["EXPLORATIONS", "Exploration"]

Credit: TypeAlias = Callable[[Sequence[Round], float], Tensor]
"""`credit(rounds, discount)`: one number per task, [M], from the rounds of all tasks."""

Score: TypeAlias = Callable[[Sequence[Stage], Sequence[Round]], Tensor]
"""`score(stages, rounds)`: one number per task, [...], from the stages before the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """What is added to the objective of task i: `credit[i] · score`."""

    credit: Credit
    score: Score


def no_credit(rounds: Sequence[Round], discount: float) -> Tensor:
    """Zero."""
    mask = rounds[-1].sample.mask
    return mask.new_zeros(len(mask))


def standardised_reward(rounds: Sequence[Round], discount: float) -> Tensor:
    """R̃_i: the mean over task i's post-update steps of (r − μ)/(σ + 1e-8), μ and σ over all tasks' steps."""
    rewards, mask = rounds[-1].trajectories.rewards, rounds[-1].sample.mask
    mean = step_mean(rewards.flatten(0, 1), mask.flatten(0, 1))
    deviation = step_mean(((rewards - mean) ** 2).flatten(0, 1), mask.flatten(0, 1)).sqrt()
    return step_mean(rewards - mean, mask) / (deviation + 1e-8)


def discounted_return(rounds: Sequence[Round], discount: float) -> Tensor:
    """J̃_i/σ_i: the mean discounted return of task i's post-update trajectories, in units of its advantages."""
    data = rounds[-1]
    rewards = alive(data.trajectories.rewards, data.sample.mask)
    returns = (rewards * discount_weights(discount, rewards)).sum(-1).mean(-1)
    return returns / data.scale


def centred_return(rounds: Sequence[Round], discount: float) -> Tensor:
    """`discounted_return` less the mean of the other tasks', which is independent of task i's data: still unbiased."""
    returns = discounted_return(rounds, discount)
    others = (returns.sum() - returns) / max(len(returns) - 1, 1)
    return returns - others


def mean_advantage(rounds: Sequence[Round], discount: float) -> Tensor:
    """The mean normalised advantage, which is zero but for rounding: what the released SG-MRL multiplies with."""
    sample = rounds[-1].sample
    return step_mean(sample.advantages, sample.mask)


def no_score(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """Zero."""
    return torch.zeros(())


def first_stage_mean(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """E_{D⁰}[log π_θ(a|s)]: a mean over steps, of the first stage only."""
    return step_mean(stages[0].logp, rounds[0].sample.mask)


def first_stage_sum(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """Σ_{τ∈D⁰} log π_θ(τ), per step of a post-update trajectory."""
    return _trajectory_sum(stages[0], rounds[0], rounds[-1])


def every_stage_sum(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """Σ_{k<K} Σ_{τ∈D^k} log π_{θ^k}(τ), per step of a post-update trajectory; each θ^k is a function of θ."""
    *before, last = rounds
    return torch.stack([_trajectory_sum(s, r, last) for s, r in zip(stages[:-1], before, strict=True)]).sum(0)


def first_stage_total(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """Σ over all steps of D⁰ of log π_θ(a|s), not divided by anything."""
    return alive(stages[0].logp, rounds[0].sample.mask).sum((-2, -1))


def _trajectory_sum(stage: Stage, round_: Round, last: Round) -> Tensor:
    # The main objective is a mean over the N·H steps of the last round: 1/H is what remains of it when the sum over N
    # trajectories is taken, and H is the last round's, however early the episodes of this one end.
    mask, steps = round_.sample.mask, last.sample.mask.sum((-2, -1))
    return step_mean(stage.logp, mask) * mask.shape[-2] * (mask.sum((-2, -1)) / steps)


EXPLORATIONS: Mapping[str, Exploration] = MappingProxyType(
    {
        "none": Exploration(credit=no_credit, score=no_score),
        "emaml": Exploration(credit=standardised_reward, score=first_stage_mean),
        "emaml_sum": Exploration(credit=standardised_reward, score=first_stage_sum),
        "sgmrl_loo": Exploration(credit=centred_return, score=every_stage_sum),
        "sgmrl_paper": Exploration(credit=discounted_return, score=every_stage_sum),
        "sgmrl_released": Exploration(credit=mean_advantage, score=first_stage_total),
    }
)
"""`emaml` is the released form, `emaml_sum` Eq. 4 of Stadie et al.; `sgmrl_paper` is Eq. 13 and 39 of Fallah et al.,
`sgmrl_loo` the same with leave-one-out credit, and `sgmrl_released` what their program computes."""
