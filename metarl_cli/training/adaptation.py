"""The inner loop: K differentiable gradient-ascent steps on an inner surrogate, for one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metarl_cli.training import policies
from metarl_cli.types import Gaussian, Params, Round, Surrogate

__all__ = ["Inner", "Stage", "adapt", "inner_objective", "inner_step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """How one adaptation step is taken: θ′ = θ + α ∇J(θ).

    Attributes:
        surrogate: the inner estimator, a value to ascend.
        lr: α.
        first_order: replace the Jacobian I + α∇²J of the step by I (FMAML).
    """

    surrogate: Surrogate
    lr: float
    first_order: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """θᵏ, and the policy π_θᵏ at the observations of round k."""

    params: Params
    policy: Gaussian


def inner_objective(policy: Gaussian, round_: Round, surrogate: Surrogate) -> Tensor:
    """The surrogate per step, J = surrogate · N / Σ mask: the papers' code averages over steps instead of summing."""
    mask = round_.trajectories.mask
    logp = policies.log_prob(policy, round_.trajectories.actions)
    return surrogate(logp, round_.sample) * (mask.shape[-2] / mask.sum((-2, -1)))


def inner_step(stage: Stage, round_: Round, inner: Inner, *, differentiable: bool) -> Params:
    """θ′ = θ + α ∇_θ J(θ).

    Args:
        stage: θ and its policy at the round's observations, with the graph that connects them.
        round_: the data of one task.
        inner: surrogate and step size.
        differentiable: keep the graph of the step, for the meta-gradient; sampling does without.
    """
    objective = inner_objective(stage.policy, round_, inner.surrogate)
    keep_graph = differentiable and not inner.first_order
    gradients = torch.autograd.grad(objective, list(stage.params.values()), create_graph=keep_graph)
    return {name: value + inner.lr * g for (name, value), g in zip(stage.params.items(), gradients, strict=True)}


def adapt(theta: Params, rounds: Sequence[Round], inner: Inner, *, differentiable: bool = True) -> list[Stage]:
    """θ⁰ … θᴷ on the stored rounds of one task: K + 1 stages for K + 1 rounds."""
    params, stages = theta, list[Stage]()
    for round_ in rounds:
        if stages:
            params = inner_step(stages[-1], rounds[len(stages) - 1], inner, differentiable=differentiable)
        stages.append(Stage(params, policies.distribution(params, round_.trajectories.observations)))
    return stages
