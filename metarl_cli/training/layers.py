"""The policy's network differentiated by hand, G networks at once, each at the observations of its own task.

A layer takes h to h Wᵀ + b, and all but the last are followed by tanh. Derivatives in both directions cost their matrix
products and little else. Automatic differentiation gives the same numbers to the last bit, since products and sums are
taken here in its forms and in its order; but it spends as much on a thousand small operations as on the products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metarl_cli.types import Params

__all__ = ["AroundLayer", "AroundTanh", "Layer", "layers_at", "pulled", "pulled_again", "pushed"]


class Layer(NamedTuple):
    """A layer at the observations of one round, B = N·T of them for each task.

    Attributes:
        weight_name, bias_name: of its parameters.
        weight: [G, out, in].
        inputs: h, what it is given, [G, B, in].
        first: whether h are the observations, and not the tanh of what another layer gives.
    """

    weight_name: str
    bias_name: str
    weight: Tensor
    inputs: Tensor
    first: bool


class AroundTanh(NamedTuple):
    """Tangents along a direction in the parameters on both sides of a tanh, [G, B, in]."""

    before: Tensor
    after: Tensor


class AroundLayer(NamedTuple):
    """Cotangents on both sides of a layer: of what it gives, [G, B, out], and of its h, times that h, [G, B, in]."""

    output: Tensor
    times_inputs: Tensor


def layers_at(params: Params, observations: Tensor) -> tuple[list[Layer], Tensor]:
    """The layers at observations [G, N, T, S], and what the last gives, [G, B, A]; parameters have a leading G."""
    output, layers = observations.flatten(1, -2), list[Layer]()
    for weight_name in (name for name in params if name.endswith(".weight")):
        bias_name = weight_name.replace(".weight", ".bias")
        inputs = output.tanh_() if layers else output
        layers.append(Layer(weight_name, bias_name, params[weight_name], inputs, first=not layers))
        output = torch.baddbmm(params[bias_name].unsqueeze(-2), inputs, params[weight_name].mT)
    return layers, output


def pulled(layers: Sequence[Layer], signal: Tensor, *, kept: bool) -> tuple[Params, list[AroundLayer]]:
    """From a cotangent of the outputs: those of the parameters, and those around every layer but the first if kept.

    What need not be kept is overwritten: a new array of this size costs half as much again.
    """
    gradient, cotangents = Params(), list[AroundLayer]()
    for layer in reversed(layers):
        gradient[layer.bias_name] = signal.sum(1)
        gradient[layer.weight_name] = signal.mT @ layer.inputs
        if not layer.first:
            output, signal = signal, signal @ layer.weight
            if kept:
                cotangent, signal = signal, _through_tanh(signal, layer.inputs)
                cotangents.insert(0, AroundLayer(output, cotangent.mul_(layer.inputs)))
            else:
                _through_tanh_(signal, layer.inputs)
    return dict(reversed(gradient.items())), cotangents


def pushed(layers: Sequence[Layer], vector: Params) -> tuple[list[AroundTanh], Tensor]:
    """The tangents along a direction in the parameters: of each h but the observations, and of the outputs."""
    tangents, output = list[AroundTanh](), torch.empty(0)
    for layer in layers:
        if not layer.first:
            tangents.append(AroundTanh(output, _through_tanh(output, layer.inputs)))
        output = (layer.inputs @ vector[layer.weight_name].mT).add_(vector[layer.bias_name].unsqueeze(-2))
        if not layer.first:
            output.baddbmm_(tangents[-1].after, layer.weight.mT)
    return tangents, output


def pulled_again(
    layers: Sequence[Layer],
    cotangents: Sequence[AroundLayer],
    turned: Tensor,
    vector: Params,
    tangents: Sequence[AroundTanh],
) -> Params:
    """The derivative of `pulled` along a direction: how a gradient turns while its parameters move.

    Args:
        layers: of the network.
        cotangents: second result of `pulled`.
        turned: the derivative along the direction of the cotangent that was pulled.
        vector: the direction.
        tangents: along it, first result of `pushed`; they are used up.
    """
    image = Params()
    for layer in reversed(layers):
        image[layer.bias_name] = turned.sum(1)
        image[layer.weight_name] = turned.mT @ layer.inputs
        if layer.first:
            break
        tangent, cotangent = tangents[-1], cotangents[-1]
        tangents, cotangents = tangents[:-1], cotangents[:-1]
        image[layer.weight_name] += cotangent.output.mT @ tangent.after
        turned = (cotangent.output @ vector[layer.weight_name]).baddbmm_(turned, layer.weight)
        turned.add_(tangent.before.mul_(cotangent.times_inputs), alpha=-2.0)  # tanh″ = −2 tanh tanh′
        _through_tanh_(turned, layer.inputs)
    return image


def _through_tanh(derivative: Tensor, h: Tensor) -> Tensor:
    """The derivative times 1 − h², forwards or backwards, without keeping 1 − h²."""
    through: Tensor = torch.ops.aten.tanh_backward(derivative, h)
    return through


def _through_tanh_(derivative: Tensor, h: Tensor) -> None:
    """The same, in its place."""
    torch.ops.aten.tanh_backward.grad_input(derivative, h, grad_input=derivative)
