"""Outer objectives: what the adapted policy is asked to be good at, of each task of its own, as a value to ascend.

First the equations, as functions of arrays; below them the thin part that picks the arrays from a stage and its round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.estimators import dice as dice_surrogate
from metarl_cli.estimators import per_step
from metarl_cli.estimators.ratios import alive
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Stage
from metarl_cli.types import Params, Round

__all__ = [
    "Objective",
    "Penalty",
    "clipped",
    "clipped_surrogate",
    "dice",
    "ratio",
    "stage_kl",
    "step_mean",
    "vpg",
]


ETA = "coefficient"


def step_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the steps before the end of the episodes: [..., N, T] to [...]."""
    return alive(values, mask).sum((-2, -1)) / mask.sum((-2, -1))


def clipped_surrogate(ratio: Tensor, advantages: Tensor, *, epsilon: float) -> Tensor:
    """min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â) of each step (Schulman et al. 2017, Eq. 7).

    At ρ = 1 both arguments of the minimum are equal and share the gradient, which is then the unclipped one.

    Args:
        ratio: ρ, any shape.
        advantages: Â, the same.
        epsilon: ε.
    """
    return torch.minimum(ratio * advantages, ratio.clamp(1.0 - epsilon, 1.0 + epsilon) * advantages)


Value: TypeAlias = Callable[[Stage, Round], Tensor]
"""`value(stage, round_)`: what each task ascends, [...], from its θᴷ and the data that it sampled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """What the divergences of the stages before the last cost, with η of each stage as its state.

    Attributes:
        coefficient: η at the start.
        target: of the divergence; 0 leaves η as it is.
    """

    coefficient: float
    target: float = 0.0

    def init(self, steps: int) -> Params:
        """η of each of the K stages before the last."""
        return {ETA: torch.full((steps,), self.coefficient)}

    def cost(self, state: Params, kl: Tensor) -> Tensor:
        """(1/K) Σ_k η_k D_k, subtracted from the objective: a mean over the stages, as in the released code of ProMP.

        Args:
            state: η, [K].
            kl: the divergences of these stages, [..., K].
        """
        return (state[ETA] * kl).mean(-1)

    def update(self, state: Params, kl: Sequence[float]) -> Params:
        """η/2 where D_KL < target/1.5, 2η where D_KL > 1.5 target: the released code's rule for the RandParams tasks.

        Args:
            state: η.
            kl: the divergences after a meta-update, K of them.
        """
        if self.target == 0.0:
            return state
        measured = state[ETA].new_tensor(kl)
        factors = torch.where(measured < self.target / 1.5, 0.5, torch.where(measured > 1.5 * self.target, 2.0, 1.0))
        return {ETA: state[ETA] * factors}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """An outer objective: a value at θᴷ, less a penalty on the stages before it if there is one."""

    value: Value
    penalty: Penalty | None = None


def vpg(stage: Stage, round_: Round) -> Tensor:
    """E_{D^K}[log π_{θ^K}(a|s) Â]: the policy-gradient outer objective of MAML (Finn et al. 2017, Eq. 4)."""
    return step_mean(stage.logp * round_.sample.advantages, round_.sample.mask)


def ratio(stage: Stage, round_: Round) -> Tensor:
    """E_{D^K}[ρ Â] with ρ = π_{θ^K}/π_old^K: the surrogate of TRPO (Schulman et al. 2015, Eq. 14)."""
    return step_mean(_ratio(stage, round_) * round_.sample.advantages, round_.sample.mask)


def dice(stage: Stage, round_: Round) -> Tensor:
    """DiCE on the post-update data, per step: the outer objective of DiCE-MAML (Rothfuss et al. 2019, Sec. 4)."""
    return per_step(dice_surrogate)(stage.logp, round_.sample)


def clipped(stage: Stage, round_: Round, *, epsilon: float) -> Tensor:
    """E_{D^K}[min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)]; less `Penalty.cost`, ProMP's (Rothfuss et al. 2019, Eq. 7)."""
    terms = clipped_surrogate(_ratio(stage, round_), round_.sample.advantages, epsilon=epsilon)
    return step_mean(terms, round_.sample.mask)


def _ratio(stage: Stage, round_: Round) -> Tensor:
    return torch.exp(alive(stage.logp - round_.trajectories.behaviour_logp, round_.sample.mask))


def stage_kl(stages: Sequence[Stage], rounds: Sequence[Round]) -> list[Tensor]:
    """E_{D^k}[D_KL(π_old^k ‖ π_{θ^k})] of each of these stages, zero at the θ that sampled."""
    return [
        step_mean(policies.kl_divergence(round_.trajectories.behaviour, stage.policy), round_.trajectories.mask)
        for stage, round_ in zip(stages, rounds, strict=True)
    ]
