"""What a training run and a study are expected to cost, for plans and progress alone: no result depends on it.

Fitted to the processor time of single iterations with 20 tasks and 10 trajectories, one thread of a server core with
other work beside it; a run on another machine is off by that machine's factor, which the time that is shown as left
learns as it goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from metarl_cli.config import RunConfig
from metarl_cli.envs.registry import ENVIRONMENTS
from metarl_cli.papers.figure import Figure, planned_runs
from metarl_cli.studies import tabular, toy1d, variance

__all__ = ["accuracy_seconds", "correlation_seconds", "deviation_seconds", "expected_seconds", "testing_seconds"]

START_SECONDS = 2.0
"""Imports, models, the first and the last file."""

SAMPLING: Mapping[str, float] = MappingProxyType(
    {
        "HalfCheetahFwdBack": 39.5,
        "HalfCheetahRandVel": 41.0,
        "AntFwdBack": 216.0,
        "AntRandDir": 216.0,
        "AntRandGoal": 227.0,
        "HumanoidFwdBack": 109.0,
        "HumanoidRandDir": 109.0,
        "WalkerFwdBack": 90.0,  # a guess, by the clock of two runs at a time
        "WalkerRandVel": 62.0,
        "WalkerRandParams": 95.0,
        "HopperRandParams": 65.0,
        "SwimmerRandVel": 45.0,
        "PointMomentum": 3.5,
        "PointCorner": 3.5,
        "PointWalls": 3.5,
        "Navigation": 3.5,
        "Toy1D": 3.5,
    }
)
"""Microseconds per environment step of sampling: of a walker or hopper once it stands, which takes three or four
times what it takes while it falls."""

OWN_SAMPLING = 8.6
"""Of an environment of the user's own: that of `examples/reach.py`; of others a guess."""

TRUST_REGION, GRADIENT_STEP, META_VARIATE = 25.0, 1.95, 14.0
"""Microseconds per environment step of a trust-region update, of each gradient step and of the diagnosis, and of
learning a control variate. A trust region without second derivatives of the inner steps takes half of it."""

FURTHER_STEP = 0.08
"""How much an update grows with each adaptation step after the first, beyond the environment steps of its stage."""

FIXED_SHARE, REFERENCE_WEIGHTS = 0.72, 5568
"""Of an update what does not grow with the weights of the network, and their number where updates were measured."""

MEASURED = 150.0
"""Microseconds per environment step of a round of the variance study, all estimators of both figures together."""

SECONDS_PER_MDP = 0.5
SECONDS_PER_LINE, SECONDS_PER_SAMPLE = 4.0, 0.0063
"""Of the 1-D study: a seed's policy, truth and control variate; and a trajectory of each N."""


def expected_seconds(config: RunConfig) -> float:
    """Seconds of one core for a whole run."""
    outer, inner = config.outer, config.inner
    trust_region = TRUST_REGION / 2 if inner.first_order else TRUST_REGION
    update = trust_region if outer.optimizer == "trpo" else GRADIENT_STEP * (1 + outer.gradient_steps)
    variate = META_VARIATE if inner.control_variate == "meta" else 0.0
    stages = 1 + FURTHER_STEP * (inner.steps - 1)
    weights, spec = REFERENCE_WEIGHTS, ENVIRONMENTS.get(config.environment.name)
    if spec:  # an environment of the user's own is taken for a usual one
        weights = sum(a * b for a, b in pairwise((spec.observation_size, *config.policy.hidden, spec.action_size)))
    updating = (update + variate) * stages * (FIXED_SHARE + (1 - FIXED_SHARE) * weights / REFERENCE_WEIGHTS)
    steps = _env_steps(config, config.sampling.tasks, config.sampling.trajectories)
    return START_SECONDS + 1e-6 * config.iterations * steps * (_sampling(config) + updating)


def accuracy_seconds(figure: Figure, profile: str) -> float:
    """Of the study of random MDPs."""
    return START_SECONDS + SECONDS_PER_MDP * tabular.PROFILES[profile].seeds


def correlation_seconds(figure: Figure, profile: str) -> float:
    """Of the study on a line."""
    settings = toy1d.settings(profile)
    per_seed = SECONDS_PER_LINE + SECONDS_PER_SAMPLE * sum(settings.samples)
    return START_SECONDS + settings.seeds * per_seed


def deviation_seconds(figure: Figure, profile: str) -> float:
    """Of the measurements that both figures show, carriers included."""
    (environment,) = figure.environments
    size = variance.SIZES[profile]
    carrier = variance.settings_for(environment, profile=profile, seed=1).config
    batches = len(size.checkpoints) * size.rounds * _env_steps(carrier, size.tasks, size.trajectories)
    return size.seeds * (expected_seconds(carrier) + 1e-6 * MEASURED * batches)


def testing_seconds(figure: Figure, profile: str, tasks: int) -> float:
    """Of adapting every run of a figure to so many held-out tasks."""
    configs = [run.config for run in planned_runs(figure, profile)]
    steps = [_env_steps(config, tasks, config.sampling.trajectories) for config in configs]
    sampling = sum(n * _sampling(config) for n, config in zip(steps, configs, strict=True))
    return START_SECONDS * len(configs) + 1e-6 * sampling


def _env_steps(config: RunConfig, tasks: int, trajectories: int) -> int:
    """Before and after each adaptation step."""
    return tasks * trajectories * config.sampling.horizon * (config.inner.steps + 1)


def _sampling(config: RunConfig) -> float:
    """Microseconds per environment step."""
    return SAMPLING.get(config.environment.name, OWN_SAMPLING)
