"""The exact values against enumeration and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tabular_cases import SIZES, assert_close, finite_differences, make_case, small

from metarl_cli.exact.enumeration import (
    action_logp,
    count_trajectories,
    enumerate_trajectories,
    probabilities,
    tabular_sample,
)
from metarl_cli.exact.oracles import (
    TabularMDP,
    action_values,
    gradient,
    hessian,
    random_mdp,
    state_values,
    value,
)

CASES = range(len(SIZES))


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
    assert_close(first.transitions.sum(-1), torch.ones(4, 2).double())
