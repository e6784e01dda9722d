"""The Gaussian MLP policy, as pure functions of a dict of tensors.

π_θ(a|s) = 𝒩(a; μ_θ(s), diag(exp(2 log_std))): tanh hidden layers, linear output, a state-independent log_std that is
part of θ and is therefore adapted too (Rothfuss et al. 2019, App. D; settings of the released code).

Parameters may carry leading dimensions: `[M, out, in]` weights evaluate M adapted policies in one call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from metarl_cli.types import Gaussian, Params

__all__ = [
    "distribution",
    "hidden",
    "init",
    "kl_divergence",
    "log_prob",
    "log_prob_per_action",
    "repeat",
]


def init(generator: torch.Generator, sizes: tuple[int, ...], *, dtype: torch.dtype = torch.float32) -> Params:
    """Fresh parameters: Glorot-uniform weights, zero biases, log_std 0 (a standard deviation of 1).

    Args:
        generator: the source of the weights.
        sizes: observation size, hidden sizes, action size.
        dtype: floating-point type of the parameters.

    Returns:
        `hidden0.weight [H₀, S]`, `hidden0.bias [H₀]`, …, `mean.weight [A, H]`, `mean.bias [A]`, `log_std [A]`.
    """
    names = [f"hidden{i}" for i in range(len(sizes) - 2)] + ["mean"]
    params: Params = {}
    for name, (inputs, outputs) in zip(names, pairwise(sizes), strict=True):
        limit = math.sqrt(6.0 / (inputs + outputs))
        uniform = torch.rand((outputs, inputs), generator=generator, dtype=dtype)
        params[f"{name}.weight"] = limit * (2.0 * uniform - 1.0)
        params[f"{name}.bias"] = torch.zeros(outputs, dtype=dtype)
    params["log_std"] = torch.zeros(sizes[-1], dtype=dtype)
    return params


def distribution(params: Mapping[str, Tensor], observations: Tensor) -> Gaussian:
    """The policy at each observation.

    Args:
        params: parameters, with or without leading dimensions `[...]`.
        observations: `[..., B, S]`; `[*, S]` with any dimensions if the parameters have none of their own.

    Returns:
        Mean `[..., B, A]`, and log_std `[..., 1, A]` (or `[A]`), which broadcasts against it.
    """
    mean = _linear(hidden(params, observations), params["mean.weight"], params["mean.bias"])
    log_std = params["log_std"]
    return Gaussian(mean, log_std if log_std.dim() == 1 else log_std.unsqueeze(-2))


def hidden(params: Mapping[str, Tensor], observations: Tensor) -> Tensor:
    """The last hidden layer, `[..., B, H]`; arguments as for `distribution`."""
    values, i = observations, 0
    while f"hidden{i}.weight" in params:
        values = torch.tanh(_linear(values, params[f"hidden{i}.weight"], params[f"hidden{i}.bias"]))
        i += 1
    return values


def log_prob_per_action(policy: Gaussian, actions: Tensor) -> Tensor:
    """log 𝒩(aᵢ; μᵢ, σᵢ²) of each action dimension i, `[..., A]`."""
    normalised = (actions - policy.mean) * torch.exp(-policy.log_std)
    return -0.5 * normalised**2 - policy.log_std - 0.5 * math.log(2.0 * math.pi)


def log_prob(policy: Gaussian, actions: Tensor) -> Tensor:
    """log π(a|s) = Σᵢ log 𝒩(aᵢ; μᵢ, σᵢ²), `[...]` for actions `[..., A]`."""
    return log_prob_per_action(policy, actions).sum(-1)


def kl_divergence(old: Gaussian, new: Gaussian) -> Tensor:
    """D_KL(old ‖ new) = Σᵢ log(σ′ᵢ/σᵢ) + (σᵢ² + (μᵢ − μ′ᵢ)²) / (2σ′ᵢ²) − ½, `[...]`."""
    variance_ratio = torch.exp(2.0 * (old.log_std - new.log_std))
    mean_term = ((old.mean - new.mean) * torch.exp(-new.log_std)) ** 2
    return (new.log_std - old.log_std + 0.5 * (variance_ratio + mean_term - 1.0)).sum(-1)


def repeat(params: Mapping[str, Tensor], tasks: int) -> Params:
    """The same parameters for each of M tasks, `[M, …]`, without a copy."""
    return {name: tensor.expand(tasks, *tensor.shape) for name, tensor in params.items()}


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if weight.dim() == 2:
        return torch.nn.functional.linear(inputs, weight, bias)
    return inputs @ weight.transpose(-1, -2) + bias.unsqueeze(-2)
