from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from metarl_cli.envs.points import TOY_1D
from metarl_cli.errors import UserError
from metarl_cli.estimators import ESTIMATORS, per_step
from metarl_cli.params import flatten
from metarl_cli.seeding import numpy_generator, torch_generator
from metarl_cli.studies import toy1d
from metarl_cli.studies.toy1d.correlation import truth_rows
from metarl_cli.studies.toy1d.derivatives import expand, hessian, interpolation
from metarl_cli.studies.toy1d.estimates import (
    adapted_policies,
    control_variates,
    estimate_gradients,
    estimate_hessians,
    estimate_meta_gradient,
    per_task_baseline,
    round_with,
)
from metarl_cli.studies.toy1d.line import (
    STATE_LIMIT,
    Line,
    adapted_params,
    gradient,
    grid,
    meta_gradient,
    simulate,
    value,
    value_of_means,
)
from metarl_cli.studies.toy1d.problem import Toy1DSettings, make_problem, true_hessians
from metarl_cli.training import policies
from metarl_cli.training.adaptation import Inner
from metarl_cli.training.meta_learned import MetaSettings
from metarl_cli.types import for_task

LINE = Line(goals=(0.37, -0.5), spacing=0.02)
SETTINGS = Toy1DSettings(
    seeds=1,
    samples=(10,),
    hidden=(4, 4),
    truth_samples=40,
    truth_batch=20,
    training_steps=5,
    variate_batches=1,
    variate=MetaSettings(repetitions=2),
    spacing=0.05,
    nodes=24,
)


def policy(seed=0, hidden=(4, 4)):
    """A policy that is neither symmetric nor flat."""
    params = policies.init(torch.Generator().manual_seed(seed), (1, *hidden, 1), dtype=torch.float64)
    return {
        name: 1.5 * value + (0.3 if "bias" in name else -0.2 * (name == "log_std")) for name, value in params.items()
    }


def rollout(params, samples, line=LINE, seed=0):
    shared = policies.repeat(params, len(line.goals))
    return simulate(line, shared, samples, numpy_generator(seed, "test"), torch_generator(seed, "test"))


def of_vector(params, function):
    """A function of parameters as one of the flat vector."""
    sizes = [value.numel() for value in params.values()]

    def of(vector):
        parts = zip(params.items(), torch.split(vector, sizes), strict=True)
        return function({name: part.reshape(value.shape) for (name, value), part in parts})

    return of


def test_the_policy_of_the_paper_has_about_400_parameters():
    params = policies.init(torch.Generator(), (1, *Toy1DSettings().hidden, 1))
    assert sum(map(torch.numel, params.values())) == 398


def test_trajectories_obey_the_environment():
    data = rollout(policy(), 50)
    s, a = data.observations[..., 0], data.actions[..., 0]
    assert (s[:, :, 0].abs() <= 2.0).all()
    assert s[:, :, 0].std() > 0.9  # U(−2, 2) has 1.15
    moves = (0.1 * a).clamp(-0.2, 0.2)
    expected = (s + moves).clamp(-2.0, 2.0)
    torch.testing.assert_close(s[:, :, 1:], expected[:, :, :-1])
    torch.testing.assert_close(data.rewards, -(expected - torch.tensor(LINE.goals)[:, None, None]).abs())


def test_trajectories_are_those_of_the_vector_environments_move_function():
    data = rollout(policy(), 20)
    actions = np.clip(0.1 * data.actions.numpy().reshape(-1, 1), -TOY_1D.action_limit, TOY_1D.action_limit)
    goals = np.repeat(LINE.goals, 20 * LINE.horizon)
    _, rewards = TOY_1D.move(data.observations.numpy().reshape(-1, 1), actions, goals)
    np.testing.assert_allclose(data.rewards.numpy().ravel(), rewards)


@pytest.mark.parametrize("goal", LINE.goals)
def test_the_exact_value_is_the_mean_return(goal):
    params = policy()
    returns = rollout(params, 40_000).rewards.sum(-1)[LINE.goals.index(goal)]
    error = returns.std().item() / 200.0
    assert value(LINE, params, goal).item() == pytest.approx(returns.mean().item(), abs=3.0 * error + 0.01)


def test_the_exact_value_converges_with_the_square_of_the_spacing():
    values = [value(replace(LINE, spacing=h), policy(), 0.5).item() for h in (0.04, 0.02, 0.01)]
    assert (values[0] - values[1]) / (values[1] - values[2]) == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("log_std", [-0.5, 0.3])
def test_the_value_of_one_step_is_an_integral_over_starts_and_actions(log_std):
    one_step = replace(LINE, horizon=1, spacing=0.0025)
    means = 0.8 + 0.5 * grid(one_step)[:, 0]
    exact = value_of_means(one_step, means, torch.tensor(log_std, dtype=torch.float64), 0.3)
    starts = np.linspace(-2.0, 2.0, 2001)[:, None]
    normal = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    moves = np.clip(0.1 * (0.8 + 0.5 * starts + np.exp(log_std) * normal), -0.2, 0.2)
    rewards = -np.abs(np.clip(starts + moves, -2.0, 2.0) - 0.3).mean(1)
    assert exact.item() == pytest.approx(np.trapezoid(rewards) / 2000, abs=2e-5)


def test_the_gradient_estimate_converges_to_the_exact_gradient():
    params = policy()
    data = rollout(params, 20_000)
    estimate = estimate_gradients(
        ESTIMATORS["loaded_dice"].surrogate, policies.repeat(params, 2), round_with(data, per_task_baseline(data))
    )
    for task, goal in enumerate(LINE.goals):
        truth = flatten(gradient(LINE, params, goal))
        assert (estimate[task] - truth).norm() / truth.norm() < 0.05


def test_the_hessian_estimate_converges_to_the_exact_hessian():
    params = policy()
    expansion = expand(params, count=32, limit=STATE_LIMIT)
    data = rollout(params, 20_000)
    estimates = estimate_hessians(
        ESTIMATORS["loaded_dice"].surrogate, round_with(data, per_task_baseline(data)), expansion
    )
    truths = true_hessians(LINE, expansion)
    for estimate, truth in zip(estimates, truths, strict=True):
        assert (estimate - truth).norm() / truth.norm() < 0.1


def test_the_true_hessian_is_that_of_automatic_differentiation():
    params, line = policy(), replace(LINE, spacing=0.1)
    direct = torch.func.jacrev(torch.func.grad(of_vector(params, lambda p: value(line, p, LINE.goals[0]))))
    truth = true_hessians(line, expand(params, count=96, limit=STATE_LIMIT))[0]
    torch.testing.assert_close(truth, direct(flatten(params)), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", ["reinforce", "lvc", "dice", "tmaml", "tmaml_printed", "tmaml_released"])
def test_hessian_estimates_are_those_of_automatic_differentiation(name):
    params = policy()
    data = rollout(params, 12)
    round_ = round_with(data, per_task_baseline(data))
    estimates = estimate_hessians(ESTIMATORS[name].surrogate, round_, expand(params, count=96, limit=STATE_LIMIT))
    for task, estimate in enumerate(estimates):
        of_task = for_task(round_, task)

        def surrogate(theta, of_task=of_task):
            distribution = policies.distribution(theta, of_task.trajectories.observations)
            return ESTIMATORS[name].surrogate(
                policies.log_prob(distribution, of_task.trajectories.actions), of_task.sample
            )

        direct = torch.func.jacrev(torch.func.grad(of_vector(params, surrogate)))(flatten(params))
        torch.testing.assert_close(estimate, direct, atol=1e-7, rtol=1e-7)


def test_interpolation_reproduces_polynomials_and_sums_to_one():
    states = torch.linspace(-2.0, 2.0, 41, dtype=torch.float64)
    weights = interpolation(states, 8, 2.0)
    points = 2.0 * torch.cos(torch.pi * (torch.arange(8, dtype=torch.float64) + 0.5) / 8)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(states))
    torch.testing.assert_close(weights @ (points**7 - points**2), states**7 - states**2, atol=1e-12, rtol=1e-12)


def test_the_expansion_represents_the_policy_of_the_paper_profile():
    problem = make_problem(replace(SETTINGS, hidden=(18, 18), nodes=48, tasks=1), 0)
    states = torch.linspace(-2.0, 2.0, 301, dtype=torch.float64)
    means = interpolation(states, 48, STATE_LIMIT) @ problem.expansion.means
    exact = policies.distribution(problem.theta, states[:, None]).mean[:, 0]
    torch.testing.assert_close(means, exact, atol=1e-9, rtol=0)


def test_the_hessian_of_a_function_of_the_policy_sees_log_std():
    params = policy()
    expansion = expand(params, count=8, limit=STATE_LIMIT)
    estimate = hessian(lambda means, log_std: log_std**3 * means.sum(), expansion)
    points = 2.0 * torch.cos(torch.pi * (torch.arange(8, dtype=torch.float64) + 0.5) / 8)
    direct = of_vector(params, lambda p: p["log_std"][0] ** 3 * policies.distribution(p, points[:, None]).mean.sum())
    torch.testing.assert_close(estimate, torch.func.jacrev(torch.func.grad(direct))(flatten(params)))


def exact_objective(lr):
    """Mean over goals of J(θ + α ∇J(θ)/T)/T."""

    def objective(params):
        adapted = [adapted_params(LINE, params, goal, lr) for goal in LINE.goals]
        return sum(value(LINE, p, goal) for p, goal in zip(adapted, LINE.goals, strict=True)) / (2 * LINE.horizon)

    return objective


def test_the_true_meta_gradient_is_the_slope_of_the_adapted_value():
    params, lr = policy(), 0.5
    truth = flatten(meta_gradient(LINE, params, lr))
    direction = torch.randn(len(truth), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective, step = of_vector(params, exact_objective(lr)), 1e-5
    slope = (objective(flatten(params) + step * direction) - objective(flatten(params) - step * direction)) / (2 * step)
    assert slope.item() == pytest.approx((truth @ direction).item(), rel=1e-6)


def test_the_meta_gradient_estimate_converges_to_the_truth():
    params, lr = policy(), 0.5
    inner = Inner(surrogate=per_step(ESTIMATORS["loaded_dice"].surrogate), lr=lr)
    first = rollout(params, 20_000)
    inner_round = round_with(first, per_task_baseline(first))
    adapted = adapted_policies(params, inner_round, inner)
    outer = simulate(LINE, adapted, 20_000, numpy_generator(1, "test"), torch_generator(1, "test"))
    rounds = (inner_round, round_with(outer, per_task_baseline(outer)))
    truth = flatten(meta_gradient(LINE, params, lr))
    assert (estimate_meta_gradient(params, rounds, inner) - truth).norm() / truth.norm() < 0.1
    first_order = Inner(surrogate=inner.surrogate, lr=lr, first_order=True)
    assert (estimate_meta_gradient(params, rounds, first_order) - truth).norm() / truth.norm() > 0.15


def test_control_variates_reduce_the_variance_of_the_returns():
    learning = replace(SETTINGS, variate_batches=12, variate=MetaSettings(repetitions=5))
    problem = make_problem(learning, 0)
    data = rollout(problem.theta, 100, problem.line)
    variates = control_variates(data, problem.variate, SETTINGS.variate)
    residual = {name: round_with(data, b).sample.advantages.std().item() for name, b in variates.items()}
    assert residual["meta"] < 0.6 * residual["none"]
    assert residual["per_task"] < 0.5 * residual["none"]


def test_training_improves_the_adapted_value():
    trained, fresh = (make_problem(replace(SETTINGS, training_steps=steps), 0) for steps in (10, 0))
    after, before = (
        sum(value(p.line, adapted_params(p.line, p.theta, goal, 0.1), goal).item() for goal in p.line.goals)
        for p in (trained, fresh)
    )
    assert after > before + 0.5


def test_the_frame_has_the_truth_and_every_method_at_every_size_and_repeats():
    done = []
    frame = toy1d.run(SETTINGS, progress=lambda *state: done.append(state))
    assert tuple(frame.columns) == toy1d.COLUMNS
    assert done == [(1, 1)]
    estimates, truths = frame[frame["role"] == "estimate"], frame[frame["role"] == "truth"]
    assert len(estimates) == len(toy1d.METHODS) * 2
    assert len(truths) == 2
    assert truths["standard_error"].gt(0.0).all()
    assert estimates["standard_error"].isna().all()
    assert frame["pearson"].between(-1.0, 1.0).all()
    assert not frame.duplicated(["seed", "role", "estimator", "control_variate", "quantity", "samples"]).any()
    assert toy1d.run(SETTINGS).equals(frame)


def test_the_monte_carlo_truth_is_unbiased_within_its_standard_error():
    # a large α, so that the Hessian matters for the meta-gradient
    settings = replace(SETTINGS, truth_samples=4000, truth_batch=400, inner_lr=1.0, training_steps=0, spacing=0.02)
    for row in truth_rows(make_problem(settings, 0), settings):
        assert row["relative_error"] < 2.0 * row["standard_error"] < 0.5


def test_methods_name_estimators_of_the_registry():
    assert {method.estimator for method in toy1d.METHODS} <= set(ESTIMATORS)
    assert len(set(toy1d.METHODS)) == len(toy1d.METHODS)


def test_an_unknown_profile_is_named():
    with pytest.raises(UserError, match="Did you mean 'paper'"):
        toy1d.settings("papr")
    assert toy1d.settings("paper").profile == "paper"
