"""Random off-policy batches in which some trajectories end early, and derivatives in the log-probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

from metarl_cli.types import Sample

LEAD, N, T, A = (2, 3), 4, 5, 2
DATA = ("behaviour_logp", "rewards", "advantages", "control_variate")


def normal(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def make_batch(*lead, per_action=False, seed=0):
    """Off-policy log-probabilities, and a sample in which some trajectories end early."""
    steps, axes = (*lead, N, T), (A,) if per_action else ()
    lengths = torch.tensor([T, 3, 1, T])
    mask = (torch.arange(T) < lengths[:, None]).double().expand(steps)
    wide = mask[..., None] if per_action else mask
    sample = Sample(
        behaviour_logp=0.3 * normal(seed + 1, *steps, *axes),
        rewards=normal(seed + 2, *steps) * mask,
        advantages=normal(seed + 3, *steps) * mask,
        control_variate=normal(seed + 4, *steps, *axes) * wide,
        mask=mask,
        discount=0.9,
    )
    return 0.3 * normal(seed, *steps, *axes), sample


def jets(surrogate, logp: Tensor, sample: Sample) -> list[Tensor]:
    """Value, gradient and Hessian in logp."""
    first = torch.func.jacrev(surrogate)
    return [surrogate(logp, sample), first(logp, sample), torch.func.jacrev(first)(logp, sample)]


def assert_same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
