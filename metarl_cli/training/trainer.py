"""The shared trainer: sample → objective → meta_gradient → step (Rothfuss et al. 2019, Algorithm 1).

What the studies share is `training.meta_gradient`, of one task: the trainer maps it over tasks and iterates. Nothing
here knows the name of an algorithm: behaviour arrives as functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from metarl_cli.params import flatten, leaves, mean, stack
from metarl_cli.seeding import derived_seed, numpy_generator, torch_generator
from metarl_cli.training import meta_gradient, policies
from metarl_cli.training.adaptation import Stage, adapted, inner_gradient, stage_at
from metarl_cli.training.curvature import curvature
from metarl_cli.training.meta_gradient import Parts, TaskData
from metarl_cli.training.optimizers import Diagnosis, MetaProblem, Optimizer, OptimizerState
from metarl_cli.training.processing import Processing, process
from metarl_cli.training.rollouts import Array, Workers, collect
from metarl_cli.training.step_lengths import matched, measured
from metarl_cli.types import Params, Round, for_task

__all__ = ["Ascent", "TrainState", "Trainer"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """What a run carries from one meta-iteration to the next; a checkpoint is exactly this.

    Attributes:
        theta: θ.
        optimizer_state: of the outer optimiser.
        control_variate: what the control variate has learned.
        penalty: of the objective's penalty; nothing where there is none.
        iteration: meta-iterations done.
    """

    theta: Params
    optimizer_state: OptimizerState
    control_variate: Params
    penalty: Params
    iteration: int = 0


class Ascent(NamedTuple):
    """The diagnoses at θ before and after a meta-update, on the rounds that it was made from."""

    before: Diagnosis
    after: Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """An algorithm on a task distribution.

    Attributes:
        workers: the vector environment with its task distribution, M·N sub-environments.
        tasks, horizon, action_scale: M, T and the scale of the actions.
        processing: how trajectories become samples.
        parts: adaptation step, exploration term and outer objective.
        steps: K.
        optimizer: the outer optimiser.
        seed: of every random stream.
        threads: how many tasks are differentiated at once; it does not change a single bit.
    """

    workers: Workers
    tasks: int
    horizon: int
    action_scale: float
    processing: Processing
    parts: Parts
    steps: int
    optimizer: Optimizer
    seed: int
    threads: int = 1

    def init(self, theta: Params) -> TrainState:
        """The state before the first meta-iteration."""
        (observation_size,) = self.workers.single_observation_space.shape
        generator, penalty = torch_generator(self.seed, "control variate"), self.parts.objective.penalty
        return TrainState(
            theta=theta,
            optimizer_state=self.optimizer.init(theta),
            control_variate=self.processing.control_variate.init(generator, observation_size),
            penalty=penalty.init(self.steps) if penalty else {},
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
                following = self._adapted(params, rounds[-1])
                rounds[-1] = replace(rounds[-1], step=measured(params, following, rounds[-1]))
                params = following
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
        credits = self.parts.exploration.credit(rounds, self.processing.discount)
        return [
            TaskData([for_task(round_, task) for round_ in rounds], credits[task], state.penalty)
            for task in range(self.tasks)
        ]

    def meta_gradient(self, theta: Params, data: Sequence[TaskData]) -> Params:
        """∇_θ of the mean of the task objectives."""
        return mean(self._map(lambda task: meta_gradient.gradient(theta, task, self.parts), data))

    def diagnosed_gradient(self, theta: Params, data: Sequence[TaskData]) -> tuple[Diagnosis, Params]:
        """The diagnosis and the meta-gradient at θ."""
        numbers, gradients = zip(
            *self._map(lambda task: meta_gradient.diagnosed_gradient(theta, task, self.parts), data), strict=True
        )
        return _diagnosis(numbers), mean(gradients)

    def diagnose(self, theta: Params, data: Sequence[TaskData]) -> Diagnosis:
        """The meta-objective and the divergences at θ."""
        return _diagnosis(self._map(lambda task: meta_gradient.diagnose(theta, task, self.parts), data))

    def curvature(self, theta: Params, data: Sequence[TaskData]) -> Callable[[Params], Params]:
        """v ↦ Hv with H = ∇²_θ of the mean over tasks of D_KL(π_old^K ‖ π_{θ^K}), at the θ that sampled."""
        products = self._map(lambda task: curvature(theta, task.rounds, self.parts.inner), data)
        return lambda vector: mean(self._map(lambda product: product(vector), products))

    def step(self, state: TrainState, rounds: Sequence[Round]) -> tuple[TrainState, Ascent]:
        """Alg. 1, lines 9–12: the meta-update on stored rounds. The state that is given stays as it was."""
        data, penalty = self.task_data(state, rounds), self.parts.objective.penalty
        before, first = self.diagnosed_gradient(state.theta, data)
        problem = MetaProblem(
            before=before,
            first=first,
            gradient=lambda theta: self.meta_gradient(theta, data),
            evaluate=lambda theta: self.diagnose(theta, data),
            curvature=lambda: self.curvature(state.theta, data),
        )
        theta, optimizer_state, after = self.optimizer.update(state.theta, state.optimizer_state, problem)
        following = TrainState(
            theta=theta,
            optimizer_state=optimizer_state,
            control_variate=self._learned_control_variate(state.control_variate, rounds),
            penalty=penalty.update(state.penalty, after.kl[:-1]) if penalty else state.penalty,
            iteration=state.iteration + 1,
        )
        return following, Ascent(before, after)

    def _learned_control_variate(self, learned: Params, rounds: Sequence[Round]) -> Params:
        for round_ in rounds[:-1]:
            learned = self.processing.control_variate.update(learned, round_.trajectories, round_.returns)
        return learned

    def _adapted(self, params: Params, round_: Round) -> Params:
        def of_task(task: int) -> Params:
            data = for_task(round_, task)
            return adapted(_stage(params, task, data), data, self.parts.inner)

        return stack(self._map(of_task, range(self.tasks)))

    def _matched(self, params: Params, round_: Round) -> Round:
        """The rewards in the units in which the inner step is as long as the reference's."""
        if self.parts.inner.reference is None:
            return round_
        own = replace(self.parts.inner, first_order=True)  # lengths of steps: no derivative of them is taken
        reference = replace(own, surrogate=self.parts.inner.reference, per_action=False, magic_box=False)

        def lengths(task: int) -> Tensor:
            data = for_task(round_, task)
            stage = _stage(params, task, data)
            gradients = [inner_gradient(stage, data, inner, differentiable=True) for inner in (reference, own)]
            return torch.stack([flatten(gradient).norm() for gradient in gradients])

        wanted, given = torch.stack(self._map(lengths, range(self.tasks))).unbind(-1)
        return matched(round_, given, wanted)

    def _map(self, function: Callable[..., Result], tasks: Sequence[object]) -> list[Result]:
        if self.threads == 1:
            return [function(task) for task in tasks]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(function, tasks))


def _stage(params: Params, task: int, data: Round) -> Stage:
    return stage_at(leaves({name: value[task] for name, value in params.items()}), data)


def _diagnosis(numbers: Sequence[Tensor]) -> Diagnosis:
    objective, *kl = torch.stack([*numbers]).mean(0).tolist()
    return Diagnosis(objective, kl)
