from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.cross_fitting import fit_quality
from metarl_cli.training.meta_learned import ClosedFormSettings, init_meta, meta_control_variate, update_meta
from metarl_cli.types import Gaussian, Trajectories

M, N, T, S = 3, 6, 5, 2
SETTINGS = ClosedFormSettings(ridge=0.3, outer_lr=0.05, repetitions=1)


def draw(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(seed=0):
    """Observations, returns and a mask that ends some episodes early."""
    mask = torch.ones(M, N, T, dtype=torch.float64)
    mask[:, ::2, 3:] = 0.0
    return draw(M, N, T, S, seed=seed), draw(M, N, T, seed=seed + 100), mask


def learned():
    params = init_meta(torch.Generator().manual_seed(0), S, (4, 3), dtype=torch.float64)
    return {**params, "mean.weight": draw(1, 3, seed=50), "mean.bias": draw(1, seed=51)}


def basis(params, inputs):
    for layer in ("hidden0", "hidden1"):
        inputs = torch.tanh(inputs @ params[f"{layer}.weight"].T + params[f"{layer}.bias"])
    return torch.cat([inputs, torch.ones(len(inputs), 1, dtype=inputs.dtype)], -1)


def one_half(params, data, task, fitted, new):
    """Squared error and prediction on one half of one task, from the other, written with loops and least squares."""
    observations, returns, mask = (value[task] for value in data)
    inputs = torch.cat([observations, torch.arange(T, dtype=torch.float64).expand(N, T)[..., None]], -1)
    seen = mask[fitted] > 0
    x, g = inputs[fitted][seen], returns[fitted][seen]
    centre, spread = x.mean(0), x.std(0, correction=0)
    location, scale = g.mean(), g.std(correction=0)
    prior = torch.cat([params["mean.weight"][0], params["mean.bias"]])
    rows, outcomes = basis(params, (x - centre) / spread), (g - location) / scale
    # Ridge towards the prior is least squares with one more row per weight.
    penalty = (SETTINGS.ridge * len(g)) ** 0.5
    augmented = torch.cat([rows, penalty * torch.eye(len(prior), dtype=torch.float64)])
    weights = torch.linalg.lstsq(augmented, torch.cat([outcomes, penalty * prior])[:, None]).solution[:, 0]
    standard = ((inputs[new] - centre) / spread).clamp(-5.0, 5.0).flatten(0, 1)
    values = (basis(params, standard) @ weights).reshape(returns[new].shape)
    errors = ((values - (returns[new] - location) / scale) ** 2)[mask[new] > 0]
    return errors.mean(), (location + scale * values) * mask[new]


FIRST, SECOND = slice(0, 3), slice(3, 6)


def test_predictions_are_ridge_regressions_around_the_learned_weights():
    state, data = learned(), batch()
    b = meta_control_variate(state, SETTINGS, *data)
    for task in range(M):
        torch.testing.assert_close(b[task, SECOND], one_half(state, data, task, FIRST, SECOND)[1], rtol=0, atol=1e-6)
        torch.testing.assert_close(b[task, FIRST], one_half(state, data, task, SECOND, FIRST)[1], rtol=0, atol=1e-6)


def test_an_update_descends_the_error_of_the_other_half():
    state, data = learned(), batch()
    leaves = {name: value.clone().requires_grad_() for name, value in state.items()}
    pairs = [(task, *halves) for task in range(M) for halves in ((FIRST, SECOND), (SECOND, FIRST))]
    loss = torch.stack([one_half(leaves, data, *pair)[0] for pair in pairs]).sum() / M
    gradients = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
    length = torch.cat([gradient.flatten() for gradient in gradients]).norm().clamp(min=1.0)
    updated = update_meta(state, SETTINGS, *data)
    for (name, value), gradient in zip(leaves.items(), gradients, strict=True):
        expected = (value - SETTINGS.outer_lr * gradient / length).detach()
        torch.testing.assert_close(updated[name], expected, rtol=0, atol=1e-7)


def test_repetitions_repeat_the_update():
    state, data = learned(), batch()
    twice = update_meta(update_meta(state, SETTINGS, *data), SETTINGS, *data)
    at_once = update_meta(state, replace(SETTINGS, repetitions=2), *data)
    assert torch.equal(twice["hidden0.weight"], at_once["hidden0.weight"])
    assert not torch.equal(twice["hidden0.weight"], state["hidden0.weight"])


# What it is for


def two_directions(seed, tasks=10):
    """Walkers whose tasks reward ±(what they do), as in the forward/backward tasks: opposite values of one state."""
    rng = np.random.default_rng(seed)
    signs = np.where(rng.random((tasks, 1, 1)) < 0.5, -1.0, 1.0)
    observations = rng.normal(size=(tasks, 10, 30, 3))
    shape = np.tanh(2.0 * observations[..., 0] * observations[..., 1]) + np.abs(observations[..., 2])
    returns = signs * shape * np.arange(30, 0, -1) / 10.0 + 0.3 * rng.normal(size=shape.shape)
    tensors = [torch.from_numpy(part).float() for part in (observations, returns)]
    return (*tensors, torch.ones(tasks, 10, 30))


def explained(name, state, data):
    observations, returns, mask = data
    policy = Gaussian(torch.zeros(*mask.shape, 1), torch.zeros(len(mask), 1, 1, 1))
    trajectories = Trajectories(
        observations=observations,
        actions=policy.mean,
        rewards=returns,
        mask=mask,
        behaviour=policy,
        behaviour_logp=mask,
    )
    variate = CONTROL_VARIATES[name]
    quality = fit_quality(variate.predict(state, trajectories, returns), returns, mask).explained_variance
    return quality, variate.update(state, trajectories, returns)


def test_it_predicts_tasks_of_opposite_value_where_the_other_control_variates_do_not():
    found = {}
    for name in ("linear", "meta-paper", "meta"):
        state = CONTROL_VARIATES[name].init(torch.Generator().manual_seed(0), 3)
        for seed in range(40):
            found[name], state = explained(name, state, two_directions(seed))
    assert found["meta"] > found["linear"] + 0.05
    assert found["meta"] > found["meta-paper"] + 0.2


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_many_inputs_of_any_unit_stay_finite(scale):
    inputs = scale * torch.randn(2, 4, 20, 376, generator=torch.Generator().manual_seed(0))
    inputs[:, :2, :, ::3] = 0.0  # contacts that one half never had
    returns = scale * torch.randn(2, 4, 20, generator=torch.Generator().manual_seed(1))
    mask, settings = torch.ones(2, 4, 20), ClosedFormSettings()
    state = init_meta(torch.Generator().manual_seed(2), 376)
    for _ in range(5):
        state = update_meta(state, settings, inputs, returns, mask)
    b = meta_control_variate(state, settings, inputs, returns, mask)
    assert all(value.isfinite().all() for value in state.values())
    assert b.abs().max() < 10.0 * returns.abs().max()
