from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from metarl_cli.training.returns import discounted_returns, generalised_advantages, normalise

SHAPE = (2, 3, 7)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask():
    """Episodes of 7, 4, 1 steps; 2, 7, 7 steps."""
    lengths = torch.tensor([[7, 4, 1], [2, 7, 7]])
    return (torch.arange(7) < lengths[..., None]).double()


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99, 1.0])
def test_returns_against_a_linear_filter(discount):
    rewards = draw(*SHAPE)
    expected = lfilter([1.0], [1.0, -discount], rewards.numpy()[..., ::-1], axis=-1)[..., ::-1]
    np.testing.assert_allclose(discounted_returns(rewards, discount), expected, rtol=1e-12)


def test_returns_by_hand():
    """1 + ½·(2 + ½·4) = 3."""
    assert discounted_returns(torch.tensor([1.0, 2.0, 4.0]), 0.5).tolist() == [3.0, 4.0, 4.0]


@pytest.mark.parametrize("discount", [0.9, 1.0])
def test_gae_at_lambda_one_is_the_return_less_the_baseline(discount):
    rewards, values = draw(*SHAPE) * mask(), draw(*SHAPE, seed=1) * mask()
    advantages = generalised_advantages(rewards, values, discount, 1.0)
    torch.testing.assert_close(advantages, discounted_returns(rewards, discount) - values)


def test_gae_at_lambda_zero_is_the_temporal_difference():
    rewards, values = draw(*SHAPE), draw(*SHAPE, seed=1)
    following = torch.cat([values[..., 1:], torch.zeros(2, 3, 1, dtype=values.dtype)], dim=-1)
    advantages = generalised_advantages(rewards, values, 0.9, 0.0)
    torch.testing.assert_close(advantages, rewards + 0.9 * following - values)


def test_gae_is_its_defining_sum():
    rewards, values, discount, lambda_ = draw(6), draw(6, seed=1), 0.9, 0.7
    padded = torch.cat([values, torch.zeros(1, dtype=values.dtype)])
    delta = rewards + discount * padded[1:] - padded[:-1]
    expected = [sum((discount * lambda_) ** k * delta[t + k] for k in range(6 - t)) for t in range(6)]
    torch.testing.assert_close(generalised_advantages(rewards, values, discount, lambda_), torch.stack(expected))


def test_after_the_end_there_is_nothing():
    rewards, values = draw(*SHAPE) * mask(), draw(*SHAPE, seed=1) * mask()
    assert not (generalised_advantages(rewards, values, 0.9, 0.8) * (1 - mask())).any()


def test_normalised_values_have_mean_zero_and_deviation_one_over_the_unmasked_steps():
    values = 5.0 + 3.0 * draw(*SHAPE)
    normalised, scale = normalise(values, mask())
    for m in range(2):
        alive = mask()[m] > 0
        data, result = values[m][alive].numpy(), normalised[m][alive].numpy()
        np.testing.assert_allclose(result, (data - data.mean()) / (data.std() + 1e-8), rtol=1e-12)
        assert scale[m].item() == pytest.approx(data.std() + 1e-8, rel=1e-12)
        assert not normalised[m][~alive].any()


def test_masked_values_are_not_looked_at():
    values, noise = draw(*SHAPE), 1e6 * draw(*SHAPE, seed=2) * (1 - mask())
    for one, other in zip(normalise(values, mask()), normalise(values + noise, mask()), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0.0)


def test_equal_values_stay_finite():
    normalised, scale = normalise(torch.full((2, 3), 4.0), torch.ones(2, 3))
    assert not normalised.any()
    assert scale.item() == pytest.approx(1e-8)
