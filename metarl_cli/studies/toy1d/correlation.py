"""Fig. 4 of Liu et al. (2019): correlation of estimated and true derivatives of a 398-parameter policy on a line.

Each seed draws goals and a policy, trains it a little, meta-learns the control variate at that policy, and then
estimates the inner Hessian and the meta-gradient of these goals from N trajectories per goal and stage. All methods see
the same inner trajectories, start positions and action noise. The truth is an integral over a grid, without
Monte-Carlo error; the paper's own kind of truth, an average over many trajectories, is reported beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from metarl_cli.errors import check_known
from metarl_cli.estimators import ESTIMATORS, per_step
from metarl_cli.params import stack
from metarl_cli.schema import LINE
from metarl_cli.seeding import numpy_generator, torch_generator
from metarl_cli.studies.accuracy import accuracy
from metarl_cli.studies.toy1d.estimates import (
    adapted_policies,
    control_variates,
    estimate_gradients,
    estimate_hessians,
    estimate_meta_gradient,
    per_task_baseline,
    round_with,
)
from metarl_cli.studies.toy1d.line import adapted_params, simulate
from metarl_cli.studies.toy1d.problem import Problem, Toy1DSettings, make_problem
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner
from metarl_cli.types import Params, Trajectories

__all__ = ["COLUMNS", "METHODS", "PROFILES", "Method", "run", "settings"]

Row = dict[str, str | int | float]

COLUMNS = tuple(LINE.columns)


class Method(NamedTuple):
    """An inner estimator and the control variate it is given: `none`, `meta` or `per_task`."""

    estimator: str
    control_variate: str


METHODS = (
    Method("reinforce", "none"),
    Method("lvc", "none"),
    Method("dice", "none"),
    Method("reinforce", "meta"),
    Method("lvc", "meta"),
    Method("tmaml", "meta"),
    Method("tmaml", "per_task"),
    Method("tmaml_printed", "meta"),
    Method("tmaml_printed", "per_task"),
    Method("tmaml_released", "meta"),
)


PROFILES: Mapping[str, Toy1DSettings] = MappingProxyType(
    {
        "smoke": Toy1DSettings(
            profile="smoke",
            seeds=2,
            samples=(10, 30),
            truth_samples=200,
            truth_batch=100,
            variate_batches=2,
            spacing=0.02,
        ),
        "quick": Toy1DSettings(profile="quick", seeds=5, samples=(10, 30, 100, 300, 1000), truth_samples=5000),
        "overnight": Toy1DSettings(profile="overnight"),
        "standard": Toy1DSettings(profile="standard", seeds=100),
        "paper": Toy1DSettings(profile="paper", seeds=100),
    }
)


def settings(profile: str) -> Toy1DSettings:
    """The settings of a profile.

    Raises:
        UserError: if there is no such profile.
    """
    check_known("profile", profile, PROFILES)
    return PROFILES[profile]


def run(settings: Toy1DSettings, progress: Callable[[int, int], None] = lambda done, total: None) -> pd.DataFrame:
    """For each seed two rows of the Monte-Carlo truth, and one per N, method and quantity, with the columns `COLUMNS`.

    Args:
        settings: of the study.
        progress: told (done, total) after each seed.
    """
    rows = list[Row]()
    for seed in range(settings.seeds):
        problem = make_problem(settings, seed)
        rows += truth_rows(problem, settings)
        for samples in settings.samples:
            rows += estimate_rows(problem, settings, samples)
        progress(seed + 1, settings.seeds)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def estimate_rows(problem: Problem, settings: Toy1DSettings, samples: int) -> Iterator[Row]:
    """The accuracy of every method from N trajectories per goal and stage."""
    shared = policies.repeat(problem.theta, settings.tasks)
    trajectories = _sample(problem, "inner", shared, samples)
    variates = control_variates(trajectories, problem.variate, settings.variate)
    for method in METHODS:
        surrogate = ESTIMATORS[method.estimator].surrogate
        first = round_with(trajectories, variates[method.control_variate])
        hessians = estimate_hessians(surrogate, first, problem.expansion)
        yield _row(problem, method, "inner_hessian", samples, "estimate", accuracy(hessians, problem.hessians))
        inner = Inner(surrogate=per_step(surrogate), lr=settings.inner_lr)
        outer = _sample(problem, "outer", adapted_policies(problem.theta, first, inner), samples)
        rounds = (first, round_with(outer, per_task_baseline(outer)))
        estimate = estimate_meta_gradient(problem.theta, rounds, inner)
        yield _row(problem, method, "meta_gradient", samples, "estimate", accuracy(estimate, problem.meta_gradient))


def truth_rows(problem: Problem, settings: Toy1DSettings) -> Iterator[Row]:
    """The Monte-Carlo truth against the integral: its distance, and its own standard error over the norm."""
    surrogate, line, lr = ESTIMATORS["loaded_dice"].surrogate, problem.line, settings.inner_lr
    shared = policies.repeat(problem.theta, settings.tasks)
    adapted = stack([adapted_params(line, problem.theta, goal, lr) for goal in line.goals])
    batches = list[tuple[Tensor, Tensor]]()
    # Unbiased ∇²J and (I + α/T ∇²J) ∇J(θ′)/T, the mean over goals, at the exact θ′: λ = 1 Loaded DiCE.
    for batch in range(settings.truth_samples // settings.truth_batch):
        inner = _sample(problem, "truth/inner", shared, settings.truth_batch, batch)
        hessians = estimate_hessians(surrogate, round_with(inner, per_task_baseline(inner)), problem.expansion)
        outer = _sample(problem, "truth/outer", adapted, settings.truth_batch, batch)
        gradients = estimate_gradients(surrogate, adapted, round_with(outer, per_task_baseline(outer))) / line.horizon
        meta = gradients + lr / line.horizon * torch.einsum("mij,mj->mi", hessians, gradients)
        batches.append((hessians, meta.mean(0)))
    quantities, truths = ("inner_hessian", "meta_gradient"), (problem.hessians, problem.meta_gradient)
    for quantity, estimates, truth in zip(quantities, zip(*batches, strict=True), truths, strict=True):
        stacked = torch.stack(estimates)
        error = (stacked.var(0) / len(batches)).sum().sqrt() / truth.norm()
        scores = {**accuracy(stacked.mean(0), truth), "standard_error": float(error)}
        yield _row(problem, Method("loaded_dice", "per_task"), quantity, settings.truth_samples, "truth", scores)


def _sample(problem: Problem, name: str, params: Params, samples: int, *indices: int) -> Trajectories:
    """Trajectories whose randomness depends on seed, name, N and indices only: every method gets the same noise."""
    stream = f"toy1d/{name}"
    rng = numpy_generator(problem.seed, stream, samples, *indices)
    return simulate(problem.line, params, samples, rng, torch_generator(problem.seed, stream, samples, *indices))


def _row(problem: Problem, method: Method, quantity: str, samples: int, role: str, scores: Mapping[str, float]) -> Row:
    return {
        "profile": problem.profile,
        "seed": problem.seed,
        "role": role,
        "estimator": method.estimator,
        "control_variate": method.control_variate,
        "quantity": quantity,
        "samples": samples,
        "standard_error": math.nan,
        **scores,
    }
