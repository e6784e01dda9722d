"""Exact parameter derivatives of anything that sees a one-dimensional policy through its means only.

μ_θ(s) for s ∈ [−2, 2] is, up to rounding, the polynomial through its values mₖ = μ_θ(xₖ) at K Chebyshev points. A
surrogate on any number of steps is then a function of the K + 1 numbers η = (m, log σ), and the chain rule

    ∇_θ S = (∂η/∂θ)ᵀ ∇_η S       ∇²_θ S = (∂η/∂θ)ᵀ ∇²_η S (∂η/∂θ) + Σₖ (∂S/∂mₖ) ∇²_θ mₖ

needs the network's own derivatives once for each θ instead of once for each batch and estimator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.params import flatten, unflatten
from metarl_cli.training import policies
from metarl_cli.types import Params

__all__ = ["Expansion", "PolicyFunction", "expand", "hessian", "interpolation"]

PolicyFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""`function(means, log_std)`: a scalar, from the means [K] at the nodes and log σ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """The derivatives of η = (m, log σ) in θ, flattened in the order of the parameters.

    Attributes:
        means: m, [K].
        log_std: log σ, a scalar.
        jacobian: ∂η/∂θ, [K + 1, D].
        curvature: ∇²_θ m, [K, D, D].
        limit: the nodes are within ±limit.
    """

    means: Tensor
    log_std: Tensor
    jacobian: Tensor
    curvature: Tensor
    limit: float


def nodes(count: int, limit: float) -> Tensor:
    """The Chebyshev points of the first kind in [−limit, limit], [K]."""
    return limit * torch.cos(math.pi * (torch.arange(count, dtype=torch.float64) + 0.5) / count)


def interpolation(states: Tensor, count: int, limit: float) -> Tensor:
    """The weights [..., K] with which values at the nodes give the interpolating polynomial at states [...]."""
    degrees = torch.arange(count, dtype=states.dtype)
    # the Chebyshev polynomials T₀ … T_{K−1}
    at_states, at_nodes = (
        torch.cos(degrees * torch.acos((x / limit).clamp(-1.0, 1.0)).unsqueeze(-1))
        for x in (states, nodes(count, limit))
    )
    at_nodes[:, 0] *= 0.5
    return at_states @ at_nodes.T * (2.0 / count)


def expand(params: Params, *, count: int, limit: float) -> Expansion:
    """The expansion of one policy, S = A = 1.

    Args:
        params: θ, without leading dimensions, `log_std` last.
        count: K.
        limit: the states are within ±limit.
    """
    theta, points = flatten(params), nodes(count, limit)

    def mean(vector: Tensor, point: Tensor) -> Tensor:
        return policies.distribution(unflatten(vector, params), point.reshape(1, 1)).mean.squeeze()

    by_theta = torch.func.grad(mean)
    jacobian = torch.func.vmap(by_theta, (None, 0))(theta, points)
    curvature = torch.stack([torch.func.jacrev(by_theta)(theta, point) for point in points])
    of_log_std = torch.zeros_like(theta)
    of_log_std[-1] = 1.0
    return Expansion(
        means=torch.func.vmap(mean, (None, 0))(theta, points),
        log_std=params["log_std"][0],
        jacobian=torch.cat([jacobian, of_log_std[None]]),
        curvature=curvature,
        limit=limit,
    )


def hessian(function: PolicyFunction, expansion: Expansion) -> Tensor:
    """∇²_θ of a function of the policy, [D, D]."""
    eta = torch.cat([expansion.means, expansion.log_std.reshape(1)])

    def gradient_twice(x: Tensor) -> tuple[Tensor, Tensor]:
        gradient = torch.func.grad(lambda y: function(y[:-1], y[-1]))(x)
        return gradient, gradient

    # one row at a time: the batch is large, and K backward passes over it at once would not fit the cache
    rows, gradient = torch.func.jacrev(gradient_twice, has_aux=True, chunk_size=1)(eta)
    outer: Tensor = expansion.jacobian.T @ rows @ expansion.jacobian
    inner: Tensor = torch.tensordot(gradient[:-1], expansion.curvature, dims=1)
    return outer + inner
