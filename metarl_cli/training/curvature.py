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

from metarl_cli.training.adaptation import InnerStep, Network
from metarl_cli.training.layers import pulled, pushed
from metarl_cli.types import Params, Round

__all__ = ["Product", "curvature"]

Product: TypeAlias = Callable[[Params], Params]


def curvature(steps: Sequence[InnerStep], last: Network, round_: Round) -> Product:
    """v ↦ Hv with H = ∇²_θ D_KL(π_old^K ‖ π_{θ^K}) of each task, at the θ that sampled its rounds and nowhere else.

    Args:
        steps: the adaptation of G tasks from that θ, K steps; to first order their Jacobians are the identity.
        last: the policies at θᴷ.
        round_: what they sampled.

    Returns:
        The product with v [G, …].
    """
    mask = round_.sample.mask.flatten(1)
    log_std = last.outputs[1].detach().flatten(1, 2)  # as a number: F is taken where it is
    layers = last.layers  # what objectives see of them has served
    fisher = (mask / mask.sum(-1, keepdim=True)).unsqueeze(-1) * torch.exp(-2.0 * log_std)

    def product(vector: Params) -> Params:
        for step in steps:
            vector = step.product(vector)
        _, outputs = pushed(layers, vector)
        cotangents, _ = pulled(layers, outputs.mul_(fisher), kept=False)
        cotangents["log_std"] = 2.0 * vector["log_std"]
        image = {name: cotangents[name] for name in vector}
        for step in reversed(steps):
            image = step.product(image)
        return image

    return product
