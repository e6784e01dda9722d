"""What decides whether to use an inner estimator, beside estimators that are known: `metarl audit`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from statistics import median
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from metarl_cli.estimators import Estimator
from metarl_cli.estimators.own import find_estimator
from metarl_cli.exact.enumeration import action_logp, enumerate_trajectories, tabular_sample
from metarl_cli.exact.estimates import exact_rows, one_action_dimension
from metarl_cli.exact.oracles import gradient_of
from metarl_cli.exact.problem import Problem
from metarl_cli.references import pinned, unpinned
from metarl_cli.studies.variance.estimators import build_bench, resample
from metarl_cli.studies.variance.figures import settings_for
from metarl_cli.studies.variance.statistics import spread
from metarl_cli.types import Sample

__all__ = ["REFERENCES", "audit"]

Row: TypeAlias = dict[str, object]

REFERENCES = ("lvc", "dice", "taypo2")

MEASURED_AS: Mapping[str, str] = MappingProxyType({"tmaml_per_action": "tmaml-per-task"})
"""What the variance study calls an estimator that training knows by its control variate."""

_STEP = 1e-5  # of the central differences: truncation and rounding both at about 1e-10
_REPEATS = 20
_BATCH = (20, 100)


def audit(name: str, problem: Problem, environment: str, *, rounds: int) -> list[Row]:
    """One row for the estimator and one for each of `REFERENCES`.

    `bias` is ‖E[X] − truth‖ / ‖truth‖ and `variance` E‖X − E[X]‖² of gradient (g) and Hessian (H), on- and off-policy,
    see `exact_rows`; `differences` how far autograd is from central differences; `cost` the CPU time of a gradient with
    its graph and of a product with the Hessian, as a multiple of LVC's; `signal_to_noise` that of a meta-gradient
    before training at the size of profile smoke, see `variance.statistics`.

    Args:
        name: of an estimator, or a reference to a function.
        problem: the MDP of the exact columns.
        environment: the task distribution of the last column.
        rounds: how often its batch is drawn.

    Raises:
        UserError: for names that do not exist, or a function that is no estimator.
        RunFailedError: if it fails on the environment's batches.
    """
    names = list(dict.fromkeys((pinned(name, "function"), *REFERENCES)))
    measured_as = tuple(MEASURED_AS.get(each, each) for each in names)
    settings = settings_for(environment, profile="smoke", seed=1, estimators=measured_as, rounds=rounds)
    gradients = resample(*build_bench(settings.config, settings.estimators), rounds).gradients
    costs = _costs([find_estimator(each) for each in names])
    reference = costs[names.index("lvc")]
    rows = list[Row]()
    for each, known_as, cost in zip(names, measured_as, costs, strict=True):
        exact = {  # nothing where its pairs of trajectories are too many
            f"{what} {'gH'[int(str(row['order'])) - 1]} {row['policy']}": row[column]
            for row in exact_rows(problem, [each])
            for what, column in (("bias", "bias_relative_frobenius"), ("variance", "variance"))
        }
        differences = _disagreement(find_estimator(each), problem)
        signal = spread(gradients[known_as]).signal_to_noise
        measured = {"differences": differences, "cost": cost / reference, "signal_to_noise": signal}
        rows.append({"estimator": unpinned(each), **exact, **measured})
    return rows


def _disagreement(estimator: Estimator, problem: Problem) -> float:
    """Along a direction d of logp, off-policy: the larger of |D_d J − ∇J·d| / |∇J·d| and ‖D_d ∇J − ∇²J d‖ / ‖∇²J d‖."""
    surrogate = one_action_dimension(estimator)
    # All trajectories as one batch; log π_θ is moved off what sampled them by a little.
    states, actions = enumerate_trajectories(problem.mdp)
    behaviour_logp = action_logp(problem.policy_logits, states, actions)
    sample = tabular_sample(problem.mdp, states, actions, behaviour_logp, problem.baseline)
    steps = torch.arange(states.numel(), dtype=behaviour_logp.dtype).reshape(states.shape)
    logp, direction = behaviour_logp + 0.1 * torch.sin(1.0 + steps), torch.cos(steps)

    def first(at: Tensor) -> Tensor:
        return gradient_of(lambda x: surrogate(x, sample), at)

    product = gradient_of(lambda at: first(at) * direction, logp)
    above, below = logp + _STEP * direction, logp - _STEP * direction
    slope = (surrogate(above, sample) - surrogate(below, sample)) / (2 * _STEP)
    change = (first(above) - first(below)) / (2 * _STEP)
    expected = (first(logp) * direction).sum()
    errors = ((slope - expected).abs() / expected.abs(), (change - product).norm() / product.norm().clamp(min=_STEP))
    return max(error.item() for error in errors)


def _costs(estimators: Sequence[Estimator]) -> list[float]:
    """Median CPU seconds of ∇J with its graph and of one product with ∇²J, the estimators in turns."""
    data = -torch.linspace(0.5, 1.5, math.prod(_BATCH)).reshape(_BATCH)
    sample = Sample(
        behaviour_logp=data, rewards=data, advantages=data, control_variate=data, mask=torch.ones_like(data)
    )
    surrogates, seconds = [one_action_dimension(each) for each in estimators], [list[float]() for _ in estimators]
    for _ in range(_REPEATS):
        for surrogate, times in zip(surrogates, seconds, strict=True):
            logp, started = data.clone().requires_grad_(), time.process_time()
            (first,) = torch.autograd.grad(surrogate(logp, sample), logp, create_graph=True)
            if first.requires_grad:
                torch.autograd.grad(first.sum(), logp)
            times.append(time.process_time() - started)
    return [median(times) for times in seconds]
