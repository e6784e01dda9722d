"""Jobs on other machines: whatever workers have joined a Dask scheduler. No disk is shared.

A job travels with the bytes of the files that it reads, is run in a directory of the worker's by a child process as on
this machine, and comes back with the bytes of those it leaves, done or stopped, which are written here whole, the
proofs of its end last. A worker that is lost costs the jobs that it was at: they begin again elsewhere from what is
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from metarl_cli import __version__
from metarl_cli.errors import UserError
from metarl_cli.grid.jobs import RETRIES, STOPPED, Job, JobResult, is_done, run_jobs
from metarl_cli.grid.local import ForkServer, LocalEngine
from metarl_cli.store import write_whole

if TYPE_CHECKING:
    from distributed import Event

__all__ = ["DaskEngine", "dask_engine", "packed", "run_remotely", "unpack", "versions"]

WAIT_SECONDS = 60
ASK_SECONDS = 1.0
"""How long a worker does not ask the scheduler whether its job is to stop: 64 workers ask 64 times a second."""

SLOT = "slot"
"""The resource that a worker offers: `dask worker ADDRESS --nthreads 1 --resources slot=1`."""

DECIDING = ("torch", "mujoco")
"""Packages whose versions decide numbers, beside metarl's own."""

CERTIFICATES = tuple(f"DASK_DISTRIBUTED__COMM__TLS__{name}" for name in ("CA_FILE", "CLIENT__CERT", "CLIENT__KEY"))
"""Variables of the environment that Dask takes files from."""


@contextmanager
def dask_engine(address: str, home: Path, *, preload: Sequence[str] = ()) -> Iterator[DaskEngine]:
    """An engine of all the workers of a scheduler.

    Args:
        address: of the scheduler, `tcp://host:port` or `tls://host:port`.
        home: the directory below which jobs read and write here.
        preload: modules that each worker imports once.

    Raises:
        UserError: if Dask is not installed, no scheduler answers, TLS has no certificates, no worker with a slot joins
            within a minute, or one of them has other versions of what decides numbers.
    """
    try:
        from distributed import Client, Event
        from distributed.security import Security
    except ImportError:
        raise UserError("--engine dask needs Dask: pip install -c constraints.txt '.[dist]'.") from None
    if address.startswith("tls:"):  # without certificates a connection fails and never ends
        context = None
        with suppress(OSError):  # of a file that is not there, or is no certificate
            context = Security().get_connection_args("client").get("ssl_context")
        if not context:
            raise UserError(f"{address} needs certificates: set {', '.join(CERTIFICATES)} to files that can be read.")
    try:
        client = Client(address, timeout=f"{WAIT_SECONDS}s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"No scheduler answers at {address}: {error}. `dask scheduler` starts one.") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_SECONDS)
        except TimeoutError:
            raise UserError(
                f"No worker has joined {address} within {WAIT_SECONDS} seconds. On each machine: "
                f"dask worker {address} --nthreads 1 --resources {SLOT}=1"
            ) from None
        if not _slots(client):
            raise UserError(f"No worker at {address} has a slot for jobs: start them with --resources {SLOT}=1.")
        try:
            found = client.run(versions)
        except Exception as error:  # of a worker: most often that it has no metarl at all
            raise UserError(f"A worker cannot run metarl: {type(error).__name__}: {error}.") from None
        for worker, theirs in found.items():
            if complaint := _difference(theirs, versions()):
                raise UserError(f"The worker {worker} has {complaint}: numbers belong to one version.")
        executor = client.get_executor(pure=False, retries=RETRIES, resources={SLOT: 1})
        yield DaskEngine(client, executor, Event(client=client), home, tuple(preload))


class DaskEngine:
    """See `dask_engine`."""

    def __init__(self, client: Any, executor: Executor, asked: Event, home: Path, preload: tuple[str, ...]) -> None:
        self._client, self._executor, self._asked = client, executor, asked
        self._home, self._preload = home, preload

    @property
    def slots(self) -> int:
        """As many as the workers that are there now have; a worker may join at any time."""
        return max(_slots(self._client), 1)

    def submit(self, job: Job) -> Future[JobResult]:
        """Send a job, with what it reads."""
        here = Future[JobResult]()

        def arrived(remote: Future[tuple[JobResult, dict[str, bytes]]]) -> None:
            try:
                if remote.cancelled():
                    here.set_result(JobResult(name=job.name, status="skipped", message=STOPPED))
                    return
                result, files = remote.result()
                if not is_done(job, self._home):  # a job that two workers have done leaves the same twice
                    unpack(files, self._home, job)
                here.set_result(result)
            except Exception as error:  # whatever the scheduler gave up with is the job's end, and no other's
                here.set_exception(error)

        files = packed(self._home, (*job.reads, *job.writes))
        remote = self._executor.submit(run_remotely, job, files, versions(), self._preload, self._asked)
        remote.add_done_callback(arrived)
        return here

    def stop(self, requests: int) -> None:
        """Let every job end cleanly and send what it has reached; at a second request take it back, which kills it."""
        if requests == 1:
            with suppress(OSError):  # a scheduler that is gone has no jobs any more
                self._asked.set()
        else:
            self._executor.shutdown(wait=False)


def run_remotely(
    job: Job, files: Mapping[str, bytes], expected: Mapping[str, str], preload: tuple[str, ...], asked: Event
) -> tuple[JobResult, dict[str, bytes]]:
    """Run a job on a worker: how it ended, and the files that it left, by their paths.

    It is asked to stop when its grid is; its child ends with the worker, and when nobody waits for the job any more.
    """
    from distributed import get_worker

    worker = get_worker()
    if complaint := _difference(versions(), expected):  # of a worker that joined later
        raise RuntimeError(f"{worker.address} has {complaint}")
    key = worker.get_current_task()

    def stop_requests() -> int:
        task = worker.state.tasks.get(key)
        return 2 if task is None or task.state == "cancelled" else int(asked.is_set())

    with TemporaryDirectory(dir=worker.local_directory) as folder:  # which Dask empties after a worker that was killed
        home = Path(folder)
        unpack(files, home, job)
        engine = LocalEngine(1, home, _server(preload))
        try:
            (result,) = run_jobs(
                [job],
                engine,
                on_event=lambda job, result: None,
                stop_requests=stop_requests,
                ask_seconds=ASK_SECONDS,
            )
        finally:
            engine.stop(2)  # whatever went wrong here, no child outlives it
        return result, packed(home, job.writes)


def versions() -> dict[str, str]:
    """Of everything whose version decides numbers, in this process."""
    found = {"metarl": __version__}
    for name in DECIDING:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def packed(home: Path, paths: Sequence[str]) -> dict[str, bytes]:
    """The content of files and of directories, by path below `home`; locks and half-written files stay.

    They are in the order in which they were written, so that who is killed while unpacking them leaves what the job
    itself could have left: rows before the checkpoint that counts on them.
    """
    found = {file for path in paths for file in (home / path, *(home / path).rglob("*")) if file.is_file()}
    kept = [file for file in found if file.name != ".lock" and file.suffix != ".tmp"]
    kept.sort(key=lambda file: (file.stat().st_mtime_ns, file))
    return {file.relative_to(home).as_posix(): file.read_bytes() for file in kept}


def unpack(files: Mapping[str, bytes], home: Path, job: Job) -> None:
    """Write files below `home`, each whole, and those last that say that the job is done.

    Raises:
        ValueError: if one lies elsewhere than where the job reads and writes.
    """
    places = [Path(place) for place in (*job.reads, *job.writes)]
    for path in sorted(files, key=lambda path: path in job.proofs):
        if ".." in Path(path).parts or not any(Path(path).is_relative_to(place) for place in places):
            raise ValueError(f"{path} is not where job {job.name} writes")
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(home / path, files[path])


_server = cache(ForkServer)
"""One for the life of a worker, so that it pays for its imports once."""


def _slots(client: Any) -> int:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return int(sum(worker["resources"].get(SLOT, 0) for worker in workers))


def _difference(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {theirs[name]}, not {ours[name]}" for name in ours if theirs[name] != ours[name])
