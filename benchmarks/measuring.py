"""What every part of the benchmark is made of: rows, turns, clocks, child processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib import get_cachedir

__all__ = ["Child", "Row", "cpu_seconds", "in_turn", "metarl", "ratios"]


class Row(NamedTuple):
    """One line of the table: what was measured, in which unit, once per round."""

    name: str
    unit: str
    rounds: list[float]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.rounds)


class Child(NamedTuple):
    """What a command cost: seconds on the clock and on the CPU, and the memory of its largest process, in MiB."""

    wall: float
    cpu: float
    memory: float


LAUNCHER = """
import os, sys
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ, file_actions=silent)
_, status, used = os.wait4(child, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts a command from a process of a few megabytes: a child's peak is never told as less than its parent's size."""


def cpu_seconds(run: Callable[[], object]) -> float:
    """What one run takes of this process's CPU, so that other work on the machine hardly counts."""
    start = time.process_time()
    run()
    return time.process_time() - start


def in_turn(
    rounds: int, *runs: Callable[[], object], seconds: Callable[[Callable[[], object]], float] = cpu_seconds
) -> list[list[float]]:
    """Seconds of each run in each round, of the CPU unless told otherwise; they take turns, after one that warms up."""
    taken = [[seconds(run) for run in runs] for _ in range(rounds + 1)]
    return [list(column) for column in zip(*taken[1:], strict=True)]


def ratios(measured: Sequence[float], against: Sequence[float]) -> list[float]:
    """The one divided by the other, round by round."""
    return [a / b for a, b in zip(measured, against, strict=True)]


def metarl(*arguments: str, cache: str | None = None) -> Child:
    """Run a command of metarl in a process of its own.

    Args:
        arguments: of the command.
        cache: the directory in which it finds and leaves what is remembered; None for the user's.

    Raises:
        SystemExit: if it fails, with what it printed.
    """
    command, start = [sys.executable, "-c", LAUNCHER, "-m", "metarl_cli", *arguments], time.perf_counter()
    # Matplotlib's list of fonts stays where it is: it is not made again when results or code change.
    places = {"XDG_CACHE_HOME": cache, "MPLCONFIGDIR": get_cachedir()} if cache else {}
    child = subprocess.run(command, capture_output=True, text=True, env=os.environ | places)
    wall = time.perf_counter() - start
    if child.returncode:
        raise SystemExit(f"metarl {' '.join(arguments)} ended with exit code {child.returncode}.\n{child.stderr}")
    cpu, memory = map(float, child.stdout.split())
    return Child(wall, cpu, memory)
