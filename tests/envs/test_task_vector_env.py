"""The bookkeeping of `TaskVectorEnv`: episode ends, divergence, mistakes of the caller."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from mujoco.batch import Batch

from metarl_cli.envs.vector import make_vec
from metarl_cli.errors import UserError


@pytest.fixture
def stepped(monkeypatch):
    """The masks with which MuJoCo was asked to step."""
    masks, step = [], Batch.step

    def spy(self, ids=None, **options):
        masks.append(np.array(ids))
        step(self, ids, **options)

    monkeypatch.setattr(Batch, "step", spy)
    return masks


def fallen():
    """Three walkers, of which number 1 has just fallen, having pushed with all its might."""
    envs = make_vec("WalkerFwdBack", num_envs=3)
    envs.set_tasks(np.ones(3))
    envs.reset(seed=0)
    actions = np.zeros((3, 6))
    actions[1] = -1.0
    for _ in range(50):
        observations, rewards, terminations, _, _ = envs.step(actions)
        if terminations[1]:
            assert not terminations[0] and rewards[1] != 0.0
            return envs, observations
    raise AssertionError("it stood 50 steps of full torque")


def test_a_terminated_sub_environment_stands_still_and_costs_nothing(stepped):
    envs, last = fallen()
    for _ in range(3):
        observations, rewards, terminations, _, _ = envs.step(np.ones((3, 6)))
        assert terminations[1] and rewards[1] == 0.0 and rewards[0] != 0.0
        np.testing.assert_array_equal(observations[1], last[1])
        np.testing.assert_array_equal(stepped[-1], [True, False, True])


def test_a_terminated_sub_environment_is_never_truncated():
    envs = make_vec("Navigation", num_envs=2, variant="plain", max_episode_steps=3)
    envs.set_tasks(np.array([[0.0, 0.0], [0.4, 0.4]]))
    envs.reset(seed=0)
    for _ in range(4):
        _, _, terminations, truncations, _ = envs.step(np.zeros((2, 2)))
    np.testing.assert_array_equal(terminations, [True, False])
    np.testing.assert_array_equal(truncations, [False, True])


def test_a_reset_revives_and_restarts_the_clock(stepped):
    envs, _ = fallen()
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    _, rewards, terminations, _, _ = envs.step(np.zeros((3, 6)))
    assert rewards[1] != 0.0 and not terminations[1] and stepped[-1].all()


def test_warm_starts_are_cleared_at_a_reset():
    """A used simulation and a new one follow the same trajectory from the same noise, to the last bit."""
    used, new = (make_vec("AntRandDir", num_envs=2) for _ in range(2))
    used.reset(seed=3)
    for _ in range(20):
        used.step(np.full((2, 8), 0.5))
    np.testing.assert_array_equal(used.reset(seed=1)[0], new.reset(seed=1)[0])
    for _ in range(20):
        np.testing.assert_array_equal(used.step(np.zeros((2, 8)))[0], new.step(np.zeros((2, 8)))[0])


def unstable_hoppers():
    """Three hoppers, of which number 1 has a damping that no timestep can bear."""
    envs = make_vec("HopperRandParams", num_envs=3, threads=2)
    tasks = np.ones((3, 41))
    tasks[1, 20:26] = 1e9
    envs.set_tasks(tasks)
    envs.reset(seed=0)
    return envs


def test_a_simulation_that_mujoco_reset_is_terminated_and_counted(monkeypatch, tmp_path, capfd):
    monkeypatch.chdir(tmp_path)
    envs = unstable_hoppers()
    for _ in range(3):
        observations, rewards, terminations, _, info = envs.step(np.full((3, 3), 0.1))
        np.testing.assert_array_equal(info["diverged"], [False, True, False])
        assert terminations[1] and rewards[1] == 0.0 and rewards[0] != 0.0 and np.isfinite(observations).all()
        assert envs.divergences == 1
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    assert envs.step(np.zeros((3, 3)))[4]["diverged"][1]
    envs.reset()
    assert envs.step(np.zeros((3, 3)))[4]["diverged"].sum() == 1 and envs.divergences == 2
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())


def test_a_reset_forgets_a_divergence():
    envs = unstable_hoppers()
    assert envs.step(np.zeros((3, 3)))[4]["diverged"][1]
    envs.set_tasks(np.ones((3, 41)))
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    _, rewards, terminations, _, info = envs.step(np.zeros((3, 3)))
    assert not info["diverged"].any() and not terminations[1] and rewards[1] != 0.0


def test_the_threads_asked_for_are_the_batchs(monkeypatch):
    asked = []

    def spy(model, nsim, nthread, persistent):
        asked.append((nsim, nthread, persistent))
        return Batch(model, nsim, nthread, persistent=persistent)

    monkeypatch.setattr("metarl_cli.envs.physics.Batch", spy)
    make_vec("WalkerFwdBack", 3, threads=2)
    make_vec("AntFwdBack", 4)
    assert asked == [(3, 2, False), (4, 1, True)]


def test_a_state_that_is_not_finite_is_reset_at_once(monkeypatch):
    step = Batch.step

    def break_number_two(self, ids=None, **options):
        step(self, ids, **options)
        if ids[2]:
            self.bind("qvel")[2, 3] = np.nan

    envs = make_vec("HalfCheetahFwdBack", num_envs=3)
    envs.reset(seed=0)
    monkeypatch.setattr(Batch, "step", break_number_two)
    for _ in range(2):
        observations, rewards, terminations, _, info = envs.step(np.zeros((3, 6)))
        assert np.isfinite(observations).all() and not observations[2].any() and rewards[2] == 0.0
        np.testing.assert_array_equal(terminations, [False, False, True])
        np.testing.assert_array_equal(info["diverged"], [False, False, True])
    assert envs.divergences == 1


def test_tasks_may_change_in_the_middle_of_an_episode():
    envs = make_vec("HalfCheetahFwdBack", num_envs=2)
    envs.set_tasks(np.array([1.0, 1.0]))
    envs.reset(seed=0)
    envs.set_tasks(np.array([1.0, -1.0]))
    twin = make_vec("HalfCheetahFwdBack", num_envs=2)
    twin.set_tasks(np.array([1.0, 1.0]))
    twin.reset(seed=0)
    turned, straight = envs.step(np.zeros((2, 6)))[1], twin.step(np.zeros((2, 6)))[1]
    np.testing.assert_allclose(turned, straight * [1.0, -1.0])


def test_random_physics_multiplies_the_nominal_values_and_not_the_last_ones():
    envs, twin = (make_vec("HopperRandParams", num_envs=2) for _ in range(2))
    tasks = envs.sample_tasks(2, np.random.default_rng(0))
    for draw in (envs.sample_tasks(2, np.random.default_rng(1)), tasks):
        envs.set_tasks(draw)
    twin.set_tasks(tasks)
    np.testing.assert_array_equal(envs.reset(seed=0)[0], twin.reset(seed=0)[0])
    for _ in range(10):
        np.testing.assert_array_equal(envs.step(np.ones((2, 3)))[0], twin.step(np.ones((2, 3)))[0])


def point(**options):
    envs = make_vec("PointMomentum", num_envs=3, **options)
    envs.reset(seed=0)
    return envs


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: point().step(np.zeros((2, 2))), ValueError, r"actions: expected shape \[3, 2\], got \[2, 2\]"),
        (lambda: point().step(np.full((3, 2), np.nan)), ValueError, "expected finite numbers"),
        (lambda: point().set_tasks(np.zeros((3, 1))), ValueError, r"tasks: expected shape \[3, 2\], got \[3, 1\]"),
        (lambda: point().reset(options={"reset_mask": np.ones(3)}), ValueError, "reset_mask: expected bool"),
        (lambda: point().reset(options={"reset_mask": np.ones(2, bool)}), ValueError, r"bool \[3\], got bool \[2\]"),
        (lambda: make_vec("Toy1D").step(np.zeros((1, 1))), ResetNeeded, "step before the first reset"),
        (
            lambda: make_vec("Toy1D", 2).reset(options={"reset_mask": np.array([True, False])}),
            ResetNeeded,
            "first reset must reset every sub-environment",
        ),
        (lambda: make_vec("HalfCheetahFwdBak"), UserError, "Did you mean 'HalfCheetahFwdBack'"),
        (
            lambda: make_vec("AntRandGoal", variant="papr"),
            UserError,
            "variant of AntRandGoal 'papr'. Did you mean 'paper'",
        ),
        (
            lambda: gymnasium.make_vec("metarl/AntRandGoal-v0", variant="papr"),
            UserError,
            "Did you mean 'paper'",
        ),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
