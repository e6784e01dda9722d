"""`progress.csv`: a fixed header, and a row of numbers for every iteration.

A row is on the disk before the checkpoint of its iteration is. A resumed run drops the rows that its checkpoint does
not know, so that a killed run, continued, writes the same file as one that was never stopped.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.store import write_whole

__all__ = ["MOVED", "PROGRESS", "read_rows", "truncate", "writer"]

PROGRESS = "progress.csv"
MOVED = "{} was moved or replaced. --resume continues it where it is now."
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?", re.ASCII)
"""An integer or a float, as Python writes them."""


def read_rows(directory: Path, columns: Sequence[str], iterations: int) -> list[dict[str, str]]:
    """The rows of the first iterations; what comes after them is not looked at.

    Raises:
        UserError: if the header or a row is not what a run with these columns writes, or there are fewer rows; or if
            none is asked for, as without a checkpoint, and there are those of several iterations.
    """
    path = directory / PROGRESS
    # What follows the last line end was cut short by a kill.
    written = path.read_bytes().decode(errors="replace").split("\n")[:-1] if path.exists() else []
    if not iterations and len(written) > 2:  # a kill in the first iteration leaves one row at most
        raise UserError(
            f"{path} has {len(written) - 1} rows, but no checkpoint is there. --overwrite starts the run again."
        )
    header, *lines = written[: 1 + iterations] or [""]
    given = header.split(",")
    if iterations and given != list(columns):
        missing = ", ".join(name for name in columns if name not in given)
        unknown = ", ".join(name for name in given if name not in columns)
        parts = [f"column {missing} is missing"] if missing else []
        parts += [f"column {unknown[:80]!r} is unknown"] if unknown else []
        difference = " and ".join(parts) or "the columns are in another order, or twice, than this run writes them"
        raise UserError(f"{path}: {difference}. --overwrite starts the run again.")
    if len(lines) < iterations:
        raise UserError(f"{path} has {len(lines)} of the {iterations} rows that are done. --overwrite starts again.")
    rows = []
    for number, line in enumerate(lines):
        row = dict(zip(columns, cells := line.split(","), strict=False))
        bad = [name for name, cell in row.items() if not (NUMBER.fullmatch(cell) and math.isfinite(float(cell)))]
        complaint = ""
        if len(cells) != len(columns):
            complaint = f"{len(cells)} cells, expected {len(columns)}"
        elif cells[0] != str(number):
            complaint = f"iteration is {cells[0][:40]!r}, expected {number}"
        elif bad:
            complaint = f"{bad[0]} is {row[bad[0]][:40]!r}, expected a finite number"
        if complaint:
            raise UserError(f"{path}, row {number + 1}: {complaint}. --overwrite starts the run again.")
        rows.append(row)
    return rows


def truncate(directory: Path, columns: Sequence[str], iterations: int) -> list[dict[str, str]]:
    """Keep the rows of the iterations that the checkpoint knows, and return them.

    Raises:
        UserError: as `read_rows`.
    """
    rows = read_rows(directory, columns, iterations)
    # A run that was killed in its first iteration may have written half a header or none: the writer begins anew.
    table = [list(columns), *(list(row.values()) for row in rows)] if rows else []
    write_whole(directory / PROGRESS, "".join(",".join(line) + "\n" for line in table))
    return rows


@contextmanager
def writer(directory: Path, columns: Sequence[str]) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """A function that appends one row to `progress.csv` and waits until the disk has it."""
    path = directory / PROGRESS
    with path.open("a", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        if file.tell() == 0:
            rows.writeheader()

        def write(row: Mapping[str, float]) -> None:
            try:
                lies_there = os.path.samestat(path.stat(), os.fstat(file.fileno()))
            except OSError:
                lies_there = False
            if not lies_there:
                raise RunFailedError(MOVED.format(directory))
            rows.writerow(row)
            file.flush()
            os.fsync(file.fileno())

        yield write
