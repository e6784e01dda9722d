from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from matplotlib import rc_context
from synthetic_results import write_figure_runs

from metarl_cli.figures import pictures as module
from metarl_cli.figures.draw import content_of, plot
from metarl_cli.figures.pictures import pictures_of
from metarl_cli.papers import FIGURES
from metarl_cli.results import Results

FIGURE = FIGURES["promp-fig2"]
POSTS = {"promp": {1: (0.0, 2.0), 2: (1.0, 2.5)}}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_figure_runs(tmp_path / "results", FIGURE.name, "quick", POSTS)
    return Results(tmp_path / "results")


def test_what_was_drawn_gives_the_same_files_without_being_drawn(results, tmp_path, monkeypatch):
    first = [path.read_bytes() for path in plot(FIGURE, results, out=tmp_path / "first")]
    monkeypatch.setattr(module, "_drawn", lambda figure, frame: pytest.fail("drawn again"))
    again = plot(FIGURE, results, out=tmp_path / "again")
    assert [path.read_bytes() for path in again] == first
    assert [path.suffix for path in again[:2]] == [".png", ".pdf"]


@pytest.mark.parametrize(
    ("figure", "change", "style"),
    [
        (FIGURE, lambda frame: frame.assign(mean=frame["mean"] + 1e-9), {}),
        (FIGURE, lambda frame: frame.rename(columns={"mean": "median"}), {}),
        (replace(FIGURE, title="Another"), lambda frame: frame, {}),
        (FIGURE, lambda frame: frame, {"axes.facecolor": "#ffffe0"}),
    ],
    ids=["number", "column", "title", "style"],
)
def test_another_number_column_title_or_style_draws_anew(results, monkeypatch, figure, change, style):
    frame, drawings = content_of(FIGURE, results).frame, count()
    monkeypatch.setattr(module, "_drawn", lambda figure, frame: next(drawings))
    assert [pictures_of(FIGURE, frame), pictures_of(FIGURE, frame)] == [0, 0]
    with rc_context(style):
        assert pictures_of(figure, change(frame)) == 1
