"""The exact study: rows against brute force, and a user's own surrogate."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from metarl_cli.errors import UserError
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.exact import estimates as exact
from metarl_cli.exact.derivatives import derivatives
from metarl_cli.exact.enumeration import action_logp, enumerate_trajectories, probabilities, tabular_sample
from metarl_cli.exact.estimates import COLUMNS, exact_rows, left_out
from metarl_cli.exact.oracles import gradient, gradient_of, hessian
from metarl_cli.exact.problem import EXAMPLE, parse_problem

PROBLEM = parse_problem(EXAMPLE)
ON_POLICY = replace(PROBLEM, behaviour_logits=None)
SINGLE = [name for name, estimator in ESTIMATORS.items() if not estimator.per_action and not estimator.pairs]


def batches(size, behaviour):
    states, actions = enumerate_trajectories(PROBLEM.mdp)
    index = torch.cartesian_prod(*[torch.arange(len(states))] * size).reshape(-1, size)
    weights = probabilities(behaviour, PROBLEM.mdp, states, actions)[index].prod(-1)
    states, actions = states[index], actions[index]
    logp = action_logp(behaviour, states, actions)
    return states, actions, weights, tabular_sample(PROBLEM.mdp, states, actions, logp, PROBLEM.baseline)


def brute_force(name, behaviour):
    """Gradients [B, D], Hessians [B, D, D] and weights of all batches, by differentiating each surrogate in θ."""
    states, actions, weights, sample = batches(2 if ESTIMATORS[name].pairs else 1, behaviour)
    rows = torch.arange(len(states))[:, None, None]
    copies = PROBLEM.policy_logits.expand(len(states), 2, 2)

    def first(x):
        return gradient_of(lambda y: ESTIMATORS[name].surrogate(y.log_softmax(-1)[rows, states, actions], sample), x)

    cells = [(0, 0), (0, 1), (1, 0), (1, 1)]
    second = [gradient_of(lambda x, s=s, a=a: first(x)[:, s, a], copies).flatten(1) for s, a in cells]
    return (first(copies).flatten(1), torch.stack(second, dim=1)), weights


@pytest.mark.parametrize("behaviour", [PROBLEM.policy_logits, PROBLEM.behaviour_logits], ids=["on", "off"])
@pytest.mark.parametrize("name", SINGLE)
def test_derivatives_are_those_of_each_trajectory(name, behaviour):
    states, actions, _, sample = batches(1, behaviour)
    actual = derivatives(ESTIMATORS[name].surrogate, PROBLEM.policy_logits, states, actions, sample)
    for a, b in zip(actual, brute_force(name, behaviour)[0], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [*SINGLE, "tmaml_released"])
def test_rows_are_bias_and_variance_over_all_trajectories(name):
    rows = iter(exact_rows(PROBLEM, [name]))
    truths = gradient(PROBLEM.policy_logits, PROBLEM.mdp), hessian(PROBLEM.policy_logits, PROBLEM.mdp)
    for policy, behaviour in (("on", PROBLEM.policy_logits), ("off", PROBLEM.behaviour_logits)):
        estimates, weights = brute_force(name, behaviour)
        for order, (estimate, truth) in enumerate(zip(estimates, truths, strict=True), start=1):
            flat, row = estimate.flatten(1), next(rows)
            mean = weights @ flat
            bias = mean - truth.flatten()
            variance = (weights * (flat - mean).square().sum(-1)).sum() * (2 if ESTIMATORS[name].pairs else 1)
            assert tuple(row) == COLUMNS
            assert (row["estimator"], row["policy"], row["order"]) == (name, policy, order)
            assert row["bias_max_abs"] == pytest.approx(bias.abs().max().item(), abs=1e-12)
            relative = (bias.norm() / truth.norm()).item()
            assert row["bias_relative_frobenius"] == pytest.approx(relative, abs=1e-12)
            assert row["variance"] == pytest.approx(variance.item(), rel=1e-10)


def test_bias_is_what_the_registry_says():
    for row in exact_rows(PROBLEM, ESTIMATORS):
        estimator = ESTIMATORS[row["estimator"]]
        claims = {
            ("on", 1): "exact",
            ("on", 2): estimator.on_policy_hessian,
            ("off", 1): estimator.off_policy_gradient,
            ("off", 2): estimator.off_policy_hessian,
        }
        assert (row["bias_max_abs"] < 1e-10) == (claims[row["policy"], row["order"]] == "exact"), row


def test_one_action_dimension_gives_the_rows_of_tmaml():
    ours, theirs = exact_rows(PROBLEM, ["tmaml_per_action"]), exact_rows(PROBLEM, ["tmaml"])
    for a, b in zip(ours, theirs, strict=True):
        assert a["variance"] == pytest.approx(b["variance"], rel=1e-10)


def test_without_behaviour_there_are_no_off_policy_rows():
    assert exact_rows(ON_POLICY, ["dice"]) == [r for r in exact_rows(PROBLEM, ["dice"]) if r["policy"] == "on"]


def test_chunks_do_not_change_the_rows(monkeypatch):
    whole = exact_rows(PROBLEM, ["taypo2", "tmaml_released"])
    monkeypatch.setattr(exact, "_CHUNK_NUMBERS", 3000)
    for a, b in zip(exact_rows(PROBLEM, ["taypo2", "tmaml_released"]), whole, strict=True):
        assert a["variance"] == pytest.approx(b["variance"], rel=1e-10)
        assert a["bias_max_abs"] == pytest.approx(b["bias_max_abs"], abs=1e-12)


def test_pairs_of_too_many_trajectories_are_left_out_with_the_reason():
    long = parse_problem({**EXAMPLE, "horizon": 6})
    assert left_out(PROBLEM, ESTIMATORS) == {}
    assert left_out(long, ["dice", "tmaml_released"]) == {
        "tmaml_released": "it couples two trajectories: 4,194,304 pairs, at most 100,000 are enumerated"
    }
    assert {row["estimator"] for row in exact_rows(long, ["dice", "tmaml_released"])} == {"dice"}


def test_relative_bias_is_undefined_where_the_truth_is_zero():
    nothing = parse_problem({**EXAMPLE, "rewards": [[0, 0], [0, 0]]})
    rows = exact_rows(nothing, ["tmaml_printed"])
    assert [row["bias_relative_frobenius"] for row in rows] == [None] * 4
    assert rows[1]["bias_max_abs"] > 0.1


def test_overflowing_ratios_are_a_mistake_of_the_problem():
    far = parse_problem({**EXAMPLE, "behaviour_logits": [[900, 0], [900, 0]], "policy_logits": [[0, 900], [0, 900]]})
    with pytest.raises(UserError, match="dice: the off-policy estimate is not finite"):
        exact_rows(far, ["dice"])


def test_the_largest_numbers_that_a_file_may_hold_do_not_overflow():
    large = {"rewards": [[1e100, -1e100], [1e100, 0]], "baseline": [1e100, -1e100]}
    rows = exact_rows(parse_problem({**EXAMPLE, **large, "policy_logits": [[1e100, 0], [-3, 0]]}), ESTIMATORS)
    assert {row["estimator"] for row in rows} == set(ESTIMATORS)
    with pytest.raises(UserError, match=r"reinforce: the on-policy estimate is not finite. All ratios are 1 there"):
        exact_rows(replace(PROBLEM, baseline=torch.full_like(PROBLEM.baseline, math.inf)), ["reinforce"])


def test_an_mdp_of_300_states_needs_no_more_than_its_hessian():
    fields = {
        "transitions": [[[1.0] + [0.0] * 299, [0.5, 0.5] + [0.0] * 298]] * 300,
        "rewards": [[1.0, float(s)] for s in range(300)],
        "policy_logits": [[0.1, 0.0]] * 300,
        "start_state": 0,
        "horizon": 2,
        "discount": 0.9,
    }
    rows = exact_rows(parse_problem(fields), ["dice"])
    assert [row["bias_max_abs"] < 1e-12 for row in rows] == [True, True]


def test_unknown_estimators_are_named():
    with pytest.raises(UserError, match=r"Unknown estimator 'dcie'. Did you mean 'dice'\?"):
        exact_rows(PROBLEM, ["dcie"])


def test_the_bias_of_too_many_pairs_is_refused():
    with pytest.raises(UserError, match="cannot be enumerated: it couples two trajectories: 4,194,304 pairs"):
        exact.bias("tmaml_released", parse_problem({**EXAMPLE, "horizon": 6}))
