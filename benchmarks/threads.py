"""What a second thread is worth, and where the rest of the second core goes.

One iteration of ProMP on one thread and on two, taking turns. On two threads, simulations, the policy that acts and
what is mapped over tasks run on threads of their own: the CPU time of the main thread is that of all that runs on one
thread only. With a share s of it, two threads are at most 2 / (1 + s) times as fast (Amdahl). The shares hardly see
other work on the machine; the clock sees nothing else, and only means something where there is none.

What the second core itself is worth says the same iteration in two processes at once, one thread each, which share
nothing but the machine: its caches, its memory, and whoever else is on its host.
"""

from __future__ import annotations

import cProfile
import multiprocessing
import pstats
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import NamedTuple, TypeAlias

import torch

from benchmarks.measuring import Row, ratios
from metarl_cli.config import RunConfig, with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build
from metarl_cli.training.trainer import Trainer, TrainState

ALONE = {
    "returns, control variate": "processing.py:predicted",
    "starts of episodes": "halves.py:reset",
    "halves put together": "types.py:joined",
}
"""Functions that only the main thread runs."""


class _Iteration(NamedTuple):
    """Seconds: on the clock sampling and updating; of the CPU, all threads, the main one, and of that each function."""

    sampling: float
    update: float
    cpu: float
    main: float
    functions: dict[str, float]

    @property
    def seconds(self) -> float:
        """On the clock."""
        return self.sampling + self.update


_Measure: TypeAlias = Callable[[], _Iteration]


def threads(*, quick: bool, rounds: int) -> list[Row]:
    """Two threads against one, and the shares of the CPU time that one thread alone can take."""
    torch.set_num_threads(1)
    config = run_config("promp", "HalfCheetahFwdBack", profile="paper")
    config = with_overrides(config, ("sampling.tasks=4",)) if quick else config
    alone, together = (_iteration_of(build(config, threads=count)) for count in (1, 2))
    with _second_process(config) as at_once:
        turns = [(alone(), together(), at_once(alone)) for _ in range(rounds + 1)]
    one, two, both = zip(*turns[1:], strict=True)  # the first warms up

    def clock(of: Callable[[_Iteration], float]) -> list[float]:
        return ratios([*map(of, one)], [*map(of, two)])

    whole = clock(lambda each: each.seconds)
    processes = [sum(a.seconds / each.seconds for each in pair) for a, pair in zip(one, both, strict=True)]
    serial = [each.main / each.cpu for each in two]
    shares = {what: [each.functions.get(name, 0.0) / each.cpu for each in two] for what, name in ALONE.items()}
    return [
        Row("two threads, iteration", "×", whole),
        Row("two threads, sampling", "×", clock(lambda each: each.sampling)),
        Row("two threads, update", "×", clock(lambda each: each.update)),
        Row("two processes, an iteration of each", "×", processes),
        Row("two threads / two processes", "×", ratios(whole, processes)),
        Row("CPU time, two threads / one", "×", [b.cpu / a.cpu for a, b in zip(one, two, strict=True)]),
        Row("on one thread only: all", "share", serial),
        *(Row(f"on one thread only: {what}", "share", each) for what, each in shares.items()),
        Row("two threads, at most", "×", [2.0 / (1.0 + share) for share in serial]),
    ]


@contextmanager
def _second_process(config: RunConfig) -> Iterator[Callable[[_Measure], tuple[_Iteration, _Iteration]]]:
    """What measures an iteration of this process and, at the same time, one of another."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(config, there))
    process.start()
    there.close()  # so that a process that fails is the end of what is heard of it

    def both(measure: _Measure) -> tuple[_Iteration, _Iteration]:
        here.send(None)
        own = measure()
        return own, here.recv()

    with here:  # whose end is the other's
        yield both
    process.join()


def _serve(config: RunConfig, pipe: Connection) -> None:
    """Measure an iteration whenever something is sent."""
    torch.set_num_threads(1)
    measure = _iteration_of(build(config))
    with suppress(EOFError):
        while True:
            pipe.recv()
            pipe.send(measure())


def _iteration_of(built: tuple[Trainer, TrainState]) -> _Measure:
    trainer, state = built

    def run() -> _Iteration:
        profile = cProfile.Profile(time.thread_time)  # of this thread alone
        cpu, main, start = time.process_time(), time.thread_time(), time.perf_counter()
        rounds = profile.runcall(lambda: trainer.sample(state, trainer.draw_tasks(0), 0))
        sampled = time.perf_counter()
        profile.runcall(trainer.step, state, rounds)
        updated = time.perf_counter()
        spent = time.process_time() - cpu, time.thread_time() - main
        return _Iteration(sampled - start, updated - sampled, *spent, _cumulative(profile))

    return run


def _cumulative(profile: cProfile.Profile) -> dict[str, float]:
    """CPU seconds spent in each function and what it calls, by file and name."""
    found = dict[str, float]()
    for (path, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():
        key = f"{path.rsplit('/', 1)[-1]}:{name}"
        found[key] = max(found.get(key, 0.0), cumulative)
    return found
