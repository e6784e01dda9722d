from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from metarl_cli.training.control_variates import per_task_control_variate
from metarl_cli.training.cross_fitting import fit_quality
from metarl_cli.training.meta_learned import (
    ClosedFormSettings,
    MetaSettings,
    init_meta,
    meta_control_variate,
    update_meta,
)
from metarl_cli.types import Gaussian

M, N, T, S, A = 3, 6, 5, 2, 2
SETTINGS = MetaSettings(inner_lr=0.2, inner_steps=2, outer_lr=0.1, repetitions=1)


def batch(seed=0, shape=(M, N, T)):
    generator = torch.Generator().manual_seed(seed)
    normal = partial(torch.randn, generator=generator, dtype=torch.float64)
    policy = Gaussian(normal(*shape, A), normal(shape[0], 1, 1, A) * 0.3)
    return {
        "observations": normal(*shape, S),
        "actions": policy.mean + policy.log_std.exp() * normal(*shape, A),
        "behaviour": policy,
        "returns": normal(*shape),
        "mask": torch.ones(shape, dtype=torch.float64),
    }


def trained_state():
    state = init_meta(torch.Generator().manual_seed(0), S, (8, 8), dtype=torch.float64)
    data = batch(seed=9)
    return update_meta(state, replace(SETTINGS, repetitions=5), data["observations"], data["returns"], data["mask"])


STATE = trained_state()


def meta(data, settings=SETTINGS):
    return meta_control_variate(STATE, settings, data["observations"], data["returns"], data["mask"])


def per_task(data):
    return per_task_control_variate(**data)


def closed_form(data):
    state = {name: value.to(data["returns"].dtype) for name, value in STATE.items()}
    settings = ClosedFormSettings(ridge=0.05)
    return meta_control_variate(state, settings, data["observations"], data["returns"], data["mask"])


METHODS = pytest.mark.parametrize("method", [meta, closed_form, per_task])


def with_change(data, name, index, amount=0.7):
    changed = data[name].clone()
    changed[index] += amount
    return {**data, name: changed}


def changed_steps(before, after):
    """Which [M, N, T] steps of b differ."""
    different = before != after
    return different.any(-1) if different.dim() == 4 else different


@METHODS
@pytest.mark.parametrize("trajectory", [0, 2, 3, 5])
def test_no_prediction_depends_on_the_returns_of_its_own_trajectory(method, trajectory):
    data = batch()
    different = changed_steps(method(data), method(with_change(data, "returns", (1, trajectory))))
    own_half = slice(0, 3) if trajectory < 3 else slice(3, 6)
    other_half = slice(3, 6) if trajectory < 3 else slice(0, 3)
    assert not different[1, own_half].any()
    assert different[1, other_half].any()
    assert not different[[0, 2]].any()  # nor on another task


@METHODS
def test_an_observation_of_its_own_trajectory_acts_through_its_own_step_only(method):
    data = batch()
    different = changed_steps(method(data), method(with_change(data, "observations", (1, 4, 2))))
    assert different[1, 4].tolist() == [False, False, True, False, False]
    assert not different[1, [3, 5]].any()
    assert different[1, :3].any()


def test_the_baseline_of_a_dimension_does_not_see_the_action_of_that_dimension():
    data = batch()
    before, after = per_task(data), per_task(with_change(data, "actions", (1, 4, 2, 0)))
    torch.testing.assert_close(after[1, 3:, :, 0], before[1, 3:, :, 0], rtol=0, atol=1e-13)
    assert (after[1, 4, 2, 1] - before[1, 4, 2, 1]).abs() > 1e-3


def test_the_baseline_of_a_dimension_is_the_expectation_of_q_over_that_dimension():
    data = batch(shape=(1, 200, 3))
    s, a, policy = data["observations"], data["actions"], data["behaviour"]
    std = policy.log_std.exp()
    value = 1.0 + s[..., 0] - 0.5 * s[..., 1] ** 2
    first = 0.8 * (a[..., 0] - policy.mean[..., 0]) / std[..., 0]
    second = 0.3 * (((a[..., 1] - policy.mean[..., 1]) / std[..., 1]) ** 2 - 1.0)
    b = per_task_control_variate(**{**data, "returns": value + first + second}, ridge=1e-10)
    expected = torch.stack([value + second, value + first], -1)
    inside = (b > -1.0) & (b < 2.0)  # far from the limits of what was fitted
    assert inside.double().mean() > 0.5
    torch.testing.assert_close(b[inside], expected[inside], rtol=0, atol=1e-5)


def reference_network(params, features):
    hidden = features
    for i in range(2):
        hidden = torch.tanh(hidden @ params[f"hidden{i}.weight"].T + params[f"hidden{i}.bias"])
    return (hidden @ params["mean.weight"].T + params["mean.bias"])[..., 0]


def reference_adaptation(params, fitted, held_out, settings):
    """Lines 2 and 4 of Alg. 1 for one task, with autograd; loss and predictions on the other half."""
    (x, g), (x_new, g_new) = fitted, held_out
    flat = x.flatten(0, 1)
    centre, spread = flat.mean(0), flat.std(0, correction=0)
    x, x_new = (x - centre) / spread, ((x_new - centre) / spread).clamp(-5, 5)
    for _ in range(settings.inner_steps):
        loss = ((reference_network(params, x) - (g - g.mean()) / g.std(correction=0)) ** 2).mean()
        gradients = torch.autograd.grad(loss, list(params.values()), create_graph=True, materialize_grads=True)
        params = {k: v - settings.inner_lr * d for (k, v), d in zip(params.items(), gradients, strict=True)}
    values = reference_network(params, x_new)
    transfer = ((values - (g_new - g.mean()) / g.std(correction=0)) ** 2).mean()
    return transfer, g.mean() + g.std(correction=0) * values


def reference_halves(data, task):
    time = torch.arange(T, dtype=torch.float64)[:, None].expand(N, T, 1)
    features = torch.cat([data["observations"][task], time], -1)
    return [(features[part], data["returns"][task][part]) for part in (slice(0, 3), slice(3, 6))]


def test_predictions_are_lines_2_to_5_of_algorithm_1():
    data, params = batch(), {k: v.clone().requires_grad_() for k, v in STATE.items()}
    for task in range(M):
        first, second = reference_halves(data, task)
        of_second, of_first = (
            reference_adaptation(params, *pair, SETTINGS)[1] for pair in ((first, second), (second, first))
        )
        torch.testing.assert_close(meta(data)[task], torch.cat([of_first, of_second]).detach(), atol=1e-7, rtol=0)


def test_an_update_is_line_6_of_algorithm_1():
    data, params = batch(), {k: v.clone().requires_grad_() for k, v in STATE.items()}
    losses = []
    for task in range(M):
        first, second = reference_halves(data, task)
        losses += [reference_adaptation(params, *pair, SETTINGS)[0] for pair in ((first, second), (second, first))]
    gradients = torch.autograd.grad(torch.stack(losses).sum() / M, list(params.values()), materialize_grads=True)
    updated = update_meta(STATE, SETTINGS, data["observations"], data["returns"], data["mask"])
    for (name, value), gradient in zip(params.items(), gradients, strict=True):
        torch.testing.assert_close(updated[name], (value - 0.1 * gradient).detach(), atol=1e-7, rtol=0)


def test_repetitions_repeat_the_update():
    data = batch()
    arguments = (data["observations"], data["returns"], data["mask"])
    twice = update_meta(update_meta(STATE, SETTINGS, *arguments), SETTINGS, *arguments)
    torch.testing.assert_close(update_meta(STATE, replace(SETTINGS, repetitions=2), *arguments), twice)


def value_problem(seed, tasks=8):
    """Returns that are linear in the state with a slope per task, falling with time, and a little noise."""
    data = batch(seed, (tasks, 12, 10))
    generator = torch.Generator().manual_seed(seed + 1000)
    slopes = torch.randn(tasks, 1, 1, generator=generator, dtype=torch.float64)
    left = torch.arange(10, 0, -1, dtype=torch.float64)
    noise = 0.1 * torch.randn(tasks, 12, 10, generator=generator, dtype=torch.float64)
    return {**data, "returns": left * (3.0 + 0.3 * slopes * data["observations"][..., 0]) + noise}


def quality(state, settings, data):
    b = meta_control_variate(state, settings, data["observations"], data["returns"], data["mask"])
    return fit_quality(b, data["returns"], data["mask"]).explained_variance


def test_meta_learning_raises_the_explained_variance_on_new_tasks():
    settings = MetaSettings(inner_steps=2, repetitions=10)
    state = init_meta(torch.Generator().manual_seed(0), S, (16, 16), dtype=torch.float64)
    before = quality(state, settings, value_problem(99))
    for seed in range(15):
        data = value_problem(seed)
        state = update_meta(state, settings, data["observations"], data["returns"], data["mask"])
    assert before < 0.6
    assert quality(state, settings, value_problem(99)) > 0.9


def test_a_fresh_network_without_adaptation_predicts_the_mean_of_the_other_half():
    data = batch()
    fresh = init_meta(torch.Generator().manual_seed(0), S, dtype=torch.float64)
    settings = replace(SETTINGS, inner_steps=0)
    b = meta_control_variate(fresh, settings, data["observations"], data["returns"], data["mask"])
    other_half_mean = data["returns"].unflatten(1, (2, 3)).mean((2, 3)).flip(1)
    torch.testing.assert_close(b, other_half_mean[:, :, None, None].expand(M, 2, 3, T).flatten(1, 2))


def test_the_per_task_variate_explains_a_quadratic_value():
    data = value_problem(3)
    b = per_task_control_variate(**data)
    assert fit_quality(b[..., 0], data["returns"], data["mask"]).explained_variance > 0.9


@METHODS
def test_masked_steps_do_not_count_and_get_zero(method):
    data = batch()
    data["mask"][:, ::2, 3:] = 0.0
    garbage = {**data, "returns": torch.where(data["mask"] > 0, data["returns"], 1e3)}
    garbage["observations"] = torch.where(data["mask"][..., None] > 0, data["observations"], -50.0)
    torch.testing.assert_close(method(garbage), method(data), rtol=0, atol=1e-11)
    assert (method(garbage)[:, ::2, 3:] == 0.0).all()


@METHODS
def test_predictions_follow_a_change_of_units_of_the_returns(method):
    data = batch()
    rescaled = method({**data, "returns": 40.0 * data["returns"] - 7.0})
    torch.testing.assert_close(rescaled, 40.0 * method(data) - 7.0, atol=1e-5, rtol=1e-6)


@METHODS
def test_a_task_is_treated_as_if_it_were_alone(method):
    data = batch()
    alone = {k: Gaussian(v.mean[:1], v.log_std[:1]) if k == "behaviour" else v[:1] for k, v in data.items()}
    torch.testing.assert_close(method(data)[:1], method(alone), atol=1e-12, rtol=0)


def test_per_task_predictions_stay_within_the_returns_they_were_fitted_to():
    data = with_change(batch(), "observations", (0, 0), 30.0)
    b = per_task(data)
    fitted = data["returns"][0, 3:]
    assert (b[0, 0] >= min(fitted.min(), 0.0)).all()
    assert (b[0, 0] <= max(fitted.max(), 0.0)).all()


def test_an_update_leaves_the_given_state_as_it_was():
    data, before = batch(), {k: v.clone() for k, v in STATE.items()}
    updated = update_meta(STATE, SETTINGS, data["observations"], data["returns"], data["mask"])
    assert all(torch.equal(before[name], STATE[name]) for name in before)
    assert not torch.equal(updated["mean.weight"], before["mean.weight"])


def test_float32_batches_give_float32_predictions():
    data = batch()
    single = {
        k: Gaussian(v.mean.float(), v.log_std.float()) if k == "behaviour" else v.float() for k, v in data.items()
    }
    state = {k: v.float() for k, v in STATE.items()}
    b = meta_control_variate(state, SETTINGS, single["observations"], single["returns"], single["mask"])
    assert b.dtype == per_task(single).dtype == closed_form(single).dtype == torch.float32
    torch.testing.assert_close(b.double(), meta(data), atol=1e-4, rtol=0)


def test_nothing_is_explained_where_all_returns_are_equal():
    returns, mask = torch.zeros(2, 4, 3), torch.ones(2, 4, 3)
    quality = fit_quality(returns, returns, mask)
    assert (quality.loss, quality.explained_variance) == (0.0, 0.0)


def test_fit_quality_of_known_predictions():
    data = batch()
    returns, mask = data["returns"], data["mask"]
    perfect = fit_quality(returns, returns, mask)
    assert (perfect.loss, perfect.explained_variance) == (0.0, 1.0)
    mean = returns.mean((1, 2), keepdim=True).expand_as(returns)
    assert fit_quality(mean, returns, mask).explained_variance == pytest.approx(0.0, abs=1e-12)
    assert fit_quality(returns + 2.0, returns, mask).loss == pytest.approx(4.0)
    per_action = torch.stack([returns + 2.0, returns - 2.0], -1)  # wrong in each dimension, right in their mean
    assert fit_quality(per_action, returns, mask).loss == pytest.approx(4.0)
    mask[:, :, 1:] = 0.0
    assert fit_quality(torch.where(mask > 0, returns, 99.0), returns, mask).loss == 0.0


@METHODS
def test_shapes_that_do_not_fit_are_refused(method):
    with pytest.raises(ValueError, match="at least 2 trajectories per task to cross-fit, got 1"):
        method(batch(shape=(M, 1, T)))
    data = batch()
    with pytest.raises(ValueError, match=r"targets: expected shape \[3, 6, 5\], got \[3, 6, 4\]"):
        method({**data, "returns": data["returns"][..., :4]})


def test_initial_weights_come_from_the_generator():
    first, second = (init_meta(torch.Generator().manual_seed(seed), S) for seed in (0, 1))
    assert not torch.equal(first["hidden0.weight"], second["hidden0.weight"])
    assert sum(map(torch.numel, first.values())) > 64 * 64
    assert first["hidden0.weight"].shape == (64, S + 1)
