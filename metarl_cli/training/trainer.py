"""The shared trainer: sample → objective → meta_gradient → step (Rothfuss et al. 2019, Algorithm 1).

What the studies share is `training.meta_gradient`: the trainer maps it over groups of tasks and iterates. Nothing
here knows the name of an algorithm: behaviour arrives as functions. Everything but the simulations, and the policy that
acts in them, runs on the device on which θ is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from metarl_cli.params import join, mean
from metarl_cli.seeding import derived_seed, numpy_generator, torch_generator
from metarl_cli.training import meta_gradient, policies
from metarl_cli.training.adaptation import adapted, inner_gradient, network_at
from metarl_cli.training.curvature import Product
from metarl_cli.training.meta_gradient import Parts, TaskData
from metarl_cli.training.optimizers import Diagnosis, MetaProblem, Optimizer, OptimizerState
from metarl_cli.training.parallel import mapped
from metarl_cli.training.processing import Processing, predicted, processed
from metarl_cli.training.rollouts import Array, Workers, collect
from metarl_cli.training.step_lengths import distance, divergence, matched
from metarl_cli.types import Params, Round, Step, Trajectories, for_task, joined, on_device

__all__ = ["Ascent", "TrainState", "Trainer"]

Result = TypeVar("Result")

GROUP = 8000
"""Steps of all tasks of a group: what they leave for each other then stays in the cache."""


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

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.theta["log_std"].device


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
        threads: how many groups of tasks are differentiated at once; it does not change a single bit.
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
        """The state before the first meta-iteration, on the device of θ."""
        (observation_size,) = self.workers.single_observation_space.shape
        generator, penalty = torch_generator(self.seed, "control variate"), self.parts.objective.penalty
        state = TrainState(
            theta=theta,
            optimizer_state=self.optimizer.init(theta),
            control_variate=self.processing.control_variate.init(generator, observation_size),
            penalty=penalty.init(self.steps) if penalty else {},
        )
        return on_device(state, state.device)

    def draw_tasks(self, *stream: int) -> Array:
        """Alg. 1, line 3: M tasks, [M, …]. The stream names the draw; training gives the iteration."""
        return self.workers.sample_tasks(self.tasks, numpy_generator(self.seed, "tasks", *stream))

    def sample(self, state: TrainState, tasks: Array, *stream: int, first: Trajectories | None = None) -> list[Round]:
        """Alg. 1, lines 4–8: sample with θ, adapt, sample with θ′, …: K + 1 rounds of plain data.

        Args:
            state: θ, and what the control variate has learned so far.
            tasks: [M, …].
            stream: names the draws of actions and reset noise.
            first: what θ samples of this stream, where an algorithm that adapts in another way has done so already.
        """
        params, rounds = policies.repeat(state.theta, self.tasks), list[Round]()
        for stage in range(self.steps + 1):
            if stage:
                params, rounds[-1] = self._adapted(params, rounds[-1])
            if stage or first is None:
                trajectories = collect(
                    self.workers,
                    tasks,
                    on_device(params, "cpu"),  # a step's few small products cost less than the way to a device and back
                    horizon=self.horizon,
                    action_scale=self.action_scale,
                    generator=torch_generator(self.seed, "actions", *stream, stage),
                    seed=derived_seed(self.seed, "environment", *stream, stage),
                )
            else:
                trajectories = first
            round_ = self._processed(on_device(trajectories, state.device), state.control_variate)
            rounds.append(self._matched(params, round_))
        return rounds

    def task_data(self, state: TrainState, rounds: Sequence[Round]) -> list[TaskData]:
        """The rounds group by group, with the exploration credit, which depends on all tasks."""
        credits = self.parts.exploration.credit(rounds, self.processing.discount)
        return [
            TaskData([for_task(round_, group) for round_ in rounds], credits[group], state.penalty)
            for group in self._groups(state.device)
        ]

    def meta_gradient(self, theta: Params, data: Sequence[TaskData]) -> Params:
        """∇_θ of the mean of the task objectives."""
        return mean(join(self._map(lambda group: meta_gradient.gradient(_each(theta, group), group, self.parts), data)))

    def diagnosed_gradient(
        self, theta: Params, data: Sequence[TaskData], *, curved: bool
    ) -> tuple[Diagnosis, Params, Product | None]:
        """The diagnosis and the meta-gradient at the θ that sampled.

        Args:
            theta: that θ.
            data: of all tasks, group by group.
            curved: give the product v ↦ Hv, too, with H = ∇²_θ of the mean over tasks of D_KL(π_old^K ‖ π_{θ^K}); what
                it needs of the adaptation of all tasks is kept for it.
        """

        def of_group(group: TaskData) -> tuple[Tensor, Params, Product | None]:
            numbers, gradient, product = meta_gradient.diagnosed_gradient(_each(theta, group), group, self.parts)
            return numbers, gradient, (lambda vector: product(_each(vector, group))) if curved else None

        numbers, gradients, products = zip(*self._map(of_group, data), strict=True)

        def product(vector: Params) -> Params:
            return mean(join(self._map(lambda of_group: of_group(vector), products)))

        return _diagnosis(numbers), mean(join(gradients)), product if curved else None

    def diagnose(self, theta: Params, data: Sequence[TaskData]) -> Diagnosis:
        """The meta-objective and the divergences at θ."""
        return _diagnosis(self._map(lambda group: meta_gradient.diagnose(_each(theta, group), group, self.parts), data))

    def step(self, state: TrainState, rounds: Sequence[Round]) -> tuple[TrainState, Ascent]:
        """Alg. 1, lines 9–12: the meta-update on stored rounds. The state that is given stays as it was."""
        data, penalty = self.task_data(state, rounds), self.parts.objective.penalty
        before, first, curvature = self.diagnosed_gradient(state.theta, data, curved=self.optimizer.curved)
        problem = MetaProblem(
            before=before,
            first=first,
            gradient=lambda theta: self.meta_gradient(theta, data),
            evaluate=lambda theta: self.diagnose(theta, data),
            curvature=curvature,
        )
        theta, optimizer_state, after = self.optimizer.update(state.theta, state.optimizer_state, problem)
        learned = state.control_variate
        for round_ in rounds[:-1]:
            learned = self.processing.control_variate.update(learned, round_.trajectories, round_.returns)
        following = TrainState(
            theta=theta,
            optimizer_state=optimizer_state,
            control_variate=learned,
            penalty=penalty.update(state.penalty, after.kl[:-1]) if penalty else state.penalty,
            iteration=state.iteration + 1,
        )
        return following, Ascent(before, after)

    def _processed(self, trajectories: Trajectories, learned: Params) -> Round:
        """As `process` does. What tasks share, the control variate, has other last bits for a group than for all."""
        returns, variate = predicted(trajectories, self.processing, learned)

        def of_group(group: slice) -> Round:
            return processed(for_task(trajectories, group), returns[group], variate[group], self.processing)

        return joined(self._map(of_group, self._groups(returns.device)))

    def _adapted(self, params: Params, round_: Round) -> tuple[Params, Round]:
        """θ′, and the round with the length of the step to it."""

        def of_group(group: slice) -> tuple[Params, Tensor]:
            own, data = for_task(params, group), for_task(round_, group)
            following = adapted(own, data, self.parts.inner)
            return following, divergence(own, following, data)

        groups, kl = zip(*self._map(of_group, self._groups(round_.returns.device)), strict=True)
        following = join(groups)
        return following, replace(round_, step=Step(norm=distance(params, following), kl=torch.cat(kl)))

    def _matched(self, params: Params, round_: Round) -> Round:
        """The rewards in the units in which the inner step is as long as the reference's."""
        own = self.parts.inner
        if own.reference is None:
            return round_
        reference = replace(own, surrogate=own.reference, per_action=False, magic_box=False)

        def lengths(group: slice) -> Tensor:
            data = for_task(round_, group)
            network = network_at(for_task(params, group), data)
            gradients = [inner_gradient(network, data, inner).values() for inner in (reference, own)]
            vectors = [torch.cat([value.flatten(1) for value in gradient], dim=1) for gradient in gradients]
            return torch.stack([torch.linalg.vector_norm(vector, dim=-1) for vector in vectors], dim=-1)

        wanted, given = torch.cat(self._map(lengths, self._groups(round_.returns.device))).unbind(-1)
        return matched(round_, given, wanted)

    def _groups(self, device: torch.device) -> list[slice]:
        """Consecutive tasks, some for each of four threads, and the same whatever their number is; elsewhere all."""
        if device.type != "cpu":  # a card takes all at once in the time that it takes a few: a group is only launches
            return [slice(0, self.tasks)]
        steps = self.workers.num_envs // self.tasks * self.horizon
        size = max(1, min(GROUP // steps, -(-self.tasks // 4)))
        return [slice(first, min(first + size, self.tasks)) for first in range(0, self.tasks, size)]

    def _map(self, function: Callable[..., Result], groups: Sequence[object]) -> list[Result]:
        return mapped(function, groups, threads=self.threads)


def _each(theta: Params, group: TaskData) -> Params:
    """θ once for each task of a group."""
    return policies.repeat(theta, len(group.credit))


def _diagnosis(numbers: Sequence[Tensor]) -> Diagnosis:
    objective, *kl = torch.cat([*numbers]).mean(0).tolist()
    return Diagnosis(objective, kl)
