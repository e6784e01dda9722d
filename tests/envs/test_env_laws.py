"""Laws that hold for every environment and every variant."""

from __future__ import annotations

from itertools import combinations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from scipy.stats import kstest

from metarl_cli.envs import ENVIRONMENTS

ALL = [(name, variant) for name, spec in ENVIRONMENTS.items() for variant in spec.variants]
MUJOCO = [(name, variant) for name, variant in ALL if ENVIRONMENTS[name].module.endswith("locomotion")]


def make(name, variant, num_envs=4, **options):
    return gymnasium.make_vec(f"metarl/{name}-v0", num_envs=num_envs, variant=variant, **options)


def actions_for(envs, steps=30):
    rng = np.random.default_rng(11)
    return [rng.uniform(envs.action_space.low, envs.action_space.high) for _ in range(steps)]


def roll_out(envs, seed=1):
    """All that `reset` and `step` return, one array per kind."""
    steps = [envs.reset(seed=seed)[0]]
    rest = [envs.step(action) for action in actions_for(envs)]
    return [np.stack([*steps, *(step[0] for step in rest)]), *(np.stack([step[k] for step in rest]) for k in (1, 2, 3))]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_shapes_and_types_are_as_listed(name, variant):
    spec, envs = ENVIRONMENTS[name], make(name, variant)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert envs.single_observation_space.shape == (spec.observation_size,)
    assert envs.single_action_space.shape == (spec.action_size,)
    assert envs.single_action_space.dtype == np.float64
    observations, info = envs.reset(seed=0)
    assert observations in envs.observation_space and observations.dtype == np.float64 and info == {}
    for action in actions_for(envs):
        observations, rewards, terminations, truncations, info = envs.step(action)
        assert observations in envs.observation_space and observations.dtype == np.float64
        assert rewards.dtype == np.float64 and terminations.dtype == truncations.dtype == np.bool_
        assert rewards.shape == terminations.shape == truncations.shape == info["diverged"].shape == (4,)
        assert np.isfinite(rewards).all() and not info["diverged"].any()


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_an_episode_is_truncated_at_the_horizon(name, variant):
    envs = make(name, variant, num_envs=2)
    envs.reset(seed=0)
    for step in range(1, ENVIRONMENTS[name].horizon + 1):
        _, _, terminated, truncated, _ = envs.step(np.zeros(envs.action_space.shape))
        assert not truncated.any() or step == ENVIRONMENTS[name].horizon
    assert (truncated | terminated).all()


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_same_seed_same_trajectory(name, variant):
    first, again, other = (roll_out(make(name, variant), seed) for seed in (1, 1, 2))
    assert_same(first, again)
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_a_seeded_reset_forgets_what_was_before(name, variant):
    envs = make(name, variant)
    assert_same(roll_out(envs), roll_out(envs))


@pytest.mark.parametrize(("name", "variant"), MUJOCO)
def test_threads_change_nothing(name, variant):
    assert_same(*(roll_out(make(name, variant, threads=threads)) for threads in (1, 2)))


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_sub_environments_do_not_see_each_other(name, variant):
    """The same initial noise and task in a batch of 4 and of 2 give the same trajectory."""
    four, two = make(name, variant, num_envs=4), make(name, variant, num_envs=2)
    tasks = two.sample_tasks(2, np.random.default_rng(0))
    four.set_tasks(np.concatenate([tasks, tasks]))
    two.set_tasks(tasks)
    two.reset(seed=1)
    four.reset(seed=1)
    mask = np.array([True, True, False, False])
    for envs in (four, two):
        envs.np_random = np.random.default_rng(5)
    start = four.reset(options={"reset_mask": mask})[0][:2]
    np.testing.assert_array_equal(start, two.reset()[0])
    for action in actions_for(four):
        few, many = two.step(action[:2]), four.step(action)
        for a, b in zip(few[:4], many[:4], strict=True):
            np.testing.assert_array_equal(a, b[:2])


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_a_masked_reset_leaves_the_others_alone(name, variant):
    disturbed, twin = make(name, variant), make(name, variant)
    mask = np.array([False, True, False, True])
    for envs in (disturbed, twin):
        envs.reset(seed=1)
    for step, action in enumerate(actions_for(twin)):
        expected, got = twin.step(action), disturbed.step(action)
        for a, b in zip(expected[:4], got[:4], strict=True):
            np.testing.assert_array_equal(a[~mask], b[~mask])
        if step % 10 == 5:
            observations, _ = disturbed.reset(options={"reset_mask": mask})
            np.testing.assert_array_equal(observations[~mask], got[0][~mask])
            assert name == "Navigation" or (observations[mask] != got[0][mask]).any(axis=1).all()
    assert not np.array_equal(expected[0][mask], got[0][mask])


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_every_call_returns_new_arrays(name, variant):
    envs = make(name, variant)
    action = actions_for(envs)[0]
    calls = [[envs.reset(seed=0)[0]]]
    for _ in range(3):
        *arrays, info = envs.step(action)
        calls.append([*arrays, info["diverged"]])
    calls.append([envs.reset()[0]])
    for first, second in combinations(calls, 2):
        assert not any(np.shares_memory(a, b) for a in first for b in second)
    kept = calls[1][0].copy()
    envs.step(action)
    np.testing.assert_array_equal(calls[1][0], kept)


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_tasks_are_held_until_set_anew_and_drawn_at_each_reset_before(name, variant):
    envs = make(name, variant)
    drawn = roll_out(envs)[1]
    tasks = envs.sample_tasks(4, np.random.default_rng(0))
    envs.set_tasks(tasks)
    given = tasks.copy()
    tasks[:] = -tasks[::-1]  # the caller's array is not kept
    first, again = roll_out(envs)[1], roll_out(envs)[1]
    np.testing.assert_array_equal(first, again)
    assert name == "PointMomentum" or not np.array_equal(drawn, first)  # which pays nothing for so few steps
    fresh = make(name, variant)
    fresh.set_tasks(given)
    np.testing.assert_array_equal(first, roll_out(fresh)[1])


@pytest.mark.filterwarnings("ignore:.*A Box observation space (minimum|maximum) value is:UserWarning")
@pytest.mark.parametrize(("name", "variant"), ALL)
def test_the_single_environment_passes_gymnasiums_checker(name, variant):
    check_env(gymnasium.make(f"metarl/{name}-v0", variant=variant).unwrapped)


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_the_single_environment_equals_a_vector_of_one(name, variant):
    single, envs = gymnasium.make(f"metarl/{name}-v0", variant=variant), make(name, variant, num_envs=1)
    task = envs.sample_tasks(1, np.random.default_rng(0))
    single.unwrapped.set_task(task[0])
    envs.set_tasks(task)
    np.testing.assert_array_equal(single.reset(seed=3)[0], envs.reset(seed=3)[0][0])
    for action in actions_for(envs):
        one, many = single.step(action[0]), envs.step(action)
        np.testing.assert_array_equal(one[0], many[0][0])
        assert one[1:4] == tuple(entry[0] for entry in many[1:4])
        if one[2]:
            break


UNIFORM = {
    ("HalfCheetahRandVel", "released"): (0, 3),
    ("HalfCheetahRandVel", "paper"): (0, 2),
    ("WalkerRandVel", "released"): (0, 10),
    ("WalkerRandVel", "paper"): (0, 2),
    ("SwimmerRandVel", "released"): (0.1, 0.2),
    ("SwimmerRandVel", "paper"): (0, 2),
    ("SwimmerRandVel", "corrected"): (0.1, 0.2),
    ("AntRandGoal", "paper"): (-3, 3),
    ("Navigation", "squared"): (-0.5, 0.5),
    ("Navigation", "plain"): (-0.5, 0.5),
    ("Toy1D", "suggested"): (-1, 1),
}


def assert_uniform(values, low, high):
    assert low <= values.min() and values.max() <= high
    assert kstest(values.ravel(), "uniform", (low, high - low)).pvalue > 1e-3


def angles(vectors):
    return np.arctan2(vectors[:, 1], vectors[:, 0])


def assert_on_circle(vectors, radius):
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), radius, rtol=1e-12)
    assert_uniform(angles(vectors), -np.pi, np.pi)


def assert_corners(goals):
    corners, counts = np.unique(goals, axis=0, return_counts=True)
    np.testing.assert_array_equal(corners, [[-2, -2], [-2, 2], [2, -2], [2, 2]])
    assert np.abs(counts / len(goals) - 0.25).max() < 0.03


def assert_factors(factors, sizes):
    assert factors.shape[1] == sum(sizes)
    bases = np.repeat([1.5, 1.5, 1.3, 1.5], sizes)
    exponents = np.log(factors) / np.log(bases)
    assert_uniform(exponents, -3 - 1e-9, 3 + 1e-9)
    correlations = np.corrcoef(exponents.T) - np.eye(len(bases))
    assert np.abs(correlations).max() < 0.1  # every entry has a factor of its own


@pytest.mark.parametrize(("name", "variant"), ALL)
def test_tasks_have_the_stated_distribution(name, variant):
    tasks = make(name, variant, num_envs=1).sample_tasks(4000, np.random.default_rng(0))
    assert len(tasks) == 4000 and tasks.dtype == np.float64
    if name.endswith("FwdBack"):
        assert set(tasks) == {-1.0, 1.0} and abs(tasks.mean()) < 0.05
    elif name.endswith("RandDir"):
        assert_on_circle(tasks, 1.0)
    elif name.endswith("RandParams"):
        assert_factors(tasks, {"HopperRandParams": (5, 15, 6, 15), "WalkerRandParams": (8, 24, 9, 24)}[name])
    elif (name, variant) == ("AntRandGoal", "released"):
        assert_uniform(np.sum(tasks**2, axis=1), 0, 9)
        assert_uniform(angles(tasks), -np.pi, np.pi)
    elif name == "PointWalls":
        assert_corners(tasks[:, 0])
        assert_on_circle(tasks[:, 1], 1.0)
        assert_on_circle(tasks[:, 2], 2.0)
    elif name.startswith("Point"):
        assert_corners(tasks)
    else:
        assert_uniform(tasks, *UNIFORM[name, variant])
