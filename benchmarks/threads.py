"""Where the second core goes: which parts of an iteration run on one thread whatever is asked for.

One iteration of ProMP on one thread under a profiler that counts CPU time. The simulations and what is mapped over
tasks run on all threads; with a share s of the rest, two threads are at most 2 / (1 + s) times as fast (Amdahl). The
profiler itself makes Python's share a little greater.
"""

from __future__ import annotations

import cProfile
import pstats
import time

import torch

from benchmarks.measuring import Row
from metarl_cli.config import with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build


def threads(*, quick: bool, rounds: int) -> list[Row]:
    """Shares of the CPU time of one iteration."""
    torch.set_num_threads(1)
    config = run_config("promp", "HalfCheetahFwdBack", profile="paper")
    trainer, state = build(with_overrides(config, ("sampling.tasks=4",)) if quick else config)

    def shares() -> dict[str, float]:
        profile = cProfile.Profile(time.process_time)
        start = time.process_time()
        profile.runcall(lambda: trainer.step(state, trainer.sample(state, trainer.draw_tasks(0), 0)))
        total, spent = time.process_time() - start, _cumulative(profile)
        simulating, mapped = spent["batch.py:step"], spent["trainer.py:_map"]
        serial = {
            "all": total - simulating - mapped,
            "policy, rewards, observations": spent["rollouts.py:collect"] - simulating,
            "baselines, returns": spent["processing.py:process"],
            "lengths of inner steps": spent["step_lengths.py:measured"],
        }
        return {what: seconds / total for what, seconds in serial.items()}

    measured = [shares() for _ in range(rounds + 1)][1:]  # the first warms up
    rows = [Row(f"on one thread only: {what}", "share", [each[what] for each in measured]) for what in measured[0]]
    return [*rows, Row("two threads, at most", "×", [2.0 / (1.0 + each["all"]) for each in measured])]


def _cumulative(profile: cProfile.Profile) -> dict[str, float]:
    """CPU seconds spent in each function and what it calls, by file and name."""
    found = dict[str, float]()
    for (path, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():
        key = f"{path.rsplit('/', 1)[-1]}:{name}"
        found[key] = max(found.get(key, 0.0), cumulative)
    return found
