"""Every MuJoCo environment against one `MjData`, plain `mj_step` and a reward written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.seeding import np_random

from metarl_cli.envs import bodies

ASSETS = files("gymnasium") / "envs/mujoco/assets"
NUM_ENVS = 3
STEPS = 200


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


def initial_states(reference: Reference, model, rng):
    scale, kind = reference.noise
    qpos = rng.uniform(-scale, scale, (NUM_ENVS, model.nq))
    if kind == "normal":
        return qpos, scale * rng.standard_normal((NUM_ENVS, model.nv))
    return qpos, rng.uniform(-scale, scale, (NUM_ENVS, model.nv))


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


@pytest.mark.parametrize(("name", "variant"), REWARDS)
def test_equals_one_simulation_stepped_by_hand(name, variant, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # MuJoCo logs a deprecation of half_cheetah.xml into the working directory
    reference, reward = REWARDS[name, variant]
    envs = gymnasium.make_vec(f"metarl/{name}-v0", num_envs=NUM_ENVS, variant=variant)
    tasks = envs.sample_tasks(NUM_ENVS, np.random.default_rng(3))
    envs.set_tasks(tasks)
    models = [reference_model(reference, task, name.endswith("RandParams")) for task in tasks]
    noise, seed, compared, ended = np_random(5)[0], 5, 0, 0
    actions = np.random.default_rng(7)
    while compared < STEPS * NUM_ENVS:
        observations, _ = envs.reset(seed=seed)
        seed = None  # later episodes go on with the stream of the first
        states = zip(models, *initial_states(reference, models[0], noise), strict=True)
        datas = [started(*state) for state in states]
        np.testing.assert_array_equal(observations, [reference.look(data) for data in datas])
        done = np.zeros(NUM_ENVS, bool)
        for _ in range(100):
            action = 1.5 * actions.uniform(envs.action_space.low, envs.action_space.high)  # some of it is clipped
            observations, rewards, terminations, _, _ = envs.step(action)
            compared += np.sum(~done)
            expected = np.zeros(NUM_ENVS)
            for i in np.flatnonzero(~done):
                expected[i], done[i] = reference_step(reference, reward, tasks[i], models[i], datas[i], action[i])
            np.testing.assert_allclose(rewards, expected, rtol=1e-12, atol=1e-12)
            np.testing.assert_array_equal(terminations, done)
            np.testing.assert_array_equal(observations, [reference.look(data) for data in datas])
            if done.all():
                break
        ended += done.sum()
    falls = name.startswith(("Humanoid", "Walker", "Hopper")) or name in ("AntFwdBack", "AntRandDir")
    assert (ended > 0) == falls


def test_contact_forces_and_physics_are_exercised():
    """The comparisons above would say little if no foot ever touched the ground."""
    envs = gymnasium.make_vec("metarl/AntRandGoal-v0", num_envs=2)
    envs.reset(seed=0)
    forces = [envs.step(np.zeros((2, 8)))[0][:, 29:] for _ in range(60)]
    assert np.any(forces) and np.max(np.abs(forces)) == 1.0


def state(**values):
    """One simulation at rest at the origin, but for the given entries of qpos and qvel: `qpos_1` is qpos[1]."""
    fields = {"qpos": np.zeros((1, 24)), "qvel": np.zeros((1, 23))}
    for entry, value in values.items():
        name, index = entry.split("_")
        fields[name][0, int(index)] = value
    return fields


UPRIGHT = {"ant": {"qpos_2": 0.5}, "humanoid": {"qpos_2": 1.4}, "walker": {"qpos_1": 1.25}, "hopper": {"qpos_1": 1.25}}
EPS = 1e-9


@pytest.mark.parametrize(
    ("body", "entry", "inside", "outside"),
    [
        ("ant", "qpos_2", 0.0, -EPS),
        ("ant", "qpos_2", 1.0, 1.0 + EPS),
        ("humanoid", "qpos_2", 1.0, 1.0 - EPS),
        ("humanoid", "qpos_2", 2.0, 2.0 + EPS),
        ("walker", "qpos_1", 0.8 + EPS, 0.8),
        ("walker", "qpos_1", 2.0 - EPS, 2.0),
        ("walker", "qpos_2", 1.0 - EPS, 1.0),
        ("walker", "qpos_2", -1.0 + EPS, -1.0),
        ("hopper", "qpos_1", 0.7 + EPS, 0.7),
        ("hopper", "qpos_2", 0.2 - EPS, 0.2),
        ("hopper", "qpos_2", -0.2 + EPS, -0.2),
        ("hopper", "qpos_3", 100.0 - EPS, 100.0),
        ("hopper", "qvel_0", 100.0 - EPS, -100.0),
        ("hopper", "qvel_5", 100.0 - EPS, 100.0),
        ("hopper", "qpos_0", 1e6, None),
    ],
)
def test_health_ends_at_its_bounds(body, entry, inside, outside):
    healthy = getattr(bodies, f"{body}_healthy")
    assert healthy(state(**UPRIGHT[body] | {entry: inside})).tolist() == [True]
    assert outside is None or healthy(state(**UPRIGHT[body] | {entry: outside})).tolist() == [False]


def test_the_impact_cost_of_the_humanoid_is_capped():
    forces = np.zeros((2, 14, 6))
    forces[:, 0, 0] = [1e3, 1e6]
    np.testing.assert_allclose(bodies.humanoid_contact_cost({"cfrc_ext": forces}), [0.5, 10.0], rtol=1e-15)


GYMNASIUM = {
    "HalfCheetahFwdBack": ("HalfCheetah-v5", CHEETAH, {"frame_skip": 5, "ctrl_cost_weight": 0.05}),
    "AntFwdBack": ("Ant-v5", ANT, {"frame_skip": 5, "main_body": 1}),
    "HumanoidFwdBack": ("Humanoid-v5", HUMANOID, {"frame_skip": 5}),
    "WalkerFwdBack": ("Walker2d-v5", WALKER, {"frame_skip": 8, "xml_file": "walker2d.xml"}),
    "HopperRandParams": ("Hopper-v5", HOPPER_PARAMS, {"frame_skip": 4, "xml_file": "hopper.xml"}),
    "WalkerRandParams": ("Walker2d-v5", WALKER_PARAMS, {"frame_skip": 4, "xml_file": "walker2d.xml"}),
    "SwimmerRandVel": ("Swimmer-v5", SWIMMER, {"frame_skip": 4}),
}


@pytest.mark.parametrize("name", GYMNASIUM)
def test_body_moves_as_in_gymnasium(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    gymnasium_id, reference, options = GYMNASIUM[name]
    theirs = gymnasium.make(gymnasium_id, **options).unwrapped
    theirs.model.opt.timestep = reference.timestep
    ours = gymnasium.make_vec(f"metarl/{name}-v0", num_envs=NUM_ENVS)
    task_shape = ours.sample_tasks(1, np.random.default_rng(0)).shape[1:]
    ours.set_tasks(np.ones((NUM_ENVS, *task_shape)))  # nominal physics, forwards
    observations, _ = ours.reset(seed=5)
    qpos, qvel = (noise[0] for noise in initial_states(reference, theirs.model, np_random(5)[0]))
    theirs.reset()
    theirs.set_state(theirs.init_qpos + qpos, theirs.init_qvel + qvel)
    actions = np.random.default_rng(7)
    for _ in range(STEPS):
        action = actions.uniform(ours.action_space.low, ours.action_space.high)
        observations, rewards, terminations, _, _ = ours.step(action)
        their_reward = theirs.step(action[0])[1]
        np.testing.assert_array_equal(observations[0], reference.look(theirs.data))
        if name == "HalfCheetahFwdBack":
            assert rewards[0] == pytest.approx(their_reward, rel=1e-12, abs=1e-12)
        if terminations[0]:
            break
