"""How long a meta-iteration of each algorithm takes beside MAML's, at the paper's size, on one thread.

The two are timed in turn, on the same machine in the same minute, and the ratio is taken pair by pair.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table

from metarl_cli.config import with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build
from metarl_cli.training.trainer import Trainer, TrainState

REFERENCE = "vpg-maml"
COMPARED = ("sgmrl", "sgmrl-loo", "vpg-emaml", "lvc-vpg", "dice-vpg", "tmaml", "promp", "promp-taypo2", "trpo-maml")


def seconds(trainer: Trainer, state: TrainState, iteration: int) -> tuple[float, float]:
    """Sampling and update of one meta-iteration."""
    start = time.perf_counter()
    rounds = trainer.sample(state, trainer.draw_tasks(iteration), iteration)
    sampled = time.perf_counter()
    trainer.step(state, rounds)
    return sampled - start, time.perf_counter() - sampled


def compare(algorithm: str, environment: str, overrides: tuple[str, ...], repeats: int) -> tuple[float, float, float]:
    """Median seconds per iteration and per update, and the median ratio of iterations to the reference's."""
    pair = [
        build(with_overrides(run_config(name, environment, profile="paper"), overrides))
        for name in (REFERENCE, algorithm)
    ]
    timed = [[seconds(*built, iteration) for built in pair] for iteration in range(repeats + 1)][
        1:
    ]  # the first warms up
    ratios = [sum(measured) / sum(reference) for reference, measured in timed]
    totals, updates = [sum(measured) for _, measured in timed], [measured[1] for _, measured in timed]
    return statistics.median(totals), statistics.median(updates), statistics.median(ratios)


def main() -> None:
    """Print one row per algorithm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="HalfCheetahFwdBack")
    parser.add_argument("--quick", action="store_true", help="a quarter of the tasks, fewer repeats")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    overrides = ("sampling.tasks=10",) if arguments.quick else ()
    table = Table("algorithm", "s per iteration", "s per update", f"iteration / {REFERENCE}", box=None)
    for algorithm in COMPARED:
        total, update, ratio = compare(algorithm, arguments.env, overrides, repeats=3 if arguments.quick else 7)
        table.add_row(algorithm, f"{total:.2f}", f"{update:.2f}", f"{ratio:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
