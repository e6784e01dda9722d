"""Outer optimisers, as `init`/`update` pairs of pure functions.

An update sees the meta-problem as functions of θ on one stored set of rounds, so that it may evaluate it many times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from metarl_cli.params import ascend
from metarl_cli.types import Params

__all__ = ["Diagnosis", "MetaProblem", "Optimizer", "OptimizerState", "Update", "adam", "sgd"]

OptimizerState: TypeAlias = dict[str, Tensor]


class Diagnosis(NamedTuple):
    """The objective, and D_KL(π_old^k ‖ π_{θ^k}) of each stage, [K + 1]; means over tasks."""

    objective: float
    kl: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaProblem:
    """The meta-objective on stored rounds, a value to ascend, and how far the adapted policies have moved.

    Attributes:
        before, first: the diagnosis and the gradient at the θ that sampled the rounds, where every update begins.
        gradient: ∇ of the objective at any θ.
        evaluate: the diagnosis at any θ.
        curvature: at the θ that sampled, the function v ↦ Hv with H the Hessian of the last divergence,
            D_KL(π_old^K ‖ π_{θ^K}); None unless the optimiser is one that asks for it.
    """

    before: Diagnosis
    first: Params
    gradient: Callable[[Params], Params]
    evaluate: Callable[[Params], Diagnosis]
    curvature: Callable[[Params], Params] | None


class Update(NamedTuple):
    """Where an update has led: θ, the state of the optimiser, the diagnosis at θ."""

    theta: Params
    state: OptimizerState
    after: Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """`init(theta) -> state`, and `update(theta, state, problem) -> Update`; neither changes its arguments.

    `columns` names the entries of the state that are worth a column in `progress.csv`, all scalars; one that is
    `curved` is given the curvature.
    """

    init: Callable[[Params], OptimizerState]
    update: Callable[[Params, OptimizerState, MetaProblem], Update]
    columns: tuple[str, ...] = ()
    curved: bool = False


def sgd(*, lr: float, steps: int) -> Optimizer:
    """θ ← θ + lr ∇J, `steps` times on the same rounds."""

    def update(theta: Params, state: OptimizerState, problem: MetaProblem) -> Update:
        for step in range(steps):
            theta = ascend(theta, problem.gradient(theta) if step else problem.first, lr)
        return Update(theta, state, problem.evaluate(theta))

    return Optimizer(init=lambda theta: {}, update=update)


def adam(*, lr: float, steps: int) -> Optimizer:
    """Adam (Kingma and Ba 2015), `steps` full-batch steps on the same rounds; its moments live for the whole run.

        m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  θ ← θ + lr · √(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε)

    with ε outside the bias correction, as in the papers' TensorFlow code; β = (0.9, 0.999), ε = 1e-8.
    """
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def init(theta: Params) -> OptimizerState:
        zeros = {f"{moment}.{name}": torch.zeros_like(value) for moment in ("m", "v") for name, value in theta.items()}
        return {"t": torch.zeros((), dtype=torch.int64), **zeros}

    def update(theta: Params, state: OptimizerState, problem: MetaProblem) -> Update:
        for step in range(steps):
            gradient = problem.gradient(theta) if step else problem.first
            t = int(state["t"]) + 1
            rate = lr * (1.0 - beta2**t) ** 0.5 / (1.0 - beta1**t)
            stepped, moments = Params(), {"t": state["t"] + 1}
            for name, value in theta.items():
                m = beta1 * state[f"m.{name}"] + (1.0 - beta1) * gradient[name]
                v = beta2 * state[f"v.{name}"] + (1.0 - beta2) * gradient[name] ** 2
                moments[f"m.{name}"], moments[f"v.{name}"] = m, v
                stepped[name] = value + rate * m / (v.sqrt() + epsilon)
            theta, state = stepped, moments
        return Update(theta, state, problem.evaluate(theta))

    return Optimizer(init=init, update=update)
