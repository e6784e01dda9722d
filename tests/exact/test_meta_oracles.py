"""Exact meta-gradients against finite differences and plain loops: MAML, SG-MRL."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tabular_cases import assert_close, finite_differences, first_and_second, maml_gradient, maml_value, small

from metarl_cli.estimators import ESTIMATORS, dice, reinforce
from metarl_cli.exact.enumeration import (
    action_logp,
    enumerate_trajectories,
    probabilities,
    tabular_sample,
)
from metarl_cli.exact.meta_oracles import InnerLoop, sgmrl_gradient, sgmrl_value
from metarl_cli.exact.oracles import gradient, hessian, value


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


def expected_estimate(logits, mdp, loop):
    """The expectation of the estimator with the surrogate's own Hessian ∇²J̃ at fixed data, [S, A].

    E[Πₜ (I + α ∇²J̃ₜ) ∇J(θ^ζ) + J(θ^ζ) Σₜ Π_{t'<t} (I + α ∇²J̃_{t'}) Σ_{τ∈Dₜ} ∇ log π(τ; θ^{t−1})]
    (Fallah et al., 2021, Eq. 10 and 30, whose estimates are Eq. 13 and 39): the recorded probabilities are data.
    """

    def at_recorded_data(logp, sample):
        return loop.surrogate(logp, replace(sample, behaviour_logp=sample.behaviour_logp.detach()))

    return sgmrl_gradient(logits, mdp, replace(loop, surrogate=at_recorded_data))


@pytest.mark.parametrize(("trajectories", "steps"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_sgmrl_estimate_is_unbiased_for_reinforce_and_only_for_it(trajectories, steps):
    mdp, logits = small()
    loops = [
        InnerLoop(surrogate=surrogate, step_size=0.7, trajectories=trajectories, steps=steps)
        for surrogate in (reinforce, dice)
    ]
    truths = [sgmrl_gradient(logits, mdp, loop) for loop in loops]
    unbiased, biased = (expected_estimate(logits, mdp, loop) for loop in loops)
    assert_close(truths[0], truths[1])
    assert_close(unbiased, truths[0])
    assert (biased - truths[0]).abs().max() > 1e-2


def test_sgmrl_estimate_uses_the_hessian_of_the_surrogate():
    mdp, logits = small()

    def dice_hessian(theta, states, actions, _, __):
        sample = tabular_sample(mdp, states[None], actions[None], action_logp(theta, states, actions)[None])
        return first_and_second(lambda x: dice(action_logp(x, states, actions)[None], sample), theta)[1]

    loop = InnerLoop(surrogate=dice, step_size=0.7, trajectories=1)
    assert_close(expected_estimate(logits, mdp, loop), equation_10(logits, mdp, 0.7, dice_hessian))


def test_oracles_refuse_other_shapes_of_logits():
    mdp, logits = small()
    loop = InnerLoop(surrogate=dice, step_size=0.7, trajectories=1)
    for function in (
        lambda x: hessian(x, mdp),
        lambda x: sgmrl_value(x, mdp, loop),
        lambda x: sgmrl_gradient(x, mdp, loop),
    ):
        with pytest.raises(ValueError, match=r"logits: expected shape \[2, 2\], got \[1, 2, 2\]"):
            function(logits[None])
