from __future__ import annotations

import json

import pytest
from synthetic_results import write_figure_runs

from metarl_cli.figures.draw import content_of
from metarl_cli.figures.plots.learning import learning_curves
from metarl_cli.pages.curves import explorable
from metarl_cli.papers import FIGURES
from metarl_cli.results import Results

FIGURE = FIGURES["promp-fig2"]


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Curves of two algorithms, one of them longer; nothing of the others."""
    results = tmp_path_factory.mktemp("results")
    posts = {"promp": {1: (1.0, 2.0, 4.0), 2: (2.0, 4.0, 6.123456789)}, "trpo-maml": {1: (-1.0, 0.0), 2: (-3.0, 1.0)}}
    write_figure_runs(results, FIGURE.name, "quick", posts)
    return content_of(FIGURE, Results(results)).frame


def test_a_page_draws_what_the_picture_draws(frame):
    found = explorable(FIGURE, frame)
    names = {curve.label: curve.title for curve in FIGURE.curves}
    picture = learning_curves(frame, environments=FIGURE.environments, names=names)
    panels = [panel for panel in picture.axes if panel.get_visible()]
    assert [panel["title"] for panel in found["panels"]] == [panel.get_title() for panel in panels]
    for panel, drawn in zip(found["panels"], panels, strict=True):
        assert [curve["label"] for curve in found["names"]] == [line.get_label() for line in drawn.lines]
        for line, curve in zip(panel["lines"], drawn.lines, strict=True):
            points = {step: mean for step, mean in zip(panel["steps"], line["mean"], strict=True) if mean is not None}
            assert list(points) == list(curve.get_xdata())
            assert list(points.values()) == pytest.approx(list(curve.get_ydata()), rel=1e-4)
        for line, band in zip(panel["lines"], drawn.collections, strict=True):
            heights = band.get_paths()[0].vertices[:, 1]
            limits = [limit for limit in (*line["low"], *line["high"]) if limit is not None]
            assert (min(limits), max(limits)) == pytest.approx((heights.min(), heights.max()), rel=1e-4)


def test_a_curve_has_no_number_where_it_has_no_iteration(frame):
    panel = explorable(FIGURE, frame)["panels"][0]
    assert panel["steps"] == [100, 200, 300]
    assert panel["lines"][0] == {
        "name": "promp",
        "mean": [1.5, 3.0, 5.0617],
        "low": [1.0, 2.0, 4.0],
        "high": [2.0, 4.0, 6.1235],
    }
    assert panel["lines"][1]["mean"] == [-2.0, 0.5, None]
    json.dumps(panel, allow_nan=False)


def test_an_environment_without_runs_has_a_panel_without_lines(frame):
    cheetah = frame[frame["environment"] == "HalfCheetahFwdBack"]
    first, *others = explorable(FIGURE, cheetah)["panels"]
    assert len(first["lines"]) == 2
    assert others == [{"title": name, "steps": [], "lines": []} for name in FIGURE.environments[1:]]


def test_of_iterations_at_the_same_step_the_last_counts(frame):
    """As in a `progress.csv` that was put together by hand."""
    found = explorable(FIGURE, frame.assign(env_steps=frame["env_steps"].clip(upper=200)))
    assert found["panels"][0]["steps"] == [100, 200]
    assert found["panels"][0]["lines"][0]["mean"] == [1.5, 5.0617]


def test_what_is_not_learning_curves_is_not_explorable(frame):
    assert explorable(FIGURES["tmaml-table1"], frame) is None


def test_the_text_names_line_and_band(frame):
    assert explorable(FIGURE, frame)["explanation"].endswith("Line: mean over seeds; band: range of the seeds.")
