from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_cases import adapt, at_params, in_float64, moved, sampled, small

from metarl_cli.params import leaves
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.meta_gradient import objective

GAMMA = 0.99


@pytest.fixture(scope="module")
def case():
    trainer, state = small("inner.steps=2", "sampling.tasks=3", "environment.name=Navigation")
    rounds = sampled(trainer, state)
    theta, data = in_float64(trainer, state, rounds)
    return trainer, state, rounds, theta, data


def cut_short(rounds):
    """The same rounds, with trajectories that end after 2 and after 1 steps."""
    mask = torch.ones_like(rounds[0].sample.mask)
    mask[:, 1, 2:], mask[:, 2, 1:] = 0.0, 0.0
    return [
        replace(
            r,
            trajectories=replace(r.trajectories, mask=mask, rewards=r.trajectories.rewards * mask),
            sample=replace(r.sample, mask=mask),
        )
        for r in rounds
    ]


@pytest.mark.parametrize("name", ["emaml", "emaml_sum"])
def test_emamls_credit_is_the_mean_standardised_reward_of_the_adapted_policy(case, name):
    rounds = cut_short(case[2])
    rewards, mask = rounds[-1].trajectories.rewards, rounds[-1].sample.mask
    alive = rewards[mask > 0]
    expected = [((rewards[m][mask[m] > 0] - alive.mean()) / (alive.std(correction=0) + 1e-8)).mean() for m in range(3)]
    torch.testing.assert_close(EXPLORATIONS[name].credit(rounds, GAMMA), torch.stack(expected))


def returns_in_units(rounds):
    gammas = GAMMA ** torch.arange(5, dtype=torch.float32)
    return (rounds[-1].trajectories.rewards * gammas).sum(-1).mean(-1) / rounds[-1].scale


def test_sgmrls_credit_is_the_return_of_the_adapted_policy(case):
    rounds = cut_short(case[2])
    torch.testing.assert_close(EXPLORATIONS["sgmrl_paper"].credit(rounds, GAMMA), returns_in_units(rounds))


def test_leave_one_out_compares_with_the_other_tasks(case):
    rounds = cut_short(case[2])
    r = returns_in_units(rounds)
    expected = torch.stack([r[0] - (r[1] + r[2]) / 2, r[1] - (r[0] + r[2]) / 2, r[2] - (r[0] + r[1]) / 2])
    torch.testing.assert_close(EXPLORATIONS["sgmrl_loo"].credit(rounds, GAMMA), expected)
    assert EXPLORATIONS["sgmrl_loo"].credit(rounds, GAMMA).sum().abs() < 1e-4


def test_no_exploration_is_no_credit(case):
    assert EXPLORATIONS["none"].credit(case[2], GAMMA).tolist() == [0.0, 0.0, 0.0]


def scores(case, name):
    trainer, _, rounds, theta, data = case
    task = cut_short(rounds)[0].sample.mask[:1].double()
    shortened = [
        replace(r, trajectories=replace(r.trajectories, mask=task), sample=replace(r.sample, mask=task))
        for r in data[0].rounds
    ]
    stages = adapt(leaves(moved(theta, 0.05)), shortened, trainer.parts.inner)
    return EXPLORATIONS[name].score(stages, shortened).item(), stages, task


def test_scores_by_hand(case):
    """Means over steps; sums over N trajectories in units of their mean length; a plain sum. First or every stage."""
    _, stages, mask = scores(case, "none")
    totals = [(stage.logp * mask).sum().item() for stage in stages]
    count, n = float(mask.sum()), 4
    expected = {
        "none": 0.0,
        "emaml": totals[0] / count,
        "emaml_sum": totals[0] / count * n,
        "sgmrl_loo": (totals[0] + totals[1]) / count * n,
        "sgmrl_paper": (totals[0] + totals[1]) / count * n,
        "sgmrl_released": totals[0],
    }
    assert set(expected) == set(EXPLORATIONS)
    for name, value in expected.items():
        assert scores(case, name)[0] == pytest.approx(value, rel=1e-12)


def test_the_term_is_added_to_the_objective_with_the_credit_as_its_weight(case):
    trainer, state, rounds, _, _ = case
    for name, exploration in EXPLORATIONS.items():
        explored = replace(trainer, parts=replace(trainer.parts, exploration=exploration))
        credit = exploration.credit(rounds, trainer.processing.discount)
        plain, added = (t.task_data(state, rounds) for t in (trainer, explored))
        for m in range(3):
            assert float(added[m].credit) == float(credit[m])
            stage = at_params(state.theta, added[m].rounds[0])
            stages = adapt(leaves(state.theta), added[m].rounds, trainer.parts.inner)
            torch.testing.assert_close(stages[0].logp, stage.logp)
            with_term, _ = objective(stages, added[m], explored.parts)
            without, _ = objective(stages, plain[m], trainer.parts)
            expected = credit[m].item() * exploration.score(stages, added[m].rounds).item()
            assert (with_term - without).item() == pytest.approx(expected, rel=1e-4, abs=1e-6), name
