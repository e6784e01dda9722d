"""The run directory: `config.json`, `meta.json`, `progress.csv`, `checkpoint.pt` and the one before it, `DONE`.

A directory holds a run if it has a `config.json`; the run is complete if and only if there is a `DONE`, which comes
last and goes first. A lock tells a running directory from an abandoned one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from metarl_cli.circumstances import circumstances
from metarl_cli.config import RunConfig, load_config, save_config
from metarl_cli.errors import UserError
from metarl_cli.runs.checkpoints import CHECKPOINT, PREVIOUS
from metarl_cli.runs.progress import PROGRESS
from metarl_cli.store import CONFIG as CONFIG
from metarl_cli.store import sweep, sync_directory, write_whole

__all__ = [
    "exclusive",
    "finish",
    "holds",
    "is_finished",
    "prepare_new",
    "recorded",
    "unfinish",
    "write_meta",
]

META, DONE = "meta.json", "DONE"


def is_finished(directory: Path) -> bool:
    """Whether the run has written its last row."""
    return (directory / DONE).exists()


def holds(directory: Path, config: RunConfig) -> bool:
    """Whether the run in a directory, finished or not, has these settings; where none can be read it has not."""
    try:
        return load_config(directory / CONFIG) == config
    except UserError:
        return False


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; the system releases it when the process ends, however it ends.

    Raises:
        UserError: if another process holds it, or the directory cannot be written.
    """
    lock = FileLock(directory / ".lock", timeout=0)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{directory} belongs to a run that is still going. Choose another --out, or stop it."
        ) from None
    except OSError as error:
        raise UserError(f"Cannot write to {directory}: {error.strerror}. Choose another --out.") from None
    try:
        sweep(directory)
        yield
    finally:
        lock.release()


def prepare_new(directory: Path, config: RunConfig, *, overwrite: bool) -> None:
    """Make the directory ready for a run from the start.

    Raises:
        UserError: if it already holds a run and `overwrite` was not asked for.
    """
    if (directory / CONFIG).exists() and not overwrite:
        state = "a finished run" if is_finished(directory) else "an unfinished run"
        advice = "" if is_finished(directory) else "--resume continues it, "
        raise UserError(f"{directory} already holds {state}: {advice}--overwrite starts again, --out goes elsewhere.")
    unfinish(directory)
    # From here until the new settings are there, the directory holds no run: a kill leaves neither half of one.
    for name in (CONFIG, PROGRESS, CHECKPOINT, PREVIOUS, META):
        (directory / name).unlink(missing_ok=True)
    save_config(config, directory / CONFIG)


def write_meta(directory: Path, *, threads: int, device: str, status: str, diverged: int = 0) -> None:
    """Write where the numbers come from: versions, machine, command, times; the first start is kept on resume.

    Args:
        directory: of the run.
        threads: of this process.
        device: of its meta-updates.
        status: running, finished, interrupted or failed.
        diverged: simulations that diverged in this process and were masked from there; those of earlier ones are added.
    """
    now = datetime.now(UTC)
    try:
        start = datetime.fromisoformat(recorded(directory, "start"))
    except (ValueError, TypeError):  # what cannot be read is as if it were not there
        start = now
    try:
        earlier = int(recorded(directory, "diverged_simulations"))
    except (ValueError, TypeError, OverflowError):  # of an earlier version, or damaged: that costs no start
        earlier = 0
    # A clock that was set back makes no run that ends before it starts.
    begun = min(start, now) if start.tzinfo else now
    meta = {
        **circumstances(threads),
        "device": device,
        "argv": ["metarl", *sys.argv[1:]],
        "diverged_simulations": earlier + diverged,
        "start": begun.isoformat(timespec="seconds"),
        "end": None if status == "running" else now.isoformat(timespec="seconds"),
        "status": status,
    }
    write_whole(directory / META, json.dumps(meta, indent=2) + "\n")


def finish(directory: Path) -> None:
    """Mark the run as finished: all its rows and its last checkpoint are on the disk."""
    (directory / DONE).touch()
    sync_directory(directory)


def unfinish(directory: Path) -> None:
    """Take the mark away, before anything else of the run is touched."""
    (directory / DONE).unlink(missing_ok=True)
    sync_directory(directory)


def recorded(directory: Path, *keys: str) -> Any:
    """What `meta.json` says under a key, or a key in the table of another; None where that cannot be read."""
    try:
        entry = json.loads((directory / META).read_text(encoding="utf-8"))
        for key in keys:
            entry = entry[key]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry
