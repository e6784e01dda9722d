"""What a wheel brings of the published results says what the results say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from metarl_cli.reporting import draw
from metarl_cli.reporting.claims import load_tables
from metarl_cli.reporting.frames import load_runs
from metarl_cli.reporting.provenance import run_rows, table_rows

from metarl_cli.packing import PACKED, pack
from metarl_cli.papers import find_figure
from metarl_cli.profiles import PROFILES
from metarl_cli.store import INSTALLED, runs_directory

PUBLISHED = Path(__file__).parents[1] / "results/published"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    out = tmp_path_factory.mktemp("packed")
    pack(PUBLISHED, out)
    return out


@pytest.mark.parametrize("profile", PROFILES)
def test_packed_runs_are_the_runs(packed, profile):
    runs, read = (load_runs(runs_directory(home, profile)) for home in (PUBLISHED, packed))
    pd.testing.assert_frame_equal(read[sorted(read)], runs[sorted(runs)])


def test_all_packed_runs_are_found_at_once(packed):
    assert len(load_runs(packed)) == len(load_runs(PUBLISHED)) > 0


def test_the_claims_read_the_same(packed):
    read, tables = load_tables(packed), load_tables(PUBLISHED)
    assert list(read) == list(tables)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(read[name][sorted(table)], table[sorted(table)])


def test_no_provenance_changes(packed):
    assert run_rows(packed) == run_rows(PUBLISHED) != []
    assert table_rows(packed) == table_rows(PUBLISHED) != []


def test_the_same_runs_give_the_same_bytes(packed, tmp_path):
    pack(PUBLISHED, tmp_path)
    files = [path.relative_to(packed) for path in packed.rglob("*") if path.is_file()]
    assert {path.name for path in files} > {PACKED}
    assert all((tmp_path / path).read_bytes() == (packed / path).read_bytes() for path in files)


def test_what_was_installed_is_only_read(packed, tmp_path, monkeypatch):
    assert not INSTALLED.exists(), "a checkout has none"
    monkeypatch.setattr(draw, "INSTALLED", packed)
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    files = draw.plot(find_figure("promp-fig2"), results=packed, out=tmp_path)
    assert sorted(path.name for path in files) == ["promp-fig2.pdf", "promp-fig2.png"]
    assert before == {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
