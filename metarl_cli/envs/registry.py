"""The names of the environments and what a listing says of them; imports nothing heavy.

`metarl_cli.envs` registers each name in Gymnasium as `metarl/<name>-v0`. What an environment computes stands in
`module`, under `PROBLEMS[name][variant]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from metarl_cli.errors import UserError, check_known, unknown_name

__all__ = ["ENVIRONMENTS", "EnvironmentSpec", "find_environment", "find_variant"]

LOCOMOTION = "metarl_cli.envs.locomotion"
POINTS = "metarl_cli.envs.points"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """One environment of the papers, as text and numbers.

    Attributes:
        name: The papers' name, without namespace and version.
        horizon: H, the steps of one episode in the papers' runs.
        observation_size: S.
        action_size: A.
        task_distribution: How a task is drawn.
        papers: The papers that use it.
        module: The module whose `PROBLEMS[name][variant]` defines it.
        variants: The definitions there are, the default first. Several where a paper's text and its code differ.
    """

    name: str
    horizon: int
    observation_size: int
    action_size: int
    task_distribution: str
    papers: tuple[str, ...]
    module: str = LOCOMOTION
    variants: tuple[str, ...] = ("released",)

    @property
    def id(self) -> str:
        """The name under which Gymnasium knows it."""
        return f"metarl/{self.name}-v0"


_SPECS = (
    EnvironmentSpec(
        name="HalfCheetahFwdBack",
        horizon=100,
        observation_size=17,
        action_size=6,
        task_distribution="direction d ∈ {−1, +1}",
        papers=("promp", "tmaml", "sgmrl"),
    ),
    EnvironmentSpec(
        name="HalfCheetahRandVel",
        horizon=100,
        observation_size=17,
        action_size=6,
        task_distribution="velocity v* ~ U(0, 3); paper: U(0, 2)",
        papers=("tmaml", "sgmrl"),
        variants=("released", "paper"),
    ),
    EnvironmentSpec(
        name="AntFwdBack",
        horizon=100,
        observation_size=111,
        action_size=8,
        task_distribution="direction d ∈ {−1, +1}",
        papers=("promp", "tmaml"),
    ),
    EnvironmentSpec(
        name="AntRandDir",
        horizon=100,
        observation_size=111,
        action_size=8,
        task_distribution="direction on the unit circle, uniform angle",
        papers=("promp", "tmaml", "taypo"),
    ),
    EnvironmentSpec(
        name="AntRandGoal",
        horizon=200,
        observation_size=113,
        action_size=8,
        task_distribution="goal in the disc of radius 3; paper: in [−3, 3]²",
        papers=("promp", "tmaml", "taypo"),
        variants=("released", "paper"),
    ),
    EnvironmentSpec(
        name="HumanoidFwdBack",
        horizon=200,
        observation_size=376,
        action_size=17,
        task_distribution="direction d ∈ {−1, +1}",
        papers=("promp", "tmaml"),
    ),
    EnvironmentSpec(
        name="HumanoidRandDir",
        horizon=200,
        observation_size=376,
        action_size=17,
        task_distribution="direction on the unit circle, uniform angle",
        papers=("promp", "tmaml"),
    ),
    EnvironmentSpec(
        name="WalkerFwdBack",
        horizon=200,
        observation_size=17,
        action_size=6,
        task_distribution="direction d ∈ {−1, +1}",
        papers=("promp", "tmaml"),
    ),
    EnvironmentSpec(
        name="WalkerRandVel",
        horizon=100,
        observation_size=17,
        action_size=6,
        task_distribution="velocity v* ~ U(0, 10); paper: U(0, 2)",
        papers=("tmaml",),
        variants=("released", "paper"),
    ),
    EnvironmentSpec(
        name="WalkerRandParams",
        horizon=200,
        observation_size=17,
        action_size=6,
        task_distribution="a factor per entry: masses, inertias and frictions 1.5^U(−3, 3), dampings 1.3^U(−3, 3)",
        papers=("promp",),
    ),
    EnvironmentSpec(
        name="HopperRandParams",
        horizon=200,
        observation_size=11,
        action_size=3,
        task_distribution="a factor per entry: masses, inertias and frictions 1.5^U(−3, 3), dampings 1.3^U(−3, 3)",
        papers=("promp",),
    ),
    EnvironmentSpec(
        name="SwimmerRandVel",
        horizon=200,
        observation_size=8,
        action_size=2,
        task_distribution="velocity v* ~ U(0.1, 0.2); paper: U(0, 2)",
        papers=("tmaml", "sgmrl"),
        variants=("released", "paper", "corrected"),
    ),
    EnvironmentSpec(
        name="PointMomentum",
        module=POINTS,
        horizon=100,
        observation_size=4,
        action_size=2,
        task_distribution="goal ∈ {(±2, ±2)}",
        papers=("promp",),
    ),
    EnvironmentSpec(
        name="PointCorner",
        module=POINTS,
        horizon=100,
        observation_size=2,
        action_size=2,
        task_distribution="goal ∈ {(±2, ±2)}",
        papers=("promp", "taypo"),
    ),
    EnvironmentSpec(
        name="PointWalls",
        module=POINTS,
        horizon=100,
        observation_size=2,
        action_size=2,
        task_distribution="goal ∈ {(±2, ±2)} and a gap in each of two circular walls, uniform angles",
        papers=("promp",),
    ),
    EnvironmentSpec(
        name="Navigation",
        module=POINTS,
        horizon=100,
        observation_size=2,
        action_size=2,
        task_distribution="goal ~ U([−0.5, 0.5]²)",
        papers=("sgmrl",),
        variants=("squared", "plain"),
    ),
    EnvironmentSpec(
        name="Toy1D",
        module=POINTS,
        horizon=10,
        observation_size=1,
        action_size=1,
        task_distribution="goal ~ U(−1, 1)",
        papers=("tmaml",),
        variants=("suggested",),
    ),
)

ENVIRONMENTS: Mapping[str, EnvironmentSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def find_environment(name: str) -> EnvironmentSpec:
    """The environment of that name.

    Raises:
        UserError: If there is none; the message has the nearest match.
    """
    if name not in ENVIRONMENTS:
        hint = "Yours is package.module:Name or path/file.py:Name."
        raise UserError(f"{unknown_name('environment', name, ENVIRONMENTS)} {hint}")
    return ENVIRONMENTS[name]


def find_variant(spec: EnvironmentSpec, variant: str | None) -> str:
    """The variant of that name; None asks for the default.

    Raises:
        UserError: If the environment has no such variant; the message has the nearest match.
    """
    if variant is None:
        return spec.variants[0]
    check_known(f"variant of {spec.name}", variant, spec.variants)
    return variant
