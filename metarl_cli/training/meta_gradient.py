"""The meta-gradient of one task, as free functions of θ, the task's data and the parts of an algorithm.

    θᵏ⁺¹ = θᵏ + α ∇J_inner(θᵏ; Dᵏ),   J(θ) = value(θᴷ; D^K) − penalty(θ⁰ … θᴷ⁻¹) + credit · score(θ⁰ … θᴷ⁻¹)

What training iterates, what the variance of a meta-gradient is measured of, and what the 1-D study compares with the
truth are these functions; they map over tasks, one by one: smaller products stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from metarl_cli.params import leaves
from metarl_cli.training.adaptation import Inner, Stage, adapt, adapted, stage_at
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
    """What the objective of one task sees besides θ: its K + 1 rounds, its exploration credit, its penalty's state."""

    rounds: list[Round]
    credit: Tensor
    penalty: Params


def objective(stages: Sequence[Stage], data: TaskData, parts: Parts) -> tuple[Tensor, list[Tensor]]:
    """J of a task that was adapted to θ⁰ … θᴷ, and the divergences of θ⁰ … θᴷ⁻¹ if a penalty has asked for them."""
    rounds, penalty, kl = data.rounds, parts.objective.penalty, list[Tensor]()
    value = parts.objective.value(stages[-1], rounds[-1])
    if penalty is not None:
        kl = stage_kl(stages[:-1], rounds[:-1])
        value = value - penalty.cost(data.penalty, torch.stack(kl))
    return value + data.credit * parts.exploration.score(stages, rounds), kl


def gradient(theta: Params, data: TaskData, parts: Parts) -> Params:
    """∇_θ J, through every adaptation step."""
    at = leaves(theta)
    value, _ = objective(adapt(at, data.rounds, parts.inner), data, parts)
    return dict(zip(at, torch.autograd.grad(value, list(at.values())), strict=True))


def diagnosed_gradient(theta: Params, data: TaskData, parts: Parts) -> tuple[Tensor, Params]:
    """What `diagnose` and `gradient` give, for little more than the latter costs."""
    at = leaves(theta)
    stages = adapt(at, data.rounds, parts.inner)
    value, kl = objective(stages, data, parts)
    gradients = torch.autograd.grad(value, list(at.values()))
    return _numbers(value, kl, stages, data), dict(zip(at, gradients, strict=True))


def diagnose(theta: Params, data: TaskData, parts: Parts) -> Tensor:
    """J, and D_KL(π_old^k ‖ π_{θ^k}) of each stage, [1 + K + 1]."""
    stages = list[Stage]()
    for round_ in data.rounds[:-1]:
        stages.append(stage_at(leaves(theta), round_))
        theta = adapted(stages[-1], round_, parts.inner)
    with torch.no_grad():
        stages.append(stage_at(theta, data.rounds[-1]))
        return _numbers(*objective(stages, data, parts), stages, data)


def _numbers(value: Tensor, kl: list[Tensor], stages: Sequence[Stage], data: TaskData) -> Tensor:
    with torch.no_grad():  # numbers to look at
        others = stage_kl(stages[len(kl) :], data.rounds[len(kl) :])
        return torch.cat([value.reshape(1), torch.stack([*kl, *others])])
