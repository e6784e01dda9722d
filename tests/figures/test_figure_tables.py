from __future__ import annotations

import math

import pandas as pd
import pytest
from synthetic_results import returns_on_new_tasks, write_figure_runs, write_study

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.figures.curves import curves
from metarl_cli.figures.draw import content_of
from metarl_cli.figures.effort import effort
from metarl_cli.figures.plots.tables import table_figure
from metarl_cli.figures.tables import COLUMNS, beside_the_paper, explanation, markdown
from metarl_cli.papers import FIGURES, REPORTED
from metarl_cli.papers.figure import RELEASED_REWARDS
from metarl_cli.results import Results, load_runs
from metarl_cli.store import table_path

OFFSETS = {1: 1.0, 2: -2.0, 3: 4.0}


def new_tasks(name, offsets=OFFSETS):
    return beside_the_paper(FIGURES[name], pd.DataFrame(returns_on_new_tasks(name, offsets)))


def test_the_papers_numbers():
    numbers = {(e.environment, e.curve): (e.mean, e.spread) for entries in REPORTED.values() for e in entries}
    assert numbers["AntFwdBack", "tmaml-ppo-per-task"] == (487, 23.9)
    assert numbers["HumanoidRandDir", "dice-ppo"] == (397, 52.3)
    assert numbers["Navigation", "vpg-maml"] == (-17.767, 0.106)
    assert numbers["HalfCheetahRandVel", "sgmrl-k2"] == (-52.64, 6.86)
    assert {name: len(entries) for name, entries in REPORTED.items()} == {
        "tmaml-table1": 10,
        "sgmrl-table1": 3,
        "sgmrl-table2": 18,
    }


@pytest.mark.parametrize("name", REPORTED)
def test_every_number_of_a_paper_is_one_of_its_figures_runs(name):
    figure = FIGURES[name]
    assert {(e.environment, e.curve) for e in REPORTED[name]} == {
        (environment, curve.label)
        for environment in figure.environments
        for curve in figure.curves
        if curve.overrides != RELEASED_REWARDS  # the papers print one number of DiCE
    }


@pytest.mark.parametrize("name", ["sgmrl-table1", "sgmrl-table2"])
def test_returns_on_new_tasks_after_the_last_step_stand_beside_the_papers(name):
    table = new_tasks(name)
    assert list(table.columns) == list(COLUMNS)
    mean, low, high = mean_interval(list(OFFSETS.values()))
    for entry, (_, row) in zip(REPORTED[name], table.iterrows(), strict=True):
        assert (row["environment"], row["curve"], row["paper"], row["spread"]) == (
            entry.environment,
            entry.curve,
            entry.mean,
            entry.spread,
        )
        assert [row["ours"], row["low"], row["high"]] == pytest.approx([entry.mean + x for x in (mean, low, high)])
        assert (row["n"], row["profile"]) == (3, "quick")


def test_learning_curves_count_at_their_last_iteration(tmp_path):
    write_figure_runs(tmp_path, "tmaml-table1", "quick", {"lvc-ppo": {1: (0.0, 9.0, 3.0), 2: (0.0, 9.0, 5.0)}})
    table = beside_the_paper(FIGURES["tmaml-table1"], curves(load_runs(tmp_path), ("return/pre", "return/post")))
    ours = table.set_index(["environment", "curve"])
    assert ours.loc[("AntFwdBack", "lvc-ppo"), "ours"] == 4.0
    assert ours.loc[("AntFwdBack", "lvc-ppo"), "n"] == 2
    assert math.isnan(ours.loc[("AntFwdBack", "tmaml-ppo"), "ours"])
    assert ours["n"].tolist().count(0) == 8


@pytest.mark.parametrize(("profile", "whole"), [("quick", False), ("standard", True), ("paper", True)])
def test_a_table_says_whether_its_size_is_the_papers(profile, whole):
    assert ("the paper's own size" in explanation(new_tasks("sgmrl-table1").assign(profile=profile))) == whole
    assert "own size" not in explanation(new_tasks("sgmrl-table2").assign(profile="standard"))
    assert "own size" not in explanation(new_tasks("sgmrl-table1").assign(profile=""))


def test_markdown_shows_both_numbers_and_n():
    lines = markdown(FIGURES["sgmrl-table1"], new_tasks("sgmrl-table1")).splitlines()
    assert lines[2] == "| Environment | Method | Paper | Ours | n | Profile |"
    assert lines[4] == "| Navigation | SG-MRL | −16.9 ± 0.699 | −15.9 [−23.35, −8.449] | 3 | quick |"
    assert "Profile of ours: quick;" in lines[-1]
    single = markdown(FIGURES["sgmrl-table1"], new_tasks("sgmrl-table1", {5: 0.0}))
    assert "| Navigation | SG-MRL | −16.9 ± 0.699 | −16.9 | 1 | quick |" in single


def test_the_figure_has_a_mark_for_each_number_and_its_digits():
    table = new_tasks("sgmrl-table2").assign(n=lambda t: t["n"].where(t["curve"] != "sgmrl-k2", 0))
    figure = table_figure(table)
    assert [panel.get_title(loc="left") for panel in figure.axes] == list(FIGURES["sgmrl-table2"].environments)
    for panel, (_, rows) in zip(figure.axes, table.groupby("environment", sort=False), strict=True):
        marks = {kind: [line.get_xdata()[0] for line in panel.lines if line.get_marker() == kind] for kind in "Do"}
        assert marks["D"] == pytest.approx(rows["paper"].tolist())
        assert marks["o"] == pytest.approx(rows.loc[rows["n"] > 0, "ours"].tolist())
        texts = [text.get_text() for text in panel.texts]
        assert texts.count("not yet run") == 1
        assert sum("n = 3, quick" in text for text in texts) == 5
    assert "95 % Student t" in figure.get_supxlabel() and "Profile of ours: quick" in figure.get_supxlabel()


def test_the_interval_of_two_seeds_does_not_stretch_the_axis():
    """It is 12.7 standard errors wide to either side."""
    table = new_tasks("sgmrl-table1", {1: 0.0, 2: 2.0})
    figure = table_figure(table)
    (panel,) = figure.axes
    assert table["high"].max() > -5.0 > panel.get_xlim()[1]
    assert not [line for line in panel.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2]
    assert figure.get_supxlabel().endswith("Intervals of two seeds are in the digits alone.")
    assert "two seeds" not in table_figure(new_tasks("sgmrl-table1")).get_supxlabel()


def test_digits_lie_within_the_picture():
    figure = table_figure(new_tasks("sgmrl-table2"))
    figure.draw_without_rendering()
    for panel in figure.axes:
        for text in panel.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_every_row_of_a_table_is_that_of_the_largest_profile_that_tested_it(tmp_path):
    figure, larger = FIGURES["sgmrl-table2"], {"sgmrl-k1", "vpg-maml-k1"}
    rows = returns_on_new_tasks(figure.name, {1: 0.0, 2: 1.0}, profile="standard")
    whole = returns_on_new_tasks(figure.name, OFFSETS)
    write_study(tmp_path, figure.name, "quick", whole)
    tested = [row for row in rows if row["curve"] in larger and row["environment"] == "SwimmerRandVel"]
    write_study(tmp_path, figure.name, "standard", tested)
    content = content_of(figure, Results(tmp_path))
    beside = beside_the_paper(figure, content.frame)
    expected = [
        ("standard", 2) if curve in larger and environment == "SwimmerRandVel" else ("quick", 3)
        for environment, curve in zip(beside["environment"], beside["curve"], strict=True)
    ]
    assert list(zip(beside["profile"], beside["n"], strict=True)) == expected
    both = [table_path(tmp_path, profile, figure.name) for profile in ("standard", "quick")]
    assert list(content.tables) == both
    assert effort(figure, content, Results(tmp_path)) == [
        "`standard`: its study, n = 2.",
        "`quick`: its study, n = 3.",
    ]
    assert set(content_of(figure, Results(tmp_path), profile="quick").frame["profile"]) == {"quick"}
    write_study(tmp_path, figure.name, "standard", rows)
    assert list(content_of(figure, Results(tmp_path)).tables) == both[:1]


def test_plotting_a_table_writes_it_in_four_forms(metarl, tmp_path):
    write_study(tmp_path / "results", "sgmrl-table1", "quick", returns_on_new_tasks("sgmrl-table1", OFFSETS))
    written = []
    for name in ("a", "b"):
        out = tmp_path / name
        completed = metarl("plot", "sgmrl-table1", "--results", tmp_path / "results", "--out", out)
        assert completed.code == 0
        files = [out / f"sgmrl-table1.{suffix}" for suffix in ("png", "pdf", "csv", "md")]
        assert completed.out.split() == [str(path) for path in files]
        written.append([path.read_bytes() for path in files])
    assert written[0] == written[1]
    assert list(pd.read_csv(tmp_path / "a" / "sgmrl-table1.csv").columns) == list(COLUMNS)
