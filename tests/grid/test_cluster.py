"""A real scheduler and real workers, as processes of their own that can be killed."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from benchmarks.grid import CALM
from metarl_cli.config import config_text, with_overrides
from metarl_cli.grid.cluster import CERTIFICATES, packed, unpack, versions
from metarl_cli.grid.jobs import Job, run_jobs
from metarl_cli.grid.local import local_engine
from metarl_cli.papers.settings import run_config
from metarl_cli.runs import checkpoints

pytest.importorskip("distributed", reason="the extra [dist] is not installed")
dask = pytest.importorskip("dask", reason="the extra [dist] is not installed")

ROOT = Path(__file__).parents[2]
RUNS = 8
GRID = """
import pickle, sys
from pathlib import Path
from metarl_cli.errors import UserError
from metarl_cli.grid import cluster
from metarl_cli.grid.jobs import run_jobs
from metarl_cli.stopping import count_interrupts

def told(job, result):
    print(job.name, "started" if result is None else f"{result.status} {result.message}", flush=True)

cluster.WAIT_SECONDS = 20
jobs = pickle.loads(Path("jobs").read_bytes())
try:
    with (
        count_interrupts() as asked,
        cluster.dask_engine(sys.argv[1], Path("results"), preload=("metarl_cli.runs.launch",)) as engine,
    ):
        run_jobs(jobs, engine, on_event=told, stop_requests=asked)
except UserError as error:
    sys.exit(f"refused: {error}")
"""


@contextmanager
def process(*arguments, cwd, **how):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen([sys.executable, *arguments], cwd=cwd, env=environment, **how) as child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def scheduler(home, *more):
    file, quiet = home / "scheduler.json", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    program = ("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    with process(*program, *more, "--scheduler-file", str(file), cwd=home, **quiet):
        yield wait_for(lambda: address_in(file))


def address_in(file):
    """What a scheduler wrote, once it has: Dask opens the file before it writes into it."""
    with suppress(FileNotFoundError, json.JSONDecodeError):
        return json.loads(file.read_text())["address"]


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


def training(seed, iterations=10):
    config = run_config("promp", "Navigation", profile="smoke")
    settings = config_text(with_overrides(config, [f"seed={seed}", f"iterations={iterations}"]))
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


def status(pid):
    """Its state, a letter, and its parent; nothing if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_running(pid):
    return (found := status(pid)) is not None and found[0] != "Z"


def in_the_middle(home, least=0):
    """The process of a run on a worker that has more than so many of its rows, but not all, and its directory."""
    for process in Path("/proc").glob("[0-9]*/cwd"):
        try:
            where = process.readlink()
            if where.is_relative_to(home / "scratch"):
                rows, run = max((file.read_text().count("\n"), file.parent) for file in where.rglob("progress.csv"))
                if rows - 1 > least and not (run / "DONE").exists():
                    return int(process.parent.name), run
        except (OSError, ValueError):  # it has just ended, or just begun
            continue
    return None


def killed_in_the_middle_of_a_run(home, workers):
    """Kill a worker, surely while it has a run that is not over."""
    while True:
        child, run = wait_for(lambda: in_the_middle(home))
        os.kill(child, signal.SIGSTOP)
        if is_running(child) and not (run / "DONE").exists():
            server = status(child)[1]
            (victim,) = [worker for worker in workers if str(worker.pid) == status(server)[1]]
            victim.send_signal(signal.SIGKILL)
            return
        os.kill(child, signal.SIGCONT)


def logged(job, log):
    """The job, with a line in a file when it starts and one when it has come to its end: where, and which."""
    program = f"""
import os, sys
from metarl_cli.cli import main
def log(word):
    with open({str(log)!r}, "a") as file:
        file.write(f"{{os.getcwd()}} {job.name} {{word}}\\n")
sys.argv = {list(job.argv)!r}
log("starts")
try:
    main()
finally:
    log("ends")
"""
    return replace(job, argv=("grid_cases", program))


def test_a_worker_that_is_killed_costs_no_run_and_no_byte(tmp_path):
    jobs = [training(seed) for seed in range(1, 1 + RUNS)]
    (tmp_path / "here").mkdir()
    with local_engine(1, tmp_path / "here", preload=("metarl_cli.runs.launch",)) as engine:
        run_jobs(jobs, engine, on_event=lambda *told: None, stop_requests=lambda: 0)
    sent(tmp_path, [logged(job, tmp_path / "log") for job in jobs])
    with ExitStack() as stack:
        address = stack.enter_context(scheduler(tmp_path))
        workers = [stack.enter_context(worker(tmp_path, address, "--resources", "slot=1")) for _ in range(2)]
        client = stack.enter_context(grid(tmp_path, address))
        for line in client.stdout:
            if " done" in line:
                break
        killed_in_the_middle_of_a_run(tmp_path, workers)
        said = line + client.communicate(timeout=300)[0]
    assert client.returncode == 0, said
    assert said.count(" done ") == RUNS, said
    log = Counter((tmp_path / "log").read_text().splitlines())
    ends = {line.removesuffix(" ends") for line in log if line.endswith(" ends")}
    assert {line.split()[1] for line in ends} == {job.name for job in jobs}
    assert {line.removesuffix(" starts") for line in log if line.endswith(" starts")} - ends  # what was killed
    assert set(log.values()) == {1}  # nothing twice in one place
    for seed in range(1, 1 + RUNS):
        place = f"runs/seed{seed}"
        assert numbers(tmp_path / "results" / place) == numbers(tmp_path / "here" / place)
        assert {path.name for path in (tmp_path / "results" / place).iterdir()} == {
            *("config.json", "meta.json", "progress.csv", "checkpoint.pt", "checkpoint.previous.pt", "DONE")
        }


def test_a_stop_reaches_a_run_on_a_worker_and_brings_back_its_checkpoint(tmp_path):
    jobs, run = [training(seed, iterations=1_000_000) for seed in (1, 2)], tmp_path / "results/runs/seed1"
    sent(tmp_path, jobs)
    reached = [0]
    with scheduler(tmp_path) as address, worker(tmp_path, address, "--resources", "slot=1"):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with grid(tmp_path, address) as client:
                child, _ = wait_for(partial(in_the_middle, tmp_path, reached[-1]))
                client.send_signal(number)
                said = client.communicate(timeout=120)[0].splitlines()
            assert said == ["runs/seed1 started", "runs/seed2 skipped stopped", "runs/seed1 skipped stopped"]
            assert not is_running(child)
            assert json.loads((run / "meta.json").read_text())["status"] == "interrupted"
            reached.append(checkpoints.latest(run).state.iteration)
            assert len(numbers(run)[0]) == reached[-1] > reached[-2]


def test_a_child_ends_with_its_worker_and_with_its_client_and_when_a_stop_is_asked_for_twice(tmp_path):
    up = tmp_path / "up"
    code = (
        "import os, pathlib, signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"pathlib.Path({str(up)!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    sent(tmp_path, [Job(name="a", argv=("grid_cases", code), proofs={"a": None}, writes=("a",))])
    with scheduler(tmp_path) as address:
        for end in ("client", "worker", "stop"):
            up.unlink(missing_ok=True)
            with worker(tmp_path, address, "--resources", "slot=1") as node, grid(tmp_path, address) as client:
                child = int(wait_for(lambda: up.exists() and up.read_text()))
                assert is_running(child)
                if end != "stop":
                    (client if end == "client" else node).kill()
                while end == "stop" and client.poll() is None:
                    client.send_signal(signal.SIGINT)
                    time.sleep(0.5)
                wait_for(lambda child=child: not is_running(child), seconds=60)


def test_what_cannot_work_is_one_message(tmp_path):
    sent(tmp_path, [])
    with scheduler(tmp_path) as address, grid(tmp_path, address) as client:
        assert "refused: No worker has joined tcp://127.0.0.1" in client.communicate(timeout=120)[0]
        with worker(tmp_path, address), grid(tmp_path, address) as client:
            assert "has a slot for jobs: start them with --resources slot=1" in client.communicate(timeout=120)[0]
    with grid(tmp_path, address) as client:
        assert f"refused: No scheduler answers at {address}" in client.communicate(timeout=120)[0]


def certificates(home):
    """What an authority of one's own signs, in a few lines of OpenSSL: those of docs/clusters.md."""
    (lines,) = re.findall(r"(?m)^    openssl .*(?:\n {4,}.*)*", (ROOT / "docs/clusters.md").read_text())
    subprocess.run(["sh", "-ec", lines], cwd=home, check=True, capture_output=True)


def test_the_variables_that_keep_dask_quiet_are_documented_and_its_own():
    documented = dict(re.findall(r"\b(DASK_DISTRIBUTED__\w+)=(\S+)", (ROOT / "docs/clusters.md").read_text()))
    assert documented.items() >= CALM.items()
    for name in CALM:
        dask.config.get(name.removeprefix("DASK_").lower().replace("__", "."))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_over_tls_by_the_variables_of_dask_and_not_without(tmp_path, monkeypatch):
    certificates(tmp_path)
    sent(tmp_path, [training(1)])
    tls = ("--tls-ca-file", "ca.pem", "--tls-cert", "node.pem", "--tls-key", "node-key.pem")
    with scheduler(tmp_path, "--protocol", "tls", *tls) as address:
        with grid(tmp_path, address) as client:
            assert f"refused: {address} needs certificates: set DASK_" in client.communicate(timeout=120)[0]
        for name, file in zip(CERTIFICATES, ("ca.pem", "node.pem", "node-key.pem"), strict=True):
            monkeypatch.setenv(name, file)
        with worker(tmp_path, address, "--resources", "slot=1", *tls), grid(tmp_path, address) as client:
            assert client.communicate(timeout=120)[0].splitlines() == ["runs/seed1 started", "runs/seed1 done "]


@pytest.mark.parametrize("path", ["../b", "b/a", "/tmp/b", "a/../../b"])
def test_nothing_is_written_where_a_job_does_not_write(tmp_path, path):
    with pytest.raises(ValueError, match="is not where job a writes"):
        unpack({path: b""}, tmp_path, Job(name="a", argv=("none",), writes=("a",)))


def test_files_travel_without_locks_as_they_were_written_and_the_proofs_come_last(tmp_path, monkeypatch):
    job = replace(training(1), writes=("run",), reads=(), proofs={"run/DONE": None})
    for age, name in enumerate(("DONE", ".lock", "deep/z.bin", "a.csv", "z.csv.1.tmp")):
        path = tmp_path / "one" / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        os.utime(path, ns=(age, age))
    files = packed(tmp_path / "one", job.writes)
    assert files == {f"run/{name}": name.encode() for name in ("DONE", "a.csv", "deep/z.bin")}
    written = []
    monkeypatch.setattr("metarl_cli.grid.cluster.write_whole", lambda path, content: written.append(path.name))
    unpack(files, tmp_path / "other", job)
    assert written == ["z.bin", "a.csv", "DONE"]


def test_the_versions_that_decide_numbers():
    assert set(versions()) == {"metarl", "torch", "mujoco"}
    assert all(value[0].isdigit() for value in versions().values())
