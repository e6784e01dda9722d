from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.figures.labels import colour, estimator_label
from metarl_cli.figures.plots import save
from metarl_cli.figures.plots.correlation import (
    OTHER_METHODS,
    PAPER_METHODS,
    TABULAR_ESTIMATORS,
    taypo_fig1,
    tmaml_fig4,
)
from metarl_cli.studies import tabular, toy1d


def pearson(*keys):
    """A number that is different for every row."""
    return float(np.random.default_rng([zlib.crc32(str(key).encode()) for key in keys]).uniform(0.2, 0.8))


def tabular_frame(seeds=3):
    points = [("epsilon", epsilon, 1000) for epsilon in (0.0, 0.5)] + [("samples", 0.5, n) for n in (10, 100, 1000)]
    rows = [
        ("paper", variant, seed, *point, estimator, order, pearson(variant, seed, order, estimator, *point))
        for seed in range(seeds)
        for variant in ("released", "paper")
        for order in (1, 2)
        for estimator in TABULAR_ESTIMATORS
        for point in points
    ]
    columns = ["profile", "variant", "seed", "sweep", "epsilon", "samples", "estimator", "order", "pearson"]
    return pd.DataFrame(rows, columns=columns)


def toy_frame(seeds=3):
    estimates = [
        ("paper", seed, "estimate", *method, quantity, n, pearson(seed, *method, quantity, n), 0.5, np.nan)
        for seed in range(seeds)
        for method in dict.fromkeys(PAPER_METHODS + OTHER_METHODS)
        for quantity in ("inner_hessian", "meta_gradient")
        for n in (10, 100, 1000)
    ]
    truths = [
        ("paper", seed, "truth", "loaded_dice", "per_task", quantity, 20_000, 0.99, 0.031, 0.042)
        for seed in range(seeds)
        for quantity in ("inner_hessian", "meta_gradient")
    ]
    columns = ["profile", "seed", "role", "estimator", "control_variate", "quantity", "samples"]
    return pd.DataFrame(estimates + truths, columns=[*columns, "pearson", "relative_error", "standard_error"])


def lines_of(panel):
    return {line.get_label(): line for line in panel.lines}


def test_taypo_fig1_draws_the_mean_and_band_of_every_estimator():
    frame = tabular_frame()
    figure = taypo_fig1(frame)
    assert isinstance(figure, Figure)
    for panel, where in zip(
        figure.axes,
        ("sweep == 'epsilon' and order == 1", "sweep == 'epsilon' and order == 2", "sweep == 'samples' and order == 2"),
        strict=False,
    ):
        lines = lines_of(panel)
        assert list(lines) == [estimator_label(name) for name in TABULAR_ESTIMATORS]
        shown = frame.query(f"variant == 'released' and estimator == 'taypo2' and {where}")
        sweep = shown["sweep"].iloc[0]
        band = mean_interval(shown.pivot(index=sweep, columns="seed", values="pearson").to_numpy().T)
        np.testing.assert_allclose(lines["TayPO-2"].get_ydata(), band.mean)
        edges = panel.collections[TABULAR_ESTIMATORS.index("taypo2")].get_paths()[0].vertices[:, 1]
        assert edges.min() == pytest.approx(band.low.min())
        assert edges.max() == pytest.approx(band.high.max())
        assert lines["TayPO-2"].get_color() == colour("taypo2")


def test_taypo_fig1_says_what_it_shows():
    figure = taypo_fig1(tabular_frame(seeds=4), variant="paper")
    assert [panel.get_title() for panel in figure.axes] == [
        "(a) gradient, N = 1000",
        "(b) Hessian, N = 1000",
        "(c) Hessian, ε = 0.5",
        "(d) 2-D control",
    ]
    caption = figure.get_supxlabel()
    assert "Variant: paper. Profile: paper. n = 4 seeds." in caption
    assert "95 % Student t" in caption
    assert figure.axes[2].get_xscale() == "log"
    assert [text.get_text() for text in figure.axes[2].get_xticklabels()] == ["10", "100", "1k"]


def test_what_a_seed_has_several_times_at_one_place_counts_as_its_mean():
    """As a table that was joined by hand from two sizes."""
    frame = tabular_frame()
    other = frame[frame["sweep"] == "epsilon"].assign(samples=50, pearson=0.1)
    figure = taypo_fig1(pd.concat([frame, other]))
    assert figure.axes[0].get_title() == "(a) gradient, N = 1000, N = 50"
    for panel, alone in zip(figure.axes[:2], taypo_fig1(frame).axes, strict=False):
        own, before = (lines_of(each)["TayPO-2"].get_ydata() for each in (panel, alone))
        np.testing.assert_allclose(own, (before + 0.1) / 2)


def test_taypo_fig1_without_training_marks_panel_d_and_with_it_draws_it():
    assert [text.get_text() for text in taypo_fig1(tabular_frame()).axes[3].texts] == ["no data yet"]
    drawn = taypo_fig1(tabular_frame(), training=lambda panel: panel.plot([0, 1], [0, 1]))
    assert len(drawn.axes[3].lines) == 1
    assert not drawn.axes[3].texts


def test_taypo_fig1_of_a_variant_without_rows_marks_every_panel():
    figure = taypo_fig1(tabular_frame().query("variant == 'paper'"))
    assert all([text.get_text() for text in panel.texts] == ["no data yet"] for panel in figure.axes)
    assert "No data yet." in figure.get_supxlabel()


def test_tmaml_fig4_draws_the_papers_methods_above_and_the_variants_below():
    frame = toy_frame()
    frame.loc[frame["role"] == "truth", "estimator"] = "tmaml"  # a truth is never a line, whatever estimated it
    figure = tmaml_fig4(frame)
    assert [len(panel.lines) for panel in figure.axes] == [5, 5, 6, 6]
    line = lines_of(figure.axes[1])["TMAML (corrected) + per-task b"]
    assert line.get_linestyle() == "--"
    rows = frame.query("role == 'estimate' and quantity == 'inner_hessian' and control_variate == 'per_task'")
    rows = rows[rows["estimator"] == "tmaml"]
    np.testing.assert_allclose(line.get_ydata(), rows.groupby("samples")["pearson"].mean())
    np.testing.assert_array_equal(line.get_xdata(), [10, 100, 1000])


def test_tmaml_fig4_puts_each_quantity_in_its_column():
    frame = toy_frame()
    frame.loc[frame["quantity"] == "meta_gradient", "pearson"] = 0.125
    figure = tmaml_fig4(frame)
    for panel in (figure.axes[0], figure.axes[2]):
        assert panel.get_title().startswith("meta-gradient")
        assert all(line.get_ydata() == pytest.approx(0.125) for line in panel.lines)
    assert not any(line.get_ydata() == pytest.approx(0.125) for line in figure.axes[1].lines)


def test_tmaml_fig4_says_how_good_the_truth_is():
    caption = tmaml_fig4(toy_frame()).get_supxlabel()
    assert "Profile: paper. n = 3 seeds." in caption
    assert "mean of 20000 trajectories differs from its Hessian by 3.1% of the norm" in caption
    assert "standard error of 4.2%" in caption
    assert "trajectories differs" not in tmaml_fig4(toy_frame().query("role == 'estimate'")).get_supxlabel()


def test_panels_share_one_scale_within_the_range_of_a_correlation():
    frame = toy_frame(seeds=2)
    frame.loc[frame["seed"] == 1, "pearson"] = -0.9  # two seeds far apart: the interval leaves [−1, 1]
    limits = {panel.get_ylim() for panel in tmaml_fig4(frame).axes}
    assert limits == {(-1.05, 1.05)}


def test_one_seed_has_lines_without_a_band():
    figure = taypo_fig1(tabular_frame(seeds=1))
    assert len(figure.axes[0].lines) == len(TABULAR_ESTIMATORS)
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_an_empty_frame_is_a_figure_that_says_so():
    for draw, columns in ((taypo_fig1, tabular.COLUMNS), (tmaml_fig4, toy1d.COLUMNS)):
        figure = draw(pd.DataFrame(columns=list(columns)))
        assert all(panel.texts[0].get_text() == "no data yet" for panel in figure.axes)


@pytest.mark.parametrize(("draw", "frame"), [(taypo_fig1, tabular_frame()), (tmaml_fig4, toy_frame())])
def test_figures_are_written_and_nothing_is_clipped(draw, frame, tmp_path):
    figure = draw(frame)
    for path in save(figure, tmp_path / "figure"):
        assert path.stat().st_size > 10_000
    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.canvas.get_width_height()
    legends = [*figure.legends, *(panel.get_legend() for panel in figure.axes if panel.get_legend())]
    for artist in [*legends, *(panel.title for panel in figure.axes), figure._supxlabel]:
        box = artist.get_window_extent(renderer)
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height


def test_the_figures_draw_what_the_studies_measure():
    assert set(TABULAR_ESTIMATORS) == set(tabular.MEASURED)
    assert set(toy1d.METHODS) == set(PAPER_METHODS + OTHER_METHODS)
