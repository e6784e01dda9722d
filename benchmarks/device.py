"""A meta-update on a GPU against the same one on the CPU, on one thread and on as many as there are cores.

Everything but the simulations is on the device, so that this is all that `--device cuda` can shorten. Where there is no
GPU, nothing is measured. On the clock: a device has no CPU time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch

from benchmarks.measuring import Row, in_turn, ratios
from metarl_cli.config import with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build
from metarl_cli.types import on_device

ALGORITHMS = ("promp", "trpo-maml", "tmaml")
SIZES = ((20, 10), (40, 20))
"""Tasks and trajectories: of `standard`, and ProMP's own."""
QUICK = ((4, 10),)


def device(*, quick: bool, rounds: int) -> list[Row]:
    """Seconds of an update, and how many times as fast a GPU makes it."""
    if not torch.cuda.is_available():
        return []
    torch.set_num_threads(1)
    sizes = QUICK if quick else SIZES
    return [row for algorithm in ALGORITHMS for size in sizes for row in _updates(algorithm, *size, rounds)]


def _updates(algorithm: str, tasks: int, trajectories: int, rounds: int) -> list[Row]:
    config = run_config(algorithm, "HalfCheetahFwdBack", profile="paper")
    config = with_overrides(config, (f"sampling.tasks={tasks}", f"sampling.trajectories={trajectories}"))
    cores = os.cpu_count() or 1
    trainer, state = build(config, threads=cores)
    alone, _ = build(config)
    sampled = trainer.sample(state, trainer.draw_tasks(0), 0)
    there, sampled_there = on_device(state, "cuda"), [on_device(round_, "cuda") for round_ in sampled]

    torch.cuda.reset_peak_memory_stats()
    one, all_cores, cuda = in_turn(
        rounds,
        lambda: alone.step(state, sampled),
        lambda: trainer.step(state, sampled),
        lambda: trainer.step(there, sampled_there),
        seconds=_seconds,
    )
    name = f"update, {algorithm}, {tasks} × {trajectories} × {config.sampling.horizon}"
    return [
        Row(f"{name}, one thread", "s", one),
        Row(f"{name}, {cores} threads", "s", all_cores),
        Row(f"{name}, cuda", "s", cuda),
        Row(f"{name}, one thread / cuda", "×", ratios(one, cuda)),
        Row(f"{name}, {cores} threads / cuda", "×", ratios(all_cores, cuda)),
        Row(f"{name}, memory of the device", "MiB", [torch.cuda.max_memory_allocated() / 2**20]),
    ]


def _seconds(run: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start
