"""Tables and what stands beside them, read and written: every cell is checked before anything is made of it.

A table is read as text and checked column by column by pydantic, which the settings of runs need anyway: a message
names file, line, column, what is there and what is allowed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from metarl_cli.config import adapter
from metarl_cli.errors import UserError
from metarl_cli.schema import Hint, Meta, Table
from metarl_cli.store import write_whole

__all__ = ["parse_meta", "read_columns", "read_meta", "read_table", "write_table"]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a file as text, column by column, and the lines in which they stand."""

    path: Path
    lines: Sequence[int]
    columns: Mapping[str, Sequence[str]]


def read_table(path: Path, table: Table) -> pd.DataFrame:
    """A table that is what it says.

    Raises:
        UserError: if there is none, or anything in it is not as it must be.
    """
    return pd.DataFrame(read_columns(path, table))


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, whole; the same frame gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, frame.to_csv(index=False, lineterminator="\n", float_format="%.10g"))


def read_columns(path: Path, table: Table) -> dict[str, Any]:
    """The columns of a table, numbers as arrays; as `read_table`."""
    return _checked(_read(path), table)


def read_meta(path: Path) -> Meta:
    """A `meta.json`.

    Raises:
        UserError: if it is none.
    """
    try:
        return parse_meta(path.read_bytes())
    except FileNotFoundError:
        return Meta()
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        at = f", {'.'.join(map(str, first['loc']))}" if first["loc"] else ""
        raise UserError(f"{path}{at}: {first['msg']}.") from None


def parse_meta(text: bytes) -> Meta:
    """What the text of a `meta.json` says; raises pydantic's `ValidationError`."""
    meta: Meta = adapter(Meta).validate_json(text)
    return meta


def _read(path: Path) -> _Rows:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if '"' in text or "\r" in text:
            reader = csv.reader(io.StringIO(text, newline=""), strict=True)
            numbered = [(reader.line_num, row) for row in reader if row]
        else:  # the same rows, in less than half the time
            numbered = [(line, row.split(",")) for line, row in enumerate(text.split("\n"), start=1) if row]
    except FileNotFoundError:
        raise UserError(f"There is no {path}. A study writes it; --results DIR reads another place.") from None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV table: {error}.") from None
    if not numbered:
        raise UserError(f"{path} is no CSV table: it is empty.")
    (_, header), *body = numbered
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise UserError(f"{path}: the column {', '.join(map(repr, twice))} is there more than once.")
    for line, row in body:
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}: {len(row)} cells, and the header names {len(header)} columns.")
    columns = zip(*(row for _, row in body), strict=True) if body else ((),) * len(header)
    return _Rows(path, [line for line, _ in body], dict(zip(header, columns, strict=True)))


def _checked(rows: _Rows, table: Table) -> dict[str, Any]:
    if missing := sorted(set(table.columns) - set(rows.columns)):
        raise UserError(
            f"{rows.path} has no column {', '.join(missing)}: another version wrote it, or another study. Run it again."
        )
    columns: dict[str, Any] = {name: _column(rows, name, table.columns.get(name, table.rest)) for name in rows.columns}
    keys = list(zip(*(columns[name] for name in table.keys), strict=True))
    first = dict(zip(reversed(keys), reversed(rows.lines), strict=True))
    if len(first) < len(keys):
        line, key = next((line, key) for line, key in zip(rows.lines, keys, strict=True) if first[key] != line)
        same = f"a row that has the same {', '.join(table.keys)} as line {first[key]}"
        raise UserError(f"{rows.path}, line {line}: {same}.")
    if table.counter and columns[table.counter] != list(range(len(rows.lines))):
        raise UserError(f"{rows.path}, column {table.counter!r}: it must count the rows from 0. Run it again.")
    for name, values in columns.items():
        if str not in set(map(type, values)):  # text stays as it is; of numbers a blank is NaN
            columns[name] = np.array(values, dtype=np.float64 if None in values else None)
    return columns


def _column(rows: _Rows, name: str, hint: Hint) -> list[Any]:
    cells = [cell or None for cell in rows.columns[name]]
    try:
        values: list[Any] = adapter(list[hint]).validate_python(cells)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = int(first["loc"][0])
        given = repr((cells[at] or "")[:60])
        raise UserError(f"{rows.path}, line {rows.lines[at]}, column {name!r}: {given}. {first['msg']}.") from None
    return values
