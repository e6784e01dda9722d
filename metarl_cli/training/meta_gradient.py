"""The meta-gradients of a group of tasks, as free functions of θ, the tasks' data and the parts of an algorithm.

    θᵏ⁺¹ = θᵏ + α ∇J_inner(θᵏ; Dᵏ),   J(θ) = value(θᴷ; D^K) − penalty(θ⁰ … θᴷ⁻¹) + credit · score(θ⁰ … θᴷ⁻¹)

What training iterates, what the variance of a meta-gradient is measured of, and what the 1-D study compares with the
truth are these functions; they map over groups of tasks: large enough that a thousand small operations are few, small
enough that what one leaves for the next stays in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from metarl_cli.training.adaptation import Inner, InnerStep, Network, Stage, inner_step, network_at
from metarl_cli.training.curvature import Product, curvature
from metarl_cli.training.exploration import Exploration
from metarl_cli.training.objectives import Objective, stage_kl
from metarl_cli.types import Params, Round

__all__ = ["Parts", "TaskData", "diagnose", "diagnosed_gradient", "gradient", "objective"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of an algorithm decides its meta-gradient: the adaptation step, the exploration term, the objective."""

    inner: Inner
    exploration: Exploration
    objective: Objective


class TaskData(NamedTuple):
    """What the objectives of G tasks see besides θ: K + 1 rounds, exploration credit [G], the state of the penalty."""

    rounds: list[Round]
    credit: Tensor
    penalty: Params


def objective(stages: Sequence[Stage], data: TaskData, parts: Parts) -> tuple[Tensor, list[Tensor]]:
    """J of each task that was adapted to θ⁰ … θᴷ, [G], and the divergences of θ⁰ … θᴷ⁻¹ if a penalty asks for them."""
    rounds, penalty, kl = data.rounds, parts.objective.penalty, list[Tensor]()
    value = parts.objective.value(stages[-1], rounds[-1])
    if penalty is not None:
        kl = stage_kl(stages[:-1], rounds[:-1])
        value = value - penalty.cost(data.penalty, torch.stack(kl, dim=-1))
    return value + data.credit * parts.exploration.score(stages, rounds), kl


def gradient(theta: Params, data: TaskData, parts: Parts) -> Params:
    """∇_θ J of each task, [G, …], through every adaptation step; θ is given once for each, likewise."""
    steps, last, stages = _adapted(theta, data, parts)
    value, _ = objective(stages, data, parts)
    return _pulled(value, steps, last)


def diagnosed_gradient(theta: Params, data: TaskData, parts: Parts) -> tuple[Tensor, Params, Product]:
    """What `diagnose` and `gradient` give, and the `curvature` there, for little more than the gradient costs."""
    steps, last, stages = _adapted(theta, data, parts)
    value, kl = objective(stages, data, parts)
    numbers = _numbers(value, kl, stages, data)
    return numbers, _pulled(value, steps, last), curvature(steps, last, data.rounds[-1])


def diagnose(theta: Params, data: TaskData, parts: Parts) -> Tensor:
    """J, and D_KL(π_old^k ‖ π_{θ^k}) of each stage, [G, 1 + K + 1]."""
    _, _, stages = _adapted(theta, data, parts, differentiable=False)
    with torch.no_grad():
        return _numbers(*objective(stages, data, parts), stages, data)


def _adapted(
    theta: Params, data: TaskData, parts: Parts, *, differentiable: bool = True
) -> tuple[list[InnerStep], Network, list[Stage]]:
    """The K steps from θ⁰, the policies at θᴷ, and the stages that objectives see of both, K + 1 of them."""
    steps = list[InnerStep]()
    for round_ in data.rounds[:-1]:
        steps.append(inner_step(theta, round_, parts.inner, differentiable=differentiable))
        theta = steps[-1].following
    last = network_at(theta, data.rounds[-1])
    return steps, last, [*(step.network.stage for step in steps), last.stage]


def _pulled(value: Tensor, steps: Sequence[InnerStep], last: Network) -> Params:
    """∇_θ of a value of each task that is a function of the outputs of the networks."""
    value = value.sum()  # each depends on its own task
    # An exploration term alone sees nothing of the last policies.
    cotangents = torch.autograd.grad(value, last.outputs, retain_graph=True, materialize_grads=True)
    gradient, _ = last.pulled(*cotangents, kept=False)
    for step in reversed(steps):
        gradient = step.product(gradient, value)
    return gradient


def _numbers(value: Tensor, kl: list[Tensor], stages: Sequence[Stage], data: TaskData) -> Tensor:
    with torch.no_grad():  # numbers to look at
        others = stage_kl(stages[len(kl) :], data.rounds[len(kl) :])
        return torch.stack([value, *kl, *others], dim=-1)
