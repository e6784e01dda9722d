"""Outer objectives: what the adapted policy is asked to be good at, one task at a time, as a value to ascend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.training import policies
from metarl_cli.training.adaptation import Stage
from metarl_cli.types import Round

__all__ = ["Objective", "clipped", "stage_kl", "vpg"]

Objective: TypeAlias = Callable[[Sequence[Stage], Sequence[Round]], Tensor]
"""`objective(stages, rounds)`: a scalar to ascend, from θ⁰ … θᴷ of one task and the data each of them sampled."""


def _step_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum()


def vpg(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """E_{D^K}[log π_{θ^K}(a|s) Â]: the policy-gradient outer objective of MAML (Finn et al. 2017, Eq. 4)."""
    logp = policies.log_prob(stages[-1].policy, rounds[-1].trajectories.actions)
    return _step_mean(logp * rounds[-1].sample.advantages, rounds[-1].trajectories.mask)


def stage_kl(stages: Sequence[Stage], rounds: Sequence[Round]) -> Tensor:
    """E_{D^k}[D_KL(π_old^k ‖ π_{θ^k})] of each stage k = 0 … K, [K + 1]; zero at the θ that sampled."""
    return torch.stack(
        [
            _step_mean(policies.kl_divergence(round_.trajectories.behaviour, stage.policy), round_.trajectories.mask)
            for stage, round_ in zip(stages, rounds, strict=True)
        ]
    )


def clipped(*, clip: float, kl_coefficient: float) -> Objective:
    """ProMP's outer objective (Rothfuss et al. 2019, Eq. 7): J_clip(θ) − η D̄_KL.

        J = E_{D^K}[min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)] − η (1/K) Σ_k E_{D^k}[D_KL(π_old^k ‖ π_{θ^k})]

    with ρ = π_{θ^K}/π_old^K. Means over steps, and over the K stages, as in the released code.

    Args:
        clip: ε.
        kl_coefficient: η.
    """
    return partial(_clipped, clip=clip, kl_coefficient=kl_coefficient)


def _clipped(stages: Sequence[Stage], rounds: Sequence[Round], *, clip: float, kl_coefficient: float) -> Tensor:
    last, advantages = rounds[-1].trajectories, rounds[-1].sample.advantages
    ratio = torch.exp(policies.log_prob(stages[-1].policy, last.actions) - last.behaviour_logp)
    # At ρ = 1 both arguments of the minimum are equal and share the gradient, which is then the unclipped one.
    pessimistic = torch.minimum(ratio * advantages, ratio.clamp(1.0 - clip, 1.0 + clip) * advantages)
    return _step_mean(pessimistic, last.mask) - kl_coefficient * stage_kl(stages[:-1], rounds[:-1]).mean()
