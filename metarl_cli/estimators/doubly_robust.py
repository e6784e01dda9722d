"""Doubly robust off-policy evaluation: Jiang and Li (2016); for meta-gradients Tang et al. (2021), Section 3.2."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metarl_cli.estimators.ratios import before, check_fields, discounted, log_ratio, up_to
from metarl_cli.types import Sample

__all__ = ["doubly_robust", "truncated_dr"]


def doubly_robust(logp: Tensor, sample: Sample) -> Tensor:
    """Step-wise importance sampling of what a critic has not predicted, plus the prediction; unbiased at every order.

        J = (1/N) Σₙ V̂₀,  V̂ₜ = Q(sₜ, π_θ) + ρₜ (rₜ + γ V̂ₜ₊₁ − Q(sₜ, aₜ))             (Tang et al., 2021, Eq. 3)

    unrolled to Σₜ γᵗ [ρ_<t Q(sₜ, π_θ) + ρ_≤t (rₜ − Q(sₜ, aₜ))]. Without a critic both values of Q are the baseline
    bₜ; with b ≡ 0 this is DiCE. A bootstrap value of the state after step T is added to the last reward, times γ.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, rewards, mask, discount and either action_values with policy_values (which
            carries the graph of θ), or control_variate.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if only one of action_values and policy_values is given, or a shape differs from that of logp.
    """
    return _doubly_robust(logp, sample, log_ratio(logp, sample))


def truncated_dr(logp: Tensor, sample: Sample, *, max_ratio: float = 1.0) -> Tensor:
    """`doubly_robust` with min(ρₜ, ρ̄) for ρₜ, as in V-trace: less variance, and off-policy a bias at every order.

        V̂ₜ = Q(sₜ, π_θ) + min(ρₜ, ρ̄) (rₜ + γ V̂ₜ₊₁ − Q(sₜ, aₜ))                     (Tang et al., 2021, Section 5.1)

    A truncated ratio passes no gradient. A ratio equal to ρ̄ is not truncated and passes all of it: with ρ̄ ≥ 1 the
    on-policy derivatives are those of `doubly_robust`.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: as for `doubly_robust`.
        max_ratio: ρ̄ > 0.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if ρ̄ is not positive, or as for `doubly_robust`.
    """
    if not max_ratio > 0:
        raise ValueError(f"max_ratio: expected a positive number, got {max_ratio}.")
    log_rho, ceiling = log_ratio(logp, sample), math.log(max_ratio)
    # torch.minimum halves the gradient of a tie, and clamp may pass all of it or none: on-policy, with ρ̄ = 1, every
    # step is a tie. Rounding must not decide either, hence the tolerance.
    tolerance = math.sqrt(torch.finfo(log_rho.dtype).eps)
    return _doubly_robust(logp, sample, torch.where(log_rho > ceiling + tolerance, ceiling, log_rho))


def _doubly_robust(logp: Tensor, sample: Sample, log_rho: Tensor) -> Tensor:
    action_values, policy_values = sample.action_values, sample.policy_values
    if action_values is None and policy_values is None:
        check_fields(logp, sample, "control_variate", "rewards")
        action_values = policy_values = sample.control_variate
    elif action_values is None or policy_values is None:
        raise ValueError("action_values and policy_values: expected both or neither, got one.")
    else:
        check_fields(logp, sample, "action_values", "policy_values", "rewards")
    unpredicted = up_to(log_rho).exp() * (sample.rewards - action_values)
    return discounted(unpredicted + before(log_rho).exp() * policy_values, sample)
