"""Outer objectives: what the adapted policy is asked to be good at, one task at a time, as a value to ascend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.estimators import dice as dice_surrogate
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Stage
from metarl_cli.types import Round

__all__ = ["Objective", "clipped", "dice", "ratio", "stage_kl", "step_mean", "vpg"]

Objective: TypeAlias = Callable[[Sequence[Stage], Sequence[Round], Tensor], Tensor]
"""`objective(stages, rounds, kl_coefficients)`: a scalar to ascend, from θ⁰ … θᴷ of one task, the data each of them
sampled, and the weights η [K] of the divergences of the pre-update stages, which only `clipped` looks at."""


def step_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over the steps before the end of the episodes: [N, T] to a scalar."""
    return (values * mask).sum() / mask.sum()


def stage_kl(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """E_{D^k}[D_KL(π_old^k ‖ π_{θ^k})] of each stage k = 0 … K, [K + 1]; zero at the θ that sampled."""
    return torch.stack(
        [
            step_mean(policies.kl_divergence(round_.trajectories.behaviour, stage.policy), round_.trajectories.mask)
            for stage, round_ in zip(stages, rounds, strict=True)
        ]
    )


def vpg(stages: Sequence[Stage], rounds: Sequence[Round], kl_coefficients: Tensor) -> Tensor:
    """E_{D^K}[log π_{θ^K}(a|s) Â]: the policy-gradient outer objective of MAML (Finn et al. 2017, Eq. 4)."""
    return step_mean(stages[-1].logp * rounds[-1].sample.advantages, rounds[-1].sample.mask)


def ratio(stages: Sequence[Stage], rounds: Sequence[Round], kl_coefficients: Tensor) -> Tensor:
    """E_{D^K}[ρ Â] with ρ = π_{θ^K}/π_old^K: the surrogate of TRPO (Schulman et al. 2015, Eq. 14)."""
    return step_mean(_ratio(stages[-1], rounds[-1]) * rounds[-1].sample.advantages, rounds[-1].sample.mask)


def dice(stages: Sequence[Stage], rounds: Sequence[Round], kl_coefficients: Tensor) -> Tensor:
    """DiCE on the post-update data, per step: the outer objective of DiCE-MAML (Rothfuss et al. 2019, Sec. 4)."""
    sample = rounds[-1].sample
    return dice_surrogate(stages[-1].logp, sample) * (sample.mask.shape[-2] / sample.mask.sum())


def clipped(*, clip: float) -> Objective:
    """ProMP's outer objective (Rothfuss et al. 2019, Eq. 7): J_clip(θ) − η D̄_KL.

        J = E_{D^K}[min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)] − (1/K) Σ_k η_k E_{D^k}[D_KL(π_old^k ‖ π_{θ^k})]

    with ρ = π_{θ^K}/π_old^K and k = 0 … K−1. Means over steps, and over the K stages, as in the released code.

    Args:
        clip: ε.
    """
    return partial(_clipped, clip=clip)


def _clipped(stages: Sequence[Stage], rounds: Sequence[Round], kl_coefficients: Tensor, *, clip: float) -> Tensor:
    rho, advantages = _ratio(stages[-1], rounds[-1]), rounds[-1].sample.advantages
    # At ρ = 1 both arguments of the minimum are equal and share the gradient, which is then the unclipped one.
    pessimistic = torch.minimum(rho * advantages, rho.clamp(1.0 - clip, 1.0 + clip) * advantages)
    penalty = (kl_coefficients * stage_kl(stages[:-1], rounds[:-1])).mean()
    return step_mean(pessimistic, rounds[-1].sample.mask) - penalty


def _ratio(stage: Stage, round_: Round) -> Tensor:
    return torch.exp(stage.logp - round_.trajectories.behaviour_logp)
