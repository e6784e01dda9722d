"""Bias and variance of every estimator on a small MDP, without sampling: `metarl correlate exact`.

All trajectories are enumerated, so the mean of an estimator's gradient and Hessian is a finite sum, and its bias the
difference to the derivatives of the exact value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class _Moments:
    """E[X] and E‖X‖² of an estimate X."""

    mean: Tensor
    square: Tensor


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
        UserError: if the name is unknown, or the problem has no behaviour policy.
    """
    behaviour = _behaviours(problem).get("off" if off_policy else "on")
    if behaviour is None:
        raise UserError("The problem has no behaviour_logits, the policy that samples off-policy.")
    chosen = find_estimator(estimator) if isinstance(estimator, str) else tried("the surrogate", estimator)
    truths = (gradient(problem.policy_logits, problem.mdp), hessian(problem.policy_logits, problem.mdp))
    moments = _moments(chosen, problem, behaviour)
    return Bias(*(found.mean.reshape(truth.shape) - truth for found, truth in zip(moments, truths, strict=True)))


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
    skipped = left_out(problem, chosen)
    truths = (gradient(problem.policy_logits, problem.mdp), hessian(problem.policy_logits, problem.mdp))
    return [
        _row(name, policy, order, _smallest_batch(estimator), moments, truth)
        for name, estimator in chosen.items()
        if name not in skipped
        for policy, behaviour in _behaviours(problem).items()
        for order, moments, truth in zip((1, 2), _moments(estimator, problem, behaviour), truths, strict=True)
    ]


def left_out(problem: Problem, names: Iterable[str]) -> dict[str, str]:
    """The estimators among the names that cannot be enumerated on this problem, each with the reason."""
    count = count_trajectories(problem.mdp)
    reason = f"it couples two trajectories: {count**2:,} pairs, at most {MAX_TRAJECTORIES:,} are enumerated"
    too_many = count**2 > MAX_TRAJECTORIES
    return {name: reason for name in names if too_many and find_estimator(name).pairs}


def _smallest_batch(estimator: Estimator) -> int:
    return 2 if estimator.pairs else 1


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


def _row(name: str, policy: str, order: int, batch: int, moments: _Moments, truth: Tensor) -> Row:
    bias = moments.mean - truth.flatten()
    variance = batch * (moments.square - moments.mean.square().sum()).clamp(min=0)
    if not (bias.isfinite().all() and variance.isfinite()):
        raise UserError(f"{name}: the {policy}-policy estimate is not finite. {_OVERFLOWS[policy]}")
    scale = truth.norm().item()
    return {
        "estimator": name,
        "policy": policy,
        "order": order,
        "bias_max_abs": bias.abs().max().item(),
        "bias_relative_frobenius": bias.norm().item() / scale if scale else None,
        "variance": variance.item(),
    }


def _moments(estimator: Estimator, problem: Problem, behaviour: Tensor) -> list[_Moments]:
    """E[X] and E‖X‖² of gradient and Hessian, over all of the smallest batches of trajectories of μ."""
    surrogate, batch = one_action_dimension(estimator), _smallest_batch(estimator)
    logits, mdp = problem.policy_logits, problem.mdp
    totals = [_Moments(logits.new_zeros(logits.numel() ** order), logits.new_zeros(())) for order in (1, 2)]
    for states, actions, weights in _weighted_batches(problem, behaviour, batch):
        sample = tabular_sample(mdp, states, actions, action_logp(behaviour, states, actions), problem.baseline)
        estimates = derivatives(surrogate, logits, states, actions, sample)
        totals = [_add(total, weights, estimate.flatten(1)) for total, estimate in zip(totals, estimates, strict=True)]
    return totals


def _add(total: _Moments, weights: Tensor, estimates: Tensor) -> _Moments:
    return _Moments(total.mean + weights @ estimates, total.square + weights @ estimates.square().sum(dim=-1))


def _weighted_batches(problem: Problem, behaviour: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """All batches in chunks that fit into memory: states and actions [B, N, T], and probabilities under μ, [B]."""
    states, actions = enumerate_trajectories(problem.mdp)
    weights = probabilities(behaviour, problem.mdp, states, actions)
    index = torch.cartesian_prod(*[torch.arange(len(states))] * batch).reshape(-1, batch)
    side = max(problem.policy_logits.numel(), batch * states.shape[-1])  # of ∂²J/∂θ² and of ∂²J/∂l²
    for chunk in torch.split(index, math.ceil(_CHUNK_NUMBERS / side**2)):
        yield states[chunk], actions[chunk], weights[chunk].prod(dim=-1)
