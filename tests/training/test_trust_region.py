"""The trust region: conjugate gradient against a dense solve, products against the dense Hessian, the constraint."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from metarl_cli.config import with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build
from metarl_cli.training.optimizers import Diagnosis, MetaProblem
from metarl_cli.training.trainer import TaskData, Trainer, TrainState
from metarl_cli.training.trust_region import conjugate_gradient, trust_region
from metarl_cli.types import Params

SIZES = ("sampling.tasks=3", "sampling.trajectories=5", "sampling.horizon=8", "policy.hidden=4")


def trained(algorithm: str, *overrides: str) -> tuple[Trainer, TrainState, list[TaskData]]:
    config = with_overrides(run_config(algorithm, "Navigation", profile="smoke"), (*SIZES, *overrides))
    trainer, state = build(config)
    rounds = trainer.sample(state, trainer.draw_tasks(0), 0)
    return trainer, state, trainer.task_data(state, rounds)


def positive_definite(size: int) -> Tensor:
    root = torch.randn((size, size), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return root @ root.T + torch.eye(size, dtype=torch.float64)


def test_conjugate_gradient_equals_a_dense_solve() -> None:
    matrix, target = positive_definite(12), torch.arange(1.0, 13.0, dtype=torch.float64)
    solution = conjugate_gradient(lambda vector: matrix @ vector, target, iterations=40)
    torch.testing.assert_close(solution, torch.linalg.solve(matrix, target), rtol=1e-6, atol=1e-8)


def test_conjugate_gradient_stops_early_at_a_solution() -> None:
    calls = []
    conjugate_gradient(lambda vector: calls.append(1) or vector, torch.ones(4, dtype=torch.float64))
    assert len(calls) == 1


def flat(params: Params) -> Tensor:
    return torch.cat([value.reshape(-1) for value in params.values()])


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("algorithm", ["trpo-maml", "lvc-trpo", "trpo-fmaml"])
def test_products_equal_the_dense_hessian_of_the_divergence(algorithm: str, steps: int) -> None:
    trainer, state, data = trained(algorithm, f"inner.steps={steps}")
    product = trainer.curvature(state.theta, data)
    names, sizes = list(state.theta), [value.numel() for value in state.theta.values()]

    def unflat(vector: Tensor) -> Params:
        parts = zip(names, vector.split(sizes), strict=True)
        return {name: part.reshape(state.theta[name].shape) for name, part in parts}

    def divergence(vector: Tensor) -> Tensor:
        theta = unflat(vector)
        return torch.stack([trainer.task_objective(theta, task)[1][-1] for task in data]).mean()

    dense = torch.autograd.functional.hessian(divergence, flat(state.theta))
    direction = torch.randn(sum(sizes), generator=torch.Generator().manual_seed(1))
    measured = flat(product(unflat(direction)))
    torch.testing.assert_close(measured, dense @ direction, rtol=1e-3, atol=1e-5)
    assert torch.linalg.eigvalsh(dense).min() > -1e-4  # at the θ that sampled it is a Fisher information


@pytest.mark.parametrize("algorithm", ["trpo-maml", "lvc-trpo", "trpo-emaml", "trpo-dice", "tmaml-trpo"])
def test_every_accepted_step_improves_within_the_constraint(algorithm: str) -> None:
    config = with_overrides(run_config(algorithm, "Navigation", profile="smoke"), SIZES)
    trainer, state = build(config)
    accepted = 0
    for iteration in range(4):
        rounds = trainer.sample(state, trainer.draw_tasks(iteration), iteration)
        before = trainer.diagnose(state.theta, trainer.task_data(state, rounds))
        following, after = trainer.step(state, rounds)
        if int(following.optimizer_state["rejected"]) == int(state.optimizer_state["rejected"]):
            accepted += 1
            assert after.kl[-1] <= config.outer.max_kl
            assert after.objective > before.objective
        else:
            assert all(torch.equal(following.theta[name], state.theta[name]) for name in state.theta)
        state = following
    assert accepted > 0


def quadratic(*, reject: bool) -> MetaProblem:
    """max −½‖θ − 1‖² with a divergence of ½‖θ‖²; or one whose value never rises."""

    def evaluate(theta: Params) -> Diagnosis:
        value = -0.5 * float(((theta["x"] - 1.0) ** 2).sum())
        return Diagnosis(
            -1e9 if reject and bool(theta["x"].any()) else value, [0.0, 0.5 * float(theta["x"] @ theta["x"])]
        )

    return MetaProblem(
        gradient=lambda theta: {"x": 1.0 - theta["x"]}, evaluate=evaluate, curvature=lambda theta: lambda vector: vector
    )


def test_a_full_step_reaches_the_boundary() -> None:
    optimizer, theta = trust_region(max_kl=0.02), {"x": torch.zeros(3, dtype=torch.float64)}
    moved, state = optimizer.update(theta, optimizer.init(theta), quadratic(reject=False))
    length = float(moved["x"].norm())
    assert length == pytest.approx((2 * 0.02) ** 0.5, rel=1e-6) or length == pytest.approx(0.8 * 0.2, rel=1e-6)
    assert int(state["rejected"]) == 0
    assert not theta["x"].any()


def test_a_rejected_step_leaves_theta_and_is_counted() -> None:
    optimizer, theta = trust_region(max_kl=0.02), {"x": torch.zeros(3, dtype=torch.float64)}
    state = optimizer.init(theta)
    for count in (1, 2):
        moved, state = optimizer.update(theta, state, quadratic(reject=True))
        assert torch.equal(moved["x"], theta["x"])
        assert int(state["rejected"]) == count


def test_a_gradient_that_is_not_finite_is_rejected() -> None:
    optimizer, theta = trust_region(max_kl=0.02), {"x": torch.zeros(2)}
    problem = replace(quadratic(reject=False), gradient=lambda theta: {"x": torch.full((2,), torch.nan)})
    moved, state = optimizer.update(theta, optimizer.init(theta), problem)
    assert torch.equal(moved["x"], theta["x"])
    assert int(state["rejected"]) == 1


def test_the_divergence_is_zero_with_zero_gradient_where_it_was_sampled() -> None:
    trainer, state, data = trained("trpo-maml")
    assert trainer.diagnose(state.theta, data).kl == pytest.approx([0.0, 0.0], abs=1e-6)
