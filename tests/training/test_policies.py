from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from metarl_cli.training import policies
from metarl_cli.types import Gaussian

SIZES = (3, 8, 5, 2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def params(seed=0, sizes=SIZES):
    made = policies.init(generator(seed), sizes, dtype=torch.float64)
    return {name: value + 0.3 * draw(*value.shape, seed=seed + 50) for name, value in made.items()}


def stacked(count):
    return {name: torch.stack([params(seed)[name] for seed in range(count)]) for name in params()}


def reference(policy):
    return Independent(Normal(policy.mean, policy.log_std.exp().expand_as(policy.mean)), 1)


def test_a_policy_is_a_tanh_network_with_a_linear_output():
    theta, observations = params(), draw(7, 3)
    hidden = torch.tanh(observations @ theta["hidden0.weight"].T + theta["hidden0.bias"])
    hidden = torch.tanh(hidden @ theta["hidden1.weight"].T + theta["hidden1.bias"])
    policy = policies.distribution(theta, observations)
    torch.testing.assert_close(policy.mean, hidden @ theta["mean.weight"].T + theta["mean.bias"])
    assert policy.log_std is theta["log_std"]


@pytest.mark.parametrize(
    ("sizes", "count"), [((17, 64, 64, 6), 5708), ((111, 64, 64, 8), 11856), ((376, 128, 128, 17), 66978)]
)
def test_the_papers_policies_have_the_papers_numbers_of_parameters(sizes, count):
    assert sum(map(torch.numel, policies.init(generator(), sizes).values())) == count


def test_fresh_parameters():
    theta = policies.init(generator(), (100, 200, 50))
    for name, (inputs, outputs) in {"hidden0": (100, 200), "mean": (200, 50)}.items():
        weight, limit = theta[f"{name}.weight"], math.sqrt(6.0 / (inputs + outputs))
        assert weight.shape == (outputs, inputs)
        assert 0.99 * limit < weight.abs().max() <= limit
        assert weight.mean().abs() < 0.02 * limit
        assert weight.std() == pytest.approx(limit / math.sqrt(3.0), rel=0.02)
        assert not theta[f"{name}.bias"].any()
    assert theta["log_std"].tolist() == [0.0] * 50
    again, other = policies.init(generator(), (100, 200, 50)), policies.init(generator(1), (100, 200, 50))
    assert all(torch.equal(theta[name], again[name]) for name in theta)
    assert not torch.equal(theta["mean.weight"], other["mean.weight"])


@pytest.mark.parametrize("shape", [(7,), (4, 5)])
def test_stacked_policies_equal_single_ones(shape):
    """Any dimensions of data for one policy; M policies for M batches."""
    count, observations, actions = 3, draw(3, *shape, 3, seed=1), draw(3, *shape, 2, seed=2)
    flat = policies.distribution(stacked(count), observations.reshape(count, -1, 3))
    logp = policies.log_prob(flat, actions.reshape(count, -1, 2)).reshape(count, *shape)
    for m in range(count):
        single = policies.distribution(params(m), observations[m])
        torch.testing.assert_close(flat.mean[m].reshape(*shape, 2), single.mean)
        torch.testing.assert_close(logp[m], policies.log_prob(single, actions[m]))


def test_stacked_policies_of_several_leading_dimensions():
    theta = {name: value.reshape(2, 3, *value.shape[1:]) for name, value in stacked(6).items()}
    observations = draw(2, 3, 7, 3)
    policy = policies.distribution(theta, observations)
    assert policy.mean.shape == (2, 3, 7, 2)
    assert policies.log_prob(policy, draw(2, 3, 7, 2)).shape == (2, 3, 7)
    torch.testing.assert_close(policy.mean[1, 2], policies.distribution(params(5), observations[1, 2]).mean)


def test_log_prob_against_torch():
    policy, actions = policies.distribution(params(), draw(4, 5, 3)), draw(4, 5, 2, seed=9)
    torch.testing.assert_close(policies.log_prob(policy, actions), reference(policy).log_prob(actions))
    per_action = reference(policy).base_dist.log_prob(actions)
    torch.testing.assert_close(policies.log_prob_per_action(policy, actions), per_action)


def test_kl_against_torch():
    observations = draw(4, 5, 3)
    old, new = (policies.distribution(params(seed), observations) for seed in (0, 1))
    expected = kl_divergence(reference(old), reference(new))
    torch.testing.assert_close(policies.kl_divergence(old, new), expected)
    assert not torch.allclose(expected, kl_divergence(reference(new), reference(old)), rtol=0.1)


def test_kl_is_zero_with_zero_gradient_only_at_itself():
    old = Gaussian(draw(6, 2), draw(2, seed=3))
    mean, log_std = old.mean.clone().requires_grad_(), old.log_std.clone().requires_grad_()
    divergence = policies.kl_divergence(old, Gaussian(mean, log_std)).sum()
    assert divergence.item() == pytest.approx(0.0, abs=1e-14)
    for gradient in torch.autograd.grad(divergence, [mean, log_std]):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-14, rtol=0.0)
    assert policies.kl_divergence(old, Gaussian(old.mean, old.log_std + 0.1)).min() > 0.0


def test_repeat_gives_every_task_the_same_without_a_copy():
    theta = params()
    repeated = policies.repeat(theta, 4)
    for name, value in theta.items():
        assert repeated[name].shape == (4, *value.shape)
        assert repeated[name].data_ptr() == value.data_ptr()
        assert torch.equal(repeated[name][3], value)


def test_every_parameter_is_reached():
    theta = {name: value.requires_grad_() for name, value in params().items()}
    logp = policies.log_prob(policies.distribution(theta, draw(9, 3)), draw(9, 2, seed=4))
    assert all(gradient.abs().min() > 0.0 for gradient in torch.autograd.grad(logp.sum(), list(theta.values())))
