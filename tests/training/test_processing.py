from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_cases import double, sampled, small

from metarl_cli.training import policies
from metarl_cli.training.baselines import linear_features, ridge_predictions, time_features
from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.cross_fitting import fit_quality
from metarl_cli.training.processing import REWARD_SCALINGS, Processing, prediction_quality, process
from metarl_cli.training.returns import discounted_returns
from metarl_cli.types import Gaussian, Trajectories

M, N, T, S, A = 2, 4, 6, 3, 2
GAMMA = 0.9


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def trajectories(lengths=((6, 3, 6, 1), (6, 6, 6, 6))):
    mask = (torch.arange(T) < torch.tensor(lengths)[..., None]).double()
    behaviour = Gaussian(draw(M, N, T, A, seed=1), draw(M, 1, 1, A, seed=2))
    actions = draw(M, N, T, A, seed=3)
    return Trajectories(
        observations=draw(M, N, T, S, seed=4),
        actions=actions,
        rewards=draw(M, N, T, seed=5) * mask,
        mask=mask,
        behaviour=behaviour,
        behaviour_logp=policies.log_prob(behaviour, actions),
    )


def processing(rewards="controlled", variate="none", gae_lambda=1.0):
    return Processing(
        discount=GAMMA,
        gae_lambda=gae_lambda,
        scaling=REWARD_SCALINGS[rewards],
        control_variate=CONTROL_VARIATES[variate],
    )


def learned(variate):
    return double(CONTROL_VARIATES[variate].init(torch.Generator().manual_seed(7), S))


def processed(data, **settings):
    return process(data, processing(**settings), learned(settings.get("variate", "none")))


@pytest.mark.parametrize("gae_lambda", [1.0, 0.7])
def test_advantages_are_normalised_gae_on_the_linear_baseline(gae_lambda):
    data = trajectories()
    round_ = processed(data, gae_lambda=gae_lambda)
    returns = discounted_returns(data.rewards, GAMMA)
    values = ridge_predictions(linear_features(data.observations), returns, data.mask).numpy()
    for m in range(M):
        advantages = np.zeros((N, T))
        for n in range(N):
            following = 0.0
            for t in reversed(range(T)):
                next_value = values[m, n, t + 1] if t + 1 < T else 0.0
                following = (
                    data.rewards[m, n, t] + GAMMA * next_value - values[m, n, t] + GAMMA * gae_lambda * following
                )
                advantages[n, t] = following
        alive = data.mask[m].numpy() > 0
        scale = advantages[alive].std() + 1e-8
        expected = np.where(alive, (advantages - advantages[alive].mean()) / scale, 0.0)
        np.testing.assert_allclose(round_.sample.advantages[m], expected, rtol=1e-9, atol=1e-12)
        assert round_.scale[m].item() == pytest.approx(scale)


def controlled_scale(data, variate):
    """s of each task: what multiplies the scores, Gₜ − bₜ of the unmasked steps, has mean square 1 in units of it."""
    returns, raw = raw_variate(data, variate)
    residuals = (returns[..., None] if raw.dim() == 4 else returns) - raw
    return torch.stack([(residuals[m][data.mask[m] > 0] ** 2).mean().sqrt() + 1e-8 for m in range(M)])


def raw_variate(data, variate):
    returns = discounted_returns(data.rewards, GAMMA)
    return returns, CONTROL_VARIATES[variate].predict(learned(variate), data, returns)


@pytest.mark.parametrize("variate", CONTROL_VARIATES)
def test_controlled_rewards_and_control_variates_are_discounted_and_have_one_unit(variate):
    data = trajectories()
    _, raw = raw_variate(data, variate)
    sample, scale = processed(data, variate=variate).sample, controlled_scale(data, variate)
    assert sample.control_variate.shape == raw.shape
    assert raw.shape == ((M, N, T, A) if CONTROL_VARIATES[variate].per_action else (M, N, T))
    assert (raw.abs().max() > 1e-3) == (variate != "none")
    for m in range(M):
        for t in range(T):
            torch.testing.assert_close(sample.rewards[m, :, t], GAMMA**t * data.rewards[m, :, t] / scale[m])
            torch.testing.assert_close(sample.control_variate[m, :, t], GAMMA**t * raw[m, :, t] / scale[m])


def test_released_rewards_are_whitened_over_all_cells_less_a_time_baseline():
    data = trajectories()
    discounted = data.rewards * GAMMA ** torch.arange(T, dtype=torch.float64)
    adjusted = discounted - ridge_predictions(time_features(discounted), discounted, data.mask)
    mean, std = adjusted.mean((1, 2), keepdim=True), adjusted.std((1, 2), keepdim=True, correction=0)
    expected = (adjusted - mean) / (std + 1e-8) * data.mask
    torch.testing.assert_close(processed(data, rewards="released").sample.rewards, expected)


@pytest.mark.parametrize("variate", CONTROL_VARIATES)
def test_behaviour_log_probabilities_are_per_action_where_the_control_variate_is(variate):
    data = trajectories()
    sample = processed(data, variate=variate).sample
    if CONTROL_VARIATES[variate].per_action:
        torch.testing.assert_close(sample.behaviour_logp.sum(-1), data.behaviour_logp)
    else:
        assert torch.equal(sample.behaviour_logp, data.behaviour_logp)


@pytest.mark.parametrize("rewards", REWARD_SCALINGS)
@pytest.mark.parametrize("variate", CONTROL_VARIATES)
def test_what_stands_after_the_end_changes_nothing(variate, rewards):
    data = trajectories()
    hidden = (1.0 - data.mask)[..., None]
    other = replace(data, observations=data.observations + 9.0 * hidden, actions=data.actions - 2.0 * hidden)
    one, two = (processed(d, variate=variate, rewards=rewards) for d in (data, other))
    for name in ("rewards", "advantages", "control_variate"):
        mask = data.mask[..., None] if getattr(one.sample, name).dim() == 4 else data.mask
        torch.testing.assert_close(
            getattr(one.sample, name) * mask, getattr(two.sample, name) * mask, rtol=1e-9, atol=1e-11
        )
        if name != "control_variate":
            assert not (getattr(one.sample, name) * (1.0 - mask)).any()


@pytest.mark.parametrize("variate", CONTROL_VARIATES)
def test_tasks_are_processed_by_themselves(variate):
    data = trajectories()
    both = processed(data, variate=variate)
    alone = processed(of_tasks(data, slice(1, 2)), variate=variate)
    for name in ("rewards", "advantages", "control_variate"):
        torch.testing.assert_close(getattr(both.sample, name)[1:], getattr(alone.sample, name), rtol=1e-9, atol=1e-11)


def of_tasks(data, tasks):
    behaviour = Gaussian(data.behaviour.mean[tasks], data.behaviour.log_std[tasks])
    names = ("observations", "actions", "rewards", "mask", "behaviour_logp")
    return replace(data, behaviour=behaviour, **{name: getattr(data, name)[tasks] for name in names})


@pytest.mark.parametrize("rewards", REWARD_SCALINGS)
def test_processing_leaves_the_trajectories_as_they_are(rewards):
    data = trajectories()
    before = [value.clone() for value in (data.observations, data.actions, data.rewards, data.mask)]
    round_ = processed(data, variate="linear", rewards=rewards)
    assert round_.trajectories is data
    for value, old in zip((data.observations, data.actions, data.rewards, data.mask), before, strict=True):
        assert torch.equal(value, old)


@pytest.mark.parametrize("rewards", REWARD_SCALINGS)
@pytest.mark.parametrize("variate", CONTROL_VARIATES)
def test_tasks_that_never_pay_stay_finite(variate, rewards):
    """PointMomentum pays nothing in its first steps."""
    settings = (f"inner.control_variate={variate}", f"inner.rewards={rewards}", "environment.name=PointMomentum")
    estimator = "dice" if variate == "none" else "tmaml"  # which see the rewards
    trainer, state = small(f"inner.estimator={estimator}", *settings)
    rounds = sampled(trainer, state)
    assert not rounds[0].trajectories.rewards.any()
    following, (_, after) = trainer.step(state, rounds)
    assert all(bool(torch.isfinite(value).all()) for value in following.theta.values())
    assert np.isfinite([after.objective, *after.kl]).all()


@pytest.mark.parametrize("variate", ["linear", "per-task"])
def test_prediction_quality_is_that_of_every_stage_that_is_adapted_on(variate):
    data = trajectories()
    flipped = replace(data, rewards=data.rewards.flip(1) * data.mask)
    rounds = [processed(each, variate=variate) for each in (data, flipped, data)]
    found = prediction_quality(rounds)
    assert len(found) == 2
    for quality, each in zip(found, (data, flipped), strict=True):
        returns, raw = raw_variate(each, variate)
        columns = raw.unbind(-1) if raw.dim() == 4 else [raw]
        losses = [fit_quality(column, returns, each.mask).loss for column in columns]
        assert quality.loss == pytest.approx(sum(losses) / len(losses))
    assert found[0].loss != pytest.approx(found[1].loss)
