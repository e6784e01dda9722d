"""The MuJoCo environments written out by hand: one `MjData`, plain `mj_step`, scalar rewards, nothing of metarl."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

import mujoco
import numpy as np

ASSETS = files("gymnasium") / "envs/mujoco/assets"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One body: the noise of its reset, how it looks, where it is for the velocity, and whether it is ok."""

    xml: str
    timestep: float
    frame_skip: int
    noise: tuple[float, str]
    look: Callable
    where: Callable
    ok: Callable = lambda data: True
    contacts: bool = False


def clipped(array, limit):
    return np.clip(np.asarray(array), -limit, limit).ravel()


def centre_of_mass(model, data):
    total = np.zeros(3)
    for body in range(model.nbody):
        total += model.body_mass[body] * data.xipos[body]
    return total[:2] / model.body_mass.sum()


def look_at_humanoid(d):
    parts = (d.qpos[2:], d.qvel, d.cinert, d.cvel, d.qfrc_actuator, d.cfrc_ext)
    return np.concatenate([np.ravel(part) for part in parts])


CHEETAH = Reference(
    xml="half_cheetah.xml",
    timestep=0.01,
    frame_skip=5,
    noise=(0.1, "normal"),
    look=lambda d: np.concatenate([d.qpos[1:], d.qvel]),
    where=lambda m, d: d.qpos[:1].copy(),
)
ANT = Reference(
    xml="ant.xml",
    timestep=0.01,
    frame_skip=5,
    noise=(0.1, "normal"),
    look=lambda d: np.concatenate([d.qpos[2:], d.qvel, clipped(d.cfrc_ext, 1)]),
    where=lambda m, d: d.body("torso").xpos[:2].copy(),
    ok=lambda d: 0.0 <= d.qpos[2] <= 1.0,
    contacts=True,
)
ANT_GOAL = Reference(
    xml="ant.xml",
    timestep=0.01,
    frame_skip=5,
    noise=(0.1, "normal"),
    look=lambda d: np.concatenate([d.qpos, d.qvel, clipped(d.cfrc_ext, 1)]),
    where=ANT.where,
    contacts=True,
)
HUMANOID = Reference(
    xml="humanoid.xml",
    timestep=0.003,
    frame_skip=5,
    noise=(0.01, "uniform"),
    look=look_at_humanoid,
    where=centre_of_mass,
    ok=lambda d: 1.0 <= d.qpos[2] <= 2.0,
    contacts=True,
)
WALKER = Reference(
    xml="walker2d.xml",
    timestep=0.002,
    frame_skip=8,
    noise=(0.005, "uniform"),
    look=lambda d: np.concatenate([d.qpos[1:], clipped(d.qvel, 10)]),
    where=CHEETAH.where,
    ok=lambda d: 0.8 < d.qpos[1] < 2.0 and -1.0 < d.qpos[2] < 1.0,
)
WALKER_PARAMS = Reference(
    xml="walker2d.xml",
    timestep=0.004,
    frame_skip=4,
    noise=(0.005, "uniform"),
    look=WALKER.look,
    where=CHEETAH.where,
    ok=WALKER.ok,
)
HOPPER_PARAMS = Reference(
    xml="hopper.xml",
    timestep=0.004,
    frame_skip=4,
    noise=(0.005, "uniform"),
    look=WALKER.look,
    where=CHEETAH.where,
    ok=lambda d: bool(
        np.all(np.abs(np.concatenate([d.qpos, d.qvel])[2:]) < 100) and d.qpos[1] > 0.7 and abs(d.qpos[2]) < 0.2
    ),
)
SWIMMER = Reference(
    xml="swimmer.xml",
    timestep=0.01,
    frame_skip=4,
    noise=(0.1, "uniform"),
    look=lambda d: np.concatenate([d.qpos[2:], d.qvel]),
    where=CHEETAH.where,
)


def ant_contacts(d):
    return 0.5e-3 * np.sum(clipped(d.cfrc_ext, 1) ** 2)


def humanoid_costs(u, d):
    return 0.1 * np.sum(u**2) + min(0.5e-6 * np.sum(d.cfrc_ext**2), 10.0)


# reward(task, v, u, d): the task, the velocity (Δ / dt), the control in the actuators' units and the MjData.
REWARDS: dict[tuple[str, str], tuple[Reference, Callable]] = {
    ("HalfCheetahFwdBack", "released"): (CHEETAH, lambda t, v, u, d: t * v[0] - 0.05 * np.sum(u**2)),
    ("HalfCheetahRandVel", "released"): (CHEETAH, lambda t, v, u, d: -abs(v[0] - t) - 0.05 * np.sum(u**2)),
    ("HalfCheetahRandVel", "paper"): (CHEETAH, lambda t, v, u, d: -abs(v[0] - t) - 0.05 * np.sum(u**2)),
    ("AntFwdBack", "released"): (ANT, lambda t, v, u, d: t * v[0] - 0.5 * np.sum(u**2) - ant_contacts(d) + 1),
    ("AntRandDir", "released"): (
        ANT,
        lambda t, v, u, d: t[0] * v[0] + t[1] * v[1] - 0.5 * np.sum(u**2) - ant_contacts(d) + 1,
    ),
    **{
        ("AntRandGoal", variant): (
            ANT_GOAL,
            lambda t, v, u, d: -np.abs(d.body("torso").xpos[:2] - t).sum() - 0.1 * np.sum(u**2) - ant_contacts(d),
        )
        for variant in ("released", "paper")
    },
    # 0.25 · Δ / timestep with Δ = v · dt, dt = 5 · 0.003
    ("HumanoidFwdBack", "released"): (
        HUMANOID,
        lambda t, v, u, d: 0.25 * t * (v[0] * 0.015) / 0.003 - humanoid_costs(u, d) + 5,
    ),
    ("HumanoidRandDir", "released"): (
        HUMANOID,
        lambda t, v, u, d: 0.25 * np.dot(t, v * 0.015) / 0.003 - humanoid_costs(u, d) + 5,
    ),
    ("WalkerFwdBack", "released"): (WALKER, lambda t, v, u, d: t * v[0] + 1 - 1e-3 * np.sum(u**2)),
    ("WalkerRandVel", "released"): (WALKER, lambda t, v, u, d: -abs(v[0] - t) + 15 - 1e-3 * np.sum(u**2)),
    ("WalkerRandVel", "paper"): (WALKER, lambda t, v, u, d: -abs(v[0] - t) - 1e-3 * np.sum(u**2)),
    ("WalkerRandParams", "released"): (WALKER_PARAMS, lambda t, v, u, d: v[0] + 1 - 1e-3 * np.sum(u**2)),
    ("HopperRandParams", "released"): (HOPPER_PARAMS, lambda t, v, u, d: v[0] + 1 - 1e-3 * np.sum(u**2)),
    ("SwimmerRandVel", "released"): (SWIMMER, lambda t, v, u, d: abs(v[0] - t) - 1e-4 * np.sum(u**2)),
    ("SwimmerRandVel", "paper"): (SWIMMER, lambda t, v, u, d: -abs(v[0] - t) - 1e-4 * np.sum(u**2)),
    ("SwimmerRandVel", "corrected"): (SWIMMER, lambda t, v, u, d: -abs(v[0] - t) - 1e-4 * np.sum(u**2)),
}


def reference_model(reference: Reference, task, has_physics: bool) -> mujoco.MjModel:
    model = mujoco.MjModel.from_xml_path(str(ASSETS / reference.xml))
    model.opt.timestep = reference.timestep
    if has_physics:
        start = 0
        for field in ("body_mass", "body_inertia", "dof_damping", "geom_friction"):
            array = getattr(model, field)
            for index in np.ndindex(array.shape):
                array[index] *= task[start]
                start += 1
        assert start == len(task)
    return model


def initial_states(reference: Reference, model, rng, count):
    scale, kind = reference.noise
    qpos = rng.uniform(-scale, scale, (count, model.nq))
    if kind == "normal":
        return qpos, scale * rng.standard_normal((count, model.nv))
    return qpos, rng.uniform(-scale, scale, (count, model.nv))


def started(model, qpos, qvel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos += qpos
    data.qvel += qvel
    mujoco.mj_forward(model, data)
    mujoco.mj_rnePostConstraint(model, data)
    return data


def reference_step(reference: Reference, reward, task, model, data, action):
    low, high = model.actuator_ctrlrange.T
    control = np.clip(action, low, high)
    data.ctrl[:] = control
    before = reference.where(model, data)
    for _ in range(reference.frame_skip):
        mujoco.mj_step(model, data)
    if reference.contacts:
        mujoco.mj_rnePostConstraint(model, data)
    velocity = (reference.where(model, data) - before) / (reference.timestep * reference.frame_skip)
    return reward(task, velocity, control, data), not reference.ok(data)
