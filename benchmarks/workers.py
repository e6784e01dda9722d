"""Eight equal runs on one and on two Dask workers, beside what two processes cost each other on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import Row, metarl, ratios
from metarl_cli.grid.cluster import dask_engine
from metarl_cli.grid.jobs import Job, run_jobs

RUNS = 8
SIZES = {False: ("--profile", "quick", "--iterations", "30"), True: ("--profile", "smoke")}
"""Of a run: less than ten seconds, so that the imports of a worker are a few per cent; by `--quick` hardly one."""

CALM = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "1s",
}
"""What docs/clusters.md says of Dask's watch over itself."""


def workers(*, quick: bool, rounds: int) -> list[Row]:
    """Seconds from the first job to the last result, imports included; the workers have joined before."""
    taken = [[_dask(n, quick) for n in (1, 2)] + [_plain(n, quick) for n in (1, 2)] for _ in range(rounds)]
    one, two, alone, beside = (list(column) for column in zip(*taken, strict=True))
    return [
        Row(f"{RUNS} runs, 1 Dask worker", "s", one),
        Row(f"{RUNS} runs, 2 Dask workers", "s", two),
        Row(f"{RUNS} runs: 2 Dask workers / 1", "×", ratios(two, one)),
        Row("2 runs: both at a time / one by one, as processes", "×", ratios(beside, alone)),
    ]


def _train(seed: int, out: str, quick: bool) -> tuple[str, ...]:
    return ("train", "--algo", "promp", *SIZES[quick], "--set", f"seed={seed}", "--quiet", "--out", out)


def _plain(at_a_time: int, quick: bool) -> float:
    with TemporaryDirectory() as home, ThreadPoolExecutor(at_a_time) as pool:
        start = time.perf_counter()
        list(pool.map(lambda seed: metarl(*_train(seed, f"{home}/{seed}", quick)), range(2)))
        return time.perf_counter() - start


def _dask(count: int, quick: bool) -> float:
    jobs = [
        Job(
            name=f"run{seed}",
            argv=("metarl_cli", *_train(seed, f"run{seed}", quick)),
            proofs={f"run{seed}/DONE": None},
            writes=(f"run{seed}",),
        )
        for seed in range(RUNS)
    ]
    with (
        TemporaryDirectory() as home,
        _cluster(Path(home), count) as address,
        dask_engine(address, Path(home), preload=("metarl_cli.runs.launch",)) as engine,
    ):
        while engine.slots < count:
            time.sleep(0.1)
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
