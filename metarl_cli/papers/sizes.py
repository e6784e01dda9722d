"""How large a training run is: by environment and profile, what does not change the algorithm.

`paper` is the size of the papers' own experiments. `standard` is what shows a curve to its bend on a server of today:
half the tasks and trajectories in locomotion; five seeds and 300 iterations on HalfCheetah, which all four papers have
and whose simulator is fast, because three seeds leave too much open; three seeds and 100 iterations elsewhere, where it
is slower: the first bend, and not the end (docs/findings.md, HopperRandParams); 150 on AntRandDir, where after 100 some
seeds have not begun to learn; the papers' own size on Navigation, and nearly so in the corners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from annotated_types import Ge, Le

from metarl_cli.errors import check_known
from metarl_cli.profiles import MOST_SEEDS, PROFILES
from metarl_cli.references import is_reference

__all__ = ["SIZES", "Size", "size"]

Count = Annotated[int, Ge(1), Le(10**6)]
Seeds = Annotated[int, Ge(1), Le(MOST_SEEDS)]


@dataclass(frozen=True, slots=True)
class Size:
    """Tasks M, trajectories N, meta-iterations, seeds; a shorter horizon, or 0 for the environment's own."""

    tasks: Count
    trajectories: Count
    iterations: Count
    seeds: Seeds
    horizon: Annotated[int, Ge(0), Le(10**6)] = 0


def _locomotion(standard_iterations: int, standard_seeds: int = 3) -> Mapping[str, Size]:
    """The sizes of a MuJoCo task of any of the four papers."""
    return MappingProxyType(
        {
            "smoke": Size(tasks=2, trajectories=4, iterations=2, seeds=1, horizon=10),
            "quick": Size(tasks=5, trajectories=4, iterations=7, seeds=2),
            "overnight": Size(tasks=20, trajectories=10, iterations=50, seeds=3),
            "standard": Size(tasks=20, trajectories=10, iterations=standard_iterations, seeds=standard_seeds),
            "paper": Size(tasks=40, trajectories=20, iterations=1001, seeds=3),
        }
    )


_SMOKE_POINTS = Size(tasks=2, trajectories=4, iterations=2, seeds=1)

SIZES: Mapping[str, Mapping[str, Size]] = MappingProxyType(
    {
        "HalfCheetahFwdBack": _locomotion(300, standard_seeds=5),
        "HalfCheetahRandVel": _locomotion(300, standard_seeds=5),
        "AntFwdBack": _locomotion(100),
        "AntRandDir": _locomotion(150),
        "AntRandGoal": _locomotion(100),
        "HumanoidFwdBack": _locomotion(100),
        "HumanoidRandDir": _locomotion(100),
        "WalkerFwdBack": _locomotion(100),
        "WalkerRandVel": _locomotion(100),
        "WalkerRandParams": _locomotion(100),
        "HopperRandParams": _locomotion(100),
        "SwimmerRandVel": _locomotion(100),
        "PointMomentum": MappingProxyType(
            {
                "smoke": _SMOKE_POINTS,
                "quick": Size(tasks=10, trajectories=10, iterations=40, seeds=2),
                "overnight": Size(tasks=20, trajectories=10, iterations=100, seeds=3),
                "standard": Size(tasks=20, trajectories=10, iterations=200, seeds=3),
                "paper": Size(tasks=40, trajectories=20, iterations=501, seeds=5),
            }
        ),
        "PointCorner": MappingProxyType(
            {
                "smoke": _SMOKE_POINTS,
                "quick": Size(tasks=10, trajectories=10, iterations=30, seeds=2),
                "overnight": Size(tasks=20, trajectories=10, iterations=100, seeds=3),
                "standard": Size(tasks=40, trajectories=20, iterations=100, seeds=5),
                "paper": Size(tasks=40, trajectories=20, iterations=501, seeds=10),
            }
        ),
        "PointWalls": _locomotion(300),
        "Navigation": MappingProxyType(
            {
                "smoke": _SMOKE_POINTS,
                "quick": Size(tasks=20, trajectories=20, iterations=60, seeds=3),
                "overnight": Size(tasks=20, trajectories=20, iterations=500, seeds=3),
                "standard": Size(tasks=20, trajectories=20, iterations=500, seeds=10),
                "paper": Size(tasks=20, trajectories=20, iterations=500, seeds=10),
            }
        ),
        "Toy1D": _locomotion(300),
    }
)
"""By environment and profile. No figure trains on PointWalls and Toy1D; they have the sizes of locomotion."""

OWN: Mapping[str, Size] = MappingProxyType({**_locomotion(300), "smoke": _SMOKE_POINTS})
"""Of an environment of the user's own, which may have no episode as short as a smoke run's of locomotion."""


def size(environment: str, profile: str) -> Size:
    """How large the runs on an environment are.

    Raises:
        UserError: for a profile that does not exist, with the nearest match.
    """
    check_known("profile", profile, PROFILES)
    return OWN[profile] if is_reference(environment) else SIZES[environment][profile]
