"""What a wheel brings of the published results says what the results say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from synthetic_results import write_run

from metarl_cli.claims.judge import load_tables
from metarl_cli.errors import UserError
from metarl_cli.figures import draw
from metarl_cli.figures.provenance import run_rows, table_rows
from metarl_cli.packing import KEPT, META, PACKED, pack
from metarl_cli.papers import CLAIMS, find_figure
from metarl_cli.papers.settings import run_config
from metarl_cli.profiles import PROFILES
from metarl_cli.results import SETTINGS, Results, load_runs
from metarl_cli.schema import PROGRESS
from metarl_cli.store import INSTALLED, runs_directory

PUBLISHED = Path(__file__).parents[1] / "results/published"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    out = tmp_path_factory.mktemp("packed")
    pack(PUBLISHED, out)
    return out


def said(rows):
    """What is kept of the runs; what made them, their directories have in a file of its own."""
    return rows[[name for name in (*SETTINGS, *KEPT) if name in rows]].reset_index(drop=True)


def test_what_is_read_of_runs_is_kept():
    measures = [
        measure
        for claim in CLAIMS.values()
        if claim.reads == "runs"
        for comparison in claim.comparisons
        for measure in (comparison.measure, comparison.against)
        if measure is not None
    ]
    assert measures
    assert {measure.column for measure in measures} - {"time/iteration"} <= set(KEPT)  # the sum of time/*
    assert set(PROGRESS.columns) == set(KEPT), "no other column may be read of every run there is"


@pytest.mark.parametrize("profile", PROFILES)
def test_packed_runs_are_the_runs(packed, profile):
    runs, read = (load_runs(runs_directory(home, profile)) for home in (PUBLISHED, packed))
    assert set(said(runs)) == {*SETTINGS, *KEPT} or runs.empty
    pd.testing.assert_frame_equal(said(read), said(runs))


def test_all_packed_runs_are_found_at_once(packed):
    assert len(load_runs(packed)) == len(load_runs(PUBLISHED)) > 0


def test_the_claims_read_the_same(packed):
    read, tables = (load_tables(Results(home)) for home in (packed, PUBLISHED))
    assert list(read) == list(tables)
    for name, table in tables.items():
        columns = set(read[name].columns) - {META}
        assert columns >= {*SETTINGS, *KEPT} if name[1] == "runs" else columns == set(table.columns)
        assert all(pd.Series(read[name].columns[c]).equals(pd.Series(table.columns[c])) for c in columns)


def test_no_provenance_changes(packed):
    assert run_rows(Results(packed)) == run_rows(Results(PUBLISHED)) != []
    assert table_rows(Results(packed)) == table_rows(Results(PUBLISHED)) != []


def test_an_environment_of_ones_own_has_the_name_that_its_runs_have(tmp_path):
    """Without the hash of its code, which is another for each version of the file."""
    config = run_config("promp", "Navigation", profile="smoke")
    for seed, code in ((1, "0123456789ab"), (2, "ba9876543210")):
        named = replace(config.environment, name=f"maze.py:Maze@{code}")
        home = runs_directory(tmp_path / "results", "smoke") / f"seed{seed}"
        write_run(home, replace(config, environment=named, seed=seed), [1.0, 2.0])
    pack(tmp_path / "results", tmp_path / "packed")
    runs, read = (load_runs(runs_directory(tmp_path / home, "smoke")) for home in ("results", "packed"))
    assert set(runs["environment"]) == {"maze.py:Maze"}
    pd.testing.assert_frame_equal(said(read), said(runs))


def test_the_same_runs_give_the_same_bytes(packed, tmp_path):
    pack(PUBLISHED, tmp_path)
    files = [path.relative_to(packed) for path in packed.rglob("*") if path.is_file()]
    assert {path.name for path in files} > {PACKED}
    assert all((tmp_path / path).read_bytes() == (packed / path).read_bytes() for path in files)


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"no archive", lambda whole: b""]
)
def test_a_damaged_file_of_runs_is_named_and_no_traceback(packed, tmp_path, damage):
    (tmp_path / PACKED).write_bytes(damage((packed / "quick" / PACKED).read_bytes()))
    with pytest.raises(UserError, match=PACKED):
        load_runs(tmp_path / "runs")


def test_what_was_installed_is_only_read(packed, tmp_path, monkeypatch):
    assert not INSTALLED.exists(), "a checkout has none"
    monkeypatch.setattr(draw, "INSTALLED", packed)
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    files = draw.plot(find_figure("promp-fig2"), Results(packed), out=tmp_path)
    assert sorted(path.name for path in files) == ["promp-fig2.pdf", "promp-fig2.png"]
    assert before == {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
