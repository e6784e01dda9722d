"""A grid of jobs: what a job is, as plain data, and the order in which an engine is given them.

An engine runs one job as `python -m` would, starts it again when it was killed, and stops it on request: `local` in
processes of this machine, `dask` on whatever machines have joined a scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

__all__ = ["RETRIES", "STOPPED", "Engine", "Job", "JobResult", "Listener", "Share", "is_done", "run_jobs"]

RETRIES = 2
ASK_SECONDS = 0.25
STOPPED = "stopped"
"""The message of a job that was skipped on request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command. All of it can be sent to another machine; paths are below the directory that it is run in.

    Attributes:
        name: unique in its grid.
        argv: a module and its arguments, as after `python -m`. Run again, the command goes on where it was killed.
        stdin: what it reads on standard input.
        proofs: the files that say that it is done, each with the text that it has to hold; None for any.
        reads: files and directories that must be there before.
        writes: files and directories that it leaves, or goes on with.
        after: jobs that must be done before; those that are not in the grid are.
    """

    name: str
    argv: tuple[str, ...]
    stdin: str = ""
    proofs: Mapping[str, str | None] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    after: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Share:
    """A job's part of the whole.

    Attributes:
        seconds: what the job takes from its start to its end, on one core.
        fraction: how much of it is done by now.
    """

    seconds: float
    fraction: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """How a job ended; skipped is one that was stopped or never started. The message says why it is not done."""

    name: str
    status: Literal["done", "failed", "skipped"]
    message: str = ""


Listener: TypeAlias = Callable[[Job, JobResult | None], None]
"""Told of each job twice: when it starts, with None, and when it is over; once if it never starts."""


class Engine(Protocol):
    """What runs jobs, `slots` of them at a time."""

    @property
    def slots(self) -> int:
        """How many run at a time."""

    def submit(self, job: Job) -> Future[JobResult]:
        """Start a job; the future never raises what the job itself did wrong."""

    def stop(self, requests: int) -> None:
        """Start nothing more. After one request what runs may end cleanly, after two it is killed."""


def is_done(job: Job, home: Path) -> bool:
    """Whether all the files below `home` are there that say so."""
    try:
        return bool(job.proofs) and all(
            (home / path).exists() if text is None else (home / path).read_text(encoding="utf-8") == text
            for path, text in job.proofs.items()
        )
    except (OSError, UnicodeDecodeError):
        return False


def run_jobs(
    jobs: Sequence[Job],
    engine: Engine,
    *,
    on_event: Listener,
    stop_requests: Callable[[], int],
    ask_seconds: float = ASK_SECONDS,
) -> list[JobResult]:
    """Run every job; one that fails stops no other, but those that come after it.

    Args:
        jobs: each after all those that it waits for.
        engine: runs them; it is not closed.
        on_event: told of every start and end.
        stop_requests: how often a stop was asked for.
        ask_seconds: how long `stop_requests` is not called while no job ends.

    Returns:
        One result per job, in the order of the jobs.

    Raises:
        ValueError: if two jobs have one name, or one stands before a job that it waits for.
    """
    names = [job.name for job in jobs]
    for position, job in enumerate(jobs):
        if job.name in names[:position] or job.after & set(names[position:]):
            raise ValueError(f"job {job.name}: expected one of that name, and after all that it waits for.")
    waiting, running, results = list(jobs), dict[Future[JobResult], Job](), dict[str, JobResult]()
    told = 0

    def settle(job: Job, result: JobResult) -> None:
        results[job.name] = result
        on_event(job, result)

    while waiting or running:
        if (asked := stop_requests()) > told:
            engine.stop(asked)
            told = asked
        slots = engine.slots if waiting else 0  # which another machine has to be asked for
        for job in list(waiting):
            missing = sorted(name for name in job.after if name in results and results[name].status != "done")
            if told or missing:
                waiting.remove(job)
                reason = STOPPED if told else f"needs {', '.join(missing)}"
                settle(job, JobResult(name=job.name, status="skipped", message=reason))
            elif len(running) < slots and job.after.intersection(names) <= results.keys():
                waiting.remove(job)
                on_event(job, None)
                running[engine.submit(job)] = job
        for future in wait(running, timeout=ask_seconds, return_when=FIRST_COMPLETED).done:
            job = running.pop(future)
            lost = future.exception()  # of the engine, not of the job
            settle(job, JobResult(name=job.name, status="failed", message=str(lost)) if lost else future.result())
    return [results[name] for name in names]
