"""Jobs on this machine: a child process each, forked from one that has imported what they need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Lock, Thread
from types import MappingProxyType
from typing import TypeAlias

from metarl_cli.grid.jobs import RETRIES, STOPPED, Job, JobResult, is_done

__all__ = ["ForkServer", "LocalEngine", "local_engine"]

ONE_THREAD: Mapping[str, str] = MappingProxyType(
    {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
)
"""The grid fills the cores with jobs; a library's own threads would only take them from each other, and a process with
threads must not be forked."""

End: TypeAlias = Callable[[int, str], None]
"""Told of a child that has ended: its exit code, negative for a signal, and its last words."""


@contextmanager
def local_engine(slots: int, home: Path, *, preload: Sequence[str] = ()) -> Iterator[LocalEngine]:
    """An engine whose processes all end with it.

    Args:
        slots: how many jobs run at a time.
        home: the directory they run in.
        preload: modules to import once, for all.
    """
    with closing(ForkServer(preload)) as server:
        yield LocalEngine(slots, home, server)


class LocalEngine:
    """Runs jobs below `home`. A child that a signal ended is started again, `RETRIES` times at most."""

    def __init__(self, slots: int, home: Path, server: ForkServer) -> None:
        self.slots = slots
        self._home, self._server = home.absolute(), server
        self._lock, self._running = Lock(), dict[Future[JobResult], int]()
        self._requests = 0

    def submit(self, job: Job) -> Future[JobResult]:
        """Start a job in a child process."""
        here = Future[JobResult]()
        self._start(job, here, attempt=1)
        return here

    def stop(self, requests: int) -> None:
        """Send each child SIGINT, and at a second request SIGKILL."""
        with self._lock:
            self._requests = requests
            for child in self._running.values():
                self._server.send(child, signal.SIGINT if requests == 1 else signal.SIGKILL)

    def _start(self, job: Job, here: Future[JobResult], *, attempt: int) -> None:
        def end(code: int, words: str) -> None:
            with self._lock:
                del self._running[here]
            if code >= 0:
                here.set_result(self._result(job, f"exit code {code}: {words or 'no message'}"))
            elif attempt <= RETRIES:
                self._start(job, here, attempt=attempt + 1)
            else:
                here.set_result(self._result(job, f"{attempt} times ended by {signal.Signals(-code).name}"))

        with self._lock:
            if self._requests or is_done(job, self._home):
                here.set_result(self._result(job))
            else:
                self._running[here] = self._server.start(job, self._home, end)

    def _result(self, job: Job, message: str = "") -> JobResult:
        if is_done(job, self._home):
            return JobResult(name=job.name, status="done")
        if self._requests:
            return JobResult(name=job.name, status="skipped", message=STOPPED)
        return JobResult(name=job.name, status="failed", message=message)


class ForkServer:
    """`grid.forkserver` in a process of its own: started with the first child, and again if it was killed."""

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = tuple(preload)
        self._lock, self._numbers = Lock(), count()
        self._children: dict[int, End] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, job: Job, home: Path, end: End) -> int:
        """Start a job in a directory; the number of its child, of whose end `end` is told in another thread."""
        with self._lock:
            if not self._process:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "metarl_cli.grid.forkserver"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **ONE_THREAD},
                    start_new_session=True,
                )
                self._write({"path": sys.path, "preload": self._preload})
                Thread(target=self._listen, args=(self._process,), daemon=True).start()
            child = next(self._numbers)
            self._children[child] = end
            self._write({"start": child, "argv": job.argv, "stdin": job.stdin, "home": str(home)})
            return child

    def send(self, child: int, number: signal.Signals) -> None:
        """Send a child a signal, if it has not ended."""
        with self._lock:
            self._write({"id": child, "signal": number})

    def close(self) -> None:
        """End the server, and with it every child that there is."""
        with self._lock:
            process, self._process = self._process, None
        if process:
            _reap(process)

    def _write(self, request: Mapping[str, object]) -> None:
        if self._process and self._process.stdin:
            with suppress(OSError):  # a server that is gone is noticed by who listens to it
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                answer = json.loads(line)
                with self._lock:
                    end = self._children.pop(answer["id"])
                end(answer["code"], answer["words"])
        with self._lock:
            if self._process is not process:  # it was closed
                return
            lost, self._children, self._process = list(self._children.values()), {}, None
        _reap(process)
        for end in lost:  # its children ended with it
            end(-signal.SIGKILL, "")


def _reap(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # what could not be written to it any more
        if process.stdin:
            process.stdin.close()
    process.wait()
