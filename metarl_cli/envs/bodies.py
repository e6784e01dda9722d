"""The bodies of the papers: Gymnasium's model files with the papers' clocks, observations and reset noise."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from metarl_cli.envs.physics import Body, Fields
from metarl_cli.envs.vector import BoolArray, FloatArray

__all__ = [
    "ANT",
    "ANT_WITH_POSITION",
    "HALF_CHEETAH",
    "HOPPER",
    "HUMANOID",
    "SWIMMER",
    "WALKER",
    "WALKER_SLOW",
    "ant_contact_cost",
    "ant_healthy",
    "hopper_healthy",
    "humanoid_contact_cost",
    "humanoid_healthy",
    "walker_healthy",
]

Shape = tuple[int, int]
Noise = tuple[FloatArray, FloatArray]


def _uniform_and_normal(rng: np.random.Generator, qpos: Shape, qvel: Shape) -> Noise:
    """U(−0.1, 0.1) on every coordinate, quaternions too, and 0.1 · N(0, 1) on every velocity."""
    return rng.uniform(-0.1, 0.1, qpos), 0.1 * rng.standard_normal(qvel)


def _uniform(rng: np.random.Generator, qpos: Shape, qvel: Shape, scale: float) -> Noise:
    return rng.uniform(-scale, scale, qpos), rng.uniform(-scale, scale, qvel)


def _root_x(fields: Fields) -> FloatArray:
    return fields["qpos"][:, :1].copy()


def _torso_xy(fields: Fields) -> FloatArray:
    """Of the body frame, which lags qpos by one physics step."""
    return fields["xpos"][:, 1, :2].copy()


def _centre_of_mass_xy(fields: Fields) -> FloatArray:
    """Of everything: Σ mass · xipos / Σ mass, the subtree of the world body."""
    return fields["subtree_com"][:, 0, :2].copy()


def _flat(array: FloatArray) -> FloatArray:
    return array.reshape(len(array), -1)


def _clipped_forces(fields: Fields) -> FloatArray:
    return np.clip(_flat(fields["cfrc_ext"]), -1.0, 1.0)


def _observe(fields: Fields, hidden: int) -> tuple[FloatArray, ...]:
    """All coordinates but the first ones, which are hidden, and all velocities."""
    return fields["qpos"][:, hidden:], fields["qvel"]


def _observe_ant(fields: Fields, hidden: int) -> tuple[FloatArray, ...]:
    return *_observe(fields, hidden), _clipped_forces(fields)


def _observe_planar(fields: Fields) -> tuple[FloatArray, ...]:
    return fields["qpos"][:, 1:], np.clip(fields["qvel"], -10.0, 10.0)


def _observe_humanoid(fields: Fields) -> tuple[FloatArray, ...]:
    names = ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")
    return *_observe(fields, hidden=2), *(_flat(fields[name]) for name in names)


def ant_contact_cost(fields: Fields) -> FloatArray:
    """0.5e-3 · Σ clip(cfrc_ext, ±1)²."""
    cost: FloatArray = 0.5e-3 * np.square(_clipped_forces(fields)).sum(axis=1)
    return cost


def humanoid_contact_cost(fields: Fields) -> FloatArray:
    """min(0.5e-6 · Σ cfrc_ext², 10)."""
    cost: FloatArray = np.minimum(0.5e-6 * np.square(_flat(fields["cfrc_ext"])).sum(axis=1), 10.0)
    return cost


def ant_healthy(fields: Fields) -> BoolArray:
    """Torso height in [0, 1]."""
    height = fields["qpos"][:, 2]
    return (height >= 0.0) & (height <= 1.0)


def humanoid_healthy(fields: Fields) -> BoolArray:
    """Root height in [1, 2]."""
    height = fields["qpos"][:, 2]
    return (height >= 1.0) & (height <= 2.0)


def walker_healthy(fields: Fields) -> BoolArray:
    """0.8 < height < 2 and −1 < pitch < 1."""
    height, pitch = fields["qpos"][:, 1], fields["qpos"][:, 2]
    return (height > 0.8) & (height < 2.0) & (np.abs(pitch) < 1.0)


def hopper_healthy(fields: Fields) -> BoolArray:
    """Height > 0.7, |pitch| < 0.2, and every other coordinate and velocity but the root's x below 100."""
    qpos, qvel = fields["qpos"], fields["qvel"]
    bounded = (np.abs(qpos[:, 2:]) < 100.0).all(axis=1) & (np.abs(qvel) < 100.0).all(axis=1)
    return bounded & (qpos[:, 1] > 0.7) & (np.abs(qpos[:, 2]) < 0.2)


HALF_CHEETAH = Body(
    model_file="half_cheetah.xml",
    timestep=0.01,
    frame_skip=5,
    observe=partial(_observe, hidden=1),
    position=_root_x,
    noise=_uniform_and_normal,
)
ANT = Body(
    model_file="ant.xml",
    timestep=0.01,
    frame_skip=5,
    outputs=("xpos",),
    contact_forces=True,
    observe=partial(_observe_ant, hidden=2),
    position=_torso_xy,
    noise=_uniform_and_normal,
)
ANT_WITH_POSITION = replace(ANT, observe=partial(_observe_ant, hidden=0))
HUMANOID = Body(
    model_file="humanoid.xml",
    timestep=0.003,
    frame_skip=5,
    outputs=("subtree_com", "cinert", "cvel", "qfrc_actuator"),
    contact_forces=True,
    observe=_observe_humanoid,
    position=_centre_of_mass_xy,
    noise=partial(_uniform, scale=0.01),
)
WALKER = Body(
    model_file="walker2d.xml",
    timestep=0.002,
    frame_skip=8,
    observe=_observe_planar,
    position=_root_x,
    noise=partial(_uniform, scale=0.005),
)
WALKER_SLOW = replace(WALKER, timestep=0.004, frame_skip=4)
HOPPER = replace(WALKER_SLOW, model_file="hopper.xml")
SWIMMER = Body(
    model_file="swimmer.xml",
    timestep=0.01,
    frame_skip=4,
    observe=partial(_observe, hidden=2),
    position=_root_x,
    noise=partial(_uniform, scale=0.1),
)
