"""Jobs on this machine: a child process each, forked from one that has imported what they need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from threading import RLock, Thread
from types import MappingProxyType
from typing import IO

from metarl_cli.grid.jobs import RETRIES, STOPPED, Job, JobResult, is_done

__all__ = ["LocalEngine", "local_engine"]

ONE_THREAD: Mapping[str, str] = MappingProxyType(
    {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
)
"""The grid fills the cores with jobs; a library's own threads would only take them from each other, and a process with
threads must not be forked."""


@contextmanager
def local_engine(slots: int, home: Path, *, preload: Sequence[str] = ()) -> Iterator[LocalEngine]:
    """An engine whose processes all end with it.

    Args:
        slots: how many jobs run at a time.
        home: the directory they run in.
        preload: modules to import once, for all.
    """
    engine = LocalEngine(slots, home, preload)
    try:
        yield engine
    finally:
        engine.close()


@dataclass(frozen=True, slots=True)
class _Attempt:
    job: Job
    home: Path
    future: Future[JobResult]
    number: int = 1


class LocalEngine:
    """See `local_engine`. A child that a signal ended is started again, `RETRIES` times at most."""

    def __init__(self, slots: int, home: Path, preload: Sequence[str]) -> None:
        self.slots = slots
        self._home, self._preload = home.absolute(), tuple(preload)
        self._lock, self._numbers = RLock(), count()
        self._running: dict[int, _Attempt] = {}
        self._server: subprocess.Popen[bytes] | None = None
        self._requests = 0

    def submit(self, job: Job) -> Future[JobResult]:
        """Start a job in a child process."""
        return self.submit_in(job, self._home)

    def submit_in(self, job: Job, home: Path) -> Future[JobResult]:
        """Start a job in a child process in another directory."""
        attempt = _Attempt(job, home, Future())
        self._start(attempt)
        return attempt.future

    def kill(self, future: Future[JobResult]) -> None:
        """End one job for good."""
        with self._lock:
            for identity, attempt in self._running.items():
                if attempt.future is future:
                    self._running[identity] = replace(attempt, number=1 + RETRIES)
                    self._send({"id": identity, "signal": signal.SIGKILL})

    def stop(self, requests: int) -> None:
        """Send each child SIGINT, and at a second request SIGKILL."""
        with self._lock:
            self._requests = requests
            number = signal.SIGINT if requests == 1 else signal.SIGKILL
            for identity in self._running:
                self._send({"id": identity, "signal": number})

    def close(self) -> None:
        """End the server, and with it every child that there is."""
        with self._lock:
            server, self._server = self._server, None
        if server:
            _reap(server)

    def _start(self, attempt: _Attempt) -> None:
        job = attempt.job
        if is_done(job, attempt.home):
            attempt.future.set_result(JobResult(name=job.name, status="done"))
            return
        with self._lock:
            if self._requests:
                attempt.future.set_result(JobResult(name=job.name, status="skipped", message=STOPPED))
                return
            identity = next(self._numbers)
            self._server = self._server or self._serve()
            self._running[identity] = attempt
            self._send({"start": identity, "argv": job.argv, "stdin": job.stdin, "home": str(attempt.home)})

    def _serve(self) -> subprocess.Popen[bytes]:
        server = subprocess.Popen(
            [sys.executable, "-m", "metarl_cli.grid.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,
        )
        assert server.stdin and server.stdout
        server.stdin.write(json.dumps({"path": sys.path, "preload": self._preload}).encode() + b"\n")
        Thread(target=self._listen, args=(server, server.stdout), daemon=True).start()
        return server

    def _send(self, request: Mapping[str, object]) -> None:
        if self._server and self._server.stdin:
            with suppress(OSError):  # a server that is gone is noticed by who listens to it
                self._server.stdin.write(json.dumps(request).encode() + b"\n")
                self._server.stdin.flush()

    def _listen(self, server: subprocess.Popen[bytes], answers: IO[bytes]) -> None:
        with answers:
            for line in answers:
                answer = json.loads(line)
                with self._lock:
                    attempt = self._running.pop(answer["id"])
                self._ended(attempt, answer["code"], answer["words"])
        with self._lock:
            if self._server is not server:  # it was closed
                return
            lost, self._running, self._server = list(self._running.values()), {}, None
        _reap(server)
        for attempt in lost:  # its children ended with it
            self._ended(attempt, -signal.SIGKILL, "")

    def _ended(self, attempt: _Attempt, code: int, words: str) -> None:
        result = JobResult(name=attempt.job.name, status="failed")
        if is_done(attempt.job, attempt.home):
            result = replace(result, status="done")
        elif self._requests:
            result = replace(result, status="skipped", message=STOPPED)
        elif code >= 0:
            result = replace(result, message=f"exit code {code}: {words or 'no message'}")
        elif attempt.number <= RETRIES:
            self._start(replace(attempt, number=attempt.number + 1))
            return
        else:
            result = replace(result, message=f"{attempt.number} times ended by {signal.Signals(-code).name}")
        attempt.future.set_result(result)


def _reap(server: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # what could not be written to it any more
        if server.stdin:
            server.stdin.close()
    server.wait()
