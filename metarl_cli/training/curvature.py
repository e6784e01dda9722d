"""The curvature of the adapted policies' divergence at the θ that sampled, as products with vectors.

There D_KL(π_old^K ‖ π_{θ^K}) and its gradient in the outputs of the adapted policy vanish, so that, exactly,

    ∇²_θ D_KL = Jᵀ F J,   J = ∂(μ, log σ)/∂θ = N (I + αH_{K−1}) … (I + αH_0)

with F the Fisher matrix of a Gaussian in its outputs, 1/σ² for a mean and 2 for a log σ, averaged over steps
(Schraudolph 2002; Martens 2014), N the derivative of the network at θᴷ, and H_k = ∇²J_inner(θᵏ), which is symmetric:
products with Jᵀ need the same H_k as those with J.

The layers are differentiated by hand: a product then costs its matrix multiplications and little else, and a task keeps
activations instead of a graph. Only the surrogate, a function of the outputs, is left to automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from metarl_cli.params import ascend, leaves
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner, Stage, adapted, inner_objective, stage_at
from metarl_cli.types import Gaussian, Params, Round

__all__ = ["curvature"]

Product: TypeAlias = Callable[[Params], Params]


def curvature(theta: Params, rounds: Sequence[Round], inner: Inner) -> Product:
    """v ↦ Hv with H = ∇²_θ D_KL(π_old^K ‖ π_{θ^K}) of one task, at the θ that sampled its rounds and nowhere else.

    Args:
        theta: that θ.
        rounds: K + 1 of them.
        inner: the adaptation step; to first order its Jacobian is taken for the identity.
    """
    steps = list[_InnerStep]()
    for round_ in rounds[:-1]:
        if inner.first_order:
            theta = adapted(stage_at(leaves(theta), round_), round_, inner)
        else:
            steps.append(_inner_step(theta, round_, inner))
            theta = ascend(theta, steps[-1].gradient, inner.lr)
    last, _ = _layers(theta, rounds[-1])
    mask = rounds[-1].sample.mask
    fisher = (mask / mask.sum()).reshape(-1, 1) * torch.exp(-2.0 * theta["log_std"])

    def product(vector: Params) -> Params:
        for step in steps:
            vector = ascend(vector, step.hessian(vector), inner.lr)
        _, outputs = _pushed(last, vector)
        cotangents, _ = _pulled(last, outputs.mul_(fisher))
        cotangents["log_std"] = 2.0 * vector["log_std"]
        image = {name: cotangents[name] for name in vector}
        for step in reversed(steps):
            image = ascend(image, step.hessian(image), inner.lr)
        return image

    return product


class _Layer(NamedTuple):
    """A layer at the observations of one round, B = N·T of them.

    Attributes:
        weight_name, bias_name: of its parameters.
        weight: [out, in].
        inputs: h, what it is given, [B, in].
        first: whether h are the observations, and not the tanh of what another layer gives.
    """

    weight_name: str
    bias_name: str
    weight: Tensor
    inputs: Tensor
    first: bool


class _InnerStep(NamedTuple):
    """What the gradient and the Hessian of J_inner at θᵏ are made of.

    Attributes:
        gradient: ∇J.
        layers: of the network at θᵏ.
        signals: ∂J/∂(what each layer gives), [B, out].
        bends: (∂J/∂h) tanh″/tanh′ = −2h ∂J/∂h, per layer [B, in]; None for the first.
        outputs: μ [N, T, A] and log σ [A], where the graph of `pull` begins.
        pull: ∂J/∂μ and ∂J/∂log σ.
    """

    gradient: Params
    layers: Sequence[_Layer]
    signals: Sequence[Tensor]
    bends: Sequence[Tensor | None]
    outputs: tuple[Tensor, Tensor]
    pull: tuple[Tensor, ...]

    def hessian(self, vector: Params) -> Params:
        """∇²J v: the tangents of the outputs, through the surrogate, and back along with those of the signals."""
        tangents, moved = _pushed(self.layers, vector)
        towards = (moved.reshape(self.outputs[0].shape), vector["log_std"])
        # The Hessian in the outputs is symmetric: the backward product is the forward one.
        turned, log_std = torch.autograd.grad(self.pull, self.outputs, towards, retain_graph=True)
        turned, image = turned.reshape(moved.shape), {"log_std": log_std}
        backwards = reversed([*zip(self.layers, self.signals, self.bends, tangents, strict=True)])
        for layer, signal, bend, tangent in backwards:
            image[layer.bias_name] = turned.sum(0)
            image[layer.weight_name] = turned.T @ layer.inputs
            if tangent is None or bend is None:
                break  # the first layer: nobody moves the observations
            image[layer.weight_name].addmm_(signal.T, tangent)
            of_inputs = (turned @ layer.weight).addmm_(signal, vector[layer.weight_name])
            turned = _through_tanh(of_inputs, layer.inputs).addcmul_(bend, tangent)
        return {name: image[name] for name in vector}


def _inner_step(theta: Params, round_: Round, inner: Inner) -> _InnerStep:
    layers, output = _layers(theta, round_)
    mean = output.reshape(round_.trajectories.actions.shape).requires_grad_()
    log_std = theta["log_std"].detach().requires_grad_()  # a leaf, as the mean is: the graph is that of the surrogate
    policy = Gaussian(mean, log_std)
    stage = Stage(theta, policy, policies.log_prob_per_action(policy, round_.trajectories.actions))
    pull = torch.autograd.grad(inner_objective(stage, round_, inner), (mean, log_std), create_graph=True)
    signal, of_log_std = (each.detach() for each in pull)  # as numbers, for the layers
    gradient, signals = _pulled(layers, signal.reshape(output.shape))
    gradient["log_std"] = of_log_std
    bends = [
        None if layer.first else (signal @ layer.weight).mul_(layer.inputs).mul_(-2.0)
        for layer, signal in zip(layers, signals, strict=True)
    ]
    return _InnerStep(gradient, layers, signals, bends, (mean, log_std), pull)


def _layers(params: Params, round_: Round) -> tuple[list[_Layer], Tensor]:
    """The layers at the round's observations, and what the last gives, [B, A]."""
    output, layers = round_.trajectories.observations.flatten(0, -2), list[_Layer]()
    for weight_name in (name for name in params if name.endswith(".weight")):
        bias_name = weight_name.replace(".weight", ".bias")
        inputs = torch.tanh(output) if layers else output
        layers.append(_Layer(weight_name, bias_name, params[weight_name], inputs, first=not layers))
        output = torch.addmm(params[bias_name], inputs, params[weight_name].T)
    return layers, output


def _pushed(layers: Sequence[_Layer], vector: Params) -> tuple[list[Tensor | None], Tensor]:
    """The tangents along a direction in the parameters: of what each layer is given, and of what the last gives."""
    tangents, output = list[Tensor | None](), torch.empty(0)
    for layer in layers:
        tangent = None if layer.first else _through_tanh(output, layer.inputs)
        output = torch.addmm(vector[layer.bias_name], layer.inputs, vector[layer.weight_name].T)
        if tangent is not None:
            output.addmm_(tangent, layer.weight.T)
        tangents.append(tangent)
    return tangents, output


def _pulled(layers: Sequence[_Layer], signal: Tensor) -> tuple[Params, list[Tensor]]:
    """From a cotangent of the outputs: those of the parameters of the layers, and of what each layer gives."""
    gradient, signals = Params(), list[Tensor]()
    for layer in reversed(layers):
        gradient[layer.bias_name] = signal.sum(0)
        gradient[layer.weight_name] = signal.T @ layer.inputs
        signals.insert(0, signal)
        if not layer.first:
            signal = _through_tanh(signal @ layer.weight, layer.inputs)
    return gradient, signals


def _through_tanh(derivative: Tensor, h: Tensor) -> Tensor:
    """The derivative times 1 − h², forwards or backwards, without keeping 1 − h²."""
    through: Tensor = torch.ops.aten.tanh_backward(derivative, h)
    return through
