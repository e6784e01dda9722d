from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_cases import in_float64, moved, sampled, small

from metarl_cli.config import OuterConfig
from metarl_cli.training.adaptation import adapt
from metarl_cli.training.build import OBJECTIVES
from metarl_cli.training.objectives import stage_kl

CLIP = 0.1


@pytest.fixture(scope="module")
def case():
    """Two adaptation steps away from where the data was sampled; three of the four trajectories end early."""
    trainer, state = small("inner.steps=2")
    theta, data = in_float64(trainer, state, sampled(trainer, state))
    mask = (torch.arange(5) < torch.tensor([5, 3, 1, 2])[:, None]).double()
    rounds = [
        replace(r, trajectories=replace(r.trajectories, mask=mask), sample=replace(r.sample, mask=mask))
        for r in data[0].rounds
    ]
    leaves = {name: value.requires_grad_() for name, value in moved(theta, 0.1).items()}
    return adapt(leaves, rounds, trainer.inner), rounds, torch.tensor([0.3, 0.9], dtype=torch.float64)


def steps(case):
    """(ρ, log π, Â, r) of every unmasked step of the last round, and the number of its step."""
    stages, rounds, _ = case
    sample, logp = rounds[-1].sample, stages[-1].logp.detach()
    rho = (logp - sample.behaviour_logp).exp()
    for n in range(4):
        for t in range(5):
            if sample.mask[n, t]:
                yield n, t, *(float(value[n, t]) for value in (rho, logp, sample.advantages, sample.rewards))


def value(name, case):
    return OBJECTIVES[name](OuterConfig(clip=CLIP))(*case).item()


def test_vpg_is_the_mean_of_log_pi_times_the_advantage(case):
    expected = np.mean([logp * advantage for _, _, _, logp, advantage, _ in steps(case)])
    assert value("vpg", case) == pytest.approx(expected, rel=1e-12)


def test_ratio_is_the_mean_of_rho_times_the_advantage(case):
    expected = np.mean([rho * advantage for _, _, rho, _, advantage, _ in steps(case)])
    assert value("ratio", case) == pytest.approx(expected, rel=1e-12)


def test_clipped_is_promps_objective(case):
    """min(ρÂ, clip(ρ)Â), less the mean over the stages before the last of η_k D_KL: both bounds are met."""
    stages, rounds, eta = case
    terms = [min(rho * a, min(max(rho, 1 - CLIP), 1 + CLIP) * a) for _, _, rho, _, a, _ in steps(case)]
    plain = [rho * a for _, _, rho, _, a, _ in steps(case)]
    assert {np.sign(a) for term, full, (*_, a, _) in zip(terms, plain, steps(case), strict=True) if term != full} == {
        -1,
        1,
    }
    kl = stage_kl(stages, rounds)
    assert kl.shape == (3,)
    penalty = (eta[0] * kl[0] + eta[1] * kl[1]).item() / 2.0
    assert penalty > 0.01
    assert value("clipped", case) == pytest.approx(np.mean(terms) - penalty, rel=1e-12)


def test_dice_is_the_sum_of_rewards_weighted_with_the_ratios_so_far_per_step(case):
    total, products = 0.0, {}
    for n, _, rho, _, _, reward in steps(case):
        products[n] = products.get(n, 1.0) * rho
        total += products[n] * reward
    assert value("dice", case) == pytest.approx(total / 11, rel=1e-12)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_only_the_clipped_objective_looks_at_the_penalty(case, name):
    stages, rounds, eta = case
    other = OBJECTIVES[name](OuterConfig(clip=CLIP))(stages, rounds, 2.0 * eta).item()
    assert (other != value(name, case)) == (name == "clipped")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_clip_is_the_settings(case, name):
    other = OBJECTIVES[name](OuterConfig(clip=0.2))(*case).item()
    assert (other != value(name, case)) == (name == "clipped")
