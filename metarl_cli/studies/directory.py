"""The run directory: `config.json`, `meta.json`, `progress.csv`, `checkpoint.pt`, `DONE`.

`progress.csv` has a fixed header and is flushed row by row; the checkpoint of an iteration follows its row. A resumed
run drops the rows that its checkpoint does not know, so that a killed run, continued, writes the same file as one that
was never stopped. A lock tells a running directory from an abandoned one.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from filelock import FileLock, Timeout

from metarl_cli.circumstances import circumstances
from metarl_cli.config import RunConfig, save_config
from metarl_cli.errors import UserError
from metarl_cli.store import write_whole
from metarl_cli.training.trainer import TrainState

__all__ = [
    "checkpoint_iteration",
    "exclusive",
    "finish",
    "is_finished",
    "load_checkpoint",
    "prepare_new",
    "progress_writer",
    "save_checkpoint",
    "truncate_progress",
    "write_meta",
]

CONFIG, META, PROGRESS, CHECKPOINT, DONE = "config.json", "meta.json", "progress.csv", "checkpoint.pt", "DONE"


def is_finished(directory: Path) -> bool:
    """Whether the run has written its last row."""
    return (directory / DONE).exists()


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
    for name in (META, PROGRESS, CHECKPOINT, DONE):
        (directory / name).unlink(missing_ok=True)
    save_config(config, directory / CONFIG)


def write_meta(directory: Path, *, threads: int, status: str, diverged: int = 0) -> None:
    """Write where the numbers come from: versions, machine, command, times; the first start is kept on resume.

    Args:
        directory: of the run.
        threads: of this process.
        status: running, finished, interrupted or failed.
        diverged: simulations that diverged in this process and were masked from there; those of earlier ones are added.
    """
    path = directory / META
    now = datetime.now(UTC).isoformat(timespec="seconds")
    previous = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    meta = {
        **circumstances(threads),
        "argv": ["metarl", *sys.argv[1:]],
        "diverged_simulations": previous.get("diverged_simulations", 0) + diverged,
        "start": previous.get("start", now),
        "end": None if status == "running" else now,
        "status": status,
    }
    write_whole(path, json.dumps(meta, indent=2) + "\n")


def save_checkpoint(directory: Path, state: TrainState) -> None:
    """Write θ, the optimiser's state and the iteration; the file is whole or it is the previous one."""
    temporary = directory / f"{CHECKPOINT}.tmp"
    torch.save(asdict(state), temporary)
    os.replace(temporary, directory / CHECKPOINT)


def load_checkpoint(directory: Path) -> TrainState | None:
    """The state after the last iteration that was completed, or None if there is none.

    Raises:
        UserError: if the file is damaged or was written by another version.
    """
    path = directory / CHECKPOINT
    if not path.exists():
        return None
    try:
        return TrainState(**torch.load(path, weights_only=True))
    except (TypeError, RuntimeError, EOFError, UnpicklingError):
        raise UserError(
            f"{path} is damaged or of another version of metarl. --overwrite starts the run again."
        ) from None


def checkpoint_iteration(directory: Path) -> int:
    """How many iterations are done."""
    state = load_checkpoint(directory)
    return state.iteration if state else 0


def truncate_progress(directory: Path, iterations: int) -> list[dict[str, str]]:
    """Keep the first rows of `progress.csv`, as many as the checkpoint has iterations, and return them.

    Raises:
        UserError: if there are fewer.
    """
    path = directory / PROGRESS
    path.touch()
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        # A row that was cut short by a kill has no value in its last column.
        rows = [row for row in reader if None not in row.values()][:iterations]
        header = list(reader.fieldnames or [])
    if len(rows) < iterations:
        raise UserError(f"{path} has {len(rows)} of the {iterations} rows that are done. --overwrite starts again.")
    # A run that was killed in its first iteration may have written half a header or none: the writer begins anew.
    lines = [header, *([row[name] for name in header] for row in rows)] if rows else []
    write_whole(path, "".join(",".join(line) + "\n" for line in lines))
    return rows


@contextmanager
def progress_writer(directory: Path, header: Sequence[str]) -> Iterator[Any]:
    """A function that appends one row to `progress.csv` and flushes it."""
    path = directory / PROGRESS
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, extrasaction="ignore", lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()

        def write(row: Mapping[str, float]) -> None:
            writer.writerow(row)
            file.flush()

        yield write


def finish(directory: Path) -> None:
    """Mark the run as finished."""
    (directory / DONE).touch()
