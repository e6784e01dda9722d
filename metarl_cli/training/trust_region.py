"""TRPO's step on the meta-objective (Schulman et al. 2015, App. C), with the settings of the released ProMP code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from metarl_cli.training.optimizers import MetaProblem, Optimizer, OptimizerState
from metarl_cli.types import Params

__all__ = ["conjugate_gradient", "trust_region"]

CG_ITERATIONS = 10
CG_TOLERANCE = 1e-10
BACKTRACK_RATIO = 0.8
BACKTRACKS = 15
REJECTED = "rejected"


def trust_region(*, max_kl: float) -> Optimizer:
    """Ascend within D_KL ≤ δ of the adapted policies.

        x ≈ H⁻¹ g by conjugate gradient,   θ ← θ + 0.8ʲ √(2δ / xᵀHx) x

    with the smallest j < 15 for which the objective rises and the divergence is at most δ. If there is none, θ stays
    and the step counts as rejected. The released code takes Hv by finite differences; here it is exact.

    Args:
        max_kl: δ.
    """
    return Optimizer(
        init=lambda theta: {REJECTED: torch.zeros((), dtype=torch.int64)},
        update=partial(_update, max_kl=max_kl),
        columns=(REJECTED,),
    )


def _update(
    theta: Params, state: OptimizerState, problem: MetaProblem, *, max_kl: float
) -> tuple[Params, OptimizerState]:
    gradient, product = problem.gradient(theta), problem.curvature(theta)

    def hessian_product(vector: Tensor) -> Tensor:
        return _flat(product(_like(theta, vector)))

    direction = conjugate_gradient(hessian_product, _flat(gradient))
    curvature = direction @ hessian_product(direction)
    step = (2.0 * max_kl / (curvature + 1e-8)).sqrt() * direction
    accepted = _backtrack(theta, step, problem, max_kl) if bool(torch.isfinite(step).all()) else None
    if accepted is None:
        return theta, {REJECTED: state[REJECTED] + 1}
    return accepted, state


def _backtrack(theta: Params, step: Tensor, problem: MetaProblem, max_kl: float) -> Params | None:
    before, start = problem.evaluate(theta), _flat(theta)
    for j in range(BACKTRACKS):
        candidate = _like(theta, start + BACKTRACK_RATIO**j * step)
        after = problem.evaluate(candidate)
        if after.objective > before.objective and after.kl[-1] <= max_kl:  # false for NaN
            return candidate
    return None


def conjugate_gradient(product: Callable[[Tensor], Tensor], target: Tensor, iterations: int = CG_ITERATIONS) -> Tensor:
    """x with Hx ≈ g, for a positive definite H known by its products.

    Args:
        product: v ↦ Hv.
        target: g, [D].
        iterations: at most that many; fewer once ‖g − Hx‖² < 1e-10.
    """
    x = torch.zeros_like(target)
    residual = direction = target
    squared = residual @ residual
    for _ in range(iterations):
        if squared < CG_TOLERANCE:
            break
        image = product(direction)
        rate = squared / (direction @ image)
        x = x + rate * direction
        residual = residual - rate * image
        previous, squared = squared, residual @ residual
        direction = residual + squared / previous * direction
    return x


def _flat(params: Params) -> Tensor:
    return torch.cat([value.reshape(-1) for value in params.values()])


def _like(params: Params, vector: Tensor) -> Params:
    parts = torch.split(vector, [value.numel() for value in params.values()])
    return {name: part.reshape(value.shape) for (name, value), part in zip(params.items(), parts, strict=True)}
