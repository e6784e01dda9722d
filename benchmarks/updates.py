"""A gradient step and a product with the curvature against their own matrix products, on one thread.

The products are recorded, with their shapes and strides, and multiplied again, nothing else. The
trust region's update is given in gradient steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.measuring import Row, in_turn, ratios
from metarl_cli.config import with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build
from metarl_cli.training.trainer import Trainer, TrainState
from metarl_cli.types import Round

QUICK = ("sampling.tasks=4", "sampling.trajectories=10", "sampling.horizon=50")
IN_A_ROW = 5
TRUST_REGION = ("sampling.tasks=20", "sampling.trajectories=10")


def updates(*, quick: bool, rounds: int) -> list[Row]:
    """ProMP's gradient step, and MAML-TRPO's update with what it is made of."""
    torch.set_num_threads(1)
    smaller = QUICK if quick else ()
    return [*_gradient_step(*_sampled("promp", smaller), rounds), *_trust_region(smaller, rounds)]


def _sampled(algorithm: str, overrides: tuple[str, ...]) -> tuple[Trainer, TrainState, list[Round]]:
    config = with_overrides(run_config(algorithm, "HalfCheetahFwdBack", profile="paper"), overrides)
    trainer, state = build(config)
    return trainer, state, trainer.sample(state, trainer.draw_tasks(0), 0)


def _gradient_step(trainer: Trainer, state: TrainState, sampled: list[Round], rounds: int) -> list[Row]:
    data = trainer.task_data(state, sampled)

    def step() -> None:
        trainer.meta_gradient(state.theta, data)

    gradient, products = in_turn(rounds, _in_a_row(step), _in_a_row(_products(step)))
    return [Row("gradient step, promp / its matrix products", "×", ratios(gradient, products))]


def _trust_region(overrides: tuple[str, ...], rounds: int) -> list[Row]:
    trainer, state, sampled = _sampled("trpo-maml", (*TRUST_REGION, *overrides))
    data = trainer.task_data(state, sampled)
    _, direction, product = trainer.diagnosed_gradient(state.theta, data, curved=True)
    assert product is not None
    again = _products(lambda: product(direction))
    gradient, curvature, products, update = in_turn(
        rounds,
        lambda: trainer.meta_gradient(state.theta, data),
        lambda: product(direction),
        again,
        lambda: trainer.step(state, sampled),
    )
    return [
        Row("curvature product / its matrix products", "×", ratios(curvature, products)),
        Row("curvature product / gradient step, trpo-maml", "×", ratios(curvature, gradient)),
        Row("update / gradient step, trpo-maml", "×", ratios(update, gradient)),
        Row("update, trpo-maml", "s", update),
    ]


def _in_a_row(run: Callable[[], object]) -> Callable[[], None]:
    """As many as ProMP's update takes; only the first of them begins with what the others left in the cache."""

    def several() -> None:
        for _ in range(IN_A_ROW):
            run()

    return several


def _products(of_all_tasks: Callable[[], object]) -> Callable[[], None]:
    with _Products() as products:
        of_all_tasks()

    def again() -> None:
        for function, arguments in products.calls:
            function(*arguments)

    return again


class _Products(TorchDispatchMode):
    """Keeps every matrix product that runs inside it, with copies of its arguments."""

    KINDS = ("mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_")

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Tensor], tuple[object, ...]]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> object:
        """Note the product, then do it."""
        if func.overloadpacket.__name__ in self.KINDS:
            copies = [
                a.detach().clone(memory_format=torch.preserve_format) if isinstance(a, Tensor) else a for a in args
            ]
            self.calls.append((func, tuple(copies)))
        return func(*args, **(kwargs or {}))
