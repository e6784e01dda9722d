"""Task distributions over MuJoCo bodies: run in a direction, at a velocity, to a goal, or with another physics.

Rewards, observations and constants are those of the papers' released code (Rothfuss et al., 2018; Liu et al., 2019;
Fallah et al., 2021). A task is a number or a vector per sub-environment; it is never observed. The `paper` variants are
the papers' texts where these differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import prod
from types import MappingProxyType

from metarl_cli.envs import bodies
from metarl_cli.envs.distributions import box, direction, disc, factors, interval, sign
from metarl_cli.envs.physics import Locomotion, ModelField, Motion
from metarl_cli.envs.vector import FloatArray

__all__ = ["PROBLEMS"]


def _along(motion: Motion, signs: FloatArray) -> FloatArray:
    """d · vₓ."""
    return signs * motion.velocity[:, 0]


def _along_2d(motion: Motion, directions: FloatArray) -> FloatArray:
    """d · v."""
    speeds: FloatArray = (directions * motion.velocity).sum(axis=1)
    return speeds


def _forwards(motion: Motion, tasks: FloatArray) -> FloatArray:
    """vₓ, whatever the task."""
    return motion.velocity[:, 0]


def _at_velocity(motion: Motion, velocities: FloatArray) -> FloatArray:
    """−|vₓ − v*|."""
    return -abs(motion.velocity[:, 0] - velocities)


def _to_goal(motion: Motion, goals: FloatArray) -> FloatArray:
    """−‖xy − g‖₁."""
    distance: FloatArray = abs(motion.position - goals).sum(axis=1)
    return -distance


def _with_random_physics(problem: Locomotion, bodies: int, joints: int, geoms: int) -> Locomotion:
    """The problem whose tasks multiply every mass, inertia, damping and friction by its own factor.

    The first body is the world and the first geom the floor; the undamped joints of the root stay undamped.
    """
    fields = (
        ModelField("body_mass", (bodies,)),
        ModelField("body_inertia", (bodies, 3)),
        ModelField("dof_damping", (joints,)),
        ModelField("geom_friction", (geoms, 3)),
    )
    sizes = tuple(prod(field.shape) for field in fields)
    return replace(problem, draw=partial(factors, bases=(1.5, 1.5, 1.3, 1.5), sizes=sizes), physics=fields)


CHEETAH_DIRECTION = Locomotion(body=bodies.HALF_CHEETAH, draw=sign, progress=_along, control_cost=0.05)
CHEETAH_VELOCITY = replace(CHEETAH_DIRECTION, draw=partial(interval, low=0.0, high=3.0), progress=_at_velocity)
ANT_DIRECTION = Locomotion(
    body=bodies.ANT,
    draw=sign,
    progress=_along,
    control_cost=0.5,
    contact_cost=bodies.ant_contact_cost,
    alive_bonus=1.0,
    healthy=bodies.ant_healthy,
)
ANT_GOAL = Locomotion(
    body=bodies.ANT_WITH_POSITION,
    draw=partial(disc, radius=3.0),
    progress=_to_goal,
    control_cost=0.1,
    contact_cost=bodies.ant_contact_cost,
)
HUMANOID_DIRECTION = Locomotion(
    body=bodies.HUMANOID,
    draw=sign,
    progress=_along,
    weight=1.25,  # 0.25 · Δ / timestep in the released code, where Δ is the way of all five physics steps
    control_cost=0.1,
    contact_cost=bodies.humanoid_contact_cost,
    alive_bonus=5.0,
    healthy=bodies.humanoid_healthy,
)
WALKER_DIRECTION = Locomotion(
    body=bodies.WALKER,
    draw=sign,
    progress=_along,
    control_cost=1e-3,
    alive_bonus=1.0,
    healthy=bodies.walker_healthy,
)
WALKER_VELOCITY = replace(
    WALKER_DIRECTION, draw=partial(interval, low=0.0, high=10.0), progress=_at_velocity, alive_bonus=15.0
)
SWIMMER_VELOCITY = Locomotion(
    body=bodies.SWIMMER,
    draw=partial(interval, low=0.1, high=0.2),
    progress=_at_velocity,
    weight=-1.0,  # the released sign pays for missing the velocity
    control_cost=1e-4,
)
TEXT_VELOCITY = partial(interval, low=0.0, high=2.0)
WALKER_PARAMS = _with_random_physics(
    replace(WALKER_DIRECTION, body=bodies.WALKER_SLOW, progress=_forwards), bodies=8, joints=9, geoms=8
)
HOPPER_PARAMS = _with_random_physics(
    replace(WALKER_PARAMS, body=bodies.HOPPER, healthy=bodies.hopper_healthy), bodies=5, joints=6, geoms=5
)

PROBLEMS: Mapping[str, Mapping[str, Locomotion]] = MappingProxyType(
    {
        "HalfCheetahFwdBack": {"released": CHEETAH_DIRECTION},
        "HalfCheetahRandVel": {"released": CHEETAH_VELOCITY, "paper": replace(CHEETAH_VELOCITY, draw=TEXT_VELOCITY)},
        "AntFwdBack": {"released": ANT_DIRECTION},
        "AntRandDir": {"released": replace(ANT_DIRECTION, draw=direction, progress=_along_2d)},
        "AntRandGoal": {"released": ANT_GOAL, "paper": replace(ANT_GOAL, draw=partial(box, limit=3.0))},
        "HumanoidFwdBack": {"released": HUMANOID_DIRECTION},
        "HumanoidRandDir": {"released": replace(HUMANOID_DIRECTION, draw=direction, progress=_along_2d)},
        "WalkerFwdBack": {"released": WALKER_DIRECTION},
        "WalkerRandVel": {
            "released": WALKER_VELOCITY,
            "paper": replace(WALKER_VELOCITY, draw=TEXT_VELOCITY, alive_bonus=0.0),
        },
        "WalkerRandParams": {"released": WALKER_PARAMS},
        "HopperRandParams": {"released": HOPPER_PARAMS},
        "SwimmerRandVel": {
            "released": SWIMMER_VELOCITY,
            "paper": replace(SWIMMER_VELOCITY, draw=TEXT_VELOCITY, weight=1.0),
            "corrected": replace(SWIMMER_VELOCITY, weight=1.0),
        },
    }
)
