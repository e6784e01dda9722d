"""Copies of environments, other processes that make them, and Gymnasium's own wrappers around them."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.wrappers.vector import NormalizeObservation, RecordEpisodeStatistics

from metarl_cli.envs import ENVIRONMENTS


def rollout(envs, steps=5):
    observations, _ = envs.reset()
    seen, actions = [observations], np.random.default_rng(1)
    for _ in range(steps):
        observations, rewards, *_ = envs.step(actions.uniform(-0.1, 0.1, envs.action_space.shape))
        seen += [observations, rewards]
    return np.concatenate([part.ravel() for part in seen])


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("duplicate", [lambda envs: pickle.loads(pickle.dumps(envs)), copy.deepcopy])
def test_a_copy_has_the_tasks_and_the_next_episodes_of_the_original(name, duplicate):
    envs = gymnasium.make_vec(ENVIRONMENTS[name].id, num_envs=2)
    envs.set_tasks(envs.sample_tasks(2, np.random.default_rng(7)))
    envs.reset(seed=3)
    envs.step(np.zeros(envs.action_space.shape))
    other = duplicate(envs)
    with pytest.raises(gymnasium.error.ResetNeeded):
        other.step(np.zeros(envs.action_space.shape))
    np.testing.assert_array_equal(rollout(other), rollout(envs))


def test_a_copy_without_tasks_draws_its_own():
    envs = gymnasium.make_vec("metarl/Navigation-v0", num_envs=3)
    envs.reset(seed=1)
    np.testing.assert_array_equal(rollout(pickle.loads(pickle.dumps(envs))), rollout(envs))


def measured(envs, answers):
    answers.put(rollout(envs))


@pytest.mark.parametrize("name", ["HalfCheetahFwdBack", "AntRandGoal"])
def test_a_spawned_process_goes_on_with_the_same_numbers(name):
    context = multiprocessing.get_context("spawn")
    envs = gymnasium.make_vec(ENVIRONMENTS[name].id, num_envs=2)
    envs.reset(seed=5)
    answers = context.Queue()
    process = context.Process(target=measured, args=(envs, answers))
    process.start()
    theirs = answers.get(timeout=60)
    process.join()
    np.testing.assert_array_equal(theirs, rollout(envs))


def test_gymnasium_spawns_single_environments():
    envs = AsyncVectorEnv([lambda: gymnasium.make("metarl_cli.envs:metarl/HopperRandParams-v0")] * 2, context="spawn")
    try:
        assert envs.reset(seed=0)[0].shape == (2, 11)
    finally:
        envs.close()


def ending(mode, horizon=None):
    """Two points of which the first is at its goal after its first step, 0.05 away."""
    envs = gymnasium.make_vec(
        "metarl/Navigation-v0", num_envs=2, variant="plain", autoreset_mode=mode, max_episode_steps=horizon
    )
    envs.set_tasks(np.array([[0.05, 0.0], [0.5, 0.5]]))
    envs.reset(seed=0)
    return envs


TO_THE_RIGHT = np.array([[0.05, 0.0]] * 2)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, "NextStep"])
def test_the_step_after_an_end_is_a_reset(mode):
    envs = ending(mode)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    _, rewards, terminated, *_ = envs.step(TO_THE_RIGHT)
    assert terminated.tolist() == [True, False] and rewards[0] == 0.0 > rewards[1]
    observations, rewards, terminated, *_ = envs.step(TO_THE_RIGHT)
    np.testing.assert_allclose(observations, [[0.0, 0.0], [0.1, 0.0]])
    assert not terminated.any() and rewards[0] == 0.0 > rewards[1]
    observations, _, terminated, *_ = envs.step(TO_THE_RIGHT)
    np.testing.assert_allclose(observations, [[0.05, 0.0], [0.15, 0.0]])
    assert terminated.tolist() == [True, False]


def test_so_is_the_step_after_the_time_limit():
    envs = ending(AutoresetMode.NEXT_STEP, horizon=2)
    truncations = [envs.step(-TO_THE_RIGHT)[3].tolist() for _ in range(6)]
    assert truncations == [[False] * 2, [True] * 2, [False] * 2] * 2


def test_actions_that_are_refused_reset_nothing():
    envs = ending(AutoresetMode.NEXT_STEP)
    envs.step(TO_THE_RIGHT)
    with pytest.raises(ValueError, match="expected finite numbers"):
        envs.step(np.full((2, 2), np.nan))
    np.testing.assert_allclose(envs.positions(), [[0.05, 0.0], [0.05, 0.0]])


def test_without_autoreset_nothing_is_reset():
    envs = ending(AutoresetMode.DISABLED)
    assert all(envs.step(TO_THE_RIGHT)[2].tolist() == [True, False] for _ in range(3))


def test_no_other_mode_is_taken():
    with pytest.raises(ValueError, match="expected DISABLED or NEXT_STEP, got SAME_STEP"):
        ending(AutoresetMode.SAME_STEP)


def test_gymnasiums_own_wrappers_take_it():
    envs = RecordEpisodeStatistics(NormalizeObservation(ending(AutoresetMode.NEXT_STEP)))
    envs.reset(seed=0)
    *_, info = envs.step(TO_THE_RIGHT)
    assert info["episode"]["l"].tolist() == [1, 0] and envs.episode_count == 1
    for _ in range(4):
        *_, info = envs.step(TO_THE_RIGHT)
    assert info["episode"]["l"].tolist() == [1, 0] and envs.episode_count == 3
