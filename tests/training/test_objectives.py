from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_cases import adapt, in_float64, moved, sampled, small

from metarl_cli.config import OuterConfig
from metarl_cli.estimators import lvc
from metarl_cli.params import leaves
from metarl_cli.training.adaptation import Inner
from metarl_cli.training.build import OBJECTIVES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.meta_gradient import Parts, TaskData, objective
from metarl_cli.training.objectives import Penalty, clipped_surrogate, stage_kl

CLIP = 0.1


@pytest.fixture(scope="module")
def case():
    """Two adaptation steps away from where the data was sampled; three of the four trajectories end early."""
    trainer, state = small("inner.steps=2")
    theta, data = in_float64(trainer, state, sampled(trainer, state))
    mask = (torch.arange(5) < torch.tensor([5, 3, 1, 2])[:, None]).double()[None]
    rounds = [
        replace(r, trajectories=replace(r.trajectories, mask=mask), sample=replace(r.sample, mask=mask))
        for r in data[0].rounds
    ]
    return adapt(leaves(moved(theta, 0.1)), rounds, trainer.parts.inner), rounds


def steps(case):
    """(ρ, log π, Â, r) of every unmasked step of the last round, and the number of its step."""
    stages, rounds = case
    sample, logp = rounds[-1].sample, stages[-1].logp.detach()
    rho = (logp - sample.behaviour_logp).exp()
    for n in range(4):
        for t in range(5):
            if sample.mask[0, n, t]:
                yield n, t, *(float(value[0, n, t]) for value in (rho, logp, sample.advantages, sample.rewards))


def value(name, case, *, clip=CLIP):
    stages, rounds = case
    return OBJECTIVES[name](OuterConfig(clip=clip)).value(stages[-1], rounds[-1]).item()


def test_vpg_is_the_mean_of_log_pi_times_the_advantage(case):
    expected = np.mean([logp * advantage for _, _, _, logp, advantage, _ in steps(case)])
    assert value("vpg", case) == pytest.approx(expected, rel=1e-12)


def test_ratio_is_the_mean_of_rho_times_the_advantage(case):
    expected = np.mean([rho * advantage for _, _, rho, _, advantage, _ in steps(case)])
    assert value("ratio", case) == pytest.approx(expected, rel=1e-12)


def test_clipped_is_the_mean_of_the_smaller_of_two_surrogates(case):
    """min(ρÂ, clip(ρ)Â): both bounds are met."""
    terms = [min(rho * a, min(max(rho, 1 - CLIP), 1 + CLIP) * a) for _, _, rho, _, a, _ in steps(case)]
    plain = [rho * a for _, _, rho, _, a, _ in steps(case)]
    assert {np.sign(a) for term, full, (*_, a, _) in zip(terms, plain, steps(case), strict=True) if term != full} == {
        -1,
        1,
    }
    assert value("clipped", case) == pytest.approx(np.mean(terms), rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_only_promp_pays_for_the_divergences_of_the_stages_before_the_last(case, name):
    stages, rounds = case
    eta = torch.tensor([0.3, 0.9], dtype=torch.float64)
    kl = [divergence.item() for divergence in stage_kl(stages, rounds)]
    penalty = (eta[0].item() * kl[0] + eta[1].item() * kl[1]) / 2.0 if name == "clipped" else 0.0
    parts = Parts(
        inner=Inner(surrogate=lvc, lr=0.1),
        exploration=EXPLORATIONS["none"],
        objective=OBJECTIVES[name](OuterConfig(clip=CLIP)),
    )
    task = TaskData(rounds, torch.zeros(()), {"coefficient": eta})
    total, asked = objective(stages, task, parts)
    assert total.item() == pytest.approx(value(name, case) - penalty, rel=1e-12)
    assert [divergence.item() for divergence in asked] == (kl[:2] if name == "clipped" else [])
    assert name != "clipped" or penalty > 0.01


def test_dice_is_the_sum_of_rewards_weighted_with_the_ratios_so_far_per_step(case):
    total, products = 0.0, {}
    for n, _, rho, _, _, reward in steps(case):
        products[n] = products.get(n, 1.0) * rho
        total += products[n] * reward
    assert value("dice", case) == pytest.approx(total / 11, rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_clip_is_the_settings(case, name):
    other = value(name, case, clip=0.2)
    assert (other != value(name, case)) == (name == "clipped")


def test_the_clipped_surrogate_is_an_array_function():
    ratio, advantages = torch.tensor([0.5, 0.5, 1.0, 1.5, 1.5]), torch.tensor([1.0, -1.0, 2.0, 1.0, -1.0])
    terms = clipped_surrogate(ratio, advantages, epsilon=0.25)
    assert terms.tolist() == [0.5, -0.75, 2.0, 1.25, -1.5]
    assert clipped_surrogate(ratio.reshape(5, 1), advantages.reshape(5, 1), epsilon=0.25).shape == (5, 1)


def test_the_clipped_surrogate_has_the_gradient_of_the_ratio_where_that_is_one():
    ratio = torch.ones(3, requires_grad=True)
    advantages = torch.tensor([1.0, -2.0, 0.5])
    (gradient,) = torch.autograd.grad(clipped_surrogate(ratio, advantages, epsilon=0.1).sum(), ratio)
    assert torch.equal(gradient, advantages)


def test_the_penalty_is_a_mean_over_stages():
    state = {"coefficient": torch.tensor([0.5, 0.25])}
    assert Penalty(coefficient=0.5).cost(state, torch.tensor([1.0, 4.0])).item() == 0.75


@pytest.mark.parametrize(
    ("kl", "factors"),
    [
        ((0.0, 0.0), (0.5, 0.5)),
        ((0.0066, 0.0068), (0.5, 1.0)),
        ((0.0149, 0.0151), (1.0, 2.0)),
        ((0.01, 9.0), (1.0, 2.0)),
    ],
)
def test_the_penalty_follows_its_target(kl, factors):
    """Halved below target/1.5, doubled above 1.5·target: each stage by itself."""
    penalty = Penalty(coefficient=0.001, target=0.01)
    (adjusted,) = penalty.update(penalty.init(2), kl).values()
    torch.testing.assert_close(adjusted, 0.001 * torch.tensor(factors))


def test_without_a_target_the_penalty_stays():
    penalty = Penalty(coefficient=0.001)
    state = penalty.init(3)
    assert penalty.update(state, [9.0, 9.0, 9.0]) is state
