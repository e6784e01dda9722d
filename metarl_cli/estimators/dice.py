"""DiCE: Foerster et al. (2018); the step-wise importance-sampling estimate of Tang et al. (2021), Section 3.1."""

from __future__ import annotations

from torch import Tensor

from metarl_cli.estimators.ratios import check_fields, discounted, log_ratio, up_to
from metarl_cli.types import Sample

__all__ = ["dice"]


def dice(logp: Tensor, sample: Sample) -> Tensor:
    """Every reward depends on every action up to it: unbiased derivatives of all orders, on- and off-policy.

        J = (1/N) Σₙ Σₜ γᵗ ρ_≤t rₜ                              (Foerster et al., 2018; Liu et al., 2019, Eq. 5)

    On-policy ρ_≤t is the magic box, one in value. There is no baseline, hence the variance.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, rewards, mask, discount.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if a shape differs from that of logp.
    """
    check_fields(logp, sample, "rewards")
    return discounted(up_to(log_ratio(logp, sample)).exp() * sample.rewards, sample)
