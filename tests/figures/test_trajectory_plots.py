from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from metarl_cli.figures.labels import colour
from metarl_cli.figures.plots import save
from metarl_cli.figures.plots.trajectories import NUMBERS, TASK_COLOURS, trajectories
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers import FIGURES

CORNERS = [(-2, -2), (2, -2), (-2, 2), (2, 2)]


def numbers(seed=1, *, curve="lvc-trpo", corners=True):
    rows = [
        {"stage": "pre", "return": 2.0 * seed, "reaches_goal": 0.0, "ends_at_goal": 0.0, "end_distance": 2.8},
        {"stage": "post", "return": 40.0 * seed, "reaches_goal": 0.625, "ends_at_goal": 0.125, "end_distance": 1.5},
    ]
    regions = [
        {"ends_in_region": 0.1, "corners": 1.25, "corners_of_batch": 3.75},
        {"ends_in_region": 0.9, "corners": 1.0, "corners_of_batch": 1.5},
    ]
    frame = pd.DataFrame([{**row, **(region if corners else {})} for row, region in zip(rows, regions, strict=True)])
    return frame.assign(curve=curve, seed=seed)


def paths(curve="lvc-trpo", tasks=(7,), length=0.1):
    parts = []
    for task in tasks:
        for stage, slope in (("pre", -1.0), ("post", 1.0)):
            for trajectory in range(3):
                steps = np.arange(5)
                points = {"step": steps, "x": length * steps, "y": slope * length * steps * (trajectory + 1)}
                parts.append(pd.DataFrame(points).assign(stage=stage, task=task, trajectory=trajectory))
        parts.append(pd.DataFrame([{"stage": "goal", "task": task, "x": 0.4, "y": 0.1 * task, "radius": 0.3}]))
    return pd.concat(parts).assign(curve=curve, seed=1)


def regions(curve="lvc-trpo"):
    discs = pd.DataFrame(CORNERS, columns=["x", "y"])
    return discs.assign(stage="region", radius=2.0, curve=curve, seed=1)


def table(*parts):
    frame = pd.concat(parts, ignore_index=True).assign(environment="PointMomentum", profile="quick", iterations=60)
    return frame.reindex(columns=sorted({*frame.columns, *NUMBERS, "task", "trajectory", "step"})).sample(
        frac=1.0, random_state=0
    )


def full(curve="lvc-trpo"):
    return table(numbers(curve=curve), paths(curve), regions(curve))


def test_a_panel_for_each_curve_in_order_also_without_data():
    figure = trajectories(full("trpo-maml"), labels=("lvc-trpo", "trpo-maml"))
    assert [panel.get_title() for panel in figure.axes] == ["LVC-TRPO", "MAML-TRPO"]
    assert [len(panel.lines) for panel in figure.axes] == [0, 6]
    assert figure.axes[0].texts[0].get_text() == "no data yet"


def test_paths_are_drawn_in_the_order_of_their_steps_grey_before_and_coloured_after():
    (panel,) = trajectories(full(), labels=("lvc-trpo",)).axes
    drawn = [(line.get_color(), line.get_xdata(), line.get_ydata()) for line in panel.lines]
    assert [own for own, _, _ in drawn] == [colour("pre")] * 3 + [TASK_COLOURS[0]] * 3
    for number, (_, x, y) in enumerate(drawn):
        np.testing.assert_allclose(x, 0.1 * np.arange(5))
        np.testing.assert_allclose(y, (-1.0 if number < 3 else 1.0) * (number % 3 + 1) * x)


def test_discs_are_where_goal_and_regions_are():
    (panel,) = trajectories(full(), labels=("lvc-trpo",)).axes
    discs = [(*disc.get_center(), disc.get_radius()) for disc in panel.patches]
    assert sorted(discs[:4]) == sorted((*corner, 2.0) for corner in CORNERS)
    assert discs[4:] == [(0.4, pytest.approx(0.7), 0.3)]
    assert panel.get_xlim() == panel.get_ylim() == (pytest.approx(-4.16), pytest.approx(4.16))


def test_without_regions_all_panels_show_all_paths():
    frame = table(
        numbers(curve="sgmrl", corners=False), paths("sgmrl"), paths("vpg-maml", length=0.5), numbers(curve="vpg-maml")
    )
    first, second = trajectories(frame, labels=("sgmrl", "vpg-maml")).axes
    assert first.get_xlim() == second.get_xlim() == (pytest.approx(-1.04 * 6.0), pytest.approx(1.04 * 6.0))


def test_each_task_has_its_colour():
    (panel,) = trajectories(table(numbers(), paths(tasks=(0, 1, 2, 3))), labels=("lvc-trpo",)).axes
    coloured = [line.get_color() for line in panel.lines if line.get_color() != colour("pre")]
    assert coloured == [own for own in TASK_COLOURS for _ in range(3)]
    assert len({to_rgb(own) for own in TASK_COLOURS}) == 4


def test_numbers_stand_below_with_intervals_over_seeds():
    one = trajectories(full(), labels=("lvc-trpo",)).axes[0].get_xlabel().splitlines()
    assert one[0] == "return 2.0 → 40.0"
    assert "paths that reach the goal disc 0 % → 62 %" in one
    assert "regions that a task's paths enter before 3.8" in one
    two = trajectories(table(numbers(1), numbers(3), paths()), labels=("lvc-trpo",)).axes[0].get_xlabel()
    assert two.splitlines()[0] == "return 4.0 ± 25.4 → 80.0 ± 508.2"  # t₁ = 12.706 times s/√2 = 2 and 40


def test_what_a_task_does_not_have_is_not_mentioned():
    (panel,) = trajectories(table(numbers(corners=False), paths()), labels=("lvc-trpo",)).axes
    assert "regions" not in panel.get_xlabel()
    assert "goal disc" in panel.get_xlabel()


def test_the_figure_says_profile_iterations_and_seeds():
    text = trajectories(table(numbers(1), numbers(3), paths()), labels=("lvc-trpo",)).get_supxlabel()
    assert "Profile: quick; 60 iterations." in text
    assert "Paths: seed 1." in text
    assert "means over seeds 1, 3" in text
    assert "95 % Student t interval" in text


def test_a_figure_without_any_run_says_so():
    figure = trajectories(full().iloc[:0], labels=("lvc-trpo", "trpo-maml"))
    assert figure.get_supxlabel() == "No runs yet."
    assert [panel.texts[0].get_text() for panel in figure.axes] == ["no data yet"] * 2


def test_the_same_table_gives_the_same_bytes_and_stays(tmp_path):
    frame = full()
    before = frame.copy(deep=True)
    files = [save(trajectories(frame, labels=("lvc-trpo",)), tmp_path / name) for name in ("a", "b")]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", ["promp-fig4", "sgmrl-fig1"])
def test_the_registry_draws_the_figure(name):
    figure = FIGURES[name]
    drawn = VIEWS[figure.plot].draw(figure, full(figure.curves[0].label))
    assert len(drawn.axes) == len(figure.curves)
    assert len(drawn.axes[0].lines) == 6


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_was_not_recorded_is_a_dash(name):
    """Also where the other stage or another curve has it."""
    frame = full()
    frame.loc[frame["stage"] == "pre", name] = np.nan
    frame = pd.concat([frame, table(numbers(curve="trpo-maml"))])
    text = trajectories(frame, labels=("lvc-trpo", "trpo-maml")).axes[0].get_xlabel()
    assert "–" in text and "nan" not in text


def test_numbers_without_paths_have_a_frame():
    (panel,) = trajectories(
        table(numbers(), paths(length=0.0)[:0]).assign(x=np.nan, y=np.nan, radius=np.nan), labels=("lvc-trpo",)
    ).axes
    assert panel.get_xlim() == (-1.0, 1.0)
