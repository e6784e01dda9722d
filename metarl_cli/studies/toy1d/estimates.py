"""What each method of the 1-D study estimates from trajectories: the inner Hessian and the meta-gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from metarl_cli.params import flatten, leaves, mean
from metarl_cli.studies.toy1d.derivatives import Expansion, hessian, interpolation
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner, adapted, stage_at
from metarl_cli.training.control_variates import per_task_control_variate
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.meta_gradient import Parts, TaskData, gradient
from metarl_cli.training.meta_learned import MetaSettings, meta_control_variate
from metarl_cli.training.objectives import Objective, vpg
from metarl_cli.training.returns import discounted_returns
from metarl_cli.types import Gaussian, Params, Round, Sample, Surrogate, Trajectories, for_task

__all__ = [
    "adapted_policies",
    "control_variates",
    "estimate_gradients",
    "estimate_hessians",
    "estimate_meta_gradient",
    "per_task_baseline",
    "round_with",
]


def control_variates(trajectories: Trajectories, state: Params, settings: MetaSettings) -> Mapping[str, Tensor]:
    """bₜ of each control variate, cross-fitted on the trajectories themselves, [M, N, T]."""
    returns = discounted_returns(trajectories.rewards, 1.0)
    return {
        "none": torch.zeros_like(returns),
        "meta": meta_control_variate(state, settings, trajectories.observations, returns, trajectories.mask),
        "per_task": per_task_baseline(trajectories),
    }


def per_task_baseline(trajectories: Trajectories) -> Tensor:
    """The per-task control variate of the only action dimension, [M, N, T]."""
    returns = discounted_returns(trajectories.rewards, 1.0)
    per_action = per_task_control_variate(
        trajectories.observations, trajectories.actions, trajectories.behaviour, returns, trajectories.mask
    )
    return per_action[..., 0]


def round_with(trajectories: Trajectories, baseline: Tensor) -> Round:
    """The trajectories with undiscounted returns, and advantages Gₜ − bₜ without normalisation."""
    returns = discounted_returns(trajectories.rewards, 1.0)
    sample = Sample(
        behaviour_logp=trajectories.behaviour_logp,
        rewards=trajectories.rewards,
        advantages=returns - baseline,
        control_variate=baseline,
        mask=trajectories.mask,
    )
    scale = torch.ones(len(baseline), dtype=baseline.dtype)
    return Round(trajectories=trajectories, sample=sample, returns=returns, scale=scale)


def estimate_hessians(surrogate: Surrogate, round_: Round, expansion: Expansion) -> Tensor:
    """∇²_θ of the surrogate at the sampling policy, for each task, [M, D, D]."""

    def of_task(task: int) -> Tensor:
        data = for_task(round_, task)
        weights = interpolation(data.trajectories.observations[..., 0], len(expansion.means), expansion.limit)

        def objective(means: Tensor, log_std: Tensor) -> Tensor:
            policy = Gaussian((weights @ means).unsqueeze(-1), log_std.reshape(1))
            return surrogate(policies.log_prob(policy, data.trajectories.actions), data.sample)

        return hessian(objective, expansion)

    return torch.stack([of_task(task) for task in range(len(round_.scale))])


def estimate_gradients(surrogate: Surrogate, params: Params, round_: Round) -> Tensor:
    """∇ of the surrogate at the policy of each task, [M, D]; the round was sampled with these policies."""
    at, values = leaves(params), list[Tensor]()
    for task in range(len(round_.scale)):
        data = for_task(round_, task)
        own = {name: value[task] for name, value in at.items()}
        policy = policies.distribution(own, data.trajectories.observations)
        values.append(surrogate(stage_at(policy, data).logp, data.sample))
    gradients = torch.autograd.grad(torch.stack(values).sum(), list(at.values()))
    return torch.cat([part.flatten(1) for part in gradients], dim=1)


def adapted_policies(theta: Params, round_: Round, inner: Inner) -> Params:
    """θ′ of each task, [M, …]: the policies that sample the outer round."""
    return adapted(policies.repeat(theta, len(round_.scale)), round_, inner)


def estimate_meta_gradient(theta: Params, rounds: Sequence[Round], inner: Inner) -> Tensor:
    """∇_θ of the mean over tasks of the policy-gradient objective at θ′, through the inner step, [D]."""
    parts = Parts(inner=inner, exploration=EXPLORATIONS["none"], objective=Objective(value=vpg))
    tasks = len(rounds[0].scale)
    return flatten(mean(gradient(policies.repeat(theta, tasks), TaskData([*rounds], torch.zeros(tasks), {}), parts)))
