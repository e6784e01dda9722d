"""Trainers that are small enough for float64, finite differences and counting by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace

import torch
from torch import Tensor

from metarl_cli.config import RunConfig, with_overrides
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.params import ascend, leaves
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner, Stage, inner_objective, stage_at
from metarl_cli.training.build import build
from metarl_cli.training.meta_gradient import TaskData
from metarl_cli.training.objectives import Objective, Penalty
from metarl_cli.training.trainer import Trainer, TrainState
from metarl_cli.types import Gaussian, Params, Round

SMALL = (
    "environment.name=Navigation",
    "sampling.tasks=2",
    "sampling.trajectories=4",
    "sampling.horizon=5",
    "policy.hidden=4,3",
    "outer.gradient_steps=1",
)


def small(*overrides: str, seed: int = 1, threads: int = 1) -> tuple[Trainer, TrainState]:
    """A trainer of two tasks, four trajectories, five steps, and its state."""
    return build(with_overrides(RunConfig(seed=seed), [*SMALL, *overrides]), threads=threads)


def with_estimator(name: str) -> tuple[str, ...]:
    """The settings of an inner estimator, with a control variate if it subtracts one."""
    variate = "linear" if "control_variate" in ESTIMATORS[name].needs else "none"
    return (f"inner.estimator={name}", f"inner.control_variate={variate}")


def sampled(trainer: Trainer, state: TrainState, iteration: int = 0) -> list[Round]:
    """The rounds of one meta-iteration."""
    return trainer.sample(state, trainer.draw_tasks(iteration), iteration)


def double(record):
    """The same record, or dict, list, tensor, in float64."""
    if isinstance(record, Tensor):
        return record.double() if record.is_floating_point() else record
    if isinstance(record, dict):
        return {name: double(value) for name, value in record.items()}
    if isinstance(record, list):
        return [double(value) for value in record]
    if is_dataclass(record):
        return replace(record, **{field.name: double(getattr(record, field.name)) for field in fields(record)})
    return record


def in_float64(trainer: Trainer, state: TrainState, rounds: Sequence[Round]) -> tuple[Params, list[TaskData]]:
    """θ and the data of each task, as if θ in float64 had sampled them: every ratio is 1 to the last digit."""
    theta = double(state.theta)
    data = [TaskData(*map(double, task)) for task in trainer.task_data(state, rounds)]
    return theta, [task._replace(rounds=resampled(trainer, theta, task.rounds)) for task in data]


def resampled(trainer: Trainer, theta: Params, rounds: Sequence[Round]) -> list[Round]:
    """The rounds of a task with the policies recorded that θ adapts to on them."""
    params, renewed = theta, list[Round]()
    for round_ in rounds:
        at = leaves(params)
        stage = at_params(at, round_)
        behaviour = Gaussian(stage.policy.mean.detach(), stage.policy.log_std.detach())
        per_action = stage.logp_per_action.detach()
        logp = policies.log_prob(behaviour, round_.trajectories.actions)
        trajectories = replace(round_.trajectories, behaviour=behaviour, behaviour_logp=logp)
        sample = replace(round_.sample, behaviour_logp=per_action if trainer.parts.inner.per_action else logp)
        renewed.append(replace(round_, trajectories=trajectories, sample=sample))
        params = leaves(step_by_autograd(at, stage, renewed[-1], trainer.parts.inner))
    return renewed


def at_params(params: Params, round_: Round) -> Stage:
    """A policy on a round, with the graph that connects it with its parameters."""
    return stage_at(policies.distribution(params, round_.trajectories.observations), round_)


def step_by_autograd(params: Params, stage: Stage, round_: Round, inner: Inner) -> Params:
    """θ′ = θ + α ∇J̄(θ) with the graph of its Jacobian, or of the identity to first order."""
    value = inner_objective(stage, round_, inner).sum()
    gradient = torch.autograd.grad(value, [*params.values()], create_graph=not inner.first_order, retain_graph=True)
    return ascend(params, dict(zip(params, gradient, strict=True)), inner.lr)


def adapt(theta: Params, rounds: Sequence[Round], inner: Inner) -> list[Stage]:
    """The stages of θ⁰ … θᴷ by automatic differentiation alone: the oracle of what is differentiated by hand."""
    return [at_params(params, round_) for params, round_ in zip(iterates(theta, rounds, inner), rounds, strict=True)]


def iterates(theta: Params, rounds: Sequence[Round], inner: Inner) -> list[Params]:
    """θ⁰ … θᴷ, likewise."""
    params = [theta]
    for round_ in rounds[:-1]:
        params.append(step_by_autograd(params[-1], at_params(params[-1], round_), round_, inner))
    return params


def with_objective(trainer: Trainer, objective: Objective) -> Trainer:
    """The same trainer with another outer objective."""
    return replace(trainer, parts=replace(trainer.parts, objective=objective))


def with_inner(trainer: Trainer, **changes: object) -> Trainer:
    """The same trainer with another adaptation step."""
    return replace(trainer, parts=replace(trainer.parts, inner=replace(trainer.parts.inner, **changes)))


def penalised(data: Sequence[TaskData], steps: int, coefficient: float) -> list[TaskData]:
    """The data with η of every stage made this one."""
    eta = double(Penalty(coefficient=coefficient).init(steps))
    return [task._replace(penalty=eta) for task in data]


def moved(theta: Params, distance: float, seed: int = 0) -> Params:
    """θ with Gaussian noise on every number: somewhere else than where it was sampled."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + distance * torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in theta.items()
    }


def inner_product(left: Params, right: Params) -> float:
    """Σ over all parameters."""
    return sum(float((left[name] * right[name]).sum()) for name in left)


def slope(function, theta: Params, direction: Params, h: float = 1e-5) -> float:
    """dJ(θ + hv)/dh by central differences of fourth order."""
    at = {k: function(ascend(theta, direction, k * h)) for k in (-2, -1, 1, 2)}
    return (8.0 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12.0 * h)
