"""The exact values against enumeration, finite differences and plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tabular_cases import SIZES, assert_close, first_and_second, make_case

from metarl_cli.estimators import ESTIMATORS, dice, reinforce
from metarl_cli.estimators.enumeration import (
    action_logp,
    count_trajectories,
    enumerate_trajectories,
    probabilities,
    tabular_sample,
)
from metarl_cli.estimators.meta_oracles import InnerLoop, sgmrl_expected_estimate, sgmrl_gradient, sgmrl_value
from metarl_cli.estimators.oracles import (
    TabularMDP,
    action_values,
    gradient,
    hessian,
    maml_gradient,
    maml_value,
    random_mdp,
    state_values,
    value,
)

CASES = range(len(SIZES))


def small(horizon=2, discount=0.9, states=2, actions=2, seed=3):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, states=states, actions=actions, horizon=horizon, discount=discount)
    return mdp, torch.from_numpy(rng.standard_normal((states, actions)))


def finite_differences(function, at, step=1e-5):
    """Central differences of a function of θ[S, A] with any shape of values: [..., S, A]."""
    columns = []
    for cell in itertools.product(*map(range, at.shape)):
        shift = torch.zeros_like(at)
        shift[cell] = step
        columns.append((function(at + shift) - function(at - shift)) / (2 * step))
    return torch.stack(columns, dim=-1).unflatten(-1, at.shape)


def discounted_return(mdp, states, actions):
    steps = range(states.shape[-1])
    return sum(mdp.discount**t * mdp.rewards[states[..., t], actions[..., t]] for t in steps)


@pytest.mark.parametrize("index", CASES)
def test_value_is_the_expected_return(index):
    case = make_case(index, on_policy=True)
    returns = discounted_return(case.mdp, case.states, case.actions)
    assert_close(value(case.logits, case.mdp), (case.weights * returns).sum())


@pytest.mark.parametrize("horizon", [1, 4, None])
def test_gradient_and_hessian_are_derivatives_of_the_value(horizon):
    mdp, logits = small(horizon, states=3)
    first = finite_differences(lambda theta: value(theta, mdp), logits)
    second = finite_differences(lambda theta: gradient(theta, mdp), logits)
    torch.testing.assert_close(gradient(logits, mdp), first, rtol=0, atol=1e-8)
    torch.testing.assert_close(hessian(logits, mdp), second, rtol=0, atol=1e-8)


def test_leading_dimensions_of_the_logits_are_independent():
    mdp, logits = small(3, states=3)
    stack = torch.stack([logits, 2 * logits, -logits])
    assert_close(value(stack, mdp), torch.stack([value(theta, mdp) for theta in stack]))
    assert_close(gradient(stack, mdp), torch.stack([gradient(theta, mdp) for theta in stack]))
    endless, _ = small(None, states=3)
    assert_close(action_values(stack, endless), torch.stack([action_values(theta, endless) for theta in stack]))


def test_infinite_horizon_is_the_limit_of_long_ones():
    mdp, logits = small(None, discount=0.5, states=3)
    long, _ = small(60, discount=0.5, states=3)
    assert_close(value(logits, mdp), value(logits, long))
    assert_close(action_values(logits, mdp)[0], action_values(logits, long)[0])


def test_values_satisfy_the_bellman_equations():
    mdp, logits = small(4, states=3, actions=2)
    values, q, policy = state_values(logits, mdp), action_values(logits, mdp), logits.softmax(-1)
    assert values.shape == (4, 3) and q.shape == (4, 3, 2)
    assert_close(values, (policy * q).sum(-1))
    assert_close(q[-1], mdp.rewards)
    assert_close(q[0], mdp.rewards + mdp.discount * mdp.transitions @ values[1])
    shorter, _ = small(3, states=3, actions=2)
    assert_close(values[1:], state_values(logits, shorter))


@pytest.mark.parametrize("index", CASES)
def test_enumeration_is_complete_and_without_repetition(index):
    case = make_case(index, on_policy=True)
    assert len(case.states) == count_trajectories(case.mdp)
    assert len({(*s, *a) for s, a in zip(case.states.tolist(), case.actions.tolist(), strict=True)}) == len(case.states)
    assert_close(case.weights.sum(), torch.ones((), dtype=torch.float64))
    assert (case.states[:, 0] == case.mdp.start_state).all()


def test_impossible_transitions_are_not_enumerated():
    transitions = torch.tensor([[[0.0, 1.0], [0.5, 0.5]], [[0.0, 1.0], [0.0, 1.0]]], dtype=torch.float64)
    mdp = TabularMDP(transitions=transitions, rewards=torch.ones(2, 2).double(), horizon=3, discount=1.0)
    states, actions = enumerate_trajectories(mdp)
    assert len(states) == count_trajectories(mdp) == 2 * 2 + (2 * 2 + (2 + 2 + 2))
    assert (transitions[states[:, :-1], actions[:, :-1], states[:, 1:]] > 0).all()
    assert_close(probabilities(torch.zeros(2, 2).double(), mdp, states, actions).sum(), torch.ones(()).double())


def test_the_count_does_not_overflow():
    assert count_trajectories(small(200)[0]) == 2 * 4**199


def test_start_state_is_where_trajectories_start():
    mdp, logits = small(3, states=3)
    moved = TabularMDP(
        transitions=mdp.transitions, rewards=mdp.rewards, start_state=2, horizon=3, discount=mdp.discount
    )
    states, actions = enumerate_trajectories(moved)
    assert (states[:, 0] == 2).all()
    weights = probabilities(logits, moved, states, actions)
    assert_close(value(logits, moved), (weights * discounted_return(moved, states, actions)).sum())


def test_sample_holds_returns_to_go_and_the_baseline_of_the_state():
    mdp, logits = small(3, states=3)
    states, actions = enumerate_trajectories(mdp)
    baseline = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    logp = action_logp(logits, states, actions)
    sample = tabular_sample(mdp, states, actions, logp, baseline)
    r, b = sample.rewards, baseline[states]
    returns = torch.stack([r[:, 0] + 0.9 * r[:, 1] + 0.81 * r[:, 2], r[:, 1] + 0.9 * r[:, 2], r[:, 2]], dim=-1)
    assert_close(sample.advantages, returns - b)
    assert_close(sample.control_variate, b)
    assert_close(tabular_sample(mdp, states, actions, logp).advantages, returns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": torch.zeros(3, 2)}, r"transitions: expected shape \[3, 2, 3\], got \[2, 2, 2\]"),
        ({"start_state": 2}, "start_state: expected 0 to 1, got 2"),
        ({"start_state": -1}, "start_state: expected 0 to 1, got -1"),
        ({"horizon": 0}, "horizon: expected at least 1 or None, got 0"),
        ({"horizon": None, "discount": 1.0}, "discount: expected less than 1 with an infinite horizon"),
    ],
)
def test_refuses_what_is_no_mdp(change, message):
    mdp, _ = small()
    valid = {"transitions": mdp.transitions, "rewards": mdp.rewards, "horizon": 2, "discount": 0.9}
    with pytest.raises(ValueError, match=message):
        TabularMDP(**{**valid, **change})


def test_refuses_to_enumerate_without_end():
    mdp, _ = small(None)
    for function in (count_trajectories, enumerate_trajectories):
        with pytest.raises(ValueError, match="horizon: expected a number of steps"):
            function(mdp)


def test_random_mdp_depends_on_the_generator_only():
    first, second = (random_mdp(np.random.default_rng(7), states=4, actions=2, horizon=2, discount=1.0) for _ in "ab")
    assert torch.equal(first.transitions, second.transitions) and torch.equal(first.rewards, second.rewards)
    sparse = random_mdp(np.random.default_rng(0), states=10, actions=5, horizon=None, discount=0.8, concentration=0.001)
    assert_close(sparse.transitions.sum(-1), torch.ones(10, 5).double())
    assert sparse.transitions.max(-1).values.median() > 0.99


@pytest.mark.parametrize("horizon", [3, None])
def test_maml_gradient_is_the_derivative_of_its_objective(horizon):
    mdp, logits = small(horizon, states=3)
    expected = finite_differences(lambda theta: maml_value(theta, mdp, step_size=0.5), logits)
    torch.testing.assert_close(maml_gradient(logits, mdp, step_size=0.5), expected, rtol=0, atol=1e-8)


def test_maml_gradient_is_the_paper_s_product():
    mdp, logits = small(3, states=3)
    size, alpha = logits.numel(), 0.5
    adapted = logits + alpha * gradient(logits, mdp)
    curvature = torch.eye(size).double() + alpha * hessian(logits, mdp).reshape(size, size)
    assert_close(maml_value(logits, mdp, step_size=alpha), value(adapted, mdp))
    assert_close(maml_gradient(logits, mdp, step_size=alpha).flatten(), curvature @ gradient(adapted, mdp).flatten())


@pytest.mark.parametrize("name", [name for name, estimator in ESTIMATORS.items() if not estimator.per_action])
@pytest.mark.parametrize(("trajectories", "steps"), [(1, 1), (2, 1), (1, 2)])
def test_sgmrl_gradient_is_the_derivative_of_its_value(name, trajectories, steps):
    mdp, logits = small()
    baseline = torch.tensor([0.4, -0.3], dtype=torch.float64)
    loop = InnerLoop(
        surrogate=ESTIMATORS[name].surrogate, step_size=0.7, trajectories=trajectories, steps=steps, baseline=baseline
    )
    expected = finite_differences(lambda theta: sgmrl_value(theta, mdp, loop), logits)
    torch.testing.assert_close(sgmrl_gradient(logits, mdp, loop), expected, rtol=0, atol=1e-8)


def log_policy_gradient(theta, states, actions):
    """Per step ∇ log π(aₜ|sₜ) = e_a − π(·|s) in the row of s, [T, S, A]."""
    rows = []
    for s, a in zip(states.tolist(), actions.tolist(), strict=True):
        row = torch.zeros_like(theta)
        row[s] = -theta[s].softmax(-1)
        row[s, a] += 1
        rows.append(row)
    return torch.stack(rows)


def returns_to_go(mdp, states, actions):
    """γᵗ Gₜ, discounted from time 0 as in Eq. 4: [T]."""
    rewards = [mdp.discount**t * mdp.rewards[s, a] for t, (s, a) in enumerate(zip(states, actions, strict=True))]
    return torch.stack([sum(rewards[t:]) for t in range(len(rewards))])


def brute_force_value(theta, mdp, alpha, size, steps):
    """V_ζ(θ) by loops over batches, with the score-function gradient written out (Eq. 4 and 5)."""
    if steps == 0:
        return value(theta, mdp)
    states, actions = enumerate_trajectories(mdp)
    total = 0.0
    for batch in itertools.product(range(len(states)), repeat=size):
        step, weight = torch.zeros_like(theta), 1.0
        for s, a in ((states[i], actions[i]) for i in batch):
            scores = log_policy_gradient(theta, s, a)
            step = step + torch.einsum("t,tsa->sa", returns_to_go(mdp, s, a), scores) / size
            weight = weight * probabilities(theta, mdp, s[None], a[None])[0]
        total = total + weight * brute_force_value(theta + alpha * step, mdp, alpha, size, steps - 1)
    return total


@pytest.mark.parametrize(("size", "steps"), [(1, 1), (2, 1), (1, 2)])
def test_sgmrl_value_is_that_of_loops_over_batches(size, steps):
    mdp, logits = small()
    for surrogate in (reinforce, dice):  # the same first derivative on-policy
        loop = InnerLoop(surrogate=surrogate, step_size=0.7, trajectories=size, steps=steps)
        assert_close(sgmrl_value(logits, mdp, loop), brute_force_value(logits, mdp, 0.7, size, steps))


def equation_10(theta, mdp, alpha, second_derivative):
    """E[(I + α H(τ)) ∇J(θ') + J(θ') ∇ log π(τ)] for batches of one trajectory, by a loop."""
    states, actions = enumerate_trajectories(mdp)
    size, total = theta.numel(), torch.zeros(theta.numel()).double()
    for s, a, p in zip(states, actions, probabilities(theta, mdp, states, actions), strict=True):
        scores, returns = log_policy_gradient(theta, s, a).flatten(1), returns_to_go(mdp, s, a)
        adapted = theta + alpha * (returns @ scores).reshape(theta.shape)
        curvature = torch.eye(size).double() + alpha * second_derivative(theta, s, a, scores, returns)
        outer = gradient(adapted, mdp).flatten()
        total += p * (curvature @ outer + value(adapted, mdp) * scores.sum(0))
    return total.reshape(theta.shape)


def fixed_data_hessian(theta, states, actions, _, returns):
    """∇²ν, the derivative of the inner gradient at fixed data."""
    return first_and_second(lambda x: (action_logp(x, states, actions) * returns).sum(), theta)[1]


def equation_9(theta, states, actions, scores, returns):
    """∇ν ∇ log q(τ)ᵀ + ∇²ν, the paper's Hessian estimate."""
    return torch.outer(returns @ scores, scores.sum(0)) + fixed_data_hessian(theta, states, actions, scores, returns)


def test_sgmrl_is_exact_with_the_hessian_at_fixed_data_and_biased_with_equation_9():
    mdp, logits = small()
    loop = InnerLoop(surrogate=reinforce, step_size=0.7, trajectories=1)
    truth = sgmrl_gradient(logits, mdp, loop)
    assert_close(equation_10(logits, mdp, 0.7, fixed_data_hessian), truth)
    assert (equation_10(logits, mdp, 0.7, equation_9) - truth).abs().max() > 1e-2


@pytest.mark.parametrize(("trajectories", "steps"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_sgmrl_estimate_is_unbiased_for_reinforce_and_only_for_it(trajectories, steps):
    mdp, logits = small()
    loops = [
        InnerLoop(surrogate=surrogate, step_size=0.7, trajectories=trajectories, steps=steps)
        for surrogate in (reinforce, dice)
    ]
    truths = [sgmrl_gradient(logits, mdp, loop) for loop in loops]
    unbiased, biased = (sgmrl_expected_estimate(logits, mdp, loop) for loop in loops)
    assert_close(truths[0], truths[1])
    assert_close(unbiased, truths[0])
    assert (biased - truths[0]).abs().max() > 1e-2


def test_sgmrl_estimate_uses_the_hessian_of_the_surrogate():
    mdp, logits = small()

    def dice_hessian(theta, states, actions, _, __):
        sample = tabular_sample(mdp, states[None], actions[None], action_logp(theta, states, actions)[None])
        return first_and_second(lambda x: dice(action_logp(x, states, actions)[None], sample), theta)[1]

    loop = InnerLoop(surrogate=dice, step_size=0.7, trajectories=1)
    assert_close(sgmrl_expected_estimate(logits, mdp, loop), equation_10(logits, mdp, 0.7, dice_hessian))


def test_oracles_refuse_other_shapes_of_logits():
    mdp, logits = small()
    loop = InnerLoop(surrogate=dice, step_size=0.7, trajectories=1)
    for function in (
        lambda x: hessian(x, mdp),
        lambda x: sgmrl_value(x, mdp, loop),
        lambda x: sgmrl_expected_estimate(x, mdp, loop),
    ):
        with pytest.raises(ValueError, match=r"logits: expected shape \[2, 2\], got \[1, 2, 2\]"):
            function(logits[None])
