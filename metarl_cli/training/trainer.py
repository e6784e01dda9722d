"""The shared trainer: sample → objective → meta_gradient → step (Rothfuss et al. 2019, Algorithm 1).

What the studies share is `meta_gradient`: `train` iterates it, `variance` repeats it at one θ, `correlate` compares it
with the truth. Nothing here knows the name of an algorithm: behaviour arrives as functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from metarl_cli.seeding import derived_seed, numpy_generator, torch_generator
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner, Stage, adapt, inner_step
from metarl_cli.training.baselines import linear_features, ridge_predictions
from metarl_cli.training.objectives import Objective, stage_kl
from metarl_cli.training.optimizers import MetaProblem, Optimizer, OptimizerState
from metarl_cli.training.returns import discounted_returns, generalised_advantages, normalise
from metarl_cli.training.rollouts import Workers, collect
from metarl_cli.types import Params, Round, Sample, Trajectories, for_task

__all__ = ["TrainState", "Trainer", "process"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainState:
    """What a run carries from one meta-iteration to the next; a checkpoint is exactly this."""

    theta: Params
    optimizer_state: OptimizerState
    iteration: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """An algorithm on a task distribution.

    Attributes:
        workers: the vector environment with its task distribution, M·N sub-environments.
        tasks, horizon, action_scale: M, T and the scale of the actions.
        discount, gae_lambda: γ and λ of returns and advantages.
        inner: the adaptation step.
        steps: K.
        objective: the outer objective of one task.
        optimizer: the outer optimiser.
        seed: of every random stream.
        threads: how many tasks are differentiated at once; it does not change a single bit.
    """

    workers: Workers
    tasks: int
    horizon: int
    action_scale: float
    discount: float
    gae_lambda: float
    inner: Inner
    steps: int
    objective: Objective
    optimizer: Optimizer
    seed: int
    threads: int = 1

    def init(self, theta: Params) -> TrainState:
        """The state before the first meta-iteration."""
        return TrainState(theta=theta, optimizer_state=self.optimizer.init(theta))

    def sample(self, theta: Params, iteration: int) -> list[Round]:
        """Alg. 1, lines 3–8: draw tasks; sample with θ, adapt, sample with θ′, …: K + 1 rounds of plain data."""
        tasks = self.workers.sample_tasks(self.tasks, numpy_generator(self.seed, "tasks", iteration))
        params, rounds = policies.repeat(theta, self.tasks), list[Round]()
        for stage in range(self.steps + 1):
            if stage:
                params = self._adapted(params, rounds[-1])
            trajectories = collect(
                self.workers,
                tasks,
                params,
                horizon=self.horizon,
                action_scale=self.action_scale,
                generator=torch_generator(self.seed, "actions", iteration, stage),
                seed=derived_seed(self.seed, "environment", iteration, stage),
            )
            rounds.append(process(trajectories, discount=self.discount, gae_lambda=self.gae_lambda))
        return rounds

    def task_objective(self, theta: Params, rounds: Sequence[Round]) -> Tensor:
        """The differentiable meta-objective of one task: re-adapt on its stored rounds, then the outer objective."""
        return self.objective(adapt(theta, rounds, self.inner), rounds)

    def meta_objective(self, theta: Params, rounds: Sequence[Round]) -> Tensor:
        """The mean of the task objectives: deterministic in θ once the rounds are stored."""
        return torch.stack([self.task_objective(theta, _of_task(rounds, i)) for i in range(self.tasks)]).mean()

    def meta_gradient(self, theta: Params, rounds: Sequence[Round]) -> Params:
        """∇_θ of `meta_objective`, task by task: smaller products that stay in the cache, and summed in task order."""
        gradients = self._for_each_task(lambda task: self._task_gradient(theta, _of_task(rounds, task)))
        return {name: torch.stack([g[name] for g in gradients]).mean(0) for name in theta}

    def step(self, state: TrainState, rounds: Sequence[Round]) -> TrainState:
        """Alg. 1, lines 9–12: the meta-update on stored rounds. The state that is given stays as it was."""
        problem = MetaProblem(gradient=lambda theta: self.meta_gradient(theta, rounds))
        theta, optimizer_state = self.optimizer.update(state.theta, state.optimizer_state, problem)
        return TrainState(theta=theta, optimizer_state=optimizer_state, iteration=state.iteration + 1)

    def diagnose(self, theta: Params, rounds: Sequence[Round]) -> dict[str, float]:
        """Loss (the negative objective) and KL divergences to the sampling policies, before and after adaptation."""

        def of_task(task: int) -> Tensor:
            data = _of_task(rounds, task)
            stages = adapt(_leaves(theta), data, self.inner, differentiable=False)
            divergences = stage_kl(stages, data)
            # Numbers for the log: no gradient is taken through them.
            return torch.stack([-self.objective(stages, data), divergences[0], divergences[-1]]).detach()

        loss, kl_pre, kl_post = torch.stack(self._for_each_task(of_task)).mean(0).tolist()
        return {"loss": loss, "kl/pre": kl_pre, "kl/post": kl_post}

    def _adapted(self, params: Params, round_: Round) -> Params:
        adapted = self._for_each_task(lambda task: self._task_step(params, round_, task))
        return {name: torch.stack([p[name] for p in adapted]) for name in params}

    def _task_step(self, params: Params, round_: Round, task: int) -> Params:
        data = for_task(round_, task)
        leaves = _leaves({name: value[task] for name, value in params.items()})
        stage = Stage(leaves, policies.distribution(leaves, data.trajectories.observations))
        adapted = inner_step(stage, data, self.inner, differentiable=False)
        return {name: value.detach() for name, value in adapted.items()}  # the sampling policy is data

    def _task_gradient(self, theta: Params, rounds: Sequence[Round]) -> Params:
        leaves = _leaves(theta)
        gradients = torch.autograd.grad(self.task_objective(leaves, rounds), list(leaves.values()))
        return dict(zip(leaves, gradients, strict=True))

    def _for_each_task(self, function: Callable[[int], Result]) -> list[Result]:
        if self.threads == 1:
            return [function(task) for task in range(self.tasks)]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(function, range(self.tasks)))


def process(trajectories: Trajectories, *, discount: float, gae_lambda: float) -> Round:
    """Returns, the linear baseline and per-task normalised advantages of one stage, as the released code has them.

    Args:
        trajectories: one stage of all tasks.
        discount: γ.
        gae_lambda: λ of GAE.
    """
    mask = trajectories.mask
    returns = discounted_returns(trajectories.rewards, discount)
    values = ridge_predictions(linear_features(trajectories.observations), returns, mask)
    advantages = normalise(generalised_advantages(trajectories.rewards, values, discount, gae_lambda), mask)
    sample = Sample(
        behaviour_logp=trajectories.behaviour_logp,
        rewards=trajectories.rewards,
        advantages=advantages,
        control_variate=values,
        mask=mask,
    )
    return Round(trajectories=trajectories, sample=sample)


def _leaves(params: Params) -> Params:
    # Cut from whatever made them, so that a gradient with respect to exactly these tensors can be taken.
    return {name: value.detach().requires_grad_() for name, value in params.items()}


def _of_task(rounds: Sequence[Round], task: int) -> list[Round]:
    return [for_task(round_, task) for round_ in rounds]
