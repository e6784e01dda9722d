"""Every column of every kind of table, mutated: a message that names file and column, or a picture, no traceback."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from metarl_cli.claims.judge import judge_all
from metarl_cli.errors import UserError
from metarl_cli.figures.draw import content_of
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers import FIGURES
from metarl_cli.results import Results
from metarl_cli.schema import TABLES, Table
from metarl_cli.tables import read_table

PUBLISHED = Path(__file__).parent.parent / "results" / "published" / "quick"
STUDIES = [name for name, figure in FIGURES.items() if figure.source == "study"]
LINES = 40
GIVEN = (
    "abc",
    "",
    "1,5",
    "True",
    "inf",
    "nan",
    "-inf",
    "9e19",
    "1e99",
    "-1",
    "[/x]",
    "9" * 60,
    "\x00",
    "\x80",
    "1 2 3",
    r"$\frac{$",
)
DRAWN = {"True", r"$\frac{$"}
"""What text may be, and is drawn."""


def written(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def published(name):
    with (PUBLISHED / name / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[:LINES]


def with_cell(rows, column, line, given):
    place = rows[0].index(column)
    changed = [*rows[line][:place], given, *rows[line][place + 1 :]]
    return [*rows[:line], changed, *rows[line + 1 :]]


def drawn(results, figure):
    VIEWS[figure.plot].draw(figure, content_of(figure, results).frame).draw_without_rendering()


def refused(path, table):
    """The message about a table that is not what it says; None for one that is."""
    try:
        read_table(path, table)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", STUDIES)
def test_any_cell_of_a_study_is_named_or_drawn(tmp_path, name):
    figure, rows = FIGURES[name], published(name)
    path = tmp_path / "quick" / name / f"{name}.csv"
    tables = TABLES[figure.plot]
    required = set((tables if isinstance(tables, Table) else tables["tabular"]).columns)
    for column in rows[0]:
        for given in GIVEN:
            message = refused(written(path, with_cell(rows, column, 3, given)), tables)
            if message is None and given in DRAWN:
                drawn(Results(tmp_path), figure)
            elif message is not None:
                assert str(path) in message
                assert (
                    f"line 4, column {column!r}: {given[:60]!r}" in message or "the same" in message or given == "\x00"
                )
    numbers = {column for column in required if refused(written(path, with_cell(rows, column, 3, "abc")), tables)}
    assert {"seed"} < numbers <= required


@pytest.mark.parametrize("name", STUDIES)
def test_rows_and_columns_of_a_study_are_all_there_and_once(tmp_path, name):
    figure, rows = FIGURES[name], published(name)
    path = tmp_path / "quick" / name / f"{name}.csv"
    for place, column in enumerate(rows[0]):
        message = refused(written(path, [[*row[:place], *row[place + 1 :]] for row in rows]), TABLES[figure.plot])
        assert message is None or f"{path} has no column {column}:" in message
    assert "line 6: a row that has the same" in refused(
        written(path, [*rows[:5], rows[1], *rows[5:]]), TABLES[figure.plot]
    )
    assert "more than once" in refused(written(path, [[*row, row[0]] for row in rows]), TABLES[figure.plot])
    assert "line 3: 1 cells" in refused(written(path, [*rows[:2], ["1"], *rows[2:]]), TABLES[figure.plot])
    assert "empty" in refused(written(path, []), TABLES[figure.plot])
    written(path, rows[:1])
    drawn(Results(tmp_path), figure)
    judge_all(Results(tmp_path))
