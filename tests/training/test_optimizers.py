from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from metarl_cli.training.optimizers import Diagnosis, MetaProblem, adam, sgd
from metarl_cli.training.trust_region import trust_region

DTYPE = torch.float64


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DTYPE)


def theta_of(seed=0):
    return {"weight": draw(3, 2, seed=seed), "bias": draw(2, seed=seed + 1)}


def flat(params):
    return torch.cat([params["weight"].flatten(), params["bias"]])


def unflat(vector):
    return {"weight": vector[:6].reshape(3, 2), "bias": vector[6:]}


def positive_definite(seed, condition=10.0):
    basis, _ = torch.linalg.qr(draw(8, 8, seed=seed))
    return basis @ torch.diag(torch.logspace(0, torch.tensor(condition).log10(), 8, dtype=DTYPE)) @ basis.T


NOWHERE = Diagnosis(0.0, [0.0])


class Quadratic:
    """J = cᵀx − ½xᵀAx to ascend, with D_KL = ½(x − x₀)ᵀH(x − x₀)."""

    def __init__(self, x0, scale=1.0):
        self.x0, self.a, self.h, self.c = x0, positive_definite(1), positive_definite(2), scale * draw(8, seed=3)
        self.evaluations = []

    def evaluate(self, params):
        x = flat(params)
        self.evaluations.append(x)
        moved = x - self.x0
        objective = self.c @ x - 0.5 * x @ self.a @ x
        return Diagnosis(objective.item(), [7.0, (0.5 * moved @ self.h @ moved).item()])

    def gradient(self, params):
        return unflat(self.c - self.a @ flat(params))

    @property
    def problem(self):
        return MetaProblem(
            before=self.evaluate(unflat(self.x0)),
            first=self.gradient(unflat(self.x0)),
            gradient=self.gradient,
            evaluate=self.evaluate,
            curvature=lambda vector: unflat(self.h @ flat(vector)),
        )


OPTIMIZERS = {"sgd": sgd(lr=0.01, steps=3), "adam": adam(lr=0.01, steps=3), "trpo": trust_region(max_kl=0.01)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_ascends_and_leaves_what_it_was_given(name):
    optimizer, theta = OPTIMIZERS[name], theta_of()
    state = optimizer.init(theta)
    before = copy.deepcopy((theta, state))
    quadratic = Quadratic(flat(theta))
    following, moved, after = optimizer.update(theta, state, quadratic.problem)
    torch.testing.assert_close((theta, state), before, rtol=0.0, atol=0.0)
    assert quadratic.evaluate(following).objective > quadratic.evaluate(theta).objective
    assert after == quadratic.evaluate(following)
    assert set(moved) == set(state)
    assert set(optimizer.columns) <= set(state)
    assert all(state[column].dim() == 0 for column in optimizer.columns)


def test_sgd_by_hand():
    theta = theta_of()
    problem = Quadratic(flat(theta)).problem
    expected = flat(theta)
    for _ in range(3):
        expected = expected + 0.01 * flat(problem.gradient(unflat(expected)))
    following, state, _ = OPTIMIZERS["sgd"].update(theta, {}, problem)
    torch.testing.assert_close(flat(following), expected)
    assert state == {}


def gradients_problem(gradients):
    """A problem with a given sequence of gradients, whatever θ is."""
    first, *others = gradients
    remaining = iter(others)
    return MetaProblem(
        before=NOWHERE,
        first=first,
        gradient=lambda theta: next(remaining),
        evaluate=lambda theta: NOWHERE,
        curvature=lambda vector: pytest.fail("no business of this optimiser"),
    )


@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_adam_is_the_formula_of_its_docstring(scale):
    """Gradients as small as ε tell where ε stands."""
    theta, gradients = theta_of(), [theta_of(seed) for seed in range(10, 16)]
    gradients = [{name: scale * value for name, value in gradient.items()} for gradient in gradients]
    optimizer = adam(lr=0.05, steps=6)
    stepped, state, _ = optimizer.update(theta, optimizer.init(theta), gradients_problem(gradients))
    x, m, v = flat(theta), torch.zeros(8, dtype=DTYPE), torch.zeros(8, dtype=DTYPE)
    for t, gradient in enumerate(gradients, start=1):
        g = flat(gradient)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x + 0.05 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t) * m / (v.sqrt() + 1e-8)
    torch.testing.assert_close(flat(stepped), x, rtol=1e-12, atol=0.0)
    assert int(state["t"]) == 6
    torch.testing.assert_close(torch.cat([state["m.weight"].flatten(), state["m.bias"]]), m)


@pytest.mark.parametrize(("scale", "equal"), [(1.0, True), (1e-7, False)])
def test_adam_against_torch_where_epsilon_does_not_matter(scale, equal):
    """torch divides √v̂ before it adds ε: the same step for large gradients, another for small ones."""
    theta, gradients = theta_of(), [theta_of(seed) for seed in range(10, 16)]
    leaves = {name: value.clone().requires_grad_() for name, value in theta.items()}
    reference = torch.optim.Adam(leaves.values(), lr=0.05, maximize=True)
    for gradient in gradients:
        for name, leaf in leaves.items():
            leaf.grad = scale * gradient[name]
        reference.step()
    optimizer = adam(lr=0.05, steps=6)
    scaled = [{name: scale * value for name, value in gradient.items()} for gradient in gradients]
    stepped, *_ = optimizer.update(theta, optimizer.init(theta), gradients_problem(scaled))
    assert torch.allclose(flat(stepped), flat(leaves).detach(), rtol=1e-6) == equal


def test_adams_moments_live_on():
    """Twice three steps are six steps."""
    theta, gradients = theta_of(), [theta_of(seed) for seed in range(10, 16)]
    half, whole = adam(lr=0.05, steps=3), adam(lr=0.05, steps=6)
    theta_3, state_3, _ = half.update(theta, half.init(theta), gradients_problem(gradients[:3]))
    second = half.update(theta_3, state_3, gradients_problem(gradients[3:]))
    assert_same(second, whole.update(theta, whole.init(theta), gradients_problem(gradients)))


def assert_same(one, other):
    torch.testing.assert_close(one, other, rtol=0.0, atol=0.0)


# Trust region


def test_a_small_trust_region_is_the_natural_gradient_at_its_edge():
    """θ + √(2δ/gᵀH⁻¹g) H⁻¹g, whose divergence is δ in the quadratic model."""
    theta, max_kl = theta_of(), 1e-6
    quadratic, optimizer = Quadratic(flat(theta)), trust_region(max_kl=1e-6)
    g = flat(quadratic.problem.gradient(theta))
    natural = torch.linalg.solve(quadratic.h, g)
    step = (2.0 * max_kl / (g @ natural)).sqrt() * natural
    following, state, _ = optimizer.update(theta, optimizer.init(theta), quadratic.problem)
    moved = flat(following) - flat(theta)
    ratio = (moved.norm() / step.norm()).item()
    assert min(abs(ratio - 1.0), abs(ratio - 0.8)) < 1e-3  # 0.8 where rounding put the edge itself outside
    torch.testing.assert_close(moved / moved.norm(), step / step.norm(), rtol=1e-4, atol=1e-5)
    assert quadratic.evaluate(following).kl[-1] <= max_kl
    assert int(state["rejected"]) == 0


def test_the_line_search_shrinks_by_four_fifths_until_both_conditions_hold():
    theta = theta_of()
    quadratic, optimizer = Quadratic(flat(theta)), trust_region(max_kl=30.0)
    following, *_ = optimizer.update(theta, optimizer.init(theta), quadratic.problem)
    start, *candidates = [x - flat(theta) for x in quadratic.evaluations]
    assert not start.any()
    assert len(candidates) > 2
    for longer, shorter in pairwise(candidates):
        torch.testing.assert_close(shorter, 0.8 * longer)
    torch.testing.assert_close(flat(following) - flat(theta), candidates[-1])
    before = quadratic.evaluate(theta).objective
    values = [quadratic.evaluate(unflat(flat(theta) + step)) for step in candidates]
    accepted = [value.objective > before and value.kl[-1] <= 30.0 for value in values]
    assert accepted == [False] * (len(candidates) - 1) + [True]


def test_a_divergence_outside_the_region_is_rejected():
    theta, optimizer, calls = theta_of(), trust_region(max_kl=0.01), []
    problem = Quadratic(flat(theta)).problem

    def evaluate(params):
        calls.append(params)
        return Diagnosis(float(len(calls)), [0.0, 0.0101])

    far = replace(problem, before=Diagnosis(0.0, [0.0, 0.0]), evaluate=evaluate)
    following, state, after = optimizer.update(theta, optimizer.init(theta), far)
    assert after == far.before
    assert_same(following, theta)
    assert int(state["rejected"]) == 1
    assert len(calls) == 15  # the candidates, and not where they start from


@pytest.mark.parametrize("curvature", [0.0, -1.0, float("nan")])
def test_a_curvature_that_is_none_moves_nothing(curvature):
    theta, optimizer = theta_of(), trust_region(max_kl=0.01)
    problem = Quadratic(flat(theta)).problem
    flat_problem = replace(problem, curvature=lambda v: {name: curvature * value for name, value in v.items()})
    following, state, _ = optimizer.update(theta, optimizer.init(theta), flat_problem)
    assert_same(following, theta)
    assert int(state["rejected"]) == 1
