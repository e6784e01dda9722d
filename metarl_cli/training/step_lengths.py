"""How far an adaptation step goes; and rewards that make a reward-based estimator's step as long as LVC's.

Estimators that see advantages take one and the same step on-policy, α times the mean of ∇log π Â with Â of unit
deviation. Those that see rewards take steps of whatever length the rewards give them, several times longer or shorter.
A comparison of the two is then one of step sizes. `matched` multiplies the rewards and the control variate of task i by

    c_i = Σ_{j≠i} ‖g_j^LVC‖ / Σ_{j≠i} ‖g_j‖

with g_j the inner gradient of task j and g_j^LVC that of LVC on the same batch, of the other tasks alone. Given θ the
tasks are independent, so c_i is independent of the data that it multiplies: E[c_i ĝ_i] = E[c_i] E[ĝ_i], and the same
for every derivative, so it adds no bias, and varies as little as a mean over M − 1 tasks does. (What the rewards were
divided by before, the batch's own scale s, is not independent: a bias of order 1/N, which normalised advantages have
too.) What c_i costs: at least two tasks; tasks are coupled by a number; and a noisy estimate is shortened as a whole,
its mean with its noise, since it is the length of the step that was taken which is made equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from metarl_cli.training import policies
from metarl_cli.types import Params, Round

__all__ = ["distance", "divergence", "matched", "mean_step"]


def distance(params: Params, adapted: Params) -> Tensor:
    """‖θ′ − θ‖ of each task, [M], for parameters of each, `[M, …]`."""
    squares = [((adapted[name] - value) ** 2).flatten(1).sum(-1) for name, value in params.items()]
    return torch.stack(squares).sum(0).sqrt()


def divergence(params: Params, adapted: Params, round_: Round) -> Tensor:
    """D_KL(π_θ ‖ π_θ′) on the observations of the round that θ sampled, of each task, [M]."""
    observations = round_.trajectories.observations.flatten(1, 2)
    before, after = (policies.distribution(each, observations) for each in (params, adapted))
    mask = round_.sample.mask.flatten(1)
    return (policies.kl_divergence(before, after) * mask).sum(-1) / mask.sum(-1)


def mean_step(rounds: Sequence[Round]) -> tuple[float, float]:
    """‖θ′ − θ‖ and D_KL(π_θ ‖ π_θ′), means over tasks and adaptation steps."""
    steps = [round_.step for round_ in rounds if round_.step is not None]
    norm, kl = torch.stack([step.norm for step in steps]).mean(), torch.stack([step.kl for step in steps]).mean()
    return norm.item(), kl.item()


def matched(round_: Round, own: Tensor, reference: Tensor) -> Round:
    """The round with rewards and control variate times c, so that steps are as long as the reference's in the mean.

    Args:
        round_: of all tasks.
        own: ‖g_i‖ of the estimator that sees the rewards, [M], M ≥ 2.
        reference: ‖g_i^LVC‖, [M].
    """
    others = own.sum() - own
    # Where all other gradients are zero there is nothing to compare with, and most likely nothing to scale.
    factors = torch.where(others > 0.0, (reference.sum() - reference) / others.clamp(min=1e-30), 1.0)
    sample = round_.sample
    return replace(
        round_,
        sample=replace(
            sample,
            rewards=sample.rewards * factors[:, None, None],
            control_variate=sample.control_variate * factors.reshape(-1, *[1] * (sample.control_variate.dim() - 1)),
        ),
    )
