"""How a surrogate over sums becomes a training objective over means, for every order of an expansion."""

from __future__ import annotations

import itertools
import math
from functools import partial

import pytest
import torch
from random_batches import LEAD, N, T, assert_same, jets, make_batch
from tabular_cases import HORIZON, assert_close, expected, first_and_second, make_case, score_and_curvature, weighted

from metarl_cli.estimators import ESTIMATORS, loaded_dice, lvc, per_step, per_subset, taypo, taypo2
from metarl_cli.estimators.taypo import taypo_orders
from metarl_cli.exact.enumeration import action_logp

PAIRS = HORIZON * (HORIZON - 1) / 2
TAYPO2_ORDERS = ESTIMATORS["taypo2"].orders


def mean_over_subsets(logp, sample, order, lam=1.0):
    """Σ_k of the mean over all k-subsets of steps of all trajectories, by listing them."""
    ratio, gammas = (logp - sample.behaviour_logp).exp(), sample.discount ** torch.arange(T, dtype=logp.dtype)
    value = 0.0
    for k in range(1, order + 1):
        terms = []
        for n in range(N):
            for steps in itertools.combinations(range(int(sample.mask[n].sum())), k):
                last, damping = steps[-1], lam ** (steps[-1] - steps[0])
                excess = torch.stack([ratio[n, t] - 1.0 for t in steps]).prod()
                terms.append(damping * gammas[last] * excess * sample.advantages[n, last])
        value = value + (torch.stack(terms).mean() if terms else 0.0)
    return value


@pytest.mark.parametrize("lam", [1.0, 0.6, 0.0])
@pytest.mark.parametrize("order", [1, 2, 3, T, T + 2])
def test_each_order_is_the_mean_over_its_subsets_of_steps(order, lam):
    logp, sample = make_batch()
    averaged = per_subset(partial(taypo_orders, order=order, lam=lam))
    assert_same(jets(averaged, logp, sample), jets(partial(mean_over_subsets, order=order, lam=lam), logp, sample))


def test_of_one_order_it_is_the_mean_over_steps():
    logp, sample = make_batch(*LEAD)
    assert_same([per_subset(partial(taypo_orders, order=1))(logp, sample)], [per_step(lvc)(logp, sample)])


@pytest.mark.parametrize("name", [name for name, estimator in ESTIMATORS.items() if not estimator.per_action])
def test_a_mean_over_steps_is_the_surrogate_over_the_steps_of_a_trajectory(name):
    logp, sample = make_batch()
    scale = N / sample.mask.sum()
    expected = [scale * part for part in jets(ESTIMATORS[name].surrogate, logp, sample)]
    assert_same(jets(per_step(ESTIMATORS[name].surrogate), logp, sample), expected)


@pytest.mark.parametrize("name", [name for name, estimator in ESTIMATORS.items() if estimator.orders])
def test_the_orders_add_up_to_the_surrogate(name):
    logp, sample = make_batch(*LEAD)
    for lam in (1.0, 0.3):
        total = sum(ESTIMATORS[name].orders(logp, sample, lam=lam))
        torch.testing.assert_close(total, ESTIMATORS[name].surrogate(logp, sample, lam=lam), rtol=1e-12, atol=1e-14)


def test_a_leading_dimension_changes_nothing():
    logp, sample = make_batch(*LEAD)
    whole = per_subset(TAYPO2_ORDERS)(logp, sample)
    for index in itertools.product(*map(range, LEAD)):
        part = type(sample)(
            **{name: getattr(sample, name)[index] for name in ("behaviour_logp", "rewards", "advantages")},
            control_variate=sample.control_variate[index],
            mask=sample.mask[index],
            discount=sample.discount,
        )
        torch.testing.assert_close(whole[index], per_subset(TAYPO2_ORDERS)(logp[index], part), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("index", range(5))
def test_the_hessian_of_the_averaged_objective_by_enumeration(index):
    """E[∇²J̄] = E[∇²J_LVC]/T + (cross terms)/(T(T−1)/2), exactly: a factor on the pairs would be seen here."""
    case = make_case(index, on_policy=True)
    sample = case.sample()
    averaged = per_subset(TAYPO2_ORDERS)

    def value(theta):
        logp = action_logp(theta, case.states, case.actions)[:, None]
        return (case.weights * averaged(logp, sample)).sum()

    gradient, hessian = first_and_second(value, case.logits)
    g, weight = score_and_curvature(case)[0], weighted(case, sample.advantages)
    cross = torch.einsum("pt,pti,ptj->ij", weight, g.cumsum(1) - g, g)
    single = expected(ESTIMATORS["lvc"], case)
    assert_close(gradient, single[0] / HORIZON)
    assert_close(hessian, single[1] / HORIZON + (cross + cross.T) / PAIRS)
    assert (cross + cross.T).abs().max() > 1e-3


def test_pairs_count_less_in_the_mean_by_half_the_steps_less_one():
    logp, sample = make_batch()
    full = type(sample)(
        behaviour_logp=sample.behaviour_logp,
        rewards=sample.rewards,
        advantages=sample.advantages,
        control_variate=sample.control_variate,
        mask=torch.ones_like(sample.mask),
        discount=sample.discount,
    )
    pairs_in_sum = per_step(taypo2)(logp, full) - per_step(lvc)(logp, full)
    pairs_in_mean = per_subset(TAYPO2_ORDERS)(logp, full) - per_step(lvc)(logp, full)
    torch.testing.assert_close(pairs_in_sum, pairs_in_mean * (math.comb(T, 2) / T), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("index", range(5))
def test_damped_pairs_have_the_hessian_of_loaded_dice(index, lam):
    case = make_case(index, on_policy=True)
    sample = case.sample()

    def hessian(surrogate):
        def value(theta):
            logp = action_logp(theta, case.states, case.actions)[:, None]
            return (case.weights * surrogate(logp, sample, lam=lam)).sum()

        return first_and_second(value, case.logits)[1]

    assert_close(hessian(taypo2), hessian(loaded_dice))


@pytest.mark.parametrize("lam", [-0.1, 1.1])
def test_a_damping_outside_the_unit_interval_is_refused(lam):
    with pytest.raises(ValueError, match="lam: expected"):
        taypo(*make_batch(), order=2, lam=lam)
