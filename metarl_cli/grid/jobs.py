"""A grid of jobs: one child process each, started again when it was killed, stopped cleanly on request.

The executor is any of `concurrent.futures`. The default is a thread per slot, each of which waits for one child: a
child that runs out of memory then costs one job, where a pool of worker processes would lose them all. Nothing here
knows what a job is for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Literal, TypeAlias

__all__ = ["STOPPED", "Job", "JobResult", "Listener", "run_jobs"]

RETRIES = 2
POLL_SECONDS = 0.25
TAIL_LINES = 5
STOPPED = "stopped"
"""The message of a job that was skipped on request."""

ONE_THREAD: Mapping[str, str] = MappingProxyType(
    {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
)
"""The grid fills the cores with jobs; a library's own threads would only take them from each other."""

BOUND_TO_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent ended first")
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Linux: the system kills the child when its parent ends, however that ends, so that no orphan writes beside the next
grid. The child asks for it itself, because code between fork and exec is not safe in a process with threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One child process.

    Attributes:
        name: unique in its grid.
        argv: the command, asked for at each start: a job that was begun before may have to be continued.
        is_done: whether there is nothing left to do.
        after: jobs that must be done before; those that are not in the grid are.
    """

    name: str
    argv: Callable[[], Sequence[str]]
    is_done: Callable[[], bool]
    after: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """How a job ended; skipped is one that was stopped or never started. The message says why it is not done."""

    name: str
    status: Literal["done", "failed", "skipped"]
    message: str = ""


Listener: TypeAlias = Callable[[Job, JobResult | None], None]
"""Told of each job twice: when it starts, with None, and when it is over; once if it never starts."""


def run_jobs(
    jobs: Sequence[Job],
    *,
    slots: int,
    on_event: Listener,
    stop_requests: Callable[[], int],
    executor: Executor | None = None,
) -> list[JobResult]:
    """Run every job that is not done; one that fails stops no other, but those that come after it.

    Args:
        jobs: each after all those that it waits for.
        slots: how many run at a time.
        on_event: told of every start and end.
        stop_requests: how often a stop was asked for. After one, nothing is started and each child gets SIGINT once;
            after two they are killed.
        executor: runs `run_job`; it is not shut down. Jobs and `stop_requests` must be such that it can send them. None
            for threads of this process.

    Returns:
        One result per job, in the order of the jobs.

    Raises:
        ValueError: if two jobs have one name, or one stands before a job that it waits for.
    """
    _check_order(jobs)
    waiting, running = list(jobs), dict[Future[JobResult], Job]()
    results: dict[str, JobResult] = {}

    def settle(job: Job, result: JobResult) -> None:
        results[job.name] = result
        on_event(job, result)

    with nullcontext(executor) if executor else ThreadPoolExecutor(slots) as pool:
        while waiting or running:
            for job in list(waiting):
                if reason := _obstacle(job, results, stopping=stop_requests() > 0):
                    waiting.remove(job)
                    settle(job, JobResult(name=job.name, status="skipped", message=reason))
                elif len(running) < slots and _may_start(job, results, jobs):
                    waiting.remove(job)
                    on_event(job, None)
                    running[pool.submit(run_job, job, stop_requests)] = job
            for future in wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                settle(job, _result(job, future))
    return [results[job.name] for job in jobs]


def _check_order(jobs: Sequence[Job]) -> None:
    names = [job.name for job in jobs]
    for position, job in enumerate(jobs):
        if job.name in names[:position] or job.after & set(names[position:]):
            raise ValueError(f"job {job.name}: expected one of that name, and after all that it waits for.")


def _obstacle(job: Job, results: Mapping[str, JobResult], *, stopping: bool) -> str:
    """Why a job will not start, or nothing."""
    missing = sorted(name for name in job.after if name in results and results[name].status != "done")
    return STOPPED if stopping else f"needs {', '.join(missing)}" if missing else ""


def _may_start(job: Job, results: Mapping[str, JobResult], jobs: Sequence[Job]) -> bool:
    return job.after & {other.name for other in jobs} <= results.keys()


def _result(job: Job, future: Future[JobResult]) -> JobResult:
    """What became of a job, also if the executor lost it or the job could not say what to run."""
    error = future.exception()
    return JobResult(name=job.name, status="failed", message=str(error)) if error else future.result()


def run_job(job: Job, stop_requests: Callable[[], int]) -> JobResult:
    """Run one job in a child process; a child that a signal ended is started again, `RETRIES` times at most."""
    code, words = 0, ""
    for _ in range(1 + RETRIES):
        if not stop_requests() and not job.is_done():
            code, words = _run_child(job.argv(), stop_requests)
        if job.is_done():
            return JobResult(name=job.name, status="done")
        if stop_requests():
            return JobResult(name=job.name, status="skipped", message=STOPPED)
        if code >= 0:
            return JobResult(name=job.name, status="failed", message=f"exit code {code}: {words or 'no message'}")
    killed = f"{1 + RETRIES} times ended by {signal.Signals(-code).name}"
    return JobResult(name=job.name, status="failed", message=killed)


def _run_child(argv: Sequence[str], stop_requests: Callable[[], int]) -> tuple[int, str]:
    """Exit code, negative for a signal, and the last words on standard error."""
    with TemporaryFile() as words:
        child = subprocess.Popen(
            _bound(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,  # Ctrl-C in the terminal goes to every process of its session
        )
        told = 0
        while child.poll() is None:
            if (asked := stop_requests()) > told:
                child.send_signal(signal.SIGINT if asked == 1 else signal.SIGKILL)
                told = asked
            with suppress(subprocess.TimeoutExpired):
                child.wait(POLL_SECONDS)
        return child.returncode, _tail(words)


def _bound(argv: Sequence[str]) -> list[str]:
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", BOUND_TO_PARENT, str(os.getpid()), *argv]


def _tail(file: IO[bytes]) -> str:
    file.seek(0)
    return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-TAIL_LINES:])
