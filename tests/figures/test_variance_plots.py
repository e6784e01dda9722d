from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from metarl_cli.figures.labels import colour, estimator_label
from metarl_cli.figures.plots import save
from metarl_cli.figures.plots.variance import LOOKS, NOISE, TRAINED_WITH, Look, promp_fig3, tmaml_fig2
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers import FIGURES
from metarl_cli.studies.variance import FIGURE_ESTIMATORS

QUANTITIES = ("rstd", "relative_deviation", "cosine", "variance")
STEPS = (0, 400, 800)


def measured(curve, quantity, *values, rounds=10):
    """One value per seed, twice as much at each later checkpoint."""
    rows = [
        {"seed": seed, "iteration": step // 20, "env_steps": step, "value": value * 2.0**at}
        for seed, value in enumerate(values, start=1)
        for at, step in enumerate(STEPS)
    ]
    return pd.DataFrame(rows).assign(curve=curve, quantity=quantity, rounds=rounds)


def table(*parts):
    frame = pd.concat(parts, ignore_index=True).assign(environment="HalfCheetahFwdBack", profile="quick")
    return frame


def full(estimators=("lvc", "dice-full")):
    parts = [measured(name, quantity, 0.1, 0.2, 0.15) for name in estimators for quantity in QUANTITIES]
    returns = [measured("carrier", "return/post", 1.0, 2.0, 3.0), measured("dice", "return/post", 4.0, 6.0, rounds=0)]
    return table(*parts, *returns)


def panels(figure):
    return {panel.get_ylabel(): panel for panel in figure.axes}


def line(panel, text):
    (found,) = (line for line in panel.lines if line.get_label() == text)
    return found


def test_what_a_seed_has_of_several_rounds_counts_as_its_mean():
    frame = full()
    figure = promp_fig3(pd.concat([frame, frame[frame["rounds"] > 0].assign(rounds=7, value=0.3)]))
    drawn = line(panels(figure)["cosine to the mean gradient"], estimator_label("lvc"))
    np.testing.assert_allclose(drawn.get_ydata(), [0.225, 0.3, 0.45])
    assert "R = 7, 10 rounds" in figure.get_supxlabel()


def test_a_panel_for_each_quantity():
    assert list(panels(promp_fig3(full()))) == [
        "mean of std/|mean| over coordinates",
        "‖std‖ / ‖mean‖",
        "cosine to the mean gradient",
        "return after adaptation",
    ]
    assert list(panels(tmaml_fig2(full()))) == [
        "trace of the covariance",
        "‖std‖ / ‖mean‖",
        "return after adaptation",
    ]


def dots(panel):
    return sorted(tuple(point) for collection in panel.collections for point in collection.get_offsets().tolist())


def test_lines_are_means_over_seeds_and_dots_the_seeds():
    frame = table(measured("lvc", "relative_deviation", 1.0, 2.0))
    (panel,) = (p for name, p in panels(tmaml_fig2(frame)).items() if name == "‖std‖ / ‖mean‖")
    drawn = line(panel, estimator_label("lvc"))
    np.testing.assert_array_equal(drawn.get_xdata(), STEPS)
    np.testing.assert_allclose(drawn.get_ydata(), [1.5, 3.0, 6.0])
    assert dots(panel) == [(0, 1.0), (0, 2.0), (400, 2.0), (400, 4.0), (800, 4.0), (800, 8.0)]


def test_on_logarithmic_axes_means_are_geometric():
    panel = tmaml_fig2(table(measured("lvc", "variance", 1.0, 100.0))).axes[0]
    assert panel.get_yscale() == "log"
    np.testing.assert_allclose(line(panel, estimator_label("lvc")).get_ydata(), [10.0, 20.0, 40.0])


@pytest.mark.parametrize(("quantity", "limit"), [("relative_deviation", 6**0.5), ("cosine", 7**-0.5)])
def test_the_value_of_pure_noise_is_marked(quantity, limit):
    frame = table(measured("lvc", quantity, 0.5, rounds=7))
    limits = [line for panel in promp_fig3(frame).axes for line in panel.lines if line.get_label() == NOISE]
    assert [line.get_ydata()[0] for line in limits] == pytest.approx([limit])


def test_returns_are_those_of_trained_runs_with_the_look_of_their_estimator():
    figure = promp_fig3(full())
    panel = panels(figure)["return after adaptation"]
    run = line(panel, LOOKS["dice-full"].label)
    np.testing.assert_allclose(run.get_ydata(), [5.0, 10.0, 20.0])
    estimator = line(figure.axes[0], LOOKS["dice-full"].label)
    assert run.get_label() == estimator.get_label()
    assert (run.get_color(), run.get_linestyle()) == (estimator.get_color(), estimator.get_linestyle())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        estimator_label("lvc"),
        LOOKS["dice-full"].label,
        NOISE,
    ]


def test_each_seed_of_a_trained_run_is_a_thin_line_and_no_dots():
    trained = measured("dice", "return/post", 1.0, 3.0, rounds=0)
    panel = panels(tmaml_fig2(table(trained)))["return after adaptation"]
    assert len(panel.collections) == 0
    drawn = sorted((drawn.get_linewidth(), *drawn.get_ydata()) for drawn in panel.lines)
    assert [numbers[1:] for numbers in drawn] == [(1.0, 2.0, 4.0), (3.0, 6.0, 12.0), (2.0, 4.0, 8.0)]
    assert drawn[0][0] == drawn[1][0] < drawn[2][0]


@pytest.mark.parametrize(("greatest", "subs"), [(100.0, [1.0, 2.0, 5.0]), (2000.0, [1.0])])
def test_many_powers_of_ten_have_a_number_each(greatest, subs):
    panel = tmaml_fig2(table(measured("lvc", "variance", 1.0, greatest))).axes[0]
    assert list(panel.yaxis.get_major_locator()._subs) == subs


def test_without_trained_runs_the_carriers_return_is_shown():
    frame = full()
    figure = promp_fig3(frame[frame["rounds"] > 0])
    (carrier,) = panels(figure)["return after adaptation"].lines
    np.testing.assert_allclose(carrier.get_ydata(), [2.0, 4.0, 8.0])
    assert carrier.get_label() == LOOKS["carrier"].label


@pytest.mark.parametrize("name", FIGURE_ESTIMATORS)
def test_every_trained_run_has_the_look_of_an_estimator_of_its_figure(name):
    shown = {TRAINED_WITH.get(curve.label, curve.label) for curve in FIGURES[name].curves}
    assert shown <= set(FIGURE_ESTIMATORS[name])


def test_checkpoints_that_a_seed_lacks_are_not_averaged():
    frame = table(measured("lvc", "cosine", 0.1, 0.2))
    frame = frame[~((frame["seed"] == 2) & (frame["env_steps"] == 800))]
    panel = panels(promp_fig3(frame))["cosine to the mean gradient"]
    np.testing.assert_array_equal(line(panel, estimator_label("lvc")).get_xdata(), [0, 400])


def test_the_figure_says_profile_seeds_rounds_and_marks():
    text = promp_fig3(full()).get_supxlabel()
    assert "Profile: quick." in text
    assert "seeds: 1, 2, 3 (n=3)" in text
    assert "R = 10 rounds" in text
    assert "Returns: n = 2 runs." in text
    assert "Dots and thin lines: single seeds." in text


def test_an_empty_table_gives_empty_panels():
    figure = promp_fig3(full().iloc[:0])
    assert figure.get_supxlabel() == "No measurements yet."
    assert [panel.texts[0].get_text() for panel in figure.axes] == ["no data yet"] * 4


@pytest.mark.parametrize("names", FIGURE_ESTIMATORS.values(), ids=FIGURE_ESTIMATORS)
def test_the_lines_of_a_figure_can_be_told_apart(names):
    looks = [LOOKS.get(name, Look(name, "-", estimator_label(name))) for name in names]
    assert len({look.label for look in looks}) == len(names)
    assert len({(to_rgb(colour(look.like)), look.line) for look in looks}) == len(names)


def test_the_same_table_gives_the_same_bytes_and_stays(tmp_path):
    frame = full()
    before = frame.copy(deep=True)
    files = [save(tmaml_fig2(frame), tmp_path / name) for name in ("a", "b")]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", FIGURE_ESTIMATORS)
def test_the_registry_draws_the_figure(name):
    figure = FIGURES[name]
    drawn = VIEWS[figure.plot].draw(figure, full(FIGURE_ESTIMATORS[name]))
    assert len(drawn.axes[0].lines) == len(FIGURE_ESTIMATORS[name])
