from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from metarl_cli.config import with_overrides
from metarl_cli.envs.halves import Halves
from metarl_cli.envs.registry import ENVIRONMENTS, LOCOMOTION
from metarl_cli.envs.vector import make_vec
from metarl_cli.papers.settings import run_config
from metarl_cli.seeding import torch_generator
from metarl_cli.training import policies
from metarl_cli.training.build import build
from metarl_cli.training.rollouts import collect, make_workers, scale_actions

M, N, T = 2, 3, 6


class Countdown:
    """State: steps taken, task, last action. Reward: 100·steps + i. Sub-environment i ends after i + 1 steps."""

    num_envs = M * N
    single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float64)
    single_action_space = gymnasium.spaces.Box(np.array([-1.0]), np.array([3.0]), dtype=np.float64)

    def set_tasks(self, tasks):
        self.tasks = tasks

    def reset(self, *, seed):
        self.seed, self.taken, self.received = seed, 0, []
        return self.observe(np.zeros(self.num_envs)), {}

    def step(self, actions):
        self.taken += 1
        self.received.append(actions[:, 0])
        ended = self.taken > np.arange(self.num_envs)
        rewards = 100.0 * self.taken + np.arange(self.num_envs)
        return self.observe(actions[:, 0]), rewards, ended, np.zeros_like(ended), {}

    def observe(self, last):
        return np.stack([np.full(self.num_envs, float(self.taken)), self.tasks, last], axis=1)


def policy_of(observation_size, action_size, tasks=M, seed=0):
    params = [policies.init(torch_generator(seed, "init", m), (observation_size, 5, action_size)) for m in range(tasks)]
    return {name: torch.stack([p[name] for p in params]) for name in params[0]}


def gather(workers, tasks, params, *, stream=0, seed=3, horizon=T):
    generator = torch_generator(1, "actions", stream)
    return collect(workers, tasks, params, horizon=horizon, action_scale=10.0, generator=generator, seed=seed)


@pytest.fixture
def counted():
    workers, params = Countdown(), policy_of(3, 1)
    return workers, params, gather(workers, np.array([5.0, 7.0]), params)


def test_shapes(counted):
    *_, data = counted
    assert data.observations.shape == (M, N, T, 3)
    assert data.actions.shape == data.behaviour.mean.shape == (M, N, T, 1)
    assert data.behaviour.log_std.shape == (M, 1, 1, 1)
    assert data.rewards.shape == data.mask.shape == data.behaviour_logp.shape == (M, N, T)
    assert {tensor.dtype for tensor in (data.observations, data.rewards, data.mask, data.behaviour_logp)} == {
        torch.float32
    }


def test_an_episode_that_ends_is_masked_from_the_step_after(counted):
    """Sub-environment i = m·N + n ends with step i: i + 1 rewards count, also the last one."""
    *_, data = counted
    mask, rewards = data.mask.reshape(M * N, T), data.rewards.reshape(M * N, T)
    for i in range(M * N):
        assert mask[i].tolist() == [1.0] * (i + 1) + [0.0] * (T - i - 1)
        assert rewards[i].tolist() == [100.0 * (t + 1) + i if t <= i else 0.0 for t in range(T)]


def test_observations_come_before_the_action_and_belong_to_the_task(counted):
    workers, _, data = counted
    assert data.observations[..., 0].reshape(M * N, T).tolist() == [[float(t) for t in range(T)]] * (M * N)
    assert data.observations[0, ..., 1].unique().tolist() == [5.0]
    assert data.observations[1, ..., 1].unique().tolist() == [7.0]
    received = torch.tensor(np.array(workers.received)).T.reshape(M, N, T)
    torch.testing.assert_close(data.observations[..., 1:, 2].double(), received[..., :-1])


def test_the_environment_receives_scaled_actions_and_the_seed(counted):
    """c = 10 on [−1, 3]: u = −1 + (a + 10)·4/20."""
    workers, _, data = counted
    assert workers.seed == 3
    received = torch.tensor(np.array(workers.received)).T.reshape(M, N, T)
    torch.testing.assert_close(received, -1.0 + (data.actions[..., 0].double() + 10.0) / 5.0)


def test_the_behaviour_is_the_policy_of_each_task(counted):
    _, params, data = counted
    for m in range(M):
        single = {name: value[m] for name, value in params.items()}
        policy = policies.distribution(single, data.observations[m])
        torch.testing.assert_close(data.behaviour.mean[m], policy.mean)
        torch.testing.assert_close(data.behaviour_logp[m], policies.log_prob(policy, data.actions[m]))
    assert not torch.allclose(data.behaviour.mean[0, :, 0], data.behaviour.mean[1, :, 0])


def test_actions_are_normal_around_the_mean():
    """The noise of all steps, trajectories and tasks has the standard deviations of the policies."""
    params = policy_of(4, 2) | {"log_std": torch.tensor([[0.0, -1.0], [1.0, 0.5]])}
    workers = make_workers("PointMomentum", num_envs=2 * 300, env_options={})
    data = gather(workers, workers.sample_tasks(2, np.random.default_rng(0)), params, horizon=20)
    noise = (data.actions - data.behaviour.mean) / data.behaviour.log_std.exp()
    assert noise.mean().abs() < 4 / np.sqrt(noise.numel())
    for m in range(2):
        torch.testing.assert_close(noise[m].std((0, 1)), torch.ones(2), atol=0.05, rtol=0.0)
    flat = noise.flatten()
    assert abs(np.corrcoef(flat[:-1], flat[1:])[0, 1]) < 4 / np.sqrt(len(flat))


def test_the_policy_that_acted_is_no_part_of_a_graph():
    params = {name: value.requires_grad_() for name, value in policy_of(3, 1).items()}
    data = gather(Countdown(), np.array([5.0, 7.0]), params)
    tensors = [data.observations, data.actions, data.behaviour.mean, data.behaviour.log_std, data.behaviour_logp]
    assert not any(tensor.requires_grad for tensor in tensors)


SMALL = [name for name, spec in ENVIRONMENTS.items() if spec.observation_size < 200]


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_trajectories_and_another_another(name):
    spec = ENVIRONMENTS[name]
    params = policy_of(spec.observation_size, spec.action_size)

    def run(stream=0, seed=3):
        workers = make_workers(name, num_envs=M * N, env_options={})
        return gather(workers, workers.sample_tasks(M, np.random.default_rng(5)), params, stream=stream, seed=seed)

    first, again, other_noise = run(), run(), run(stream=1)
    for field in ("observations", "actions", "rewards", "mask", "behaviour_logp"):
        assert torch.equal(getattr(first, field), getattr(again, field))
    assert not torch.equal(first.actions, other_noise.actions)
    if name != "Navigation":  # its start is fixed
        assert not torch.equal(first.observations, run(seed=4).observations)


def test_the_same_environment_can_be_used_again():
    workers, params = make_workers("HalfCheetahFwdBack", num_envs=M * N, env_options={"threads": 2}), policy_of(17, 6)
    tasks = workers.sample_tasks(M, np.random.default_rng(5))
    first, _, again = (
        gather(workers, tasks, params),
        gather(workers, -tasks, params, seed=9),
        gather(workers, tasks, params),
    )
    assert torch.equal(first.rewards, again.rewards)


BODIES = [name for name, spec in ENVIRONMENTS.items() if spec.module == LOCOMOTION]


@pytest.mark.parametrize("name", BODIES)
def test_two_threads_sample_the_same_bits(name):
    """In halves, of policies that make some fall, and that differ from task to task."""
    sizes = ("sampling.tasks=5", "sampling.trajectories=4", "sampling.horizon=8", "policy.hidden=16,16")
    config = with_overrides(run_config("promp", name, profile="smoke"), sizes)
    (one, state), (two, _) = (build(config, threads=threads) for threads in (1, 2))
    assert isinstance(two.workers, Halves) and not isinstance(one.workers, Halves)
    state = replace(state, theta=state.theta | {"log_std": torch.full_like(state.theta["log_std"], 3.0)})
    rounds, others = (trainer.sample(state, trainer.draw_tasks(0), 0) for trainer in (one, two))
    for round_, other in zip(rounds, others, strict=True):
        for field in ("observations", "actions", "rewards", "mask", "behaviour_logp"):
            assert torch.equal(getattr(round_.trajectories, field), getattr(other.trajectories, field)), field


@pytest.mark.parametrize(
    ("tasks", "trajectories", "halves"),
    [(40, 20, (400, 400)), (5, 4, (8, 12)), (20, 10, (100, 100)), (10, 3, (12, 18)), (6, 3, None), (3, 8, None)],
)
def test_halves_begin_where_products_keep_their_bits(tasks, trajectories, halves):
    sizes = (f"sampling.tasks={tasks}", f"sampling.trajectories={trajectories}")
    workers = build(with_overrides(run_config("promp", "HopperRandParams", profile="smoke"), sizes), threads=2)[
        0
    ].workers
    found = tuple(half.num_envs for half in workers.pair) if isinstance(workers, Halves) else None
    assert (found, workers.num_envs) == (halves, tasks * trajectories)


def test_halves_are_one_environment():
    """Step by step, with a simulation that diverges in the second."""

    def make(n):
        return make_vec("HopperRandParams", n, max_episode_steps=3)

    whole, halves, tasks = make(5), Halves((make(2), make(3))), np.ones((5, 41))
    tasks[4, 20:26] = 1e9
    for envs in (whole, halves):
        envs.set_tasks(tasks)
    for seed in (1, None):
        np.testing.assert_array_equal(*(envs.reset(seed=seed)[0] for envs in (whole, halves)))
        for _ in range(3):
            (*arrays, info), (*others, told) = (envs.step(np.full((5, 3), 0.1)) for envs in (whole, halves))
            for array, other in zip([*arrays, info["diverged"]], [*others, told["diverged"]], strict=True):
                np.testing.assert_array_equal(array, other)
            np.testing.assert_array_equal(whole.positions(), halves.positions())
    assert whole.divergences == halves.divergences == 2


@pytest.mark.parametrize("name", ["WalkerFwdBack", "HopperRandParams"])
def test_real_episodes_that_end_early(name):
    spec = ENVIRONMENTS[name]
    params = policy_of(spec.observation_size, spec.action_size) | {"log_std": torch.full((M, spec.action_size), 3.0)}
    workers = make_workers(name, num_envs=M * 10, env_options={})
    data = gather(workers, workers.sample_tasks(M, np.random.default_rng(0)), params, horizon=60)
    assert 0.05 < data.mask.mean() < 0.95
    assert bool((data.mask[..., 1:] <= data.mask[..., :-1]).all())
    assert not (data.rewards * (1.0 - data.mask)).any()
    assert bool((data.mask[..., 0] == 1.0).all())
    assert bool(torch.isfinite(data.observations).all() and torch.isfinite(data.behaviour_logp).all())


@pytest.mark.parametrize(
    ("action", "scale", "expected"),
    [
        (0.0, 10.0, [0.0, 1.0]),
        (1.0, 10.0, [0.1, 1.2]),
        (-10.0, 10.0, [-1.0, -1.0]),
        (25.0, 10.0, [1.0, 3.0]),
        (-1e9, 10.0, [-1.0, -1.0]),
        (0.5, 1.0, [0.5, 2.0]),
    ],
)
def test_scaled_actions_by_hand(action, scale, expected):
    """On [−1, 1] and on [−1, 3]."""
    space = gymnasium.spaces.Box(np.array([-1.0, -1.0]), np.array([1.0, 3.0]), dtype=np.float64)
    scaled = scale_actions(torch.full((1, 2), action), space, scale)
    np.testing.assert_allclose(scaled, [expected], rtol=1e-7, atol=1e-9)
    assert scaled.dtype == np.float64
