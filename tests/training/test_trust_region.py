"""The trust region: conjugate gradient against a dense solve, products against the dense Hessian, the constraint."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from metarl_cli.config import with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build
from metarl_cli.training.meta_gradient import TaskData
from metarl_cli.training.optimizers import Diagnosis, MetaProblem
from metarl_cli.training.trainer import Trainer, TrainState
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
    solution, residual = conjugate_gradient(lambda vector: matrix @ vector, target, iterations=40)
    torch.testing.assert_close(residual, target - matrix @ solution, rtol=0.0, atol=1e-8)
    torch.testing.assert_close(solution, torch.linalg.solve(matrix, target), rtol=1e-6, atol=1e-8)


def test_conjugate_gradient_stops_early_at_a_solution() -> None:
    calls = []
    conjugate_gradient(lambda vector: calls.append(1) or vector, torch.ones(4, dtype=torch.float64))
    assert len(calls) == 1


@pytest.mark.parametrize("algorithm", ["trpo-maml", "lvc-trpo", "trpo-emaml", "trpo-dice", "tmaml-trpo"])
def test_every_accepted_step_improves_within_the_constraint(algorithm: str) -> None:
    config = with_overrides(run_config(algorithm, "Navigation", profile="smoke"), SIZES)
    trainer, state = build(config)
    accepted = 0
    for iteration in range(4):
        rounds = trainer.sample(state, trainer.draw_tasks(iteration), iteration)
        following, (before, after) = trainer.step(state, rounds)
        if int(following.optimizer_state["rejected"]) == int(state.optimizer_state["rejected"]):
            accepted += 1
            assert after.kl[-1] <= config.outer.max_kl
            assert after.objective > before.objective
        else:
            assert all(torch.equal(following.theta[name], state.theta[name]) for name in state.theta)
        state = following
    assert accepted > 0


ORIGIN = {"x": torch.zeros(3, dtype=torch.float64)}


def quadratic(*, reject: bool) -> MetaProblem:
    """max −½‖θ − 1‖² with a divergence of ½‖θ‖²; or one whose value never rises."""

    def evaluate(theta: Params) -> Diagnosis:
        value = -0.5 * float(((theta["x"] - 1.0) ** 2).sum())
        return Diagnosis(
            -1e9 if reject and bool(theta["x"].any()) else value, [0.0, 0.5 * float(theta["x"] @ theta["x"])]
        )

    return MetaProblem(
        before=evaluate(ORIGIN),
        first={"x": 1.0 - ORIGIN["x"]},
        gradient=lambda theta: pytest.fail("known where the search begins"),
        evaluate=evaluate,
        curvature=lambda vector: vector,
    )


def test_a_full_step_reaches_the_boundary() -> None:
    optimizer, theta = trust_region(max_kl=0.02), ORIGIN
    moved, state, _ = optimizer.update(theta, optimizer.init(theta), quadratic(reject=False))
    length = float(moved["x"].norm())
    assert length == pytest.approx((2 * 0.02) ** 0.5, rel=1e-6) or length == pytest.approx(0.8 * 0.2, rel=1e-6)
    assert int(state["rejected"]) == 0
    assert not theta["x"].any()


def test_a_rejected_step_leaves_theta_and_is_counted() -> None:
    optimizer, theta = trust_region(max_kl=0.02), ORIGIN
    state = optimizer.init(theta)
    for count in (1, 2):
        moved, state, _ = optimizer.update(theta, state, quadratic(reject=True))
        assert torch.equal(moved["x"], theta["x"])
        assert int(state["rejected"]) == count


def test_a_gradient_that_is_not_finite_is_rejected() -> None:
    optimizer, theta = trust_region(max_kl=0.02), ORIGIN
    problem = replace(quadratic(reject=False), first={"x": torch.full((3,), torch.nan, dtype=torch.float64)})
    moved, state, _ = optimizer.update(theta, optimizer.init(theta), problem)
    assert torch.equal(moved["x"], theta["x"])
    assert int(state["rejected"]) == 1


def test_the_divergence_is_zero_with_zero_gradient_where_it_was_sampled() -> None:
    trainer, state, data = trained("trpo-maml")
    assert trainer.diagnose(state.theta, data).kl == pytest.approx([0.0, 0.0], abs=1e-6)
