"""A trained policy outside its run: it acts, and adapts to a task with the inner step that it was trained with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from metarl_cli.config import InnerConfig, RunConfig
from metarl_cli.errors import UserError
from metarl_cli.params import mean
from metarl_cli.runs.evaluate import load_run
from metarl_cli.seeding import derived_seed, torch_generator
from metarl_cli.training import policies
from metarl_cli.training.adaptation import adapted
from metarl_cli.training.build import build
from metarl_cli.training.processing import MATCHED, process
from metarl_cli.training.rollouts import action_space, collect, scale_actions, unscaled_actions
from metarl_cli.training.trainer import Trainer, TrainState
from metarl_cli.types import Gaussian, Trajectories

__all__ = ["Episode", "Policy", "load_policy"]

Floats = NDArray[np.floating]


class Episode(NamedTuple):
    """One episode of a policy in one task: observations [T, S], actions [T, A] as `act` gave them, and rewards [T]."""

    observations: Floats
    actions: Floats
    rewards: Floats


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and how it adapts; adaptation gives another one and leaves this as it is.

    Attributes:
        config: of the run.
        state: θ, and what the run's control variate has learned.
    """

    config: RunConfig
    state: TrainState

    def act(self, observation: Floats, rng: np.random.Generator | None = None) -> NDArray[np.float64]:
        """The action for each observation, in the environment's range.

        Args:
            observation: [S], or [..., S].
            rng: draws from the policy; None gives its mean.

        Returns:
            [A], or [..., A].

        Raises:
            UserError: if an observation has another size than those that the policy was trained on.
        """
        environment, size = self.config.environment, next(iter(self.state.theta.values())).shape[-1]
        given = torch.from_numpy(np.asarray(observation, dtype=np.float32))
        if given.shape[-1:] != (size,):
            shape = tuple(given.shape)
            raise UserError(
                f"observation of shape {shape}: those of {environment.name} have {size} numbers, [..., {size}]."
            )
        with torch.no_grad():
            gaussian = policies.distribution(self.state.theta, given)
            drawn = gaussian.mean
            if rng is not None:
                noise = torch.from_numpy(rng.standard_normal(drawn.shape, dtype=np.float32))
                drawn = drawn + gaussian.log_std.exp() * noise
        space = action_space(environment.name, environment.variant)
        return scale_actions(drawn, space, self.config.sampling.action_scale)

    def collect(self, task: NDArray[np.float64], trajectories: int | None = None, *, seed: int = 0) -> Trajectories:
        """Trajectories of this policy in one task of the environment that it was trained in.

        Args:
            task: one row of what `sample_tasks` draws.
            trajectories: N; None for the run's own number, with which its step size was chosen.
            seed: of actions and reset noise.

        Returns:
            As the trainer samples them, with M = 1.
        """
        # One trajectory is enough to sample, whatever the inner step needs.
        sampled = replace(self.config, inner=InnerConfig())
        trainer = _alone(sampled, trajectories or self.config.sampling.trajectories)
        return collect(
            trainer.workers,
            np.asarray(task)[None],
            policies.repeat(self.state.theta, 1),
            horizon=trainer.horizon,
            action_scale=trainer.action_scale,
            generator=torch_generator(seed, "actions"),
            seed=derived_seed(seed, "environment"),
        )

    def record(self, episodes: Iterable[Episode]) -> Trajectories:
        """Episodes that this policy has acted in, wherever that was, as `adapt` takes them.

        An action on the border of the range counts as the one that just reaches it: what was cut off is not known.

        Args:
            episodes: of one task; what is shorter than the longest ended there.
        """
        kept = list(episodes)
        parts = (
            [torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in of_all]
            for of_all in zip(*kept, strict=True)
        )
        observations, actions, rewards = (pad_sequence(part, batch_first=True)[None] for part in parts)
        lengths = torch.tensor([len(episode.rewards) for episode in kept])
        mask = (torch.arange(rewards.shape[-1]) < lengths[:, None]).float()[None]
        environment = self.config.environment
        space = action_space(environment.name, environment.variant)
        drawn = unscaled_actions(actions, space, self.config.sampling.action_scale)
        at = policies.distribution(self.state.theta, observations)
        behaviour = Gaussian(at.mean, at.log_std[None, None, None])
        return Trajectories(
            observations=observations,
            actions=drawn,
            rewards=rewards,
            mask=mask,
            behaviour=behaviour,
            behaviour_logp=policies.log_prob(behaviour, drawn),
        )

    def adapt(self, trajectories: Trajectories) -> Policy:
        """The policy after one adaptation step, exactly the training-time one, on what this policy sampled in a task.

        Raises:
            UserError: if the run's step is as long as those of other tasks are, which one task does not know.
        """
        if self.config.inner.rewards == MATCHED:
            raise UserError(
                f"inner.rewards is {MATCHED}: the length of a step is that of the other tasks' steps, and adapt sees "
                "one task. `metarl evaluate` adapts to many at once."
            )
        # Two trajectories are the fewest that every control variate can be built for.
        trainer = _alone(self.config, 2)
        round_ = process(trajectories, trainer.processing, self.state.control_variate)
        theta = adapted(policies.repeat(self.state.theta, 1), round_, trainer.parts.inner)
        return replace(self, state=replace(self.state, theta=mean(theta)))


def _alone(config: RunConfig, trajectories: int) -> Trainer:
    """The trainer of one task: without what compares tasks, which the inner step does not see."""
    alone = replace(
        config,
        sampling=replace(config.sampling, tasks=1, trajectories=trajectories),
        outer=replace(config.outer, exploration="none"),
    )
    return build(alone)[0]


def load_policy(directory: Path | str) -> Policy:
    """The policy of a run after its last completed iteration.

    Args:
        directory: of the run, as `metarl train --out` made it.

    Raises:
        UserError: if the directory holds no run, one without a completed iteration, or one that is damaged.
    """
    return Policy(*load_run(Path(directory)))
