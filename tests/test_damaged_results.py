"""Kinds of damage to results, each where it has happened: the file is named, with the place, and the rest is shown."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_results import META, write_run

from metarl_cli.config import load_config
from metarl_cli.errors import UserError
from metarl_cli.figures.provenance import run_rows
from metarl_cli.papers.settings import run_config
from metarl_cli.results import Results
from metarl_cli.runs import directory as runs
from metarl_cli.store import META_SUFFIX, table_path
from metarl_cli.tables import read_meta

PUBLISHED = Path(__file__).parent.parent / "results" / "published" / "quick"
WHOLE, DAMAGED = "promp-fig3", "tmaml-fig4"
DEEP = "[" * 900 + "]" * 900
DEEPER = '{"a":' * 900 + "1" + "}" * 900


def beginning(name):
    with (PUBLISHED / name / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[:25]


def with_cell(rows, column, given):
    """The table with another cell in its third line."""
    changed = list(rows[2])
    changed[rows[0].index(column)] = given
    return [*rows[:2], changed, *rows[3:]]


def without(rows, column):
    place = rows[0].index(column)
    return [[*row[:place], *row[place + 1 :]] for row in rows]


def renamed(rows, column):
    return [[f"{name}_" if name == column else name for name in rows[0]], *rows[1:]]


def of_table(kinds, column, number):
    return {
        "a word": (lambda rows: with_cell(rows, number, "abc"), f"line 3, column {number!r}: 'abc'"),
        "a comma": (lambda rows: with_cell(rows, number, "1,5"), f"line 3, column {number!r}: '1,5'"),
        "a truth": (lambda rows: with_cell(rows, number, "True"), f"line 3, column {number!r}: 'True'"),
        "infinite": (lambda rows: with_cell(rows, number, "inf"), f"line 3, column {number!r}: 'inf'"),
        "markup": (lambda rows: with_cell(rows, number, "[/x]"), f"line 3, column {number!r}: '[/x]'"),
        "a script": (lambda rows: with_cell(rows, number, "<script>"), f"line 3, column {number!r}: '<script>'"),
        "a formula": (lambda rows: with_cell(rows, number, r"$\frac{$"), f"line 3, column {number!r}: "),
        "several": (lambda rows: with_cell(rows, column, "1 2 3"), f"line 3, column {column!r}: '1 2 3'"),
        "blank": (lambda rows: with_cell(rows, column, ""), f"line 3, column {column!r}: ''"),
        "too large": (lambda rows: with_cell(rows, column, "9" * 60), f"line 3, column {column!r}: '999"),
        "cut": (lambda rows: [*rows[:5], rows[5][:4]], "line 6: 4 cells, and the header names"),
        "a row twice": (lambda rows: [*rows, rows[1]], "a row that has the same"),
        "a column lost": (lambda rows: without(rows, column), f"has no column {column}"),
        "a column renamed": (lambda rows: renamed(rows, column), f"has no column {column}"),
        "a column twice": (lambda rows: [[*row, row[0]] for row in rows], "is there more than once"),
        "nothing": (lambda rows: [], "it is empty"),
    } | kinds


STUDY_KINDS = of_table(
    {"no profile": (lambda rows: with_cell(rows, "profile", "1e18"), "line 3, column 'profile': '1e18'")},
    *("seed", "relative_error"),
)
RUN_KINDS = of_table(
    {"swapped": (lambda rows: [rows[0], rows[2], rows[1]], "count the rows from 0")}, "env_steps", "return/post"
)


def written(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def drawn(metarl, tmp_path, monkeypatch):
    """All figures of the results below `tmp_path`, up to the pixels; the paths that were written."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda drawing, *where, **how: None)
    written(table_path(tmp_path, "quick", WHOLE), beginning(WHOLE))

    def draw():
        ended = metarl("plot", "--all", "--results", tmp_path, "--out", tmp_path / "figures")
        return ended.code, ended.err, [Path(line).name for line in ended.out.splitlines()]

    return draw


@pytest.mark.parametrize("kind", STUDY_KINDS)
def test_a_damaged_table_of_a_study_is_named_and_costs_no_other_figure(drawn, tmp_path, kind):
    change, message = STUDY_KINDS[kind]
    path = table_path(tmp_path, "quick", DAMAGED)
    written(path, change(beginning(DAMAGED)))
    code, said, files = drawn()
    assert (code, len(said.splitlines())) == (3, 1)
    assert said.startswith(str(path)) and message in said
    assert files == [f"{WHOLE}.png", f"{WHOLE}.pdf", "README.md"]


@pytest.mark.parametrize("kind", RUN_KINDS)
def test_a_damaged_table_of_a_run_is_named_and_costs_no_other_figure(drawn, tmp_path, kind):
    change, message = RUN_KINDS[kind]
    run = tmp_path / "quick" / "runs" / "promp" / "HalfCheetahFwdBack" / "seed1"
    write_run(run, run_config("promp", "HalfCheetahFwdBack", profile="quick"), [1.0, 2.0, 3.0, 4.0, 5.0])
    with (run / "progress.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    written(run / "progress.csv", change(rows))
    code, said, files = drawn()
    if kind == "nothing":  # as long as its first iteration goes on
        assert (code, said) == (0, "")
    else:
        assert (code, len(said.splitlines())) == (3, 1)
        assert said.startswith(str(run / "progress.csv")) and message in said
    assert files == [f"{WHOLE}.png", f"{WHOLE}.pdf", "README.md"]


def test_a_table_that_is_cut_short_leaves_its_claims_open(metarl, drawn, tmp_path):
    """A sweep without the place at which a claim compares."""
    written(table_path(tmp_path, "quick", DAMAGED), beginning(DAMAGED))
    assert drawn()[0] == 0


# What stands beside a table


def placed(path, content):
    """A file, or a directory in its place."""
    path.unlink(missing_ok=True)
    path.mkdir() if content is None else path.write_text(content)


NO_META = {
    "a list": ("[]", "Input should be an object"),
    "a number": ("3", "Input should be an object"),
    "null": ("null", "Input should be an object"),
    "empty": ("", "Invalid JSON"),
    "deep": (DEEP, "Invalid JSON: recursion limit"),
    "deep inside": (f'{{"packages": {DEEPER}}}', "Invalid JSON: recursion limit"),
    "a directory": (None, "Is a directory"),
    "a version that is a number": ('{"metarl": 1}', "metarl: Input should be a valid string"),
    "packages that are a list": ('{"packages": []}', "packages: Input should be an object"),
    "time that runs backwards": ('{"cpu_seconds": -1}', "cpu_seconds: Input should be greater"),
}


@pytest.mark.parametrize("kind", NO_META)
def test_a_meta_that_is_none_is_named(tmp_path, kind):
    content, message = NO_META[kind]
    placed(tmp_path / "meta.json", content)
    with pytest.raises(UserError) as refused:
        read_meta(tmp_path / "meta.json")
    assert str(refused.value).startswith(("Cannot read ", str(tmp_path)))
    assert str(tmp_path / "meta.json") in str(refused.value) and message in str(refused.value)


def test_runs_whose_meta_is_none_are_shown_without_it(tmp_path):
    home = tmp_path / "quick" / "runs" / "promp" / "Navigation"
    for seed, (content, _) in enumerate(NO_META.values()):
        config = run_config("promp", "Navigation", profile="quick")
        write_run(home / f"seed{seed}", replace(config, seed=seed), [1.0, 2.0])
        placed(home / f"seed{seed}" / "meta.json", content)
    found = Results(tmp_path)
    (row,) = run_rows(found)
    assert len(row["seeds"].split(", ")) == len(NO_META)
    assert (row["commit"], row["packages"]) == ("not recorded", "not recorded")
    assert sorted(found.damage) == sorted(home.glob("*/meta.json"))


def test_a_report_names_every_meta_that_is_none(metarl, tmp_path):
    path = table_path(tmp_path, "quick", "sgmrl-table1")
    written(path, beginning("sgmrl-table1"))
    placed(path.with_suffix(META_SUFFIX), DEEP)
    ended = metarl("report", "--results", tmp_path, "--out", tmp_path / "report.html")
    assert (ended.code, ended.err.startswith(str(path.with_suffix(META_SUFFIX)))) == (3, True)
    assert (tmp_path / "report.html").exists()


NO_SETTINGS = {
    "a list": ("[]", "expected a table of settings"),
    "a number": ("3", "expected a table of settings"),
    "null": ("null", "expected a table of settings"),
    "empty": ("", "is not valid JSON"),
    "deep": (DEEP, "is not valid JSON: .*recursion|expected a table of settings"),
    "deep inside": (f'{{"inner": {DEEPER}}}', "is not valid JSON: .*recursion|Unknown setting in"),
    "a directory": (None, "Is a directory"),
    "too many digits": ('{"seed": ' + "9" * 5000 + "}", "is not valid JSON: Exceeds the limit"),
}


@pytest.mark.parametrize("kind", NO_SETTINGS)
def test_settings_that_are_none_are_named(metarl, tmp_path, kind):
    content, message = NO_SETTINGS[kind]
    run = tmp_path / "run"
    write_run(run, run_config("promp", "Navigation", profile="smoke"), [1.0, 2.0])
    placed(run / "config.json", content)
    with pytest.raises(UserError, match=message):
        load_config(run / "config.json")
    for command in (("train", "--resume", "--out", run), ("evaluate", run), ("render", run)):
        ended = metarl(*command)
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)
        assert str(run / "config.json") in ended.err
    assert metarl("plot", "adaptation", "--results", tmp_path, "--out", tmp_path).code == 2


@pytest.mark.parametrize("place", ['{{"policy": {{"hidden": {}}}}}', '{{"label": {}}}', '{{"schema": {}}}', "{}"])
def test_settings_of_any_depth_are_refused(tmp_path, place):
    """Also where whoever reads them comes a step further down than whoever checks them."""
    for depth in range(50, 1000, 7):
        (tmp_path / "config.json").write_text(place.format("[" * depth + "]" * depth))
        with pytest.raises(UserError, match=r"config\.json"):
            load_config(tmp_path / "config.json")


@pytest.mark.parametrize("content", ["", "no", DEEP, None])
def test_whatever_stands_in_the_mark_of_a_finished_run_it_is_one(tmp_path, content):
    """It says by being there; whether all rows are there is asked of the rows."""
    placed(tmp_path / runs.DONE, content)
    assert runs.is_finished(tmp_path)


# What made it


def test_a_meta_of_an_earlier_version_is_read(tmp_path):
    """One that records no processor, and no time."""
    write_run(tmp_path / "run", run_config("promp", "Navigation", profile="smoke"), [1.0])
    assert read_meta(tmp_path / "run" / "meta.json").git_commit == META["git_commit"]
