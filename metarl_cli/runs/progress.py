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
from typing import IO

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
        UserError: if the header or a row is not what a run with these columns writes, or there are fewer rows.
    """
    path = directory / PROGRESS
    header, *lines = _lines(path)[: 1 + iterations] or [""]
    if iterations and header.split(",") != list(columns):
        raise UserError(f"{path}: {_header_difference(header.split(','), columns)}. --overwrite starts the run again.")
    if len(lines) < iterations:
        raise UserError(f"{path} has {len(lines)} of the {iterations} rows that are done. --overwrite starts again.")
    rows = []
    for number, line in enumerate(lines):
        if complaint := _complaint(line, columns, number):
            raise UserError(f"{path}, row {number + 1}: {complaint}. --overwrite starts the run again.")
        rows.append(dict(zip(columns, line.split(","), strict=True)))
    return rows


def truncate(directory: Path, columns: Sequence[str], iterations: int) -> list[dict[str, str]]:
    """Keep the rows of the iterations that the checkpoint knows, and return them.

    Raises:
        UserError: as `read_rows`; or if there are rows of several iterations, and no checkpoint to go on from.
    """
    path = directory / PROGRESS
    rows = read_rows(directory, columns, iterations)
    if not rows and len(done := _lines(path)[1:]) > 1:
        raise UserError(f"{path} has {len(done)} rows, but no checkpoint is there. --overwrite starts the run again.")
    # A run that was killed in its first iteration may have written half a header or none: the writer begins anew.
    table = [list(columns), *(list(row.values()) for row in rows)] if rows else []
    write_whole(path, "".join(",".join(line) + "\n" for line in table))
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
            if not _lies_at(path, file):
                raise RunFailedError(MOVED.format(directory))
            rows.writerow(row)
            file.flush()
            os.fsync(file.fileno())

        yield write


def _lies_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False


def _lines(path: Path) -> list[str]:
    """The lines that are complete: what follows the last line end was cut short by a kill."""
    content = path.read_bytes() if path.exists() else b""
    return content.decode(errors="replace").split("\n")[:-1]


def _header_difference(given: Sequence[str], columns: Sequence[str]) -> str:
    missing, unknown = (
        ", ".join(c for c in one if c not in other) for one, other in ((columns, given), (given, columns))
    )
    if not missing and not unknown:
        return "the columns are in another order, or twice, than this run writes them"
    parts = (
        f"column {missing} is missing" if missing else "",
        f"column {unknown[:80]!r} is unknown" if unknown else "",
    )
    return " and ".join(part for part in parts if part)


def _complaint(line: str, columns: Sequence[str], number: int) -> str:
    """What is wrong with a row, or nothing."""
    cells = line.split(",")
    if len(cells) != len(columns):
        return f"{len(cells)} cells, expected {len(columns)}"
    if cells[0] != str(number):
        return f"iteration is {cells[0][:40]!r}, expected {number}"
    for name, cell in zip(columns, cells, strict=True):
        if not (NUMBER.fullmatch(cell) and math.isfinite(float(cell))):
            return f"{name} is {cell[:40]!r}, expected a finite number"
    return ""
