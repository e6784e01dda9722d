"""The score-function surrogate: Williams (1992); the inner objective of the original MAML, Finn et al. (2017)."""

from __future__ import annotations

from torch import Tensor

from metarl_cli.estimators.ratios import check_fields, discounted
from metarl_cli.types import Sample

__all__ = ["reinforce"]


def reinforce(logp: Tensor, sample: Sample) -> Tensor:
    """The right gradient, but a Hessian that keeps the ∇² log π terms only: what the papers call "MAML".

        J = (1/N) Σₙ Σₜ γᵗ log π_θ(aₜ|sₜ) Aₜ                  (Rothfuss et al., 2019, inner objective of formulation I)

    There is no ratio: the data must come from π_θ itself, also for the gradient.

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are advantages, mask, discount.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if a shape differs from that of logp.
    """
    check_fields(logp, sample, "advantages")
    return discounted(logp * sample.advantages, sample)
