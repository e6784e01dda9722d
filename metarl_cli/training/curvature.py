"""The curvature of the adapted policies' divergence at the θ that sampled, as products with vectors.

There D_KL(π_old^K ‖ π_{θ^K}) and its gradient in the outputs of the adapted policy vanish, so that, exactly,

    ∇²_θ D_KL = Jᵀ F J,   J = ∂(μ, log σ)/∂θ = N (I + αH_{K−1}) … (I + αH_0)

with F the Fisher matrix of a Gaussian in its outputs, 1/σ² for a mean and 2 for a log σ, averaged over steps
(Schraudolph 2002; Martens 2014), N the derivative of the network at θᴷ, and H_k = ∇²J_inner(θᵏ), which is symmetric:
products with Jᵀ need the same H_k as those with J.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch

from metarl_cli.training.adaptation import Inner, InnerStep, adapted, inner_step
from metarl_cli.training.layers import layers_at, pulled, pushed
from metarl_cli.types import Params, Round

__all__ = ["curvature"]

Product: TypeAlias = Callable[[Params], Params]


def curvature(theta: Params, rounds: Sequence[Round], inner: Inner) -> Product:
    """v ↦ Hv with H = ∇²_θ D_KL(π_old^K ‖ π_{θ^K}) of each task, at the θ that sampled its rounds and nowhere else.

    Args:
        theta: that θ, once for each of G tasks, [G, …].
        rounds: K + 1 of them.
        inner: the adaptation step; to first order its Jacobian is taken for the identity.

    Returns:
        The product with v [G, …].
    """
    steps = list[InnerStep]()
    for round_ in rounds[:-1]:
        if inner.first_order:
            theta = adapted(theta, round_, inner)
        else:
            steps.append(inner_step(theta, round_, inner, differentiable=True))
            theta = steps[-1].following
    last, _ = layers_at(theta, rounds[-1].trajectories.observations)
    mask = rounds[-1].sample.mask.flatten(1)
    weights = (mask / mask.sum(-1, keepdim=True)).unsqueeze(-1)
    fisher = weights * torch.exp(-2.0 * theta["log_std"]).unsqueeze(-2)

    def product(vector: Params) -> Params:
        for step in steps:
            vector = step.product(vector)
        _, outputs = pushed(last, vector)
        cotangents, _ = pulled(last, outputs.mul_(fisher))
        cotangents["log_std"] = 2.0 * vector["log_std"]
        image = {name: cotangents[name] for name in vector}
        for step in reversed(steps):
            image = step.product(image)
        return image

    return product
