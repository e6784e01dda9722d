"""One ProMP iteration at the paper's size, on one thread, against what it cannot do without.

    python benchmarks/iteration.py [--quick]

Rollouts are compared with `mj_step` alone, one simulation in a loop with new controls every step: the cost of the
physics itself. A gradient step is compared with its own matrix products: those that one task's gradient needs are
recorded, with their shapes and strides, and multiplied again, nothing else. MAML-TRPO's update, at 20 tasks of 10
trajectories, is given in gradient steps of its own. Times are the process's own on the CPU, so
that other work on the machine hardly counts; every figure is the best of three rounds, in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import mujoco
import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from metarl_cli.config import with_overrides
from metarl_cli.envs.assets import load_model
from metarl_cli.papers.settings import run_config
from metarl_cli.seeding import torch_generator
from metarl_cli.training import policies
from metarl_cli.training.build import build
from metarl_cli.training.meta_gradient import TaskData
from metarl_cli.training.rollouts import collect
from metarl_cli.training.trainer import Trainer, TrainState

FRAME_SKIP = 5
CONTROL = 0.1  # standard deviation in units of the control range: an untrained policy's
QUICK = ("sampling.tasks=8", "sampling.trajectories=20", "sampling.horizon=50")
TRUST_REGION = ("sampling.tasks=20", "sampling.trajectories=10")  # the rows of MAML-TRPO
GOALS = {"rollouts": 0.75, "update": 2.5, "trpo": 8}


def rollouts(trainer: Trainer, state: TrainState) -> Callable[[], int]:
    """One stage of `collect`; returns its environment steps."""
    tasks, params = trainer.draw_tasks(0), policies.repeat(state.theta, trainer.tasks)

    def run() -> int:
        collect(
            trainer.workers,
            tasks,
            params,
            horizon=trainer.horizon,
            action_scale=trainer.action_scale,
            generator=torch_generator(1, "benchmark"),
            seed=1,
        )
        return trainer.workers.num_envs * trainer.horizon

    return run


def mujoco_alone(trainer: Trainer) -> Callable[[], int]:
    """`mj_step` of the same model for as many steps as one stage has, from the same initial states' distribution."""
    model = load_model("half_cheetah.xml", 0.01)
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    episodes, horizon = trainer.workers.num_envs, trainer.horizon
    controls = CONTROL * rng.standard_normal((horizon, model.nu))

    def run() -> int:
        for _ in range(episodes):
            mujoco.mj_resetData(model, data)
            data.qpos[:] += rng.uniform(-0.1, 0.1, model.nq)
            data.qvel[:] += 0.1 * rng.standard_normal(model.nv)
            for control in controls:
                data.ctrl[:] = control
                mujoco.mj_step(model, data, nstep=FRAME_SKIP)
        return episodes * horizon

    return run


class Products(TorchDispatchMode):
    """Keeps every matrix product that runs inside it, with copies of its arguments."""

    KINDS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm)

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Tensor], tuple[object, ...]]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> object:
        """Note the product, then do it."""
        if func.overloadpacket in self.KINDS:
            copies = [
                a.detach().clone(memory_format=torch.preserve_format) if isinstance(a, Tensor) else a for a in args
            ]
            self.calls.append((func, tuple(copies)))
        return func(*args, **(kwargs or {}))

    def repeat(self) -> None:
        """Multiply again."""
        for func, args in self.calls:
            func(*args)


def products_of(trainer: Trainer, state: TrainState, data: list[TaskData]) -> Products:
    """The matrix products of one task's gradient."""
    with Products() as products:
        trainer.meta_gradient(state.theta, data[:1])
    return products


def seconds(run: Callable[[], object]) -> float:
    """How long one run takes the process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def best_in_turn(rounds: int, *runs: Callable[[], object]) -> list[float]:
    """Seconds of each, the best of several rounds in which they take turns."""
    taken = [[seconds(run) for run in runs] for _ in range(rounds)]
    return [min(column) for column in zip(*taken, strict=True)]


def measure(overrides: tuple[str, ...], rounds: int) -> list[tuple[str, str, str, str]]:
    """The rows of the table: what, how much, against what, ratio and goal."""
    torch.set_num_threads(1)
    config = with_overrides(run_config("promp", "HalfCheetahFwdBack", profile="paper"), overrides)
    trainer, state = build(config)
    steps = trainer.workers.num_envs * trainer.horizon
    sampling, physics = best_in_turn(rounds, rollouts(trainer, state), mujoco_alone(trainer))
    data = trainer.task_data(state, trainer.sample(state, trainer.draw_tasks(0), 0))
    products = products_of(trainer, state, data)
    gradient, multiplying = best_in_turn(
        rounds,
        lambda: trainer.meta_gradient(state.theta, data),
        lambda: [products.repeat() for _ in range(trainer.tasks)],
    )
    whole = best_in_turn(1, lambda: trainer.step(state, trainer.sample(state, trainer.draw_tasks(1), 1)))[0]
    return [
        (
            "rollouts",
            f"{steps / sampling:,.0f} steps/s",
            f"mj_step {steps / physics:,.0f}/s",
            f"{physics / sampling:.2f} (goal ≥ {GOALS['rollouts']})",
        ),
        (
            "gradient step",
            f"{1e3 * gradient:,.0f} ms",
            f"products {1e3 * multiplying:,.0f} ms",
            f"{gradient / multiplying:.2f} (goal ≤ {GOALS['update']})",
        ),
        (
            "whole iteration",
            f"{whole:.2f} s",
            f"{2 * steps:,} steps",
            "",
        ),
    ]


def measure_trust_region(overrides: tuple[str, ...], rounds: int) -> list[tuple[str, str, str, str]]:
    """MAML-TRPO's rows: a product with the curvature, and the whole update, in gradient steps."""
    torch.set_num_threads(1)
    config = with_overrides(run_config("trpo-maml", "HalfCheetahFwdBack", profile="paper"), (*TRUST_REGION, *overrides))
    trainer, state = build(config)
    sampled = trainer.sample(state, trainer.draw_tasks(0), 0)
    data = trainer.task_data(state, sampled)
    product = trainer.curvature(state.theta, data)
    gradient, once, update = best_in_turn(
        rounds,
        lambda: trainer.meta_gradient(state.theta, data),
        lambda: product(state.theta),
        lambda: trainer.step(state, sampled),
    )
    against = f"gradient step {1e3 * gradient:,.0f} ms"
    return [
        ("curvature product", f"{1e3 * once:,.0f} ms", against, f"{once / gradient:.2f}"),
        (
            "trust-region update",
            f"{1e3 * update:,.0f} ms",
            against,
            f"{update / gradient:.1f} (goal ≤ {GOALS['trpo']})",
        ),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the size; a few seconds")
    quick = parser.parse_args().quick
    mujoco.set_mju_user_warning(lambda message: None)  # half_cheetah.xml has a deprecated attribute
    title = f"ProMP and MAML-TRPO on HalfCheetahFwdBack, one thread, {'small' if quick else 'the paper’s'} size"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "metarl", "against", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    overrides = QUICK if quick else ()
    for row in (*measure(overrides, rounds=3), *measure_trust_region(overrides, rounds=3)):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
