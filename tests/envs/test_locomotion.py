"""Every MuJoCo environment against its definition written out by hand, and every body against Gymnasium's own."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.seeding import np_random
from locomotion_by_hand import (
    ANT,
    CHEETAH,
    HOPPER_PARAMS,
    HUMANOID,
    REWARDS,
    SWIMMER,
    WALKER,
    WALKER_PARAMS,
    initial_states,
    reference_model,
    reference_step,
    started,
)

from metarl_cli.envs import bodies

NUM_ENVS = 3
STEPS = 200


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
        states = zip(models, *initial_states(reference, models[0], noise, NUM_ENVS), strict=True)
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
    qpos, qvel = (noise[0] for noise in initial_states(reference, theirs.model, np_random(5)[0], NUM_ENVS))
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
