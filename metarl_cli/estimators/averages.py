"""From sums over steps to means over steps: how a surrogate becomes a training objective.

The papers write sums over t; the code they released takes means, and its step sizes are made for means. An expansion in
ρ − 1 is a sum over single steps, over pairs of steps, over triples …, and each of its orders becomes the mean of its
own terms:

    J̄ = Σ_k J_k · N / Σₙ C(Tₙ, k)

with J_k = (1/N) Σₙ Σ_{t₁<…<t_k} (…) the terms of order k, Tₙ the steps of trajectory n and C(T, k) the number of
k-subsets of T steps. It is what k-subsets drawn uniformly estimate, in place of all of them (Tang et al. 2021,
https://arxiv.org/abs/2106.13125, Sec. 3.3 and App. E). A surrogate of one piece has one order: J̄ = J · N / Σₙ Tₙ.

What this costs: where an expansion has more than one order, ∇²J̄ is no longer proportional to an unbiased estimate of
∇²J. For TayPO-2 it is LVC's Hessian plus 2/(T − 1) of the cross terms that LVC lacks. `per_step` divides all orders by
the number of steps: the Hessian keeps its expectation, and the noise of T(T − 1)/2 pairs beside T single steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.types import Sample, Surrogate

__all__ = ["Orders", "per_step", "per_subset"]

Orders: TypeAlias = Callable[[Tensor, Sample], Sequence[Tensor]]
"""`orders(logp, sample)`: the terms J_1, J_2, … of an expansion, each [...]; their sum is its surrogate."""


def per_step(surrogate: Surrogate) -> Surrogate:
    """J · N / Σₙ Tₙ: the whole surrogate as a mean over steps."""
    return per_subset(lambda logp, sample: [surrogate(logp, sample)])


def per_subset(orders: Orders) -> Surrogate:
    """Σ_k J_k · N / Σₙ C(Tₙ, k): each order of an expansion as the mean over its subsets of steps."""

    def mean(logp: Tensor, sample: Sample) -> Tensor:
        trajectories, steps = sample.mask.shape[-2], sample.mask.sum(dim=-1)
        subsets, means = torch.ones_like(steps), []
        for j, term in enumerate(orders(logp, sample)):
            subsets = subsets * (steps - j) / (j + 1)
            # Where no trajectory has that many steps, there is no term either.
            means.append(term * (trajectories / subsets.sum(dim=-1).clamp(min=1.0)))
        return torch.stack(means).sum(dim=0)

    return mean
