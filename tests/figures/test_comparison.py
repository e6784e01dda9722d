from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic_results import write_figure_runs

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.errors import UserError
from metarl_cli.figures.comparison import compare, detail, summarise
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers import FIGURES
from metarl_cli.results import Results
from metarl_cli.store import table_path
from metarl_cli.tables import write_table

CURVES = FIGURES["promp-fig2"]
TABLE = FIGURES["sgmrl-table1"]


def curve_table(*, iterations=3, seeds="1 2", curves=("promp", "lvc-vpg"), profile="quick"):
    rows = [
        {
            "curve": curve,
            "environment": "HalfCheetahFwdBack",
            "profile": profile,
            "seeds": seeds,
            "quantity": quantity,
            "iteration": iteration,
            "env_steps": 100 * (iteration + 1),
            "mean": 10.0 * iteration,
            "low": 10.0 * iteration - 1 if " " in seeds else np.nan,
            "high": 10.0 * iteration + 1 if " " in seeds else np.nan,
            "least": 10.0 * iteration - 1,
            "greatest": 10.0 * iteration + 1,
        }
        for curve in curves
        for quantity in ("return/pre", "return/post")
        for iteration in range(iterations)
    ]
    return pd.DataFrame(rows)


def cell_table(values=(1.0, 2.0, 4.0)):
    seeds = range(1, len(values) + 1)
    frame = pd.DataFrame({"seed": seeds, "return": values, "environment": "Navigation", "steps": 1})
    frame = frame.assign(profile="quick", tasks=4)
    return pd.concat([frame.assign(curve="sgmrl"), frame.assign(curve="vpg-maml")], ignore_index=True)


def compared(home, figure, ours, published=None, *, profile="quick", published_profile="quick"):
    write_table(ours, table_path(home / "local", profile, figure.name))
    if published is not None:
        write_table(published, table_path(home / "published", published_profile, figure.name))
    return compare(figure, Results(home / "local"), profile=profile, published=Results(home / "published"))


@pytest.mark.parametrize(("figure", "table"), [(CURVES, curve_table()), (TABLE, cell_table())])
def test_the_same_table_is_equal_number_by_number(tmp_path, figure, table):
    rows = compared(tmp_path, figure, table, table)
    assert set(rows["verdict"]) == {"equal"}
    assert len(rows) == 2
    assert rows["mean"].tolist() == rows["published_mean"].tolist()


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.0, "equal"), (0.9, "within"), (-0.9, "within"), (1.1, "outside"), (-1.1, "outside")]
)
def test_the_verdict_of_a_curve_flips_when_the_published_file_is_changed(tmp_path, shift, verdict):
    compared(tmp_path, CURVES, curve_table(), curve_table())
    path = table_path(tmp_path / "published", "quick", CURVES.name)
    table = pd.read_csv(path)
    table[["mean", "low", "high"]] += shift * (table[["curve"]] == "promp").to_numpy()
    write_table(table, path)
    rows = compare(CURVES, Results(tmp_path / "local"), profile="quick", published=Results(tmp_path / "published"))
    assert dict(zip(rows["what"], rows["verdict"], strict=True)) == {
        "HalfCheetahFwdBack promp": verdict,
        "HalfCheetahFwdBack lvc-vpg": "equal",
    }


@pytest.mark.parametrize(("factor", "verdict"), [(0.99, "within"), (1.01, "outside")])
def test_a_cell_is_judged_by_the_interval_over_published_seeds(tmp_path, factor, verdict):
    published = (1.0, 2.0, 4.0)
    mean, _, high = mean_interval(published)
    ours = cell_table(tuple(value + factor * (high - mean) for value in published))
    rows = compared(tmp_path, TABLE, ours, cell_table(published))
    assert set(rows["verdict"]) == {verdict}
    assert rows["published_high"].tolist() == pytest.approx([high, high])
    assert rows["published_seeds"].tolist() == [3, 3]


def test_curves_are_compared_at_the_last_iteration_that_both_have(tmp_path):
    rows = compared(tmp_path, CURVES, curve_table(iterations=2), curve_table(iterations=5))
    assert rows["iteration"].tolist() == [1, 1]
    rows = compared(tmp_path, CURVES, curve_table(iterations=7), curve_table(iterations=5))
    assert rows["iteration"].tolist() == [4, 4]
    assert set(rows["verdict"]) == {"equal"}


def test_one_published_seed_has_no_interval(tmp_path):
    ours = curve_table(seeds="1")
    rows = compared(tmp_path, CURVES, ours.assign(mean=ours["mean"] + 1), curve_table(seeds="1"))
    assert set(rows["verdict"]) == {"no interval"}
    assert rows["published_seeds"].tolist() == [1, 1]


def test_another_size_stands_beside_without_a_verdict(tmp_path):
    compared(tmp_path, CURVES, curve_table(), curve_table(), published_profile="overnight")
    rows = compared(tmp_path, CURVES, curve_table(), curve_table(), published_profile="paper")
    assert set(rows["published_profile"]) == {"paper"}
    assert set(rows["verdict"]) == {"other size"}
    assert rows["published_mean"].tolist() == [20.0, 20.0]
    rows = compared(tmp_path, CURVES, curve_table(), curve_table(), published_profile="quick")
    assert set(rows["published_profile"]) == {"quick"}


def test_of_other_sizes_the_one_with_most_of_the_numbers_counts(tmp_path):
    compared(tmp_path, CURVES, curve_table(), curve_table(curves=("promp",)), published_profile="paper")
    rows = compared(tmp_path, CURVES, curve_table(), curve_table(), published_profile="overnight")
    assert set(rows["published_profile"]) == {"overnight"}


def test_what_is_not_published_is_said_to_be_so(tmp_path):
    rows = compared(tmp_path, CURVES, curve_table())
    assert set(rows["verdict"]) == {"not published"}
    assert rows["iteration"].tolist() == [2, 2]
    (summary,) = summarise(rows)
    expected = {"figure": CURVES.name, "published": "nothing", "numbers": 2, "verdicts": "2 not published"}
    assert summary == expected
    assert {tuple(row) for row in detail(rows)} == {("what", "at", "ours")}


def test_a_curve_more_than_is_published(tmp_path):
    rows = compared(tmp_path, CURVES, curve_table(), curve_table(curves=("promp",)))
    assert rows.set_index("what")["verdict"].to_dict() == {
        "HalfCheetahFwdBack promp": "equal",
        "HalfCheetahFwdBack lvc-vpg": "not published",
    }


def test_a_table_is_compared_with_the_curves_beside_it(tmp_path):
    cells = pd.DataFrame({"seed": [1, 2], "pearson": [0.5, 0.7], "estimator": "dice", "order": 2})
    accuracy = cells.assign(sweep="epsilon", epsilon=0.1, samples=1000, variant="released")
    accuracy = accuracy.assign(profile="quick", relative_error=0.1)
    for home in ("local", "published"):
        seeds = {1: (1.0, 19.0), 2: (3.0, 21.0)}
        write_figure_runs(tmp_path / home, "taypo-fig1", "quick", {"promp": seeds, "trpo-maml": seeds})
    rows = compared(tmp_path, FIGURES["taypo-fig1"], accuracy, accuracy)
    assert rows["what"].tolist() == [
        "PointCorner promp",
        "PointCorner trpo-maml",
        "epsilon epsilon 0.1 samples 1000 dice order 2",
    ]
    assert rows["mean"].tolist() == pytest.approx([20.0, 20.0, 0.6])
    assert set(rows["verdict"]) == {"equal"}


def test_only_the_deviation_of_a_variance_study_is_compared(tmp_path):
    rows = [
        {"environment": "E", "curve": "lvc", "iteration": 0, "seed": seed, "quantity": quantity, "value": value + seed}
        | {"profile": "quick", "rounds": 10, "env_steps": 0}
        for seed in (1, 2)
        for quantity, value in (("rstd", 1.0), ("cosine", 5.0), ("return/post", 9.0))
    ]
    table = pd.DataFrame(rows)
    (row,) = compared(tmp_path, FIGURES["promp-fig3"], table, table).to_dict("records")
    assert (row["what"], row["mean"], row["verdict"]) == ("E lvc iteration 0", 2.5, "equal")


def test_every_table_of_a_study_can_be_compared():
    assert all(VIEWS[figure.plot].cells for figure in FIGURES.values() if figure.source == "study")


def test_the_summary_counts_verdicts_by_figure(tmp_path):
    curves = compared(tmp_path, CURVES, curve_table(), curve_table(curves=("promp",)))
    cells = compared(tmp_path, TABLE, cell_table((9.0, 9.1, 9.2)), cell_table())
    assert summarise(pd.concat([curves, cells], ignore_index=True)) == [
        {"figure": CURVES.name, "published": "quick", "numbers": 2, "verdicts": "1 equal, 1 not published"},
        {"figure": TABLE.name, "published": "quick", "numbers": 2, "verdicts": "2 outside"},
    ]


def test_the_detail_puts_ours_beside_the_published_number(tmp_path):
    ours = curve_table(curves=("promp",))
    rows = detail(compared(tmp_path, CURVES, ours, ours.assign(mean=ours["mean"] + 0.5)))
    assert rows == [
        {
            "what": "HalfCheetahFwdBack promp",
            "at": "iteration 2",
            "ours": "20 [19, 21]",
            "published (quick)": "20.5 [19, 21]",
            "verdict": "within",
        }
    ]


def test_a_table_that_was_not_made_is_named(tmp_path):
    with pytest.raises(UserError, match=r"promp-fig2\.csv"):
        compare(CURVES, Results(tmp_path), profile="quick", published=Results(tmp_path))
