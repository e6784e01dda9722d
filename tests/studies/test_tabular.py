from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from metarl_cli.errors import UserError
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.exact.derivatives import logp_derivatives, mean_derivatives, policy_derivatives
from metarl_cli.exact.oracles import TabularMDP
from metarl_cli.studies.accuracy import accuracy
from metarl_cli.studies.tabular import (
    COLUMNS,
    MEASURED,
    PROFILES,
    TabularSettings,
    draw_problem,
    mixed_policy,
    off_policy_sample,
    run,
)

SMALL = TabularSettings(variant="paper", seeds=2, epsilons=(0.0, 0.5), epsilon_samples=40, samples=(10, 40))


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", MEASURED)
def test_sums_per_cell_equal_autograd_of_the_surrogates_in_the_logits(name, epsilon):
    problem = draw_problem(replace(SMALL, horizon=6), seed=3)
    policy = mixed_policy(problem.targets, 5, epsilon)
    sample = off_policy_sample(problem, 25, with_critic=name != "dice")
    cells = torch.tensor(problem.states[:25, :-1] * 5 + problem.actions[:25])[:, None]
    logits = torch.tensor(np.log(policy))

    def surrogate(logits):
        logp = torch.log_softmax(logits.reshape(policy.shape), -1).flatten()[cells]
        return ESTIMATORS[name].surrogate(logp, sample).mean()

    logp = torch.log_softmax(logits, -1).flatten()[cells]
    parts = logp_derivatives(ESTIMATORS[name].surrogate, logp, sample)
    first, second = mean_derivatives(policy_derivatives(logits), cells.flatten(1), *parts)
    flat = logits.flatten()
    torch.testing.assert_close(first, torch.func.grad(surrogate)(flat), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(second, torch.func.jacrev(torch.func.grad(surrogate))(flat), atol=1e-10, rtol=1e-10)


def test_the_critic_ends_the_return_and_the_estimator_without_one_does_not_see_it():
    problem = draw_problem(replace(SMALL, horizon=6), seed=3)
    plain, ended = (off_policy_sample(problem, 25, with_critic=critic) for critic in (False, True))
    end = torch.tensor(problem.critic[problem.states[:25, -1]])[:, None]
    torch.testing.assert_close(ended.rewards[..., -1] - plain.rewards[..., -1], 0.8 * end)
    assert torch.equal(ended.rewards[..., :-1], plain.rewards[..., :-1])
    start = plain.advantages[..., 0] + 0.8**6 * end - problem.critic[0]
    torch.testing.assert_close(ended.advantages[..., 0], start)
    assert not plain.control_variate.any() and ended.control_variate.all()


def test_unbiased_estimates_converge_to_the_truth_and_biased_ones_do_not():
    frame = run(TabularSettings(variant="paper", seeds=1, epsilons=(0.1,), epsilon_samples=20_000, samples=()))
    errors = frame.pivot_table(index="order", columns="estimator", values="relative_error")
    assert errors.loc[1, "doubly_robust"] < 0.05
    assert errors.loc[2, "doubly_robust"] < 0.10
    assert errors.loc[2, "lvc"] > 0.3
    assert errors.loc[1, "truncated_dr"] > 0.3


def test_the_frame_has_one_row_per_point_estimator_and_order():
    done = []
    frame = run(SMALL, progress=lambda *state: done.append(state))
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == SMALL.seeds * len(SMALL.points) * len(MEASURED) * 2
    assert not frame.duplicated(["seed", "sweep", "epsilon", "samples", "estimator", "order"]).any()
    assert not frame.isna().any(axis=None)
    assert done == [(1, 2), (2, 2)]


def test_the_same_settings_give_the_same_frame():
    assert run(SMALL).equals(run(SMALL))


def test_both_sweeps_see_the_same_data():
    shared = run(SMALL).query("epsilon == 0.5 and samples == 40").drop(columns="sweep")
    first, second = (rows.reset_index(drop=True) for _, rows in shared.groupby(shared.duplicated()))
    assert len(first) == SMALL.seeds * len(MEASURED) * 2
    assert first.equals(second)


def test_more_trajectories_extend_the_same_ones():
    few, many = draw_problem(SMALL, seed=1), draw_problem(replace(SMALL, samples=(10, 90)), seed=1)
    assert (len(few.states), len(many.states)) == (40, 90)
    assert np.array_equal(many.states[:40], few.states)
    assert np.array_equal(many.actions[:40], few.actions)
    assert np.array_equal(many.critic, few.critic)


def test_seeds_differ():
    assert not np.array_equal(draw_problem(SMALL, 0).actions, draw_problem(SMALL, 1).actions)
    assert not torch.equal(draw_problem(SMALL, 0).mdp.transitions, draw_problem(SMALL, 1).mdp.transitions)


def test_trajectories_follow_the_transitions_and_the_uniform_policy():
    settings = TabularSettings(variant="paper", concentration=0.5, samples=(), epsilon_samples=20_000)
    problem = draw_problem(settings, seed=0)
    assert (problem.states[:, 0] == 0).all()
    counts = np.zeros((10, 5, 10))
    np.add.at(counts, (problem.states[:, :-1], problem.actions, problem.states[:, 1:]), 1)
    visits = counts.sum(-1, keepdims=True)
    deviation = counts / visits - problem.mdp.transitions.numpy()
    assert np.abs(deviation * np.sqrt(visits)).max() < 2.5  # a standard deviation is at most 0.5
    np.testing.assert_allclose(visits.sum(0).ravel() / visits.sum(), 0.2, atol=0.005)


def test_the_critic_without_noise_is_the_exact_value_of_the_uniform_policy():
    problem = draw_problem(replace(SMALL, critic_noise=0.0), seed=0)
    chain, rewards = problem.mdp.transitions.mean(1), problem.mdp.rewards.mean(1)
    bellman = rewards + 0.8 * chain @ torch.tensor(problem.critic)
    np.testing.assert_allclose(problem.critic, bellman, rtol=1e-12)


def test_the_noise_of_the_critic_is_scaled_by_the_mean_size_of_the_values():
    settings = replace(SMALL, epsilon_samples=1, samples=())
    exact = [draw_problem(replace(settings, critic_noise=0.0), seed).critic for seed in range(200)]
    noisy = [draw_problem(settings, seed).critic for seed in range(200)]
    scaled = [(b - a) * len(a) / np.linalg.norm(a) for a, b in zip(exact, noisy, strict=True)]
    assert np.std(scaled) == pytest.approx(1.0, abs=0.05)


def test_transitions_are_distributions_even_at_a_tiny_concentration():
    for seed in range(20):
        transitions = draw_problem(replace(SMALL, epsilon_samples=1, samples=()), seed).mdp.transitions
        assert torch.allclose(transitions.sum(-1), torch.ones(10, 5, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 0.9])
def test_the_distance_of_the_policies_is_1_6_epsilon(epsilon):
    policy = mixed_policy(np.array([0, 4, 2]), 5, epsilon)
    np.testing.assert_allclose(policy.sum(1), 1.0)
    np.testing.assert_allclose(np.abs(policy - 0.2).sum(1), 1.6 * epsilon, atol=1e-15)


def test_pearson_is_blind_to_scale_and_the_relative_error_is_not():
    truth = np.array([1.0, -2.0, 0.5])
    assert accuracy(3.0 * truth, truth) == pytest.approx({"pearson": 1.0, "relative_error": 2.0})
    assert accuracy(-truth, truth)["pearson"] == pytest.approx(-1.0)


def test_variants_differ_in_the_number_of_states():
    assert (TabularSettings(variant="released").states, TabularSettings(variant="paper").states) == (20, 10)


def test_every_estimator_of_the_study_is_in_the_registry():
    assert set(MEASURED) <= set(ESTIMATORS)


def test_the_paper_profile_has_the_papers_sizes():
    paper = PROFILES["paper"]
    assert paper.seeds >= 10 and (paper.epsilon_samples, paper.samples_epsilon) == (1000, 0.5)
    assert run(PROFILES["smoke"])["pearson"].between(-1, 1).all()


def test_mistakes_are_named():
    with pytest.raises(UserError, match="Did you mean 'released'"):
        TabularSettings(variant="relesed")
    with pytest.raises(UserError, match=r"epsilon 1\.0 is outside"):
        TabularSettings(epsilons=(0.0, 1.0))


def test_the_mdp_is_that_of_the_study():
    mdp = draw_problem(SMALL, seed=0).mdp
    assert isinstance(mdp, TabularMDP)
    assert (mdp.start_state, mdp.horizon, mdp.discount) == (0, None, 0.8)
    assert 0.0 <= mdp.rewards.min() <= mdp.rewards.max() < 1.0
