"""A real scheduler and real workers, as processes of their own that can be killed."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from metarl_cli.config import config_text, with_overrides
from metarl_cli.grid.cluster import packed, unpack, versions
from metarl_cli.grid.jobs import Job, run_jobs
from metarl_cli.grid.local import local_engine
from metarl_cli.papers.settings import run_config

pytest.importorskip("distributed", reason="the extra [dist] is not installed")

RUNS = 8
GRID = """
import pickle, sys
from pathlib import Path
from metarl_cli.errors import UserError
from metarl_cli.grid import cluster
from metarl_cli.grid.jobs import run_jobs

def told(job, result):
    print(job.name, "started" if result is None else f"{result.status} {result.message}", flush=True)

cluster.WAIT_SECONDS = 20
jobs = pickle.loads(Path("jobs").read_bytes())
try:
    with cluster.dask_engine(sys.argv[1], Path("results"), preload=("metarl_cli.runs.launch",)) as engine:
        run_jobs(jobs, engine, on_event=told, stop_requests=lambda: 0)
except UserError as error:
    sys.exit(f"refused: {error}")
"""


def environment(**changes):
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])} | changes


@contextmanager
def process(*arguments, cwd, **how):
    with subprocess.Popen([sys.executable, *arguments], cwd=cwd, env=environment(), **how) as child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def scheduler(home):
    file, quiet = home / "scheduler.json", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    program = ("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    with process(*program, "--scheduler-file", str(file), cwd=home, **quiet):
        yield wait_for(lambda: file.exists() and json.loads(file.read_text())["address"])


def worker(home, address, *more):
    program = ("-m", "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard")
    where = ("--host", "127.0.0.1", "--local-directory", str(home / "scratch"))
    return process(*program, *where, *more, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(answer, seconds=120.0):
    deadline = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def training(seed):
    config = run_config("promp", "Navigation", profile="smoke")
    settings = config_text(with_overrides(config, [f"seed={seed}"]))
    place = f"runs/seed{seed}"
    return Job(
        name=place,
        argv=("metarl_cli", "train", "--config", "-", "--out", place, "--resume", "--quiet"),
        stdin=settings,
        proofs={f"{place}/DONE": None, f"{place}/config.json": settings},
        reads=(place,),
        writes=(place,),
    )


def sent(home, jobs):
    """The grid's directory, ready for `GRID`."""
    (home / "results").mkdir(exist_ok=True)
    (home / "jobs").write_bytes(pickle.dumps(jobs))


def grid(home, address):
    return process("-c", GRID, address, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def numbers(run):
    """All that a run computes: rows without what a clock decides, and the last checkpoint."""
    header, *rows = [line.split(",") for line in (run / "progress.csv").read_text().splitlines()]
    kept = [i for i, name in enumerate(header) if not name.startswith(("wall_", "time/"))]
    return [[row[i] for i in kept] for row in rows], (run / "checkpoint.pt").read_bytes()


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_that_is_killed_costs_no_run_and_no_byte(tmp_path):
    jobs = [training(seed) for seed in range(1, 1 + RUNS)]
    (tmp_path / "here").mkdir()
    with local_engine(1, tmp_path / "here", preload=("metarl_cli.runs.launch",)) as engine:
        run_jobs(jobs, engine, on_event=lambda *told: None, stop_requests=lambda: 0)
    sent(tmp_path, jobs)
    with ExitStack() as stack:
        address = stack.enter_context(scheduler(tmp_path))
        workers = [stack.enter_context(worker(tmp_path, address, "--resources", "slot=1")) for _ in range(2)]
        client = stack.enter_context(grid(tmp_path, address))
        for line in client.stdout:
            if " done" in line:
                break
        workers[0].send_signal(signal.SIGKILL)
        said = line + client.communicate(timeout=300)[0]
    assert client.returncode == 0, said
    assert said.count(" done ") == RUNS, said
    for seed in range(1, 1 + RUNS):
        place = f"runs/seed{seed}"
        assert numbers(tmp_path / "results" / place) == numbers(tmp_path / "here" / place)
        assert {path.name for path in (tmp_path / "results" / place).iterdir()} == {
            *("config.json", "meta.json", "progress.csv", "checkpoint.pt", "checkpoint.previous.pt", "DONE")
        }


def test_a_child_ends_with_its_worker_and_with_its_client(tmp_path):
    up = tmp_path / "up"
    code = f"import os, pathlib, time\npathlib.Path({str(up)!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    sent(tmp_path, [Job(name="a", argv=("grid_cases", code), proofs={"a": None}, writes=("a",))])
    with scheduler(tmp_path) as address:
        for victim in ("client", "worker"):
            up.unlink(missing_ok=True)
            with worker(tmp_path, address, "--resources", "slot=1") as node, grid(tmp_path, address) as client:
                child = int(wait_for(lambda: up.exists() and up.read_text()))
                assert is_running(child)
                (client if victim == "client" else node).kill()
                wait_for(lambda child=child: not is_running(child), seconds=60)


def test_what_cannot_work_is_one_message(tmp_path):
    sent(tmp_path, [])
    with scheduler(tmp_path) as address, grid(tmp_path, address) as client:
        assert "refused: No worker has joined tcp://127.0.0.1" in client.communicate(timeout=120)[0]
        with worker(tmp_path, address), grid(tmp_path, address) as client:
            assert "has a slot for jobs: start them with --resources slot=1" in client.communicate(timeout=120)[0]
    with grid(tmp_path, address) as client:
        assert f"refused: No scheduler answers at {address}" in client.communicate(timeout=120)[0]


@pytest.mark.parametrize("path", ["../b", "b/a", "/tmp/b", "a/../../b"])
def test_nothing_is_written_where_a_job_does_not_write(tmp_path, path):
    with pytest.raises(ValueError, match="is not where job a writes"):
        unpack({path: b""}, tmp_path, Job(name="a", argv=("none",), writes=("a",)))


def test_files_travel_without_locks_and_the_proofs_come_last(tmp_path, monkeypatch):
    job = replace(training(1), writes=("run",), reads=(), proofs={"run/DONE": None})
    for name in ("DONE", ".lock", "a.csv", "deep/z.bin", "z.csv.1.tmp"):
        path = tmp_path / "one" / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    files = packed(tmp_path / "one", job.writes)
    assert files == {f"run/{name}": name.encode() for name in ("DONE", "a.csv", "deep/z.bin")}
    written = []
    monkeypatch.setattr("metarl_cli.grid.cluster.write_whole", lambda path, content: written.append(path.name))
    unpack(files, tmp_path / "other", job)
    assert written == ["a.csv", "z.bin", "DONE"]


def test_the_versions_that_decide_numbers():
    assert set(versions()) == {"metarl", "torch", "mujoco"}
    assert all(value[0].isdigit() for value in versions().values())
