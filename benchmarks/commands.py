"""Whole commands, each in a process of its own: iterations, start-up, memory."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typer.main import get_command

from benchmarks.measuring import Row, metarl, ratios
from metarl_cli.cli import app

ALGORITHMS = ("promp", "trpo-maml", "tmaml")
QUICK = ("--set", "sampling.tasks=4", "--set", "sampling.trajectories=10", "--set", "sampling.horizon=50")
ITERATIONS = "2"
"""Of a run; the first warms up."""


def iterations(*, quick: bool, rounds: int) -> list[Row]:
    """Seconds per iteration of whole runs on one and two threads, and their peak memory."""
    rows = list[Row]()
    for algorithm in ALGORITHMS:
        runs = [[_run(algorithm, threads, quick=quick) for threads in (1, 2)] for _ in range(rounds)]
        (one, two), (memory, _) = ([[run[i] for run in column] for column in zip(*runs, strict=True)] for i in (0, 1))
        rows += [
            Row(f"iteration, {algorithm}, 1 thread", "s", one),
            Row(f"iteration, {algorithm}, 2 threads", "s", two),
            Row(f"iteration, {algorithm}: 1 thread / 2 threads", "×", ratios(one, two)),
            Row(f"peak memory, {algorithm}", "MiB", memory),
        ]
    return rows


def _run(algorithm: str, threads: int, *, quick: bool) -> tuple[float, float]:
    with TemporaryDirectory() as home:
        size = ("--iterations", ITERATIONS, *(QUICK if quick else ()))
        child = metarl(
            "train", "--algo", algorithm, *size, "--threads", str(threads), "--quiet", "--out", f"{home}/run"
        )
        with Path(home, "run", "progress.csv").open(newline="") as file:
            taken = [float(row["time/sampling"]) + float(row["time/update"]) for row in csv.DictReader(file)]
    return statistics.median(taken[1:]), child.memory


def start_up(*, quick: bool, rounds: int) -> list[Row]:
    """What every command costs before it does anything, and those that show what there is: CPU time and memory.

    Those that show are run as they are the second time, and as the first, when nothing is remembered of these results.
    """
    rows = list[Row]()
    with TemporaryDirectory() as home:
        shows = {
            "list claims": ("list", "claims"),
            "plot fig2": ("plot", "fig2", "--out", home),
            "report": ("report", "--out", f"{home}/report.html"),
        }
        helps = {" ".join((*names, "--help")): (*names, "--help") for names in _commands(get_command(app))}
        for command in shows.values():
            metarl(*command)
        for name, command in (helps | shows).items():
            children = [metarl(*command) for _ in range(rounds)]
            rows.append(Row(f"metarl {name}, CPU", "s", [child.cpu for child in children]))
            if name in shows:
                rows.append(Row(f"metarl {name}, clock", "s", [child.wall for child in children]))
                rows.append(Row(f"metarl {name}, memory", "MiB", [child.memory for child in children]))
                rows.append(Row(f"metarl {name}, the first time, CPU", "s", [_first(command) for _ in range(rounds)]))
    return rows


def _first(command: Sequence[str]) -> float:
    with TemporaryDirectory() as cache:
        return metarl(*command, cache=cache).cpu


def _commands(command: Any) -> Iterator[tuple[str, ...]]:
    """A command, by the names that are typed, and all that are below it."""
    yield ()
    for name, below in getattr(command, "commands", {}).items():
        yield from ((name, *names) for names in _commands(below))
