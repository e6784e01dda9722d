"""Gauss–Newton products against what they stand for: a double backward pass through divergence and adaptation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_cases import adapt, in_float64, inner_product, moved, resampled, sampled, slope, small, with_estimator

from metarl_cli.params import flatten, leaves, unflatten
from metarl_cli.training.objectives import stage_kl

INNER = {name: with_estimator(name) for name in ("reinforce", "lvc", "dice", "tmaml", "taypo2", "doubly_robust")}
INNER["tmaml, per action"] = ("inner.estimator=tmaml", "inner.control_variate=per-task")
INNER["dice, magic box"] = (*with_estimator("dice"), "inner.magic_box=true")


def problem(*overrides):
    trainer, state = small(*overrides)
    return trainer, *in_float64(trainer, state, sampled(trainer, state))


def divergence(theta, data, inner):
    """D_KL(π_old^K ‖ π_{θ^K}), the mean over tasks, with the graph of the adaptation."""
    return torch.stack([stage_kl(adapt(theta, task.rounds, inner), task.rounds)[-1] for task in data]).mean()


def double_backward(theta, data, inner, vector):
    at = leaves(theta)
    gradients = torch.autograd.grad(divergence(at, data, inner), list(at.values()), create_graph=True)
    return dict(zip(at, torch.autograd.grad(gradients, list(at.values()), list(vector.values())), strict=True))


def curvature(trainer, theta, data):
    return trainer.diagnosed_gradient(theta, data, curved=True)[2]


def direction(theta, seed):
    return moved({name: torch.zeros_like(value) for name, value in theta.items()}, 1.0, seed)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_products_are_those_of_the_double_backward_pass(inner, first_order, steps):
    trainer, theta, data = problem(*INNER[inner], f"inner.steps={steps}", f"inner.first_order={first_order}")
    vector = direction(theta, 5)
    product = flatten(curvature(trainer, theta, data)(vector))
    expected = flatten(double_backward(theta, data, trainer.parts.inner, vector))
    assert (product - expected).norm() < 1e-10 * expected.norm()
    assert list(curvature(trainer, theta, data)(vector)) == list(theta)


@pytest.mark.parametrize("hidden", ["3", "5,4,3"])
def test_whatever_the_number_of_layers(hidden):
    trainer, theta, data = problem(f"policy.hidden={hidden}")
    vector = direction(theta, 6)
    product, expected = (
        curvature(trainer, theta, data)(vector),
        double_backward(theta, data, trainer.parts.inner, vector),
    )
    torch.testing.assert_close(flatten(product), flatten(expected), rtol=1e-10, atol=1e-12)


def test_where_episodes_end_early():
    trainer, theta, data = problem("inner.steps=2")
    mask = (torch.arange(5) < torch.tensor([5, 3, 1, 2])[:, None]).double()[None]
    ended = [
        replace(r, trajectories=replace(r.trajectories, mask=mask), sample=replace(r.sample, mask=mask))
        for r in data[0].rounds
    ]
    task, vector = data[0]._replace(rounds=resampled(trainer, theta, ended)), direction(theta, 7)
    product = flatten(curvature(trainer, theta, [task])(vector))
    expected = flatten(double_backward(theta, [task], trainer.parts.inner, vector))
    torch.testing.assert_close(product, expected, rtol=1e-10, atol=1e-12)
    assert (product - flatten(curvature(trainer, theta, data[:1])(vector))).abs().max() > 1e-3


def test_products_are_second_differences_of_the_divergence():
    trainer, theta, data = problem("inner.estimator=reinforce")
    vector = direction(theta, 5)

    def along(at):
        inside = leaves(at)
        gradients = torch.autograd.grad(divergence(inside, data, trainer.parts.inner), list(inside.values()))
        return inner_product(dict(zip(inside, gradients, strict=True)), vector)

    product = curvature(trainer, theta, data)(vector)
    assert inner_product(product, vector) == pytest.approx(slope(along, theta, vector), rel=1e-6)


def test_the_curvature_is_symmetric_and_positive():
    trainer, theta, data = problem("inner.steps=2")
    product, identity = curvature(trainer, theta, data), torch.eye(flatten(theta).numel(), dtype=torch.float64)
    dense = torch.stack([flatten(product(unflatten(row, theta))) for row in identity])
    torch.testing.assert_close(dense, dense.T, rtol=1e-9, atol=1e-12)
    assert torch.linalg.eigvalsh(dense).min() > -1e-12
    assert torch.linalg.matrix_rank(dense) > 10


def test_products_leave_what_they_were_given_and_can_be_taken_again():
    trainer, theta, data = problem()
    product, vector = curvature(trainer, theta, data), direction(theta, 8)
    before = flatten(vector).clone()
    first, second = flatten(product(vector)), flatten(product(vector))
    assert torch.equal(first, second)
    assert torch.equal(flatten(vector), before)
    assert not any(value.requires_grad for value in (*theta.values(), first))


def test_it_is_the_mean_over_tasks():
    trainer, theta, data = problem()
    vector = direction(theta, 9)
    parts = [curvature(trainer, theta, [task])(vector) for task in data]
    torch.testing.assert_close(
        flatten(curvature(trainer, theta, data)(vector)), (flatten(parts[0]) + flatten(parts[1])) / 2
    )
    assert not torch.equal(flatten(parts[0]), flatten(parts[1]))
