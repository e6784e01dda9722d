"""Expected derivatives of every surrogate, by enumeration, against the exact ones or against the known bias."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from tabular_cases import (
    HORIZON,
    SINGLE,
    SIZES,
    assert_close,
    discounts,
    expected,
    first_and_second,
    make_case,
    per_trajectory,
    score_and_curvature,
    weighted,
)

from metarl_cli.estimators import ESTIMATORS, doubly_robust, loaded_dice, taypo, taypo2, tmaml, truncated_dr
from metarl_cli.exact.enumeration import action_logp
from metarl_cli.exact.oracles import action_values, gradient, hessian

CASES = range(len(SIZES))
NAMES = [name for name, estimator in ESTIMATORS.items() if not estimator.per_action]


def truth(case):
    return gradient(case.logits, case.mdp).flatten(), hessian(case.logits, case.mdp).reshape(case.size, case.size)


def errors(name, *, on_policy):
    cases = [make_case(index, on_policy=on_policy) for index in CASES]
    differences = [
        [a - b for a, b in zip(expected(ESTIMATORS[name], case), truth(case), strict=True)] for case in cases
    ]
    return [max(pair[order].abs().max().item() for pair in differences) for order in (0, 1)]


def check(error, claim):
    assert error < 1e-10 if claim == "exact" else error > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_on_policy_bias_is_what_the_registry_says(name):
    first, second = errors(name, on_policy=True)
    check(first, "exact")
    check(second, ESTIMATORS[name].on_policy_hessian)


@pytest.mark.parametrize("name", NAMES)
def test_off_policy_bias_is_what_the_registry_says(name):
    first, second = errors(name, on_policy=False)
    check(first, ESTIMATORS[name].off_policy_gradient)
    check(second, ESTIMATORS[name].off_policy_hessian)


@pytest.mark.parametrize("index", CASES)
def test_lvc_forgets_the_cross_terms(index):
    case = make_case(index, on_policy=True)
    g, weight = score_and_curvature(case)[0], weighted(case, case.sample().advantages)
    past = g.cumsum(1) - g
    cross = torch.einsum("pt,pti,ptj->ij", weight, past, g)
    assert_close(expected(ESTIMATORS["lvc"], case)[1], truth(case)[1] - cross - cross.T)


@pytest.mark.parametrize("index", CASES)
def test_reinforce_keeps_the_curvature_of_the_policy_only(index):
    case = make_case(index, on_policy=True)
    weight = weighted(case, case.sample().advantages)
    assert_close(
        expected(ESTIMATORS["reinforce"], case)[1], torch.einsum("pt,ptij->ij", weight, score_and_curvature(case)[1])
    )


@pytest.mark.parametrize("index", CASES)
def test_reinforce_off_policy_is_the_weighted_sum_of_scores(index):
    case = make_case(index, on_policy=False)
    weight = weighted(case, case.sample().advantages)
    assert_close(
        expected(ESTIMATORS["reinforce"], case)[0], torch.einsum("pt,pti->i", weight, score_and_curvature(case)[0])
    )


@pytest.mark.parametrize("index", CASES)
def test_printed_tmaml_keeps_the_diagonal(index):
    case = make_case(index, on_policy=True)
    g, weight = (
        score_and_curvature(case)[0],
        case.weights[:, None] * discounts(case) * case.sample().control_variate[:, 0],
    )
    diagonal = torch.einsum("pt,pti,ptj->ij", weight, g, g)
    assert_close(expected(ESTIMATORS["tmaml_printed"], case)[1], truth(case)[1] + 2 * diagonal)


def chi_square_sum(theta, case):
    """Σₜ γᵗ E_π[b(sₜ) χ²(π(·|sₜ) ‖ μ(·|sₜ))], by a forward recursion over the distribution of states."""
    policy, behaviour = theta.softmax(-1), case.behaviour.softmax(-1)
    term = case.baseline * ((policy**2 / behaviour).sum(-1) - 1)
    occupancy = torch.eye(len(theta), dtype=theta.dtype)[case.mdp.start_state]
    total = torch.zeros((), dtype=theta.dtype)
    for t in range(HORIZON):
        total = total + case.mdp.discount**t * (occupancy * term).sum()
        occupancy = torch.einsum("s,sa,sak->k", occupancy, policy, case.mdp.transitions)
    return total


@pytest.mark.parametrize("on_policy", [True, False])
@pytest.mark.parametrize("index", CASES)
def test_printed_tmaml_adds_a_chi_square_divergence(index, on_policy):
    case = make_case(index, on_policy=on_policy)
    bias = first_and_second(lambda theta: chi_square_sum(theta, case), case.logits)
    for estimate, exact, extra in zip(expected(ESTIMATORS["tmaml_printed"], case), truth(case), bias, strict=True):
        assert_close(estimate, exact + extra)


def taylor_increments(theta, case):
    """U₁ … U_H of the value in π − μ, by dynamic programming: [H].

    reach[k][s] is E_μ[Σ of products of k excess ratios before t; sₜ = s].
    """
    difference, behaviour = theta.softmax(-1) - case.behaviour.softmax(-1), case.behaviour.softmax(-1)
    q = action_values(case.behaviour, case.mdp)
    zero = torch.zeros_like(theta[:, 0])
    reach = [torch.eye(len(theta), dtype=theta.dtype)[case.mdp.start_state]] + [zero] * (HORIZON - 1)
    increments = [torch.zeros((), dtype=theta.dtype)] * HORIZON
    for t in range(HORIZON):
        gain = case.mdp.discount**t * (difference * q[t]).sum(-1)
        increments = [u + (r * gain).sum() for u, r in zip(increments, reach, strict=True)]
        taken = [
            (reach[k][:, None] * behaviour) + (reach[k - 1][:, None] * difference if k else 0) for k in range(HORIZON)
        ]
        reach = [torch.einsum("sa,sak->k", weight, case.mdp.transitions) for weight in taken]
    return torch.stack(increments)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("on_policy", [True, False])
@pytest.mark.parametrize("index", CASES)
def test_taypo_omits_the_higher_taylor_increments(index, on_policy, order):
    case = make_case(index, on_policy=on_policy)
    estimator = replace(ESTIMATORS["taypo2"], surrogate=partial(taypo, order=order))
    omitted = first_and_second(lambda theta: taylor_increments(theta, case)[order:].sum(), case.logits)
    for estimate, exact, missing in zip(expected(estimator, case), truth(case), omitted, strict=True):
        assert_close(estimate, exact - missing)


@pytest.mark.parametrize("order", [HORIZON, HORIZON + 2])
@pytest.mark.parametrize("index", CASES)
def test_taypo_of_the_order_of_the_horizon_is_exact_off_policy(index, order):
    case = make_case(index, on_policy=False)
    estimator = replace(ESTIMATORS["taypo2"], surrogate=partial(taypo, order=order))
    for estimate, exact in zip(expected(estimator, case), truth(case), strict=True):
        assert_close(estimate, exact)


def truncated_value(theta, case, max_ratio):
    """E_μ of the truncated recursion, backwards in time: the policy is min(π, ρ̄ μ), which does not sum to 1."""
    kept = torch.minimum(theta.softmax(-1), max_ratio * case.behaviour.softmax(-1))
    following = torch.zeros_like(case.baseline)
    for _ in range(HORIZON):
        target = case.mdp.rewards + case.mdp.discount * case.mdp.transitions @ following
        following = case.baseline + (kept * (target - case.baseline[:, None])).sum(-1)
    return following[case.mdp.start_state]


@pytest.mark.parametrize("max_ratio", [0.7, 1.0, 1.5])
@pytest.mark.parametrize("index", CASES)
def test_truncated_dr_off_policy_evaluates_the_truncated_policy(index, max_ratio):
    case = make_case(index, on_policy=False)
    estimator = replace(ESTIMATORS["truncated_dr"], surrogate=partial(truncated_dr, max_ratio=max_ratio))
    evaluated = first_and_second(lambda theta: truncated_value(theta, case, max_ratio), case.logits)
    for estimate, exact in zip(expected(estimator, case), evaluated, strict=True):
        assert_close(estimate, exact)


@pytest.mark.parametrize("on_policy", [True, False])
@pytest.mark.parametrize("index", CASES)
def test_doubly_robust_is_exact_with_any_critic(index, on_policy):
    case = make_case(index, on_policy=on_policy)
    critic = torch.randn(case.logits.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(index))
    sample = case.sample()
    q = critic[case.states, case.actions][:, None]

    def mean(theta):
        values = (theta.softmax(-1) * critic).sum(-1)[case.states][:, None]
        logp = action_logp(theta, case.states, case.actions)[:, None]
        return (case.weights * doubly_robust(logp, replace(sample, action_values=q, policy_values=values))).sum()

    for estimate, exact in zip(first_and_second(mean, case.logits), truth(case), strict=True):
        assert_close(estimate, exact)


@pytest.mark.parametrize("surrogate", [taypo2, tmaml, doubly_robust, truncated_dr])
@pytest.mark.parametrize("index", CASES)
def test_on_policy_the_unbiased_ones_agree_on_every_trajectory(index, surrogate):
    case = make_case(index, on_policy=True)
    for estimate, reference in zip(per_trajectory(surrogate, case), per_trajectory(loaded_dice, case), strict=True):
        assert_close(estimate, reference)


def test_loaded_dice_between_its_ends_weighs_cross_terms_by_the_lag():
    case = make_case(2, on_policy=True)
    g, lam = score_and_curvature(case)[0], 0.3
    weight = weighted(case, case.sample().advantages)
    missing = sum(
        (1 - lam ** (t - s)) * torch.einsum("p,pi,pj->ij", weight[:, t], g[:, s], g[:, t])
        for t in range(HORIZON)
        for s in range(t)
    )
    estimator = replace(ESTIMATORS["loaded_dice"], surrogate=partial(loaded_dice, lam=lam))
    assert_close(expected(estimator, case)[1], truth(case)[1] - missing - missing.T)


def test_the_single_names_are_the_registry_without_pairs_and_dimensions():
    assert set(SINGLE) == set(ESTIMATORS) - {"tmaml_released", "tmaml_per_action"}
