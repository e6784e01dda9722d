"""Bias and variance of every estimator on a small MDP, without sampling: `metarl correlate exact`.

All trajectories are enumerated, so the mean of an estimator's gradient and Hessian is a finite sum, and its bias the
difference to the derivatives of the exact value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from metarl_cli.errors import UserError
from metarl_cli.estimators import Estimator
from metarl_cli.estimators.own import find_estimator, tried
from metarl_cli.exact.derivatives import derivatives
from metarl_cli.exact.enumeration import (
    action_logp,
    count_trajectories,
    enumerate_trajectories,
    probabilities,
    tabular_sample,
)
from metarl_cli.exact.oracles import gradient, hessian
from metarl_cli.exact.problem import MAX_TRAJECTORIES, Problem
from metarl_cli.types import Sample, Surrogate

__all__ = ["COLUMNS", "Bias", "bias", "exact_rows", "left_out", "one_action_dimension"]

Row: TypeAlias = dict[str, str | int | float | None]

COLUMNS = ("estimator", "policy", "order", "bias_max_abs", "bias_relative_frobenius", "variance")

_CHUNK_NUMBERS = 2**22  # of the largest temporary array: 32 MiB

_OVERFLOWS: Mapping[str, str] = MappingProxyType(
    {
        "on": "All ratios are 1 there, so the surrogate itself divides by zero or overflows.",
        "off": "Where behaviour_logits make actions all but impossible that policy_logits choose, the ratios π/μ "
        "overflow: bring the two closer together.",
    }
)


class Bias(NamedTuple):
    """E[∇J] − ∇V, [S, A], and E[∇²J] − ∇²V, [S, A, S, A], of a surrogate J."""

    gradient: Tensor
    hessian: Tensor


def bias(estimator: str | Surrogate, problem: Problem, *, off_policy: bool = False) -> Bias:
    """The exact bias of an estimator's derivatives, without a sample.

    Args:
        estimator: a key of `ESTIMATORS`, a reference to a function, or the function.
        problem: the MDP and the policies, see `parse_problem` and `load_problem`.
        off_policy: let the problem's behaviour policy μ sample, not π_θ.

    Raises:
        UserError: if the name is unknown, the problem has no behaviour policy, or the estimator couples trajectories
            of which there are too many pairs.
    """
    behaviour = _behaviours(problem).get("off" if off_policy else "on")
    if behaviour is None:
        raise UserError("The problem has no behaviour_logits, the policy that samples off-policy.")
    chosen = find_estimator(estimator) if isinstance(estimator, str) else tried("the surrogate", estimator)
    if chosen.pairs and (reason := _too_many_pairs(problem)):
        raise UserError(f"{chosen.title} cannot be enumerated: {reason}.")
    truths = (gradient(problem.policy_logits, problem.mdp), hessian(problem.policy_logits, problem.mdp))
    moments = _moments(chosen, problem, behaviour)
    return Bias(*(mean.reshape(truth.shape) - truth for (mean, _), truth in zip(moments, truths, strict=True)))


def exact_rows(problem: Problem, names: Iterable[str]) -> list[Row]:
    """One row per estimator, policy ("on": μ = π_θ, "off": the problem's μ) and order (1: gradient, 2: Hessian).

    `bias_max_abs` is the largest |E[X] − truth| over entries, `bias_relative_frobenius` ‖E[X] − truth‖ / ‖truth‖ (None
    where the truth is zero) and `variance` E‖X − E[X]‖² of the estimate X from one trajectory. For an estimator that
    couples two trajectories, X is the estimate from a batch of two, and its variance is counted twice.

    Args:
        problem: the MDP and the policies.
        names: of estimators, as `find_estimator` takes them. What `left_out` names is skipped.

    Raises:
        UserError: if a name is unknown, or an estimate is not finite.
    """
    chosen = {name: find_estimator(name) for name in names}
    for name in left_out(problem, chosen):
        del chosen[name]
    truths = (gradient(problem.policy_logits, problem.mdp), hessian(problem.policy_logits, problem.mdp))
    rows = list[Row]()
    for (name, estimator), (policy, behaviour) in product(chosen.items(), _behaviours(problem).items()):
        moments = _moments(estimator, problem, behaviour)
        for order, (mean, square), truth in zip((1, 2), moments, truths, strict=True):
            error, scale = mean - truth.flatten(), truth.norm().item()
            variance = _batch_size(estimator) * (square - mean.square().sum()).clamp(min=0)
            if not (error.isfinite().all() and variance.isfinite()):
                raise UserError(f"{name}: the {policy}-policy estimate is not finite. {_OVERFLOWS[policy]}")
            rows.append(
                {
                    "estimator": name,
                    "policy": policy,
                    "order": order,
                    "bias_max_abs": error.abs().max().item(),
                    "bias_relative_frobenius": error.norm().item() / scale if scale else None,
                    "variance": variance.item(),
                }
            )
    return rows


def left_out(problem: Problem, names: Iterable[str]) -> dict[str, str]:
    """The estimators among the names that cannot be enumerated on this problem, each with the reason."""
    reason = _too_many_pairs(problem)
    return {name: reason for name in names if reason and find_estimator(name).pairs}


def _too_many_pairs(problem: Problem) -> str:
    """Why no estimator that couples two trajectories can be enumerated; empty where it can."""
    pairs = count_trajectories(problem.mdp) ** 2
    reason = f"it couples two trajectories: {pairs:,} pairs, at most {MAX_TRAJECTORIES:,} are enumerated"
    return reason if pairs > MAX_TRAJECTORIES else ""


def one_action_dimension(estimator: Estimator) -> Surrogate:
    """An action of a tabular policy has one dimension, which estimators per dimension want to see as an axis."""
    if not estimator.per_action:
        return estimator.surrogate

    def surrogate(logp: Tensor, sample: Sample) -> Tensor:
        behaviour_logp, baseline = sample.behaviour_logp[..., None], sample.control_variate[..., None]
        return estimator.surrogate(
            logp[..., None], replace(sample, behaviour_logp=behaviour_logp, control_variate=baseline)
        )

    return surrogate


def _behaviours(problem: Problem) -> Mapping[str, Tensor]:
    on_policy = {"on": problem.policy_logits}
    return on_policy if problem.behaviour_logits is None else {**on_policy, "off": problem.behaviour_logits}


def _batch_size(estimator: Estimator) -> int:
    """Of the smallest batch that it takes."""
    return 2 if estimator.pairs else 1


def _moments(estimator: Estimator, problem: Problem, behaviour: Tensor) -> list[tuple[Tensor, Tensor]]:
    """E[X] and E‖X‖² of gradient and Hessian, over all of the smallest batches of trajectories of μ."""
    surrogate, size = one_action_dimension(estimator), _batch_size(estimator)
    logits, mdp = problem.policy_logits, problem.mdp
    states, actions = enumerate_trajectories(mdp)
    weights = probabilities(behaviour, mdp, states, actions)
    batches = torch.cartesian_prod(*[torch.arange(len(states))] * size).reshape(-1, size)
    totals = [(logits.new_zeros(logits.numel() ** order), logits.new_zeros(())) for order in (1, 2)]
    side = max(logits.numel(), size * states.shape[-1])  # of ∂²J/∂θ² and of ∂²J/∂l²
    for chunk in torch.split(batches, math.ceil(_CHUNK_NUMBERS / side**2)):
        data, weight = (states[chunk], actions[chunk]), weights[chunk].prod(dim=-1)
        sample = tabular_sample(mdp, *data, action_logp(behaviour, *data), problem.baseline)
        estimates = [estimate.flatten(1) for estimate in derivatives(surrogate, logits, *data, sample)]
        totals = [
            (mean + weight @ estimate, square + weight @ estimate.square().sum(dim=-1))
            for (mean, square), estimate in zip(totals, estimates, strict=True)
        ]
    return totals
