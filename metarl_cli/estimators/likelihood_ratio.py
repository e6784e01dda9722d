"""The likelihood-ratio surrogate: low-variance curvature (LVC), Rothfuss et al. (2019)."""

from __future__ import annotations

from torch import Tensor

from metarl_cli.estimators.taypo import taypo
from metarl_cli.types import Sample

__all__ = ["lvc"]


def lvc(logp: Tensor, sample: Sample) -> Tensor:
    """Each step on its own: TayPO-1, whose Hessian forgets that early actions change which states come later.

        J = (1/N) Σₙ Σₜ γᵗ (ρₜ − 1) Aₜ                                      (Rothfuss et al., 2019, J^LVC and J^LR)

    The paper's ρₜ Aₜ differs by a constant. The bias of the on-policy Hessian is −Σ_{s<t} γᵗ E[Aₜ (gₛgₜᵀ + gₜgₛᵀ)],
    gₜ = ∇ log π_θ(aₜ|sₜ).

    Args:
        logp: log π_θ(aₜ|sₜ), [..., N, T].
        sample: read are behaviour_logp, advantages, mask, discount.

    Returns:
        The value to ascend, [...].

    Raises:
        ValueError: if a shape differs from that of logp.
    """
    return taypo(logp, sample, order=1)
