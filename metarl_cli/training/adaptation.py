"""The inner loop: gradient-ascent steps on an inner surrogate, for a group of tasks at once, and their Jacobians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from metarl_cli.params import ascend
from metarl_cli.training import policies
from metarl_cli.training.layers import AroundLayer, Layer, layers_at, pulled, pulled_again, pushed
from metarl_cli.types import Gaussian, Params, Round, Surrogate

__all__ = [
    "Inner",
    "InnerStep",
    "Network",
    "Stage",
    "adapted",
    "inner_gradient",
    "inner_objective",
    "inner_step",
    "network_at",
    "stage_at",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """How one adaptation step is taken: θ′ = θ + α ∇J̄(θ).

    Attributes:
        surrogate: the inner estimator as a mean over steps, a value to ascend: see `estimators.averages`.
        lr: α.
        first_order: replace the Jacobian I + α∇²J of the step by I (FMAML).
        per_action: the surrogate takes log-probabilities per action dimension, [N, T, A].
        magic_box: take ρ = π_θ / ⊥π_θ, one in value whatever θ is, as Foerster et al. (2018) write DiCE, instead of the
            ratio to the recorded policy. The two agree at the θ that sampled; further away, products of a hundred
            ratios explode.
        reference: while sampling, scale the rewards so that steps are as long as this surrogate's, see
            `step_lengths.matched`; None leaves them as they are.
    """

    surrogate: Surrogate
    lr: float
    first_order: bool = False
    per_action: bool = False
    magic_box: bool = False
    reference: Surrogate | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """The policy π_θᵏ at the observations of round k, and log π_θᵏ of the actions taken there, [..., N, T, A]."""

    policy: Gaussian
    logp_per_action: Tensor

    @property
    def logp(self) -> Tensor:
        """log π_θᵏ(aₜ|sₜ), [..., N, T]."""
        return self.logp_per_action.sum(-1)


def stage_at(policy: Gaussian, round_: Round) -> Stage:
    """Evaluate a policy on the actions of a round."""
    return Stage(policy, policies.log_prob_per_action(policy, round_.trajectories.actions))


def inner_objective(stage: Stage, round_: Round, inner: Inner) -> Tensor:
    """J̄(θ) of each task, [...]."""
    logp = stage.logp_per_action if inner.per_action else stage.logp
    # ⊥π_θ: the box is one in value, only its derivatives depend on θ.
    sample = replace(round_.sample, behaviour_logp=logp.detach()) if inner.magic_box else round_.sample
    return inner.surrogate(logp, sample)


class Network(NamedTuple):
    """The policies of G tasks, each with θ of its own, on their round.

    Attributes:
        layers: with what each is given.
        stage: what objectives see: functions of the outputs, the only part that automatic differentiation goes through.
        outputs: μ [G, N, T, A] and log σ [G, 1, 1, A], where its graph begins.
    """

    layers: Sequence[Layer]
    stage: Stage
    outputs: tuple[Tensor, Tensor]

    def pulled(self, mean: Tensor, log_std: Tensor, *, kept: bool) -> tuple[Params, list[AroundLayer]]:
        """From cotangents of the outputs, see `layers.pulled`."""
        gradient, cotangents = pulled(self.layers, _rows(mean), kept=kept)
        return gradient | {"log_std": log_std.flatten(1)}, cotangents


def network_at(params: Params, round_: Round) -> Network:
    """The policies at the parameters of G tasks, [G, …], on the round of these tasks."""
    layers, output = layers_at(params, round_.trajectories.observations)
    mean = output.reshape(round_.trajectories.actions.shape).requires_grad_()
    # A leaf, as the mean is: θ is reached by hand.
    log_std = params["log_std"].detach()[:, None, None].requires_grad_()
    return Network(layers, stage_at(Gaussian(mean, log_std), round_), (mean, log_std))


class InnerStep(NamedTuple):
    """An adaptation step of G tasks, with what its Jacobian is made of.

    Attributes:
        network: at θ.
        following: θ′.
        signal: ∂J̄/∂μ, with the graph of its own derivative unless the step is one of first order.
        cotangents: those of J̄ around every layer but the first; to first order none.
        log_std: that of θ′, a function of the network's outputs in the same graph.
        inner: how it was taken.
    """

    network: Network
    following: Params
    signal: Tensor
    cotangents: Sequence[AroundLayer]
    log_std: Tensor
    inner: Inner

    def product(self, vector: Params, value: Tensor | None = None) -> Params:
        """(I + α∇²J̄) v, which is also vᵀ(I + α∇²J̄); to first order v.

        Args:
            vector: v, [G, …].
            value: what depends on the outputs of the network besides θ′: its gradient in θ is added.
        """
        layers, first_order = self.network.layers, self.inner.first_order
        # One number whose gradient is that of all of them: to be given a cotangent makes PyTorch import SymPy.
        weighed = (self.log_std * vector["log_std"][:, None, None]).sum()
        if not first_order:
            scaled = {name: part * self.inner.lr for name, part in vector.items()}
            tangents, moved = pushed(layers, scaled)
            # The Hessian in the outputs is symmetric: the backward product is the forward one.
            weighed = weighed + (self.signal * moved.reshape(self.signal.shape)).sum()
        if value is not None:
            weighed = weighed + value
        mean, log_std = torch.autograd.grad(weighed, self.network.outputs, retain_graph=True, allow_unused=True)
        if mean is None:
            return vector | {"log_std": log_std.flatten(1)}
        if first_order:
            image, _ = pulled(layers, _rows(mean), kept=False)
        else:
            image = pulled_again(layers, self.cotangents, _rows(mean), scaled, tangents)
        return {name: part + image[name] if name in image else log_std.flatten(1) for name, part in vector.items()}


def inner_step(params: Params, round_: Round, inner: Inner, *, differentiable: bool) -> InnerStep:
    """θ′ = θ + α ∇_θ J̄(θ) of G tasks, [G, …].

    Args:
        params: θ of each task, [G, …].
        round_: the data of these tasks.
        inner: surrogate and step size.
        differentiable: keep the graphs of the outputs, for the Jacobian; sampling does without.
    """
    network, curved = network_at(params, round_), differentiable and not inner.first_order
    signal, of_log_std = torch.autograd.grad(
        inner_objective(network.stage, round_, inner).sum(),
        network.outputs,
        create_graph=curved,
        retain_graph=differentiable,
    )
    log_std = network.outputs[1] + inner.lr * of_log_std
    # As numbers, for the layers.
    gradient, cotangents = network.pulled(signal.detach(), of_log_std.detach(), kept=curved)
    return InnerStep(network, ascend(params, gradient, inner.lr), signal, cotangents, log_std, inner)


def inner_gradient(network: Network, round_: Round, inner: Inner) -> Params:
    """∇_θ J̄(θ) of each task, [G, …], as numbers; the graph of the outputs is kept for another estimator's."""
    value = inner_objective(network.stage, round_, inner).sum()
    gradient, _ = network.pulled(*torch.autograd.grad(value, network.outputs, retain_graph=True), kept=False)
    return gradient


def adapted(params: Params, round_: Round, inner: Inner) -> Params:
    """θ′ of each task, [G, …]: what samples the next round, and what a diagnosis looks at."""
    return inner_step(params, round_, inner, differentiable=False).following


def _rows(outputs: Tensor) -> Tensor:
    """[G, N, T, A] as the layers have it, [G, B, A]."""
    return outputs.flatten(1, -2)
