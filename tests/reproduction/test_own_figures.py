"""Figures of the user's own: what a TOML file says, and `metarl reproduce` of it from nothing to the picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from metarl_cli.config import load_config
from metarl_cli.figures.draw import content_of
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers import FIGURES, find_figure
from metarl_cli.papers.figure import Curve, planned_runs
from metarl_cli.results import Results
from metarl_cli.schema import TABLES
from metarl_cli.tables import read_table

CASES = (Path(__file__).parents[1] / "envs" / "own_cases.py").read_text(encoding="utf-8")

FIGURE = """
title = "Two steps"
environments = ["own_line.py:Line", "Navigation"]
column = "return/pre"

[settings]
inner.steps = 2

[[curves]]
algorithm = "promp"

[[curves]]
algorithm = "mine.toml"
label = "slow"
title = "Mine, slowly"
settings."inner.lr" = 0.01

[sizes.quick]
tasks = 3
trajectories = 4
iterations = 5
seeds = 2
"""

ALGORITHM = 'inner = "taypo2"\nouter = "ratio"\noptimizer = "trpo"\n'


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The figure, its environment and its algorithm in a working directory of their own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_line", raising=False)
    for name, text in (("mine-too.toml", FIGURE), ("own_line.py", CASES), ("mine.toml", ALGORITHM)):
        Path(name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("files")
def test_a_file_says_what_the_papers_say_of_theirs():
    figure = find_figure("mine-too.toml")
    assert (figure.name, figure.title, figure.source, figure.column) == ("mine-too", "Two steps", "runs", "return/pre")
    shared = ("inner.steps=2",)
    assert figure.curves == (
        Curve("promp", "promp", shared),
        Curve("slow", "mine.toml", (*shared, "inner.lr=0.01"), "Mine, slowly"),
    )
    runs = {run.path.as_posix(): run.config for run in planned_runs(figure, "quick")}
    assert len(runs) == 2 * 2 * 2 and [path.rpartition("seed")[2] for path in runs] == ["1"] * 4 + ["2"] * 4
    config = runs["slow/own_line.py-Line/seed2"]
    assert (config.algorithm, config.label, config.seed, config.iterations) == ("mine.toml", "slow", 2, 5)
    assert (config.sampling.tasks, config.sampling.trajectories, config.sampling.horizon) == (3, 4, 100)
    assert (config.inner.estimator, config.inner.steps, config.inner.lr) == ("taypo2", 2, 0.01)
    assert config.environment.name.startswith("own_line.py:Line@")
    smoke = [run.config for run in planned_runs(figure, "smoke")]
    assert {config.iterations for config in smoke} == {2}
    assert len({config.environment.name for config in smoke}) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("environments", "enviroments", "Unknown key in f.toml 'enviroments'. Did you mean 'environments'?"),
        ('label = "slow"', 'lable = "slow"', "Unknown key in f.toml 'lable'. Did you mean 'label'?"),
        ("seeds = 2", "seed = 2", "Unknown key in f.toml 'seed'. Did you mean 'seeds'?"),
        ("seeds = 2", "seeds = 0", "f.toml: sizes.quick.seeds: Input should be greater than or equal to 1"),
        ("seeds = 2", "seeds = 1_000_000_000_000", "sizes.quick.seeds: Input should be less than or equal to 10000"),
        (
            '"own_line.py:Line", "Nav',
            '"Navigation", "Nav',
            "f.toml: environments: Navigation, Navigation; expected each once",
        ),
        ("seeds = 2", 'seeds = "2"', "f.toml: sizes.quick.seeds: Input should be a valid integer"),
        ("seeds = 2", "", "f.toml: sizes.quick.seeds: Field required"),
        ("sizes.quick", "sizes.quik", "f.toml: Unknown profile in sizes 'quik'. Did you mean 'quick'?"),
        ('"Navigation"', '"Navigaton"', "f.toml: Unknown environment 'Navigaton'. Did you mean 'Navigation'?"),
        ('"own_line.py:Line", "Navigation"', "", "f.toml: environments: Tuple should have at least 1 item"),
        ("return/pre", "return/per", "f.toml: Unknown column 'return/per'. Did you mean 'return/pre'?"),
        ('"promp"', '"pormp"', "f.toml: Unknown algorithm 'pormp'. Did you mean 'promp'?"),
        ('"mine.toml"', '"my.toml"', "f.toml: Cannot read my.toml: No such file"),
        ('label = "slow"', 'label = "promp"', "f.toml: several curves are called promp"),
        ('label = "slow"', 'label = "../slow"', "f.toml: label '../slow': expected letters"),
        ('"inner.lr"', '"inner.lrr"', "f.toml: curve slow: Unknown setting 'inner.lrr'. Did you mean 'inner.lr'?"),
        ('"inner.lr" = 0.01', '"inner.lr" = -1', "f.toml: curve slow: inner.lr=-1: Input should be greater than 0"),
        ('"inner.lr" = 0.01', "seed = 3", "f.toml: curve slow: seed is no setting of a curve; it is chosen with seeds"),
        ("[settings]", "settings = 3\n[other]", "Unknown key in f.toml 'other'"),
        ("[settings]\ninner.steps = 2", "settings = 3", "f.toml: settings: Input should be an object"),
        ("[[curves]]", "[curves]", "f.toml is not valid TOML"),
        ("own_line.py:Line", "own_line.py:Lime", "Did you mean 'Line'?"),
        ('"inner.lr" = 0.01', "outer.objective = 'vpg'", "slow/own_line.py-Line/seed1: trpo needs an objective"),
    ],
)
@pytest.mark.usefixtures("files")
def test_mistakes_are_named_before_anything_is_run(metarl, old, new, message):
    assert old in FIGURE
    Path("f.toml").write_text(FIGURE.replace(old, new, 1 if old == '"promp"' else -1), encoding="utf-8")
    done = metarl("reproduce", "f.toml")
    assert done.code == 2 and message in done.err
    assert not Path("results").exists()


@pytest.mark.usefixtures("files")
def test_lines_of_one_title_are_told_apart_by_their_labels():
    several = FIGURE.replace('"mine.toml"', '"promp"').replace("Mine, slowly", " ")  # a blank title is none
    Path("mine-too.toml").write_text(several, encoding="utf-8")
    assert [curve.title for curve in find_figure("mine-too.toml").curves] == ["ProMP (promp)", "ProMP (slow)"]


@pytest.mark.usefixtures("files")
def test_names_that_are_taken_and_sizes_that_are_not_there(metarl):
    Path("promp-fig2.toml").write_text(FIGURE, encoding="utf-8")
    assert "call the file otherwise" in metarl("reproduce", "promp-fig2.toml").err
    assert (
        "mine-too has sizes for quick, not for overnight: choose by --profile."
        in metarl("reproduce", "mine-too.toml", "--profile", "overnight").err
    )
    assert "Cannot read nothing.toml: No such file" in metarl("reproduce", "nothing.toml").err


def test_a_plan_starts_nothing_and_knows_what_an_own_environment_costs(metarl, files):
    done = metarl("reproduce", "mine-too.toml", "--plan")
    assert done.code == 0 and done.out.splitlines()[1].split()[:4] == ["mine-too", "8", "runs", "missing"]
    assert {path.name for path in files.iterdir()} == {"mine-too.toml", "own_line.py", "mine.toml"}


def test_it_is_run_drawn_and_made_again_when_its_environment_changes(metarl, files, monkeypatch):
    command = ("reproduce", "mine-too.toml", "--profile", "smoke", "--jobs", 1, "--quiet")
    done = metarl(*command)
    assert done.code == 0, done.err
    home = files / "results/local/own/mine-too/smoke"
    assert {path.name for path in (home / "figures").iterdir()} == {"mine-too.png", "mine-too.pdf"}
    table = read_table(home / "mine-too/mine-too.csv", TABLES["learning_curves"])
    assert set(table["environment"]) == {"own_line.py:Line", "Navigation"} and set(table["curve"]) == {"promp", "slow"}
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["what", "at", "ours"]
    assert sorted(row[:2] for row in rows[1:]) == [
        [environment, curve] for environment in ("Navigation", "own_line.py:Line") for curve in ("promp", "slow")
    ]
    figure = find_figure("mine-too.toml")
    drawn = VIEWS[figure.plot].draw(figure, content_of(figure, Results(home.parent), "smoke").frame)
    assert [line.get_label() for line in drawn.axes[0].lines] == ["ProMP", "Mine, slowly"]
    assert drawn.axes[0].get_ylabel() == "return/pre" and drawn.legends[0].get_title().get_text() == "Two steps"
    run = home / "runs/slow/own_line.py-Line/seed1"
    expected = pd.read_csv(run / "progress.csv")["return/pre"]
    slow = table[(table["curve"] == "slow") & (table["environment"] == "own_line.py:Line")]
    shown = slow[slow["quantity"] == "return/pre"]["mean"]
    assert shown.tolist() == pytest.approx(expected.tolist())
    assert list(drawn.axes[0].lines[1].get_ydata()) == pytest.approx(expected.tolist())

    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert metarl(*command).code == 0
    assert {path: path.read_bytes() for path in before} == before
    picture = files / "again"
    assert metarl("plot", "mine-too.toml", "--out", picture).code == 0
    assert (picture / "mine-too.png").read_bytes() == (home / "figures/mine-too.png").read_bytes()

    begun = load_config(run / "config.json").environment.name
    Path("own_line.py").write_text(CASES.replace("return -float", "return -2.0 * float"), encoding="utf-8")
    monkeypatch.delitem(sys.modules, "own_line")
    assert "2 runs changed" in metarl(*command, "--plan").out
    again = metarl(*command)
    assert again.code == 0 and "is kept" in again.err
    assert load_config(run / "config.json").environment.name != begun
    kept = home / "set-aside" / run.relative_to(home) / "config.json"
    assert json.loads(kept.read_text())["environment"]["name"] == begun


def test_the_example_can_be_planned():
    figure = find_figure(str(Path(__file__).parents[2] / "examples" / "figure.toml"))
    assert figure.name not in FIGURES and len(figure.curves) == 2 and figure.sizes["quick"].seeds == 3
