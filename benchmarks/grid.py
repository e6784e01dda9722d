"""Eight equal runs, one and two at a time: as processes of this machine, and on Dask workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import Row, ratios
from metarl_cli.grid.cluster import dask_engine
from metarl_cli.grid.jobs import Engine, Job, run_jobs
from metarl_cli.grid.local import local_engine
from metarl_cli.reproduction.run import PRELOAD

RUNS = 8
SIZES = {False: ("--profile", "quick", "--iterations", "30"), True: ("--profile", "smoke")}
"""Of a run: some ten seconds, so that the imports of a worker are a few per cent; by `--quick` hardly one."""

CALM = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "1s",
}
"""What docs/clusters.md says of Dask's watch over itself."""


def grid(*, quick: bool, rounds: int) -> list[Row]:
    """Seconds from the first job to the last result, imports included; workers have joined before."""
    taken = [[kind(n, quick) for kind in (_local, _dask) for n in (1, 2)] for _ in range(rounds)]
    one, two, worker, workers = (list(column) for column in zip(*taken, strict=True))
    return [
        Row(f"{RUNS} runs, 1 at a time", "s", one),
        Row(f"{RUNS} runs, 2 at a time", "s", two),
        Row(f"{RUNS} runs: 1 at a time / 2", "×", ratios(one, two)),
        Row(f"{RUNS} runs, 1 Dask worker", "s", worker),
        Row(f"{RUNS} runs, 2 Dask workers", "s", workers),
        Row(f"{RUNS} runs: 1 Dask worker / 2", "×", ratios(worker, workers)),
    ]


def _local(count: int, quick: bool) -> float:
    with TemporaryDirectory() as home, local_engine(count, Path(home), preload=PRELOAD) as engine:
        return _seconds(engine, quick)


def _dask(count: int, quick: bool) -> float:
    with (
        TemporaryDirectory() as home,
        _cluster(Path(home), count) as address,
        dask_engine(address, Path(home), preload=PRELOAD) as engine,
    ):
        while engine.slots < count:
            time.sleep(0.1)
        return _seconds(engine, quick)


def _seconds(engine: Engine, quick: bool) -> float:
    jobs = [
        Job(
            name=f"run{seed}",
            argv=(
                *("metarl_cli", "train", "--algo", "promp", *SIZES[quick], "--set", f"seed={seed}", "--quiet"),
                *("--out", f"run{seed}"),
            ),
            proofs={f"run{seed}/DONE": None},
            writes=(f"run{seed}",),
        )
        for seed in range(RUNS)
    ]
    start = time.perf_counter()
    over = run_jobs(jobs, engine, on_event=lambda job, result: None, stop_requests=lambda: 0)
    taken = time.perf_counter() - start
    if failed := [result.message for result in over if result.status != "done"]:
        raise SystemExit(failed[0])
    return taken


@contextmanager
def _cluster(home: Path, count: int) -> Iterator[str]:
    """The address of a scheduler, which so many workers will join; they end before it."""
    file, here = home / "scheduler.json", ("--host", "127.0.0.1", "--no-dashboard")
    with ExitStack() as stack:

        def start(program: str, *arguments: str) -> None:
            command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments, *here]
            process = subprocess.Popen(
                command, cwd=home, env=os.environ | CALM, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start("dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        while not (file.exists() and file.read_text()):  # Dask opens it before it writes into it
            time.sleep(0.1)
        for _ in range(count):
            start("dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--resources", "slot=1")
        yield json.loads(file.read_text())["address"]
