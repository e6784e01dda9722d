"""What a training run is expected to cost, for progress and estimates alone: no result depends on it.

Fitted to the processor time of single iterations at the sizes of the quick profile, one thread of a server core; a run
on another machine is off by that machine's factor, which the time that is shown as left learns as it goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from metarl_cli.config import RunConfig

__all__ = ["expected_seconds"]

START_SECONDS = 2.0
"""Imports, models, the first and the last file."""

SAMPLING: Mapping[str, float] = MappingProxyType(
    {
        "HalfCheetahFwdBack": 38.0,
        "HalfCheetahRandVel": 41.0,
        "AntFwdBack": 210.0,
        "AntRandDir": 200.0,
        "AntRandGoal": 210.0,
        "HumanoidFwdBack": 105.0,
        "HumanoidRandDir": 105.0,
        "WalkerFwdBack": 24.0,
        "WalkerRandVel": 48.0,
        "WalkerRandParams": 14.5,
        "HopperRandParams": 11.5,
        "SwimmerRandVel": 44.0,
        "PointMomentum": 2.1,
        "PointCorner": 2.1,
        "Navigation": 2.5,
    }
)
"""Microseconds per environment step of sampling."""

TRUST_REGION, GRADIENT_STEP = 60.0, 3.0
"""Microseconds per environment step of a trust-region update, and of each gradient step and of the diagnosis."""

REFERENCE_WIDTH = 64
"""Of the hidden layers with which the updates were measured."""


def expected_seconds(config: RunConfig) -> float:
    """Seconds of one core for a whole run."""
    sampling, outer = config.sampling, config.outer
    steps = sampling.tasks * sampling.trajectories * sampling.horizon * (config.inner.steps + 1)
    update = TRUST_REGION if outer.optimizer == "trpo" else GRADIENT_STEP * (1 + outer.gradient_steps)
    per_step = SAMPLING[config.environment.name] + update * max(config.policy.hidden) / REFERENCE_WIDTH
    return START_SECONDS + 1e-6 * config.iterations * steps * per_step
