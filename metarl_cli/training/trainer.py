"""The shared trainer: sample → objective → meta_gradient → step (Rothfuss et al. 2019, Algorithm 1).

What the studies share is `meta_gradient`: `train` iterates it, `variance` repeats it at one θ, `correlate` compares it
with the truth. Nothing here knows the name of an algorithm: behaviour arrives as functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from metarl_cli.seeding import derived_seed, numpy_generator, torch_generator
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner, adapt, inner_gradient, inner_step, stage_at
from metarl_cli.training.exploration import Exploration
from metarl_cli.training.objectives import Objective, stage_kl
from metarl_cli.training.optimizers import Diagnosis, MetaProblem, Optimizer, OptimizerState
from metarl_cli.training.processing import Processing, process
from metarl_cli.training.returns import discounted_returns
from metarl_cli.training.rollouts import Array, Workers, collect
from metarl_cli.training.step_lengths import matched, measured
from metarl_cli.types import Params, Round, for_task

__all__ = ["TaskData", "TrainState", "Trainer"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """What a run carries from one meta-iteration to the next; a checkpoint is exactly this.

    Attributes:
        theta: θ.
        optimizer_state: of the outer optimiser.
        control_variate: what the control variate has learned.
        kl_coefficients: η of each pre-update stage, [K].
        iteration: meta-iterations done.
    """

    theta: Params
    optimizer_state: OptimizerState
    control_variate: Params
    kl_coefficients: Tensor
    iteration: int = 0


class TaskData(NamedTuple):
    """What the objective of one task sees besides θ: its K + 1 rounds, its exploration credit, η [K]."""

    rounds: list[Round]
    credit: Tensor
    kl_coefficients: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """An algorithm on a task distribution.

    Attributes:
        workers: the vector environment with its task distribution, M·N sub-environments.
        tasks, horizon, action_scale: M, T and the scale of the actions.
        processing: how trajectories become samples.
        inner, steps: the adaptation step, and K.
        exploration: the exploration term.
        objective: the outer objective of one task.
        optimizer: the outer optimiser.
        kl_target: where not 0, η is halved or doubled after an update whose divergence is far from it.
        seed: of every random stream.
        threads: how many tasks are differentiated at once; it does not change a single bit.
    """

    workers: Workers
    tasks: int
    horizon: int
    action_scale: float
    processing: Processing
    inner: Inner
    steps: int
    exploration: Exploration
    objective: Objective
    optimizer: Optimizer
    kl_target: float
    seed: int
    threads: int = 1

    def init(self, theta: Params, *, kl_coefficient: float) -> TrainState:
        """The state before the first meta-iteration."""
        (observation_size,) = self.workers.single_observation_space.shape
        generator = torch_generator(self.seed, "control variate")
        return TrainState(
            theta=theta,
            optimizer_state=self.optimizer.init(theta),
            control_variate=self.processing.control_variate.init(generator, observation_size),
            kl_coefficients=torch.full((self.steps,), kl_coefficient),
        )

    def draw_tasks(self, *stream: int) -> Array:
        """Alg. 1, line 3: M tasks, [M, …]. The stream names the draw; training gives the iteration."""
        return self.workers.sample_tasks(self.tasks, numpy_generator(self.seed, "tasks", *stream))

    def sample(self, state: TrainState, tasks: Array, *stream: int) -> list[Round]:
        """Alg. 1, lines 4–8: sample with θ, adapt, sample with θ′, …: K + 1 rounds of plain data.

        Args:
            state: θ, and what the control variate has learned so far.
            tasks: [M, …].
            stream: names the draws of actions and reset noise.
        """
        params, rounds = policies.repeat(state.theta, self.tasks), list[Round]()
        for stage in range(self.steps + 1):
            if stage:
                adapted = self._adapted(params, rounds[-1])
                rounds[-1] = replace(rounds[-1], step=measured(params, adapted, rounds[-1]))
                params = adapted
            trajectories = collect(
                self.workers,
                tasks,
                params,
                horizon=self.horizon,
                action_scale=self.action_scale,
                generator=torch_generator(self.seed, "actions", *stream, stage),
                seed=derived_seed(self.seed, "environment", *stream, stage),
            )
            rounds.append(self._matched(params, process(trajectories, self.processing, state.control_variate)))
        return rounds

    def task_data(self, state: TrainState, rounds: Sequence[Round]) -> list[TaskData]:
        """The rounds task by task, with the exploration credit, which depends on all tasks."""
        credits = self.exploration.credit(rounds, self.processing.discount)
        return [
            TaskData([for_task(round_, task) for round_ in rounds], credits[task], state.kl_coefficients)
            for task in range(self.tasks)
        ]

    def task_objective(self, theta: Params, data: TaskData, *, differentiable: bool = True) -> tuple[Tensor, Tensor]:
        """Re-adapt on one task's stored rounds: the meta-objective there, and the divergence of each stage, [K + 1]."""
        stages = adapt(theta, data.rounds, self.inner, differentiable=differentiable)
        explored = data.credit * self.exploration.score(stages, data.rounds)
        objective = self.objective(stages, data.rounds, data.kl_coefficients) + explored
        return objective, stage_kl(stages, data.rounds)

    def meta_gradient(self, theta: Params, data: Sequence[TaskData]) -> Params:
        """∇_θ of the mean of the task objectives, task by task: smaller products that stay in the cache."""

        def gradient(task: TaskData) -> list[Tensor]:
            leaves = _leaves(theta)
            objective, _ = self.task_objective(leaves, task)
            return list(torch.autograd.grad(objective, list(leaves.values())))

        gradients = self._map(gradient, data)
        return {name: torch.stack(parts).mean(0) for name, *parts in zip(theta, *gradients, strict=True)}

    def diagnose(self, theta: Params, data: Sequence[TaskData]) -> Diagnosis:
        """The meta-objective and the divergences at θ."""

        def of_task(task: TaskData) -> Tensor:
            objective, kl = self.task_objective(_leaves(theta), task, differentiable=False)
            return torch.cat([objective.reshape(1), kl]).detach()  # numbers to look at: no gradient is taken

        objective, *kl = torch.stack(self._map(of_task, data)).mean(0).tolist()
        return Diagnosis(objective, kl)

    def curvature(self, theta: Params, data: Sequence[TaskData]) -> Callable[[Params], Params]:
        """v ↦ Hv with H = ∇²_θ of the mean over tasks of D_KL(π_old^K ‖ π_{θ^K}), exactly, by double backward.

        The graphs of all tasks' gradients are kept for as long as the function is.
        """

        def kl_gradient(task: TaskData) -> tuple[list[Tensor], list[Tensor]]:
            leaves = list(_leaves(theta).values())
            _, kl = self.task_objective(dict(zip(theta, leaves, strict=True)), task)
            return leaves, list(torch.autograd.grad(kl[-1], leaves, create_graph=True))

        graphs = self._map(kl_gradient, data)

        def product(vector: Params) -> Params:
            def of_task(graph: tuple[list[Tensor], list[Tensor]]) -> list[Tensor]:
                leaves, gradients = graph
                return list(torch.autograd.grad(gradients, leaves, list(vector.values()), retain_graph=True))

            products = self._map(of_task, graphs)
            return {name: torch.stack(parts).mean(0) for name, *parts in zip(theta, *products, strict=True)}

        return product

    def step(self, state: TrainState, rounds: Sequence[Round]) -> tuple[TrainState, Diagnosis]:
        """Alg. 1, lines 9–12: the meta-update on stored rounds. The state that is given stays as it was."""
        data = self.task_data(state, rounds)
        problem = MetaProblem(
            gradient=lambda theta: self.meta_gradient(theta, data),
            evaluate=lambda theta: self.diagnose(theta, data),
            curvature=lambda theta: self.curvature(theta, data),
        )
        theta, optimizer_state = self.optimizer.update(state.theta, state.optimizer_state, problem)
        after = self.diagnose(theta, data)
        following = TrainState(
            theta=theta,
            optimizer_state=optimizer_state,
            control_variate=self._learned_control_variate(state.control_variate, rounds),
            kl_coefficients=_adjusted(state.kl_coefficients, after.kl[:-1], self.kl_target),
            iteration=state.iteration + 1,
        )
        return following, after

    def _learned_control_variate(self, learned: Params, rounds: Sequence[Round]) -> Params:
        for round_ in rounds[:-1]:
            returns = discounted_returns(round_.trajectories.rewards, self.processing.discount)
            learned = self.processing.control_variate.update(learned, round_.trajectories, returns)
        return learned

    def _adapted(self, params: Params, round_: Round) -> Params:
        def of_task(task: int) -> Params:
            data = for_task(round_, task)
            stage = stage_at(_leaves({name: value[task] for name, value in params.items()}), data)
            adapted = inner_step(stage, data, self.inner, differentiable=False)
            return {name: value.detach() for name, value in adapted.items()}  # the sampling policy is data

        adapted = self._map(of_task, range(self.tasks))
        return {name: torch.stack([p[name] for p in adapted]) for name in params}

    def _matched(self, params: Params, round_: Round) -> Round:
        """The rewards in the units in which the inner step is as long as the reference's."""
        if self.inner.reference is None:
            return round_
        own = replace(self.inner, first_order=True)  # lengths of steps: no derivative of them is taken
        reference = replace(own, surrogate=self.inner.reference, per_action=False, magic_box=False)

        def lengths(task: int) -> Tensor:
            data = for_task(round_, task)
            stage = stage_at(_leaves({name: value[task] for name, value in params.items()}), data)
            gradients = [inner_gradient(stage, data, inner, differentiable=True) for inner in (reference, own)]
            return torch.stack([torch.cat([g.flatten() for g in parts]).norm() for parts in gradients])

        wanted, given = torch.stack(self._map(lengths, range(self.tasks))).unbind(-1)
        return matched(round_, given, wanted)

    def _map(self, function: Callable[..., Result], tasks: Sequence[object]) -> list[Result]:
        if self.threads == 1:
            return [function(task) for task in tasks]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(function, tasks))


def _leaves(params: Params) -> Params:
    # Cut from whatever made them, so that a gradient with respect to exactly these tensors can be taken.
    return {name: value.detach().requires_grad_() for name, value in params.items()}


def _adjusted(coefficients: Tensor, kl: Sequence[float], target: float) -> Tensor:
    """η/2 where D_KL < target/1.5, 2η where D_KL > 1.5 target: the released code's rule for the RandParams tasks."""
    if target == 0.0:
        return coefficients
    measured = torch.tensor(kl, dtype=coefficients.dtype)
    factors = torch.where(measured < target / 1.5, 0.5, torch.where(measured > 1.5 * target, 2.0, 1.0))
    return coefficients * factors
