"""TRPO's step on the meta-objective (Schulman et al. 2015, App. C), with the settings of the released ProMP code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metarl_cli.params import flatten, unflatten
from metarl_cli.training.optimizers import MetaProblem, Optimizer, OptimizerState, Update
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

    def update(theta: Params, state: OptimizerState, problem: MetaProblem) -> Update:
        product, start, target = problem.curvature, flatten(theta), flatten(problem.first)
        assert product is not None  # it is `curved`
        direction, residual = conjugate_gradient(lambda vector: flatten(product(unflatten(vector, theta))), target)
        curvature = direction @ (target - residual)  # xᵀHx, and Hx is what the gradient has more than the residual
        step = (2.0 * max_kl / (curvature + 1e-8)).sqrt() * direction
        if torch.isfinite(step).all():
            for j in range(BACKTRACKS):
                candidate = unflatten(start + BACKTRACK_RATIO**j * step, theta)
                after = problem.evaluate(candidate)
                if after.objective > problem.before.objective and after.kl[-1] <= max_kl:  # false for NaN
                    return Update(candidate, state, after)
        return Update(theta, {REJECTED: state[REJECTED] + 1}, problem.before)

    return Optimizer(
        init=lambda theta: {REJECTED: torch.zeros((), dtype=torch.int64)},
        update=update,
        columns=(REJECTED,),
        curved=True,
    )


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], target: Tensor, iterations: int = CG_ITERATIONS
) -> tuple[Tensor, Tensor]:
    """x with Hx ≈ g, and what is missing, g − Hx, for a positive definite H known by its products.

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
    return x, residual
