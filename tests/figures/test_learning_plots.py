from __future__ import annotations

import os
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import is_color_like, to_rgb
from synthetic_results import write_figure_runs, write_run

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.errors import UserError
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.figures.draw import MOST_PANELS, NoResultsError, content_of
from metarl_cli.figures.effort import effort
from metarl_cli.figures.labels import COLOURS, CURVE_LABELS, ESTIMATOR_LABELS, colour, colours, curve_label
from metarl_cli.figures.plots import save
from metarl_cli.figures.plots.learning import TITLE_CHARACTERS, adaptation, learning_curves
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers import ADAPTATION, FIGURES
from metarl_cli.papers.figure import Curve, Part, planned_runs
from metarl_cli.papers.settings import run_config
from metarl_cli.papers.sizes import size
from metarl_cli.reproduction.plan import plan
from metarl_cli.results import Results
from metarl_cli.store import runs_directory, table_path
from metarl_cli.studies import tabular
from metarl_cli.tables import write_table


def curve(name="promp", environment="Navigation", profile="quick", seeds="1 2 3", quantity="return/post", level=0.0):
    steps = np.arange(1, 5) * 1000
    mean = level + np.sqrt(steps)
    bands = {"low": mean - 1.0, "high": mean + 1.0, "least": mean - 0.5, "greatest": mean + 0.5}
    frame = pd.DataFrame({"env_steps": steps, "mean": mean, **bands})
    return frame.assign(curve=name, environment=environment, profile=profile, seeds=seeds, quantity=quantity).sample(
        frac=1.0, random_state=0
    )


def curves(*parts):
    return pd.concat(parts, ignore_index=True)


def visible(figure):
    return [panel for panel in figure.axes if panel.get_visible()]


def named(labels):
    return {label: curve_label(label) for label in labels}


def texts(panel):
    return [text.get_text() for text in panel.texts]


def legend(figure):
    (drawn,) = figure.legends
    return [text.get_text() for text in drawn.get_texts()]


def test_a_panel_for_each_environment_in_order_also_without_data():
    figure = learning_curves(
        curve(), environments=("AntRandDir", "Navigation", "Toy1D", "PointWalls"), names=named(("promp",))
    )
    panels = visible(figure)
    titles = ["AntRandDir", "Navigation (quick, n = 3)", "Toy1D", "PointWalls"]
    assert [panel.get_title() for panel in panels] == titles
    assert [texts(panel) == ["no data yet"] for panel in panels] == [True, False, True, True]
    assert len(panels[1].lines) == 1


def test_lines_are_the_means_over_steps_and_bands_their_intervals():
    frame = curves(curve(), curve("vpg-maml", level=5.0, seeds="4 5"), curve(quantity="return/pre", level=99.0))
    figure = learning_curves(frame, environments=("Navigation",), names=named(("vpg-maml", "promp")))
    (panel,) = visible(figure)
    assert legend(figure) == [curve_label("vpg-maml"), "ProMP"]
    assert panel.get_title() == "Navigation (quick, n = 2 to 3)"
    for line, band, level, half in zip(panel.lines, panel.collections, (5.0, 0.0), (0.5, 1.0), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1000, 2000, 3000, 4000])
        np.testing.assert_allclose(line.get_ydata(), level + np.sqrt(line.get_xdata()))
        corners = band.get_paths()[0].vertices
        assert corners[:, 1].min() == pytest.approx(level + np.sqrt(1000) - half)
        assert corners[:, 1].max() == pytest.approx(level + np.sqrt(4000) + half)


def test_a_panel_ends_where_the_seeds_do():
    wide = curve().assign(low=-1e4, high=1e4)
    (panel,) = visible(learning_curves(wide, environments=("Navigation",), names=named(("promp",))))
    low, high = panel.get_ylim()
    least, greatest = np.sqrt(1000) - 0.5, np.sqrt(4000) + 0.5
    assert least - 0.1 * (greatest - least) < low < least < greatest < high < greatest + 0.1 * (greatest - least)


def test_what_runs_along_another_is_broken_and_on_top():
    both = curves(curve("promp-taypo2"), curve("promp"))
    (panel,) = visible(learning_curves(both, environments=("Navigation",), names=named(("promp-taypo2", "promp"))))
    taypo, promp = panel.lines
    assert (taypo.get_linestyle(), promp.get_linestyle()) == ("--", "-")
    assert taypo.get_zorder() > promp.get_zorder()


@pytest.mark.parametrize("length", [8, 40, 300])
def test_a_legend_is_within_its_figure(length):
    names = {name: f"{name} ".ljust(length, "x") for name in ("promp", "vpg-maml", "tmaml")}
    figure = learning_curves(curves(*map(curve, names)), environments=("Navigation",), names=names)
    figure.canvas.draw()
    (drawn,) = figure.legends
    box = drawn.get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1


def test_a_panel_names_the_lines_that_it_lacks():
    names = {"promp": "ProMP", "trpo-maml": "MAML-TRPO", "trpo-emaml": "E-MAML-TRPO"}
    both = curves(curve("promp"), curve("trpo-maml"), curve("promp", "Toy1D"))
    environments = ("Navigation", "Toy1D", "AntRandDir")
    first, second, third = visible(learning_curves(both, environments=environments, names=names))
    assert first.get_title() == "Navigation (quick, n = 3)\nwithout E-MAML-TRPO"
    assert second.get_title() == "Toy1D (quick, n = 3)\nwithout MAML-TRPO, E-MAML-TRPO"
    assert third.get_title() == "AntRandDir"
    many = {f"promp{i}": f"a curve with a long title, number {i}" for i in range(9)} | {"promp": "ProMP"}
    (panel,) = visible(learning_curves(curve("promp"), environments=("Navigation",), names=many))
    lines = panel.get_title().splitlines()
    assert max(map(len, lines)) <= TITLE_CHARACTERS and " ".join(lines[1:]).count("number") == 9


def test_panels_of_different_sizes_say_so():
    frame = curves(curve(), curve(environment="Toy1D", profile="overnight", seeds="1 2"))
    figure = learning_curves(frame, environments=("Navigation", "Toy1D"), names=named(("promp",)))
    titles = ["Navigation (quick, n = 3)", "Toy1D (overnight, n = 2)"]
    assert [panel.get_title() for panel in visible(figure)] == titles
    assert "Profile: overnight, quick." in figure.get_supxlabel()
    assert len(visible(adaptation(curves(curve(), curve(profile="smoke", level=3.0))))) == 2


def test_adaptation_shows_before_and_after_of_each_run():
    frame = curves(
        curve(), curve(quantity="return/pre", level=-5.0), curve("vpg-maml"), curve("vpg-maml", quantity="return/pre")
    )
    figure = adaptation(frame)
    names = ["ProMP", curve_label("vpg-maml")]
    titles = [f"{name} on Navigation (quick, n = 3)" for name in names]
    assert [panel.get_title() for panel in visible(figure)] == titles
    assert legend(figure) == ["after adaptation", "before adaptation"]
    assert all(len(panel.lines) == 2 for panel in visible(figure))


@pytest.mark.parametrize(
    ("seeds", "bands"),
    [
        (("1 2 3",), "; band: 95 % Student t interval of the mean, cut at what the seeds reached."),
        (("1 2",), "; band: range of the seeds."),
        (
            ("1 2", "1 2 3"),
            "; band: 95 % Student t interval of the mean, cut at what the seeds reached; "
            "range of the seeds, where there are two.",
        ),
        (("1",), "Line: mean over seeds."),
    ],
)
def test_the_caption_says_what_the_bands_are(seeds, bands):
    frame = curves(*(curve(name, seeds=given) for name, given in zip(("promp", "vpg-maml"), seeds, strict=False)))
    figure = learning_curves(frame, environments=("Navigation",), names=named(("promp", "vpg-maml")))
    assert figure.get_supxlabel().replace("\n", " ").endswith(bands)


@pytest.mark.parametrize(
    "draw", [adaptation, lambda f: learning_curves(f, environments=("Navigation",), names=named(("promp",)))]
)
def test_the_figure_says_profile_seeds_and_band(draw):
    text = draw(curves(curve(seeds="1 2 3 7"), curve(quantity="return/pre", seeds="1 2 3 7"))).get_supxlabel()
    assert "Profile: quick." in text
    assert "Seeds: 1–3, 7." in text
    assert "95 % Student t interval" in text


def test_a_figure_without_any_run_says_so():
    empty = curve().iloc[:0]
    figure = learning_curves(empty, environments=("Navigation", "Toy1D"), names=named(("promp",)))
    assert figure.get_supxlabel() == "No runs yet."
    assert [texts(panel) for panel in visible(figure)] == [["no data yet"]] * 2


@pytest.mark.parametrize(
    "frame", [curve(), curve(seeds="1").assign(low=np.nan, high=np.nan)], ids=["three seeds", "one seed"]
)
def test_files_are_written_and_the_same_figure_gives_the_same_bytes(tmp_path, frame):
    written = []
    for name in ("a/figure", "b/figure"):
        figure = learning_curves(frame, environments=("Navigation", "Toy1D"), names=named(("promp",)))
        png, pdf = save(figure, tmp_path / name)
        assert (png.suffix, pdf.suffix) == (".png", ".pdf")
        written.append((png.read_bytes(), pdf.read_bytes()))
    assert written[0] == written[1]
    assert written[0][0].startswith(b"\x89PNG") and written[0][1].startswith(b"%PDF")
    assert b"CreationDate" not in written[0][1]


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_an_interrupted_save_leaves_the_files_that_were_there(tmp_path, monkeypatch, suffix):
    figure = learning_curves(curve(), environments=("Navigation",), names=named(("promp",)))
    for path in (tmp_path / "figure.png", tmp_path / "figure.pdf"):
        path.write_bytes(b"whole")
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda one, two: interrupt() if two.suffix == suffix else replace(one, two))
    with pytest.raises(KeyboardInterrupt):
        save(figure, tmp_path / "figure")
    assert (tmp_path / "figure").with_suffix(suffix).read_bytes() == b"whole"
    assert {path.name for path in tmp_path.iterdir()} == {"figure.png", "figure.pdf"}


def interrupt():
    raise KeyboardInterrupt


def test_one_line_of_data_adds_an_algorithm_to_a_figure(tmp_path):
    figure = FIGURES["promp-fig2"]
    longer = replace(figure, curves=(*figure.curves, Curve("dice-vpg", "dice-vpg")))
    new = {
        f"dice-vpg/{name}/seed{seed + 1}" for name in figure.environments for seed in range(size(name, "quick").seeds)
    }
    before, after = ({step.job.name for step in plan([f], "quick", tmp_path)} for f in (figure, longer))
    assert after - before == new
    for run in planned_runs(longer, "quick"):
        write_run(runs_directory(tmp_path, "quick") / run.path, run.config, (1.0, 2.0))
    drawn = VIEWS[longer.plot].draw(longer, content_of(longer, Results(tmp_path)).frame)
    lines = [[line.get_label() for line in panel.lines] for panel in drawn.axes]
    assert all(labels[-1] == "DiCE-VPG" and len(labels) == 6 for labels in lines)


def test_adaptation_of_more_runs_than_a_picture_holds_says_how_to_choose(tmp_path):
    for profile, count in (("quick", MOST_PANELS), ("standard", 1)):
        for number in range(count):
            config = replace(run_config("promp", "Navigation", profile=profile), label=f"line{number}")
            write_run(runs_directory(tmp_path, profile) / config.label, config, [1.0])
    with pytest.raises(UserError, match=rf"{MOST_PANELS + 1} for .* {MOST_PANELS} is the most\. --results DIR"):
        content_of(ADAPTATION, Results(tmp_path))
    for profile, count in (("quick", MOST_PANELS), ("standard", 1)):
        drawn = content_of(ADAPTATION, Results(tmp_path), profile).frame
        assert set(drawn["profile"]) == {profile} and drawn["curve"].nunique() == count
        assert drawn.equals(content_of(ADAPTATION, Results(tmp_path / profile)).frame)
    with pytest.raises(NoResultsError):
        content_of(ADAPTATION, Results(tmp_path), "smoke")


def test_each_panel_shows_the_largest_profile_with_half_of_the_curves(tmp_path):
    figure = FIGURES["taypo-fig2"]
    larger = {"overnight": {"HalfCheetahFwdBack": 6, "WalkerFwdBack": 3, "AntRandDir": 2}, "paper": {"AntRandGoal": 1}}
    labels = [curve.label for curve in figure.curves]
    for profile in ("quick", "overnight", "paper"):
        for run in planned_runs(figure, profile):
            count = larger.get(profile, {}).get(run.config.environment.name, 0 if profile in larger else 6)
            if run.config.label in labels[:count]:
                write_run(runs_directory(tmp_path, profile) / run.path, run.config, (1.0, 2.0))
    content = content_of(figure, Results(tmp_path))
    shown = content.frame.groupby("environment")["profile"].unique().map(list).to_dict()
    half = {"HalfCheetahFwdBack": ["overnight"], "WalkerFwdBack": ["overnight"]}
    assert shown == {name: ["quick"] for name in figure.environments} | half
    assert [path.relative_to(tmp_path).parts[0] for path in content.tables] == ["quick", "overnight"]
    quick, overnight = content.tables.values()
    assert set(quick["environment"]) == set(figure.environments) and set(overnight["profile"]) == {"overnight"}
    asked = content_of(figure, Results(tmp_path), profile="quick")
    assert set(asked.frame["profile"]) == {"quick"}


def test_beside_a_study_are_the_curves_of_all_runs_also_of_another_size_which_their_panel_names(tmp_path):
    figure = FIGURES["taypo-fig1"]
    table = tabular.run(tabular.settings("smoke")).assign(profile="standard")
    write_table(table, table_path(tmp_path, "standard", figure.name))
    assert "curve" not in content_of(figure, Results(tmp_path)).frame
    more_seeds = Part(seeds=(1, 2, 9))
    for run in planned_runs(figure, "quick", more_seeds):
        write_run(runs_directory(tmp_path, "quick") / run.path, run.config, (1.0, 2.0))
    content = content_of(figure, Results(tmp_path))
    assert VIEWS[figure.plot].draw(figure, content.frame).axes[3].get_title() == "(d) PointCorner (quick, n = 3)"
    assert set(content.frame.groupby(content.frame["curve"].notna())["profile"].unique().map(tuple).items()) == {
        (False, ("standard",)),
        (True, ("quick",)),
    }
    sentences = effort(figure, content, Results(tmp_path))
    assert [sentence.split(":")[0] for sentence in sentences] == ["`quick`", "`standard`"]
    assert "curve" not in content_of(figure, Results(tmp_path), profile="standard").frame


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        (0, "4 runs, n = 2, 0.0022 core-hours."),
        (1, "4 runs, 1 of them on a GPU, n = 2, 0.0022 core-hours, 0.00056 of them with a GPU."),
        (4, "4 runs on a GPU, n = 2, 0.0022 core-hours."),
    ],
)
def test_core_hours_with_a_gpu_are_told_apart(tmp_path, cards, words):
    figure = FIGURES["tmaml-table1"]
    write_figure_runs(tmp_path, figure.name, "quick", {"lvc-ppo": {1: (0.0, 9.0), 2: (0.0, 9.0)}})
    for path in sorted(tmp_path.rglob("progress.csv"))[:cards]:
        path.with_name("meta.json").write_text('{"device": "cuda:1"}')
    (sentence,) = effort(figure, content_of(figure, Results(tmp_path)), Results(tmp_path))
    assert sentence.partition("; ")[2] == words


def test_core_hours_leave_out_what_a_suspended_run_slept(tmp_path):
    figure = FIGURES["tmaml-table1"]
    write_figure_runs(tmp_path, figure.name, "quick", {"lvc-ppo": {1: (0.0,) * 20}})
    before = effort(figure, content_of(figure, Results(tmp_path)), Results(tmp_path))
    for path in tmp_path.rglob("progress.csv"):
        rows = pd.read_csv(path)
        rows.loc[7, "time/sampling"] = 30_000.0
        rows.to_csv(path, index=False)
    assert effort(figure, content_of(figure, Results(tmp_path)), Results(tmp_path)) == before


@pytest.mark.parametrize("figure", [f for f in FIGURES.values() if f.plot == "learning_curves"], ids=lambda f: f.name)
def test_legend_and_caption_fit_into_the_figure(figure):
    labels = [c.label for c in figure.curves]
    mixed = [curve(name, seeds=seeds) for name, seeds in zip(labels, ["1 2", *["1 2 3"] * len(labels)], strict=False)]
    drawn = learning_curves(curves(*mixed), environments=("Navigation", *figure.environments[1:]), names=named(labels))
    drawn.draw_without_rendering()
    (legend,) = drawn.legends
    for part in (legend, drawn._supxlabel):
        box = part.get_window_extent()
        assert box.x0 >= 0.0 and box.x1 <= drawn.bbox.x1


def test_what_is_given_stays():
    frame = curve()
    before = frame.copy(deep=True)
    adaptation(frame)
    learning_curves(frame, environments=("Navigation",), names=named(("promp",)))
    pd.testing.assert_frame_equal(frame, before)


def test_colours_exist_and_names_without_one_are_grey():
    assert all(is_color_like(value) for value in COLOURS.values())
    assert colour("anything else") == "#777777"
    assert curve_label("anything else") == "anything else"


def test_curves_of_one_figure_have_a_colour_each():
    """A user's may have no colour, or the one of another: `lvc-vpg` and `lvc-trpo` share theirs among the papers'."""
    assert colour("lvc-vpg") == colour("lvc-trpo")
    given = colours(["lvc-vpg", "mine", "lvc-trpo", "promp", "yours"])
    assert len(set(given.values())) == len(given)
    assert (given["lvc-vpg"], given["promp"]) == (colour("lvc-vpg"), colour("promp"))
    assert colours([f"curve {n}" for n in range(20)])["curve 19"] == "#777777"


def test_labels_are_the_titles_of_the_registries():
    """Each kind has its own: `tmaml` and `dice` are among runs and among estimators."""
    assert {name: ALGORITHMS[name].title for name in ALGORITHMS}.items() <= CURVE_LABELS.items()
    assert dict(ESTIMATOR_LABELS) == {name: estimator.title for name, estimator in ESTIMATORS.items()}
    assert (CURVE_LABELS["tmaml"], ESTIMATOR_LABELS["tmaml"]) == ("TMAML", "TMAML (corrected)")
    assert (CURVE_LABELS["dice"], ESTIMATOR_LABELS["dice"]) == ("DiCE", "DiCE (step-wise IS)")


def test_a_curve_has_one_title_in_all_figures_and_no_two_have_the_same():
    curves = {(curve.label, curve.title) for figure in FIGURES.values() for curve in figure.curves}
    curves |= {(name, algorithm.title) for name, algorithm in ALGORITHMS.items()}
    assert len({label for label, _ in curves}) == len({title for _, title in curves}) == len(curves)


@pytest.mark.parametrize(
    "figure", [f for f in FIGURES.values() if f.curves and "table" not in f.plot], ids=lambda f: f.name
)
def test_lines_of_one_figure_can_be_told_apart(figure):
    names = [curve.label for curve in figure.curves]
    colours = [to_rgb(colour(name)) for name in names]
    assert all(np.abs(np.subtract(a, b)).max() > 0.1 for a, b in combinations(colours, 2))
    assert len({curve_label(name) for name in names}) == len(names)
