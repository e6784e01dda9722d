"""Gradient and Hessian of a surrogate in the logits of a tabular softmax policy, by the chain rule through log π.

    ∇J = Σ_i J_i g_i,   ∇²J = Σ_ij J_ij g_i g_jᵀ + Σ_i J_i ∇²l_i,   l_i = log π_θ(a_i|s_i),  g_i = ∇l_i

The derivatives J_i and J_ij in the log-probabilities cost one backward pass per step, for all batches at once, however
many logits there are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metarl_cli.exact.enumeration import action_logp
from metarl_cli.exact.oracles import gradient_of
from metarl_cli.types import Sample, Surrogate

__all__ = ["derivatives", "logp_derivatives", "mean_derivatives", "policy_derivatives"]


def derivatives(
    surrogate: Surrogate, logits: Tensor, states: Tensor, actions: Tensor, sample: Sample
) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian in θ of each batch's surrogate, D = S·A.

    Args:
        surrogate: the estimator.
        logits: θ, [S, A].
        states: sₜ, [B, N, T].
        actions: aₜ, [B, N, T].
        sample: the data, [B, N, T].

    Returns:
        Gradients [B, D] and Hessians [B, D, D].
    """
    scores, curvatures = policy_derivatives(logits)
    first, second = logp_derivatives(surrogate, action_logp(logits, states, actions), sample)
    scores = scores[(states * logits.shape[1] + actions).flatten(start_dim=1)]
    weights = torch.zeros(len(first), len(logits), dtype=first.dtype).scatter_add(1, states.flatten(start_dim=1), first)
    hessians = scores.mT @ second @ scores
    every = torch.arange(len(logits))
    blocks = hessians.view(-1, *logits.shape, *logits.shape)
    blocks[:, every, :, every, :] += (weights[..., None, None] * curvatures).movedim(1, 0)  # ∇²l couples no two states
    return torch.einsum("bi,bid->bd", first, scores), hessians


def logp_derivatives(surrogate: Surrogate, logp: Tensor, sample: Sample) -> tuple[Tensor, Tensor]:
    """∂J/∂l, [B, N·T], and ∂²J/∂l², [B, N·T, N·T], of each batch's surrogate, for logp and sample [B, N, T]."""
    at = logp.detach().requires_grad_()  # by itself, whatever made it
    first = gradient_of(lambda x: surrogate(x, sample), at)
    if not first.requires_grad:  # a surrogate that is linear in logp
        first = first + 0.0 * at
    # No batch depends on another: the sum over them has the derivatives of each.
    steps = first.sum(dim=0).flatten()
    rows = [torch.autograd.grad(step, at, retain_graph=True, materialize_grads=True)[0] for step in steps]
    # As numbers: the graph has served.
    return first.detach().flatten(start_dim=1), torch.stack(rows, dim=1).flatten(start_dim=2)


def mean_derivatives(
    policy: tuple[Tensor, Tensor], cells: Tensor, first: Tensor, second: Tensor
) -> tuple[Tensor, Tensor]:
    """The mean over batches of what `derivatives` gives: J_i and J_ij are added up per cell before the chain rule.

    Args:
        policy: what `policy_derivatives` gives for θ.
        cells: sₜ A + aₜ, the logit that step i chose, [B, N·T].
        first: J_i, [B, N·T].
        second: J_ij, [B, N·T, N·T].

    Returns:
        Gradient [D] and Hessian [D, D].
    """
    scores, curvatures = policy
    size = len(scores)
    pairs = cells[:, :, None] * size + cells[:, None, :]
    visits = torch.bincount(cells.flatten(), weights=first.flatten(), minlength=size) / len(cells)
    pair_visits = torch.bincount(pairs.flatten(), weights=second.flatten(), minlength=size**2) / len(cells)
    weights = visits.reshape(curvatures.shape[:2]).sum(dim=-1)
    hessian = scores.T @ pair_visits.reshape(size, size) @ scores
    every = torch.arange(len(curvatures))
    blocks = hessian.view(*curvatures.shape[:2], *curvatures.shape[:2])
    blocks[every, :, every, :] += weights[:, None, None] * curvatures  # ∇²l couples no two states
    return visits @ scores, hessian


def policy_derivatives(logits: Tensor) -> tuple[Tensor, Tensor]:
    """∇ log π(a|s), [S·A, D], and the block of state s of ∇² log π(a|s), [S, A, A], the same for every a.

    ∂ log π(a|s)/∂θ_b = 1[a = b] − π(b|s),   ∂² log π(a|s)/∂θ_b ∂θ_c = π(b|s) π(c|s) − 1[b = c] π(b|s)
    """
    policy = logits.softmax(dim=-1)
    scores: Tensor = torch.block_diag(*torch.eye(logits.shape[1]) - policy.unsqueeze(1))  # type: ignore[no-untyped-call]
    return scores, policy.unsqueeze(2) * policy.unsqueeze(1) - torch.diag_embed(policy)
