"""The papers' training settings as data: per environment and per algorithm; how large a run is, `sizes` says.

Sources: the sweeps of the released ProMP code for the locomotion tasks (`all_envs_eval`) and its exploration comparison
for the point tasks; Tang et al. 2021, Sec. 5.2.1 for the three adaptation steps of the corners; Fallah et al. 2021,
App. H for the navigation task. The η of the corners is metarl's own: with the released 5e-4 the policy walks to one
corner before it has adapted, see `docs/findings.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from metarl_cli.algorithms import find_algorithm
from metarl_cli.config import (
    EnvironmentConfig,
    InnerConfig,
    OuterConfig,
    PolicyConfig,
    RunConfig,
    SamplingConfig,
    with_overrides,
)
from metarl_cli.errors import UserError
from metarl_cli.papers.sizes import Size, size
from metarl_cli.references import is_reference, pinned

__all__ = ["TRAINING", "EnvironmentSettings", "run_config", "with_code"]


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """Adaptation steps K, step size α, hidden layers; and ProMP's Adam steps, η and the target that adapts η.

    The horizon is the environment's own.
    """

    inner_steps: int = 1
    inner_lr: float = 0.1
    hidden: tuple[int, ...] = (64, 64)
    gradient_steps: int = 5
    kl_coefficient: float = 5e-4
    kl_target: float = 0.0


_RAND_PARAMS = EnvironmentSettings(inner_lr=0.05, gradient_steps=3, kl_coefficient=1e-3, kl_target=1e-2)

TRAINING: Mapping[str, EnvironmentSettings] = MappingProxyType(
    {
        "HalfCheetahFwdBack": EnvironmentSettings(),
        "HalfCheetahRandVel": EnvironmentSettings(),
        "AntFwdBack": EnvironmentSettings(),
        "AntRandDir": EnvironmentSettings(),
        "AntRandGoal": EnvironmentSettings(inner_steps=2),
        "HumanoidFwdBack": EnvironmentSettings(hidden=(128, 128)),
        "HumanoidRandDir": EnvironmentSettings(hidden=(128, 128)),
        "WalkerFwdBack": EnvironmentSettings(),
        "WalkerRandVel": EnvironmentSettings(),
        "WalkerRandParams": _RAND_PARAMS,
        "HopperRandParams": _RAND_PARAMS,
        "SwimmerRandVel": EnvironmentSettings(),
        "PointMomentum": EnvironmentSettings(inner_steps=3),
        "PointCorner": EnvironmentSettings(inner_steps=3, kl_coefficient=10.0),
        "PointWalls": EnvironmentSettings(),
        "Navigation": EnvironmentSettings(hidden=(100, 100)),
        "Toy1D": EnvironmentSettings(hidden=(18, 18)),
    }
)


def run_config(algorithm: str, environment: str, *, profile: str, scale: Size | None = None) -> RunConfig:
    """The settings of an algorithm, by name or TOML file, on an environment.

    Args:
        algorithm: its name or file.
        environment: its name or reference.
        profile: of which the run is.
        scale: its size; None for that of the profile.

    Raises:
        UserError: for a name that does not exist, with the nearest match.
    """
    from metarl_cli.envs.own import horizon_of
    from metarl_cli.envs.registry import find_environment  # with Gymnasium, which the papers' claims need not load

    named, settings = find_algorithm(algorithm), EnvironmentSettings()
    if not is_reference(environment):  # one of the user's own has the usual settings
        settings = TRAINING[find_environment(environment).name]
    scale = scale or size(environment, profile)
    config = RunConfig(
        algorithm=Path(algorithm).name,
        profile=profile,
        iterations=scale.iterations,
        environment=EnvironmentConfig(name=environment),
        sampling=SamplingConfig(
            tasks=scale.tasks,
            trajectories=scale.trajectories,
            horizon=scale.horizon or horizon_of(environment),
        ),
        policy=PolicyConfig(hidden=settings.hidden),
        inner=InnerConfig(
            estimator=named.inner,
            lr=settings.inner_lr,
            steps=settings.inner_steps,
            first_order=named.first_order,
            control_variate=named.control_variate,
            rewards=named.rewards,
            magic_box=named.magic_box,
        ),
        outer=OuterConfig(
            objective=named.outer,
            exploration=named.exploration,
            optimizer=named.optimizer,
            gradient_steps=settings.gradient_steps if named.outer == "clipped" else 1,
            kl_coefficient=settings.kl_coefficient,
            kl_target=settings.kl_target if named.outer == "clipped" else 0.0,
        ),
    )
    try:
        return with_overrides(config, named.settings)
    except UserError as error:
        raise UserError(f"{algorithm}: {error}") from None


def with_code(config: RunConfig) -> RunConfig:
    """The settings with the hashes of the code that is the user's own: another code is another setting.

    Raises:
        UserError: if there is no such code, or it is not that whose hash the settings have already.
    """
    environment = replace(config.environment, name=pinned(config.environment.name, "environment"))
    inner = replace(config.inner, estimator=pinned(config.inner.estimator, "function"))
    return replace(config, environment=environment, inner=inner)
