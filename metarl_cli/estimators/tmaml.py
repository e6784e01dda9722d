"""Taming MAML: Liu, Socher and Xiong (2019), as it should be, as printed, and as released."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from metarl_cli.estimators.dice import dice
from metarl_cli.estimators.ratios import alive, before, check_fields, discounted, log_ratio, up_to
from metarl_cli.types import Sample, check_shape

__all__ = ["tmaml", "tmaml_per_action", "tmaml_printed", "tmaml_released"]


def tmaml(logp: Tensor, sample: Sample) -> Tensor:
    """DiCE with a baseline of first and second order: Eq. 7 with the product exclusive and the sign turned.

        J = J_DiCE + (1/N) Σₙ Σₜ γᵗ [(1 − ρₜ) bₜ − (1 − ρ_<t)(1 − ρₜ) bₜ]     (Liu et al., 2019, Eq. 7, corrected)
          = J_DiCE + (1/N) Σₙ Σₜ γᵗ ρ_<t (1 − ρₜ) bₜ

    For any bₜ that does not depend on aₜ and later actions, the added terms have expectation zero whatever θ is, so
    derivatives of every order stay unbiased, off-policy too. They turn the returns Gₜ in DiCE's Hessian into Gₜ − bₜ.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, rewards, control_variate, mask, discount.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if a shape differs from that of logp.
    """
    check_fields(logp, sample, "control_variate")
    log_rho = log_ratio(logp, sample)
    baseline = before(log_rho).exp() * -torch.expm1(log_rho) * sample.control_variate
    return dice(logp, sample) + discounted(baseline, sample)


def tmaml_per_action(logp: Tensor, sample: Sample) -> Tensor:
    """`tmaml` with one baseline per action dimension, bₜⁱ(sₜ, aₜ^{−i}), for a policy that factorises over them.

        J = J_DiCE + (1/N) Σₙ Σₜ γᵗ ρ_<t Σᵢ (1 − ρₜⁱ) bₜⁱ          (Liu et al., 2019, Eq. 11; Wu et al., 2018)

    ρₜⁱ is the ratio of dimension i alone, ρ_<t the product over time and dimensions. bₜⁱ may depend on the other
    dimensions of aₜ: the expectation over aₜⁱ is zero first.

    Args:
        logp: log π_θ(aₜⁱ|sₜ), [..., N, T, A].
        sample: read are behaviour_logp and control_variate, [..., N, T, A], and rewards, mask, discount, [..., N, T].

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if a shape does not fit that of logp.
    """
    check_shape("behaviour_logp", sample.behaviour_logp, logp.shape)
    check_shape("control_variate", sample.control_variate, logp.shape)
    joint_logp, joint = logp.sum(dim=-1), replace(sample, behaviour_logp=sample.behaviour_logp.sum(dim=-1))
    past = before(log_ratio(joint_logp, joint)).exp()
    log_rho = alive(logp - sample.behaviour_logp, sample.mask.unsqueeze(-1))
    baselines = -torch.expm1(log_rho) * sample.control_variate
    return dice(joint_logp, joint) + discounted(past * baselines.sum(dim=-1), joint)


def tmaml_printed(logp: Tensor, sample: Sample) -> Tensor:
    """Eq. 7 as printed: the product includes step t, which biases the Hessian by +2 Σₜ γᵗ E[bₜ gₜgₜᵀ].

        J = J_DiCE + (1/N) Σₙ Σₜ γᵗ (1 − ρ_≤t)(1 − ρₜ) bₜ                               (Liu et al., 2019, Eq. 7)

    The proof of unbiasedness drops the diagonal. The sign, too, is the wrong one: the remaining terms, of mean zero,
    turn Gₜ into Gₜ + bₜ.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, rewards, control_variate, mask, discount.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if a shape differs from that of logp.
    """
    check_fields(logp, sample, "control_variate")
    log_rho = log_ratio(logp, sample)
    added = torch.expm1(up_to(log_rho)) * torch.expm1(log_rho) * sample.control_variate
    return dice(logp, sample) + discounted(added, sample)


def tmaml_released(logp: Tensor, sample: Sample) -> Tensor:
    """What the authors' program computes, for audits: the past of the *next* trajectory meets this one's baseline.

        J = J_DiCE + (1/N) Σₙ Σₜ γᵗ (1 − ρ_<t^{(n+1)}) ρₜ^{(n)} bₜ^{(n)},  the last n without a partner adds nothing

    With independent trajectories the added term has expectation zero whatever θ is: unbiased, but noise that is
    uncorrelated with what it was meant to cancel. The program standardises b over the batch and gives padded steps
    a weight; here b is what the sample holds, and padded steps have none.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, rewards, control_variate, mask, discount.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if a shape differs from that of logp.
    """
    check_fields(logp, sample, "control_variate")
    log_rho = log_ratio(logp, sample)
    past = before(log_rho)
    next_past = torch.cat([past[..., 1:, :], torch.zeros_like(past[..., :1, :])], dim=-2)
    return dice(logp, sample) + discounted(-torch.expm1(next_past) * log_rho.exp() * sample.control_variate, sample)
