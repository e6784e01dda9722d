"""The stable face for programs."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

import metarl_cli as metarl
from metarl_cli import encoding, library
from metarl_cli.errors import UserError
from metarl_cli.exact.estimates import bias
from metarl_cli.papers.settings import run_config
from metarl_cli.params import flatten
from metarl_cli.training import policies
from metarl_cli.training.build import build
from metarl_cli.training.rollouts import scale_actions


@pytest.mark.parametrize("module", [encoding, library], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_run(module):
    ended = doctest.testmod(module)
    assert ended.attempted > 0 == ended.failed


def test_every_name_of_the_face_leads_to_what_it_names():
    assert set(metarl.ESTIMATORS) <= set(metarl.__all__), "every surrogate by its name"
    assert all(metarl.ESTIMATORS[name].surrogate is getattr(metarl, name) for name in metarl.ESTIMATORS)
    assert metarl.exact.bias is bias
    named = set(metarl.__all__) - {"ESTIMATORS", "exact"}
    assert {name for name in named if getattr(metarl, name).__name__ != name} == set()
    with pytest.raises(AttributeError, match="has no attribute 'lcv'"):
        _ = metarl.lcv


def test_importing_the_face_loads_nothing_heavy():
    code = (
        "import sys, metarl_cli; dir(metarl_cli); print({'torch', 'numpy', 'pandas', 'gymnasium'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert ended.stdout.strip() == "set()"


# exact.bias


def problem(**changes):
    return metarl.exact.parse_problem({**metarl.exact.EXAMPLE, **changes})


@pytest.mark.parametrize("off_policy", [False, True])
@pytest.mark.parametrize("name", metarl.ESTIMATORS)
def test_the_bias_is_that_of_the_table(name, off_policy):
    (first, second) = (
        row["bias_max_abs"]
        for row in metarl.exact.exact_rows(problem(), [name])
        if row["policy"] == ("off" if off_policy else "on")
    )
    gradient, hessian = metarl.exact.bias(name, problem(), off_policy=off_policy)
    assert (gradient.shape, hessian.shape) == ((2, 2), (2, 2, 2, 2))
    assert (gradient.abs().max().item(), hessian.abs().max().item()) == (first, second)


def test_the_bias_off_policy_needs_a_policy_that_samples():
    with pytest.raises(UserError, match="behaviour_logits"):
        metarl.exact.bias("lvc", problem(behaviour_logits=None), off_policy=True)


# load_policy


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A directory with a trained run."""
    from metarl_cli.runs.launch import RunRequest, launch

    out = tmp_path_factory.mktemp("library") / "run"
    request = RunRequest(
        algorithm="promp", environment="Navigation", profile="smoke", overrides=("sampling.horizon=12",)
    )
    launch(request, out=out, threads=1, resume=False, overwrite=False)
    return out


@pytest.mark.parametrize("algorithm", ["tmaml", "trpo-dice"])
def test_a_policy_with_a_control_variate_acts_records_and_adapts(tmp_path, algorithm):
    from metarl_cli.runs.launch import RunRequest, launch

    request = RunRequest(
        algorithm=algorithm,
        environment="Navigation",
        profile="smoke",
        overrides=("sampling.horizon=12", "inner.rewards=controlled"),
    )
    launch(request, out=tmp_path / "run", threads=1, resume=False, overwrite=False)
    policy = metarl.load_policy(tmp_path / "run")
    assert policy.act(np.zeros(2), np.random.default_rng(1)).shape == (2,)
    episode = metarl.Episode(np.zeros((12, 2)), np.zeros((12, 2)), np.zeros(12))
    assert policy.record([episode, episode]).rewards.shape == (1, 2, 12)
    given = policy.collect(np.array([0.3, -0.2]), 4)
    assert given.rewards.shape == (1, 4, 12)
    assert policy.collect(np.array([0.3, -0.2]), 1).rewards.shape == (1, 1, 12)
    assert not torch.equal(flatten(policy.adapt(given).state.theta), flatten(policy.state.theta))


def only(record, task):
    """The record of one task, with M = 1."""
    if record is None:
        return None
    entries = {field.name: getattr(record, field.name) for field in fields(record)}
    return type(record)(
        **{
            name: value[task : task + 1] if torch.is_tensor(value) else only(value, task)
            for name, value in entries.items()
        }
    )


@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (5, 4)])
def test_an_observation_of_another_size_is_named(run, shape):
    with pytest.raises(UserError, match=r"those of Navigation have 2 numbers, \[\.\.\., 2\]"):
        metarl.load_policy(run).act(np.zeros(shape))


def test_runs_of_a_directory_that_is_not_there_are_no_empty_frame(run):
    with pytest.raises(UserError, match=r"There is no .*rum.* Did you mean 'run'"):
        metarl.read_runs(run.with_name("rum"))


def test_a_policy_adapts_exactly_as_the_trainer_does(run):
    policy = metarl.load_policy(run)
    trainer, _ = build(policy.config)
    tasks = trainer.draw_tasks(0)
    first, second = trainer.sample(policy.state, tasks, 0)
    for task in range(len(tasks)):
        given = only(first.trajectories, task)
        adapted = policy.adapt(given)
        means = policies_mean(adapted, second.trajectories.observations[task])
        assert torch.allclose(means, second.trajectories.behaviour.mean[task], atol=1e-6)
        assert not torch.allclose(policies_mean(policy, second.trajectories.observations[task]), means, atol=1e-4)


def policies_mean(policy, observations):
    return policies.distribution(policy.state.theta, observations).mean


def test_own_episodes_adapt_like_the_collected_ones(run):
    """A loop of the user's own over Gymnasium's interface, with what `act` gave."""
    policy, envs = metarl.load_policy(run), metarl.make_vec("Navigation", num_envs=6)
    task = envs.sample_tasks(1, np.random.default_rng(3))
    envs.set_tasks(np.repeat(task, 6, axis=0))
    rng, (observations, _) = np.random.default_rng(1), envs.reset(seed=1)
    steps = []
    for _ in range(12):
        actions = policy.act(observations, rng)
        following, rewards, *_ = envs.step(actions)
        steps.append((observations, actions, rewards))
        observations = following
    parts = [np.stack(part, axis=1) for part in zip(*steps, strict=True)]  # [6, T, …]
    episodes = [metarl.Episode(*(part[n] for part in parts)) for n in range(6)]
    recorded = policy.record(episodes)
    assert recorded.rewards.shape == (1, 6, 12)
    assert torch.allclose(recorded.behaviour_logp, policy_logp(policy, recorded), atol=1e-5)
    changed = policy.adapt(recorded)
    assert any(not torch.equal(changed.state.theta[name], value) for name, value in policy.state.theta.items())


def policy_logp(policy, trajectories):
    at = policies.distribution(policy.state.theta, trajectories.observations)
    return policies.log_prob(at, trajectories.actions)


def test_recorded_actions_are_the_policys_own(run):
    policy = metarl.load_policy(run)
    collected = policy.collect(np.array([0.3, -0.2]), 5, seed=2)
    trainer, _ = build(policy.config)
    scaled = scale_actions(collected.actions, trainer.workers.single_action_space, trainer.action_scale)
    episodes = map(metarl.Episode, collected.observations[0].numpy(), scaled[0], collected.rewards[0].numpy())
    recorded = policy.record(episodes)
    assert torch.allclose(recorded.actions, collected.actions, atol=1e-4)
    assert torch.allclose(recorded.behaviour_logp, collected.behaviour_logp, atol=1e-4)


def test_shorter_episodes_are_masked(run):
    policy, rng = metarl.load_policy(run), np.random.default_rng(0)
    episodes = [metarl.Episode(rng.normal(size=(n, 2)), np.zeros((n, 2)), rng.normal(size=n)) for n in (3, 5)]
    assert policy.record(episodes).mask[0].sum(-1).tolist() == [3.0, 5.0]


def test_the_mean_action_has_no_noise(run, monkeypatch):
    policy, at = metarl.load_policy(run), np.zeros(2)
    assert np.array_equal(policy.act(at), policy.act(at))
    assert policy.act(at).shape == (2,)
    with monkeypatch.context() as patch:  # an environment takes many times as long to make as an action to choose
        patch.setattr("metarl_cli.training.rollouts.make_workers", None)
        patch.setattr("metarl_cli.training.build.make_workers", None)
        policy.act(at)
    drawn = policy.act(np.zeros((500, 2)), np.random.default_rng(0))
    assert drawn.mean(0) == pytest.approx(policy.act(at), abs=0.05)
    assert (drawn.std(0) > 0).all()


def test_matched_steps_need_other_tasks(run):
    policy = metarl.load_policy(run)
    config = run_config("dice-vpg", "Navigation", profile="smoke")
    matched = replace(policy, config=replace(config, inner=replace(config.inner, rewards="matched")))
    with pytest.raises(UserError, match="other tasks"):
        matched.adapt(policy.collect(np.zeros(2), 2))


def test_runs_are_read_as_one_frame(run):
    runs = metarl.read_runs(run.parent)
    assert set(runs["environment"]) == {"Navigation"}
    assert runs["iteration"].tolist() == list(range(len(runs)))
