"""The surrogates against plain loops over trajectories and steps, and the reductions between them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from random_batches import A, N, T, assert_same, jets, make_batch, normal

from metarl_cli.estimators import (
    dice,
    doubly_robust,
    loaded_dice,
    lvc,
    taypo,
    taypo2,
    tmaml,
    tmaml_per_action,
    tmaml_printed,
    tmaml_released,
    truncated_dr,
)


def loop(formula, logp, sample):
    """The mean over trajectories of formula(ρ, r, A, b, γ, length)."""
    rho = (logp - sample.behaviour_logp).exp()
    rows = zip(rho, sample.rewards, sample.advantages, sample.control_variate, sample.mask, strict=True)
    return torch.stack([formula(*row[:4], sample.discount, int(row[4].sum())) for row in rows]).mean()


def dice_loop(rho, r, _, __, discount, length):
    return sum(discount**t * rho[: t + 1].prod() * r[t] for t in range(length))


def doubly_robust_loop(rho, r, _, b, discount, length, cap=math.inf):
    value = torch.zeros((), dtype=rho.dtype)
    for t in reversed(range(length)):
        value = b[t] + rho[t].clamp(max=cap) * (r[t] + discount * value - b[t])
    return value


def loaded_loop(rho, _, advantage, __, discount, length, lam):
    total, past = 0, 0
    for t in range(length):
        load = lam * past + rho[t].log()
        total = total + discount**t * advantage[t] * (load.exp() - (load - rho[t].log()).exp())
        past = load
    return total


def taypo_loop(rho, _, advantage, __, discount, length, order):
    subsets = [s for k in range(1, order + 1) for s in itertools.combinations(range(length), k)]
    return sum(discount ** s[-1] * (rho[list(s)] - 1).prod() * advantage[s[-1]] for s in subsets)


def tmaml_loop(rho, r, advantage, b, discount, length):
    first = sum(discount**t * (1 - rho[t]) * b[t] for t in range(length))
    second = sum(discount**t * (1 - rho[:t].prod()) * (1 - rho[t]) * b[t] for t in range(length))
    return dice_loop(rho, r, advantage, b, discount, length) + first - second


def printed_loop(rho, r, advantage, b, discount, length):
    added = sum(discount**t * (1 - rho[: t + 1].prod()) * (1 - rho[t]) * b[t] for t in range(length))
    return dice_loop(rho, r, advantage, b, discount, length) + added


@pytest.mark.parametrize(
    ("surrogate", "formula"),
    [
        (dice, dice_loop),
        (doubly_robust, doubly_robust_loop),
        (truncated_dr, partial(doubly_robust_loop, cap=1.0)),
        (partial(truncated_dr, max_ratio=1.2), partial(doubly_robust_loop, cap=1.2)),
        (lvc, partial(taypo_loop, order=1)),
        (taypo2, partial(taypo_loop, order=2)),
        (partial(taypo, order=4), partial(taypo_loop, order=4)),
        (loaded_dice, partial(loaded_loop, lam=1.0)),
        (partial(loaded_dice, lam=0.6), partial(loaded_loop, lam=0.6)),
        (tmaml, tmaml_loop),
        (tmaml_printed, printed_loop),
    ],
)
def test_formula(surrogate, formula):
    logp, sample = make_batch()
    assert_same(jets(surrogate, logp, sample), jets(partial(loop, formula), logp, sample))


@pytest.mark.parametrize(("surrogate", "cap"), [(doubly_robust, math.inf), (truncated_dr, 1.0)])
def test_formula_with_a_critic(surrogate, cap):
    logp, sample = make_batch()
    sample = replace(sample, action_values=normal(7, N, T), policy_values=normal(8, N, T))
    rho = (logp - sample.behaviour_logp).exp().clamp(max=cap)
    total = 0
    for n in range(N):
        value = 0
        for t in reversed(range(int(sample.mask[n].sum()))):
            target = sample.rewards[n, t] + 0.9 * value - sample.action_values[n, t]
            value = sample.policy_values[n, t] + rho[n, t] * target
        total = total + value
    torch.testing.assert_close(surrogate(logp, sample), total / N)


def test_released_tmaml_pairs_each_trajectory_with_the_past_of_the_next():
    logp, sample = make_batch()
    sample = replace(sample, mask=torch.ones_like(sample.mask))
    rho = (logp - sample.behaviour_logp).exp()
    added = sum(
        0.9**t * (1 - rho[n + 1, :t].prod()) * rho[n, t] * sample.control_variate[n, t]
        for n in range(N - 1)
        for t in range(T)
    )
    torch.testing.assert_close(tmaml_released(logp, sample), dice(logp, sample) + added / N)


def test_per_action_tmaml_pairs_the_joint_past_with_one_dimension():
    logp, sample = make_batch(per_action=True)
    rho = (logp - sample.behaviour_logp).exp() * sample.mask[..., None] + 1 - sample.mask[..., None]
    joint = rho.prod(-1)
    added = sum(
        0.9**t * joint[n, :t].prod() * (1 - rho[n, t, i]) * sample.control_variate[n, t, i]
        for n in range(N)
        for t in range(T)
        for i in range(A)
    )
    rewards = sum(0.9**t * joint[n, : t + 1].prod() * sample.rewards[n, t] for n in range(N) for t in range(T))
    torch.testing.assert_close(tmaml_per_action(logp, sample), (rewards + added) / N)


def without_baseline(sample):
    return replace(sample, control_variate=torch.zeros_like(sample.control_variate))


@pytest.mark.parametrize(
    ("special", "general"),
    [
        (lvc, partial(loaded_dice, lam=0.0)),
        (lvc, partial(taypo, order=1)),
        (loaded_dice, partial(taypo, order=T)),
        (partial(taypo, order=T), partial(taypo, order=T + 3)),
        (tmaml, doubly_robust),
        (partial(truncated_dr, max_ratio=math.inf), doubly_robust),
    ],
)
def test_special_case_is_the_general_one_off_policy(special, general):
    logp, sample = make_batch(2)
    assert_same(jets(special, logp, sample), jets(general, logp, sample))


@pytest.mark.parametrize("general", [doubly_robust, tmaml, tmaml_printed, tmaml_released])
def test_without_baseline_it_is_dice(general):
    logp, sample = make_batch(2)
    assert_same(jets(general, logp, without_baseline(sample)), jets(dice, logp, sample))


def test_a_critic_that_is_the_baseline_changes_nothing():
    logp, sample = make_batch(2)
    critic = replace(sample, action_values=sample.control_variate, policy_values=sample.control_variate)
    for surrogate in (doubly_robust, truncated_dr):
        assert_same(jets(surrogate, logp, without_baseline(critic)), jets(surrogate, logp, sample))


def test_one_action_dimension_is_tmaml():
    logp, sample = make_batch(2)
    axis = replace(
        sample, behaviour_logp=sample.behaviour_logp[..., None], control_variate=sample.control_variate[..., None]
    )
    per_action = jets(lambda at, data: tmaml_per_action(at[..., None], data), logp, axis)
    assert_same(per_action, jets(tmaml, logp, sample))


def test_equal_baselines_per_dimension_are_the_first_order_of_one_baseline():
    logp, sample = make_batch(2, per_action=True)
    logp = sample.behaviour_logp.clone()
    equal = replace(sample, control_variate=sample.control_variate[..., :1].expand_as(sample.control_variate))
    joint = replace(equal, behaviour_logp=logp.sum(-1), control_variate=equal.control_variate[..., 0])
    gradient = torch.func.jacrev(tmaml_per_action)(logp, equal)
    expected = torch.func.jacrev(lambda at, data: tmaml(at.sum(-1), data))(logp, joint)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("drift", [0.0, 1e-12, -1e-12])
@pytest.mark.parametrize("max_ratio", [1.0, 2.0])
def test_a_tie_with_the_truncation_passes_the_whole_gradient(max_ratio, drift):
    _, sample = make_batch(2)
    logp = sample.behaviour_logp + drift + (math.log(max_ratio) if max_ratio > 1 else 0)
    truncated = jets(partial(truncated_dr, max_ratio=max_ratio), logp, sample)
    for a, b in zip(truncated, jets(doubly_robust, logp, sample), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_a_truncated_ratio_passes_no_gradient():
    _, sample = make_batch(2)
    first = torch.func.jacrev(truncated_dr)(sample.behaviour_logp + 0.1, sample)
    assert not first.any()
