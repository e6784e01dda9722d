"""Every point environment against the same rules for one point, in plain Python."""

from __future__ import annotations

from math import hypot

import gymnasium
import numpy as np
import pytest

import metarl_cli.envs  # noqa: F401 (registers)

NUM_ENVS = 60
STEPS = 200
CORNERS = [(-2, -2), (2, -2), (-2, 2), (2, 2)]


def momentum(state, action, goal):
    x, y, vx, vy = state
    vx, vy = vx + action[0], vy + action[1]
    x, y = x + vx, y + vy
    return (x, y, vx, vy), max(2 - hypot(x - goal[0], y - goal[1]), 0), False


def corner(state, action, goal):
    x, y = state[0] + action[0], state[1] + action[1]
    distance = hypot(x - goal[0], y - goal[1])
    if abs(x) + abs(y) < 0.5 or distance > min(hypot(x - a, y - b) for a, b in CORNERS):
        return (x, y), 0, False
    return (x, y), hypot(state[0] - goal[0], state[1] - goal[1]) - distance, False


def walls(state, action, task):
    goal, gap_1, gap_2 = task
    x, y = state[0] + action[0], state[1] + action[1]
    reward = -hypot(x - goal[0], y - goal[1])
    before, after = hypot(*state), hypot(x, y)
    if before < 1 < after:
        if hypot(x - gap_1[0], y - gap_1[1]) > 1:
            x, y = x / (after + 1e-6), y / (after + 1e-6)
    elif before < 2 < after and hypot(x - gap_2[0], y - gap_2[1]) > 1:
        x, y = x / (0.5 * after + 1e-6), y / (0.5 * after + 1e-6)
    return (x, y), reward, False


def navigation(state, action, goal, squared):
    x, y = (min(max(s + a, -0.5), 0.5) for s, a in zip(state, action, strict=True))
    dx, dy = x - goal[0], y - goal[1]
    if squared:
        return (x, y), -(dx**2 + dy**2), False
    return (x, y), -hypot(dx, dy), abs(dx) < 0.01 and abs(dy) < 0.01


def toy(state, action, goal):
    s = min(max(state[0] + action[0], -2), 2)
    return (s,), -abs(s - goal), False


POINTS = {
    ("PointMomentum", "released"): (momentum, 0.1),
    ("PointCorner", "released"): (corner, 0.2),
    ("PointWalls", "released"): (walls, 0.2),
    ("Navigation", "squared"): (lambda *step: navigation(*step, squared=True), 0.1),
    ("Navigation", "plain"): (lambda *step: navigation(*step, squared=False), 0.1),
    ("Toy1D", "suggested"): (toy, 0.2),
}


def made(name, variant):
    envs = gymnasium.make_vec(f"metarl/{name}-v0", num_envs=NUM_ENVS, variant=variant)
    tasks = envs.sample_tasks(NUM_ENVS, np.random.default_rng(3))
    envs.set_tasks(tasks)
    return envs, tasks


def towards(tasks, states, rng, limit):
    """Actions that lead to the goal and beyond it, some of them out of bounds: every branch is met."""
    goals = tasks[:, 0] if tasks.ndim == 3 else tasks.reshape(NUM_ENVS, -1)
    size = goals.shape[1]
    noise = rng.uniform(-1, 1, (NUM_ENVS, size))
    return limit * (2.0 * (goals - states[:, :size]) + np.linspace(0.0, 1.5, NUM_ENVS)[:, None] * noise)


@pytest.mark.parametrize(("name", "variant"), POINTS)
def test_equals_one_point_moved_by_hand(name, variant):
    move, limit = POINTS[name, variant]
    envs, tasks = made(name, variant)
    observations, _ = envs.reset(seed=5)
    states = [tuple(row) for row in observations]
    done, rng, paid, beyond = np.zeros(NUM_ENVS, bool), np.random.default_rng(7), set(), 0
    for _ in range(STEPS):
        action = towards(tasks, observations, rng, limit)
        beyond += np.sum(np.abs(action) > limit)
        observations, rewards, terminations, _, _ = envs.step(action)
        expected = np.zeros(NUM_ENVS)
        for i in np.flatnonzero(~done):
            states[i], expected[i], done[i] = move(states[i], np.clip(action[i], -limit, limit), tasks[i])
        np.testing.assert_allclose(observations, states, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(rewards, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(terminations, done)
        paid |= set(np.sign(rewards))
    assert beyond > 0 and len(paid) > (name in ("PointMomentum", "PointCorner"))
    assert done.any() == (variant == "plain")


def start_and_walk_straight(gap_1, gap_2):
    """The farthest that a point gets from the origin in 40 steps along +x."""
    envs = gymnasium.make_vec("metarl/PointWalls-v0", num_envs=1)
    envs.set_tasks(np.array([[(2.0, 2.0), gap_1, gap_2]]))
    envs.reset(seed=0)
    return max(np.linalg.norm(envs.step(np.array([[0.2, 0.0]]))[0]) for _ in range(40))


def test_walls_hold_unless_the_gap_is_near():
    assert start_and_walk_straight((-1, 0), (-2, 0)) == pytest.approx(1, abs=1e-4)
    assert start_and_walk_straight((1, 0), (-2, 0)) == pytest.approx(2, abs=1e-4)
    assert start_and_walk_straight((1, 0), (2, 0)) > 7


def test_starts_are_in_their_boxes_and_fill_them():
    for name, limits in [("PointMomentum", (0.2, 0.2, 0.1, 0.1)), ("PointCorner", (0.2, 0.2)), ("Toy1D", (2.0,))]:
        observations, _ = gymnasium.make_vec(f"metarl/{name}-v0", num_envs=4000).reset(seed=1)
        np.testing.assert_allclose(np.abs(observations).max(axis=0), limits, rtol=5e-3)
        np.testing.assert_allclose(observations.std(axis=0), np.array(limits) / np.sqrt(3), rtol=0.05)
    observations, _ = gymnasium.make_vec("metarl/Navigation-v0", num_envs=3).reset(seed=1)
    assert not observations.any()


@pytest.mark.parametrize(("variant", "published"), [("squared", -17.69), ("plain", -39.1)])
def test_untrained_policy_earns_on_navigation_what_was_measured_before(variant, published):
    """Mean 0 and standard deviation 1 in the policy's units, which are a hundredth of the environment's."""
    envs = gymnasium.make_vec("metarl/Navigation-v0", num_envs=8000, variant=variant)
    rng, total = np.random.default_rng(0), np.zeros(8000)
    envs.reset(seed=0)
    for _ in range(100):
        total += envs.step(0.01 * rng.standard_normal((8000, 2)))[1]
    assert total.mean() == pytest.approx(published, abs=0.6)
