from __future__ import annotations

import io
import json
import pickle
import sys
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from instant_training import main as train_instantly

from metarl_cli import __version__
from metarl_cli.cli.options import seeds
from metarl_cli.config import config_text, load_config, save_config, with_overrides
from metarl_cli.envs.registry import ENVIRONMENTS
from metarl_cli.errors import UserError
from metarl_cli.grid.jobs import Job, Share
from metarl_cli.papers import FIGURES
from metarl_cli.papers import figure as figures_as_data
from metarl_cli.papers.figure import Curve, Figure, Part, planned_runs
from metarl_cli.papers.settings import run_config
from metarl_cli.profiles import PROFILES
from metarl_cli.reproduction import plan, tables
from metarl_cli.reproduction import run as reproduce
from metarl_cli.reproduction.aside import set_aside
from metarl_cli.reproduction.costs import START_SECONDS, expected_seconds
from metarl_cli.reproduction.forecast import ends
from metarl_cli.reproduction.plan import run_state
from metarl_cli.reproduction.run import Reproduction
from metarl_cli.reproduction.tables import STUDIES
from metarl_cli.runs.directory import DONE, exclusive
from metarl_cli.runs.settings_file import read_settings
from metarl_cli.schema import TABLES
from metarl_cli.store import runs_directory, table_path
from metarl_cli.studies import variance
from metarl_cli.studies.trained import finished_runs
from metarl_cli.tables import read_table

TINY = Figure(
    name="tiny",
    title="two runs",
    plot="learning_curves",
    environments=("Navigation",),
    curves=(Curve("promp", "promp"), Curve("slow", "promp", ("inner.lr=0.01",))),
)

STUDIED = replace(TINY, plot="tiny")

LOCAL, PUBLISHED = Path("results/local"), Path("results/published")
ASKED = Reproduction(figure="tiny", profile="smoke", results=LOCAL, jobs=2)
RUNS = {run.config.label: run for run in planned_runs(TINY, "smoke")}


@contextmanager
def unseen(shares, slots):
    yield lambda job, result: None


def reproduced(request=ASKED):
    return reproduce.reproduce(request, unseen)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """One figure of two runs whose training takes no time, in an empty working directory."""
    training = plan._training

    def instant(run, results):
        step = training(run, results)
        where = step.job.argv[step.job.argv.index("--out") + 1]
        return replace(step, job=replace(step.job, argv=("instant_training", where)))

    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setattr(plan, "_training", instant)
    monkeypatch.setattr(reproduce, "PRELOAD", ())
    monkeypatch.setattr(reproduce, "_figures", lambda name: [TINY])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def directory(label, results=LOCAL):
    return runs_directory(results, "smoke") / RUNS[label].path


def starts(label):
    path = directory(label) / "starts"
    return path.read_text().split() if path.exists() else []


def files_below(path):
    return {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


# The pipeline


def test_what_is_missing_is_run_once_drawn_and_compared(tiny):
    outcome = reproduced()
    assert outcome.status == "complete"
    assert (starts("promp"), starts("slow")) == (["new"], ["new"])
    drawn = LOCAL / "smoke" / "figures"
    assert {path.name for path in drawn.iterdir()} == {"tiny.png", "tiny.pdf"}
    assert [row["what"] for row in outcome.rows] == ["Navigation promp", "Navigation slow"]
    rows = pd.read_csv(table_path(LOCAL, "smoke", "tiny").with_name("comparison.csv"))
    assert set(rows["verdict"]) == {"not published"}
    assert str(drawn) in outcome.messages[0]
    before = files_below(LOCAL)
    assert reproduced().status == "complete"
    assert files_below(LOCAL) == before


def test_a_part_of_a_figure_is_run_and_the_whole_drawn(tiny):
    reproduced()
    outcome = reproduced(replace(ASKED, part=Part(curves=("slow",), seeds=(3, 1))))
    homes = {label: directory(label).parent for label in RUNS}
    assert outcome.status == "complete"
    assert {label: sorted(path.name for path in home.iterdir()) for label, home in homes.items()} == {
        "promp": ["seed1"],
        "slow": ["seed1", "seed3"],
    }
    assert load_config(homes["slow"] / "seed3" / "config.json").seed == 3
    assert [row["what"] for row in outcome.rows] == ["Navigation promp", "Navigation slow"]
    table = pd.read_csv(table_path(LOCAL, "smoke", "tiny"))
    assert {curve: set(rows["seeds"].astype(str)) for curve, rows in table.groupby("curve")} == {
        "promp": {"1"},
        "slow": {"1 3"},
    }


def test_the_runs_of_a_part():
    figure = FIGURES["taypo-fig2"]
    part = Part(environments=("WalkerFwdBack", "AntRandDir"), curves=("promp",), seeds=(4, 7))
    assert [run.name for run in planned_runs(figure, "standard", part)] == [
        f"promp/{environment}/seed{seed}" for seed in (4, 7) for environment in ("AntRandDir", "WalkerFwdBack")
    ]
    whole = {run.name: run for run in planned_runs(figure, "standard")}
    walker = list(planned_runs(figure, "standard", Part(environments=("WalkerFwdBack",))))
    assert [run.name for run in walker] == [name for name in whole if "WalkerFwdBack" in name]
    assert walker == [whole[run.name] for run in walker]


def test_a_study_is_not_made_of_a_part_of_its_runs(metarl, tmp_path):
    figure, part = FIGURES["sgmrl-fig1"], Part(seeds=(1,))
    assert {step.kind for step in plan.plan([figure], "smoke", tmp_path, part)} == {"run"}
    request = Reproduction(figure="sgmrl-fig1", profile="smoke", results=tmp_path, part=part, jobs=1)
    assert [(row["what"], row["left"]) for row in reproduce.planned(request)] == [
        ("sgmrl-fig1", "2 runs missing"),
        ("Navigation, sgmrl", "seed 1 missing"),
        ("Navigation, vpg-maml", "seed 1 missing"),
    ]
    asked = "reproduce", "sgmrl-fig1", "--profile", "smoke", "--seeds", "1", "--curves", "sgmrl", "--quiet"
    ended = metarl(*asked, "--results", tmp_path)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.strip() == "sgmrl-fig1: its study waits for all its runs, and is not made of a part."
    assert [path.parent.name for path in tmp_path.rglob("DONE")] == ["seed1"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--env", "WalkerFwdBak"), "Did you mean 'WalkerFwdBack'?"),
        (("--env", "Navigation"), "Unknown environment 'Navigation'"),
        (("--curves", "promp,prom"), "Unknown curve 'prom'. Did you mean 'promp'?"),
        (("--seeds", "5-4"), "--seeds 5-4: expected seeds and ranges"),
        (("--seeds", "one"), "as in 1-5 or 4,7"),
        (("--seeds", "1-999999"), "of at most 10,000"),
        (("--curves", ""), "names nothing"),
    ],
)
def test_a_part_that_there_is_not_is_a_message(metarl, tmp_path, given, told):
    ended = metarl("reproduce", "taypo-fig2", *given, "--results", tmp_path / "none", "--plan")
    assert ended.code == 2 and told in ended.err and not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "asked", [("tmaml-fig4", "--seeds", "1"), ("--all", "--env", "Navigation", "--curves", "promp")]
)
def test_a_part_without_runs_is_a_message(metarl, tmp_path, asked):
    ended = metarl("reproduce", *asked, "--results", tmp_path / "none")
    assert ended.code == 2 and "choose no run of" in ended.err and not (tmp_path / "none").exists()


def test_a_part_of_all_figures_leaves_those_without_such_runs_alone(metarl, tmp_path):
    asked = "--all", "--profile", "smoke", "--env", "Navigation", "--curves", "vpg-emaml", "--results", tmp_path
    ended = metarl("reproduce", *asked, "--quiet")
    assert (ended.code, ended.err.split(":")[0]) == (0, "sgmrl-table1") and len(ended.err.splitlines()) == 1
    (row, *_) = metarl("reproduce", *asked, "--plan").out.splitlines()[1:]
    assert row.startswith("sgmrl-table1 ")


def test_seeds_are_numbers_and_ranges():
    assert [seeds(text) for text in (None, "7", "1-3, 9", "4,4,3-5")] == [(), (7,), (1, 2, 3, 9), (4, 3, 5)]


def test_a_run_with_other_settings_than_planned_is_kept_and_done_again(tiny):
    reproduced()
    config = load_config(directory("slow") / "config.json")
    save_config(with_overrides(config, ["inner.lr=0.5"]), directory("slow") / "config.json")
    before = list(files_below(directory("slow")).values())
    outcome = reproduced()
    kept = LOCAL / "smoke" / "set-aside" / "runs" / RUNS["slow"].path
    assert outcome.status == "complete"
    assert outcome.messages[1].endswith(f"is kept: {kept}.")
    assert [content for path, content in files_below(kept).items() if path.name != ".lock"] == before
    assert (starts("promp"), starts("slow")) == (["new"], ["new"])
    assert load_config(directory("slow") / "config.json") == config


def test_an_unfinished_run_is_resumed(tiny):
    reproduced()
    (directory("promp") / "DONE").unlink()
    reproduced()
    assert (starts("promp"), starts("slow")) == (["new", "resumed"], ["new"])


def test_a_verdict_against_the_published_one_ends_with_its_own_exit_code(tiny, monkeypatch, metarl):
    monkeypatch.setattr(reproduce, "contradictions", lambda *asked: ["a claim fails here, and holds there."])
    ended = metarl("reproduce", "tiny", "--profile", "smoke", "--quiet")
    assert ended.code == 4
    assert ended.err.splitlines()[-1] == "a claim fails here, and holds there."


def test_published_runs_are_not_taken_as_own_work(tiny):
    reproduced()
    Path(LOCAL).rename(PUBLISHED)
    published = files_below(PUBLISHED)
    outcome = reproduced()
    assert (starts("promp"), starts("slow")) == (["new"], ["new"])
    assert files_below(PUBLISHED) == published
    assert [row["verdict"] for row in outcome.rows] == ["equal", "equal"]


def test_the_comparison_follows_the_published_file(tiny):
    reproduced()
    Path(LOCAL).rename(PUBLISHED)
    path = table_path(PUBLISHED, "smoke", "tiny")
    table = pd.read_csv(path)
    table.assign(mean=table["mean"] + 1, low=table["mean"] + 0.5, high=table["mean"] + 1.5).to_csv(path, index=False)
    assert [row["verdict"] for row in reproduced().rows] == ["outside", "outside"]


def test_a_run_that_fails_costs_no_other_and_is_told(tiny):
    LOCAL.mkdir(parents=True)
    (LOCAL / "broken").write_text("slow")
    outcome = reproduced()
    assert outcome.status == "partial"
    assert any("slow/Navigation/seed1: exit code 1: it diverged" in message for message in outcome.messages)
    assert starts("promp") == ["new"]
    assert (LOCAL / "smoke" / "figures" / "tiny.png").exists()
    (LOCAL / "broken").unlink()
    assert reproduced().status == "complete"
    assert starts("promp") == ["new"]


def test_a_figure_that_cannot_be_drawn_costs_no_other(tiny, monkeypatch):
    monkeypatch.setattr(figures_as_data, "OF_RUNS", figures_as_data.OF_RUNS | {"no-such-plot"})
    undrawable = replace(TINY, name="other", plot="no-such-plot")
    monkeypatch.setattr(reproduce, "_figures", lambda name: [undrawable, TINY])
    outcome = reproduced()
    assert outcome.status == "partial"
    assert len(outcome.rows) == 2
    assert outcome.messages[-1] == "other: KeyError: 'no-such-plot'"


def test_of_several_figures_each_is_one_row(tiny, monkeypatch):
    monkeypatch.setattr(reproduce, "_figures", lambda name: [TINY, replace(TINY, name="other")])
    outcome = reproduced()
    assert [(row["figure"], row["verdicts"]) for row in outcome.rows] == [
        ("tiny", "2 not published"),
        ("other", "2 not published"),
    ]
    assert (starts("promp"), starts("slow")) == (["new"], ["new"])


def test_an_older_table_is_not_drawn_when_its_study_fails(tiny, monkeypatch):
    monkeypatch.setattr(reproduce, "_figures", lambda name: [STUDIED])
    failing = tables.Study(lambda figure, profile, results: pd.DataFrame(), lambda profile: "new settings", free)
    for module in (plan, tables):
        monkeypatch.setattr(module, "STUDIES", {"tiny": failing})
    old = table_path(LOCAL, "smoke", "tiny")
    old.parent.mkdir(parents=True)
    old.write_text("number\n1\n")
    tables.origin_path(old).write_text('{"figure": "tiny"}')
    outcome = reproduced()  # the child knows no figure of that name
    assert outcome.status == "partial"
    assert [message.split(":")[0] for message in outcome.messages] == ["tiny"]  # and no word of anything drawn
    assert "KeyError: 'tiny'" in outcome.messages[0]
    assert not (LOCAL / "smoke" / "figures").exists()
    assert old.read_text() == "number\n1\n"


def test_a_stopped_reproduction_goes_on_where_it_was(tiny, monkeypatch):
    @contextmanager
    def pressed_after_the_first_run():
        yield lambda: int((directory("promp") / "DONE").exists())

    with monkeypatch.context() as patch:
        patch.setattr(reproduce, "count_interrupts", pressed_after_the_first_run)
        outcome = reproduced(replace(ASKED, jobs=1))
    assert outcome.status == "stopped"
    assert outcome.messages == ("Stopped with 1 of 2 jobs to do; the same command goes on from there.",)
    assert (starts("promp"), starts("slow")) == (["new"], [])
    assert not (LOCAL / "smoke" / "figures").exists()
    assert reproduced().status == "complete"
    assert (starts("promp"), starts("slow")) == (["new"], ["new"])


def test_a_plan_says_what_is_missing_and_in_which_state(tiny):
    reproduced()
    (directory("promp") / "DONE").unlink()
    (directory("slow") / "config.json").write_text("{")
    assert [(row["what"], row["left"]) for row in reproduce.planned(ASKED)] == [
        ("tiny", "1 run unfinished, 1 run changed"),
        ("Navigation, promp", "seed 1 unfinished"),
        ("Navigation, slow", "seed 1 changed"),
    ]
    assert (starts("promp"), starts("slow")) == (["new"], ["new"])


# What a directory holds


@pytest.mark.parametrize(
    ("override", "state"),
    [
        ("seed=1", "finished"),
        ("inner.lr=0.2", "changed"),
        ("label=other", "changed"),
        ("iterations=3", "changed"),
        ("iterations=1", "unfinished"),
    ],
)
def test_the_state_of_a_run(tmp_path, override, state):
    config = run_config("promp", "Navigation", profile="smoke")
    assert config.iterations == 2
    assert run_state(tmp_path, config) == "missing"
    save_config(with_overrides(config, [override]), tmp_path / "config.json")
    (tmp_path / "DONE").touch()
    assert run_state(tmp_path, config) == state


def test_fewer_iterations_and_another_setting_is_another_run(tmp_path):
    config = run_config("promp", "Navigation", profile="smoke")
    save_config(with_overrides(config, ["iterations=1", "inner.lr=0.2"]), tmp_path / "config.json")
    assert run_state(tmp_path, config) == "changed"


# The plan


@pytest.mark.parametrize("profile", PROFILES)
def test_every_job_is_plain_data_and_below_the_results(profile, tmp_path):
    for step in plan.plan(list(FIGURES.values()), profile, tmp_path):
        job = step.job
        assert pickle.loads(pickle.dumps(job)) == job
        assert Job(**(json.loads(json.dumps(asdict(job), default=sorted)) | tuples_of(job))) == job
        assert str(tmp_path) not in repr(job)
        assert set(job.proofs) <= {f for f in job.proofs if f.startswith(job.writes)}


def tuples_of(job):
    """What JSON makes lists of."""
    return {name: getattr(job, name) for name in ("argv", "reads", "writes", "after")}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_job_of_every_run_is_given_exactly_its_settings(profile, tmp_path, monkeypatch):
    runs = {run.path.as_posix(): run for figure in FIGURES.values() for run in planned_runs(figure, profile)}
    for step in plan.plan(list(FIGURES.values()), profile, tmp_path):
        if step.job.name in runs:
            monkeypatch.setattr(sys, "stdin", io.StringIO(step.job.stdin))
            assert read_settings(Path("-")) == runs[step.job.name].config


@pytest.mark.parametrize("profile", PROFILES)
def test_the_plan_has_every_run_once_and_studies_after_their_runs(profile, tmp_path):
    steps = plan.plan(list(FIGURES.values()), profile, tmp_path)
    names = [step.job.name for step in steps]
    assert len(names) == len(set(names))
    needed = {run.path.as_posix() for figure in FIGURES.values() for run in planned_runs(figure, profile)}
    assert needed | {figure.name for figure in FIGURES.values() if figure.source == "study"} == set(names)
    for position, step in enumerate(steps):
        assert step.job.after <= set(names[:position])
        assert step.state == "missing"
        assert step.share.seconds > 0 and step.share.fraction() == 0


def test_every_figure_of_a_study_has_it():
    assert {figure.plot for figure in FIGURES.values() if figure.source == "study"} == set(tables.STUDIES)


def test_studies_that_share_measurements_never_run_at_a_time(tmp_path):
    steps = {step.job.name: step.job for step in plan.plan(list(FIGURES.values()), "smoke", tmp_path)}
    assert "promp-fig3" in steps["tmaml-fig2"].after


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("algorithm", ["promp", "trpo-maml", "tmaml"])
def test_every_environment_has_its_cost(environment, algorithm):
    small, large = (run_config(algorithm, environment, profile=profile) for profile in ("quick", "paper"))
    assert START_SECONDS < expected_seconds(small) < expected_seconds(large)


@pytest.mark.parametrize(
    ("algorithm", "environment", "seconds"),
    [
        ("promp", "HalfCheetahFwdBack", 2.15),
        ("trpo-maml", "HalfCheetahFwdBack", 2.64),
        ("promp", "HopperRandParams", 5.2),  # in iterations 132 to 137 of a run; 1.5 in the first
        ("promp", "WalkerRandParams", 8.1),  # in iterations 101 to 104, by what HalfCheetah took beside it
        ("promp", "SwimmerRandVel", 4.71),
        ("trpo-maml", "SwimmerRandVel", 5.56),
        ("promp", "AntRandDir", 9.42),
        ("trpo-maml", "AntRandDir", 10.2),
        ("promp", "AntRandGoal", 31.0),
        ("promp", "HumanoidRandDir", 12.9),
        ("trpo-maml", "HumanoidRandDir", 17.5),
        ("promp", "PointMomentum", 1.22),
        ("trpo-maml", "PointMomentum", 2.38),
    ],
)
def test_costs_are_those_that_were_measured(algorithm, environment, seconds):
    """Processor seconds of an iteration with 20 tasks and 10 trajectories."""
    config = replace(run_config(algorithm, environment, profile="standard"), iterations=100)
    sampling = replace(config.sampling, tasks=20, trajectories=10)
    expected = (expected_seconds(replace(config, sampling=sampling)) - START_SECONDS) / 100
    assert expected == pytest.approx(seconds, rel=0.15)


def test_costs_grow_with_the_run():
    config = run_config("promp", "AntRandDir", profile="quick")
    longer, trusted = (
        replace(config, iterations=2 * config.iterations),
        run_config("trpo-maml", "AntRandDir", profile="quick"),
    )
    assert expected_seconds(config) < expected_seconds(longer) < 2 * expected_seconds(config)
    assert expected_seconds(config) < expected_seconds(trusted)


@pytest.mark.parametrize("name", [name for name, figure in FIGURES.items() if figure.source == "study"])
def test_a_study_costs_more_at_a_larger_profile(name):
    figure = FIGURES[name]
    costs = [tables.STUDIES[figure.plot].seconds(figure, profile) for profile in ("smoke", "quick", "standard")]
    assert costs == sorted(costs) and costs[0] > 0.0


def step(name, seconds, after=(), done=0.0):
    job = Job(name=name, argv=("none",), after=frozenset(after))
    return plan.Step(job, "run", Share(seconds, lambda: done), "missing")


@pytest.mark.parametrize(("cores", "expected"), [(1, [4, 6, 7, 12]), (2, [4, 2, 3, 9]), (64, [4, 2, 1, 9])])
def test_a_core_that_is_free_takes_the_first_job_that_waits_for_no_other(cores, expected):
    steps = [step("a", 4), step("b", 2), step("c", 2, done=0.5), step("study", 5, after=("a", "b", "elsewhere"))]
    assert list(ends(steps, cores).items()) == sorted(
        zip(["a", "b", "c", "study"], expected, strict=True), key=lambda e: e[1]
    )


def test_the_parts_of_a_plan_share_their_runs(metarl, tmp_path):
    rows = reproduce.planned(Reproduction(figure=None, profile="standard", results=tmp_path))
    ends_at = ("end on 2 cores", "end on 16 cores", "end on 64 cores")  # no durations: they are not added
    assert [*rows[0]] == ["what", "left", "core-hours", *ends_at]
    assert all(row[name].endswith(" h") for row in rows for name in ends_at)
    *parts, whole = ({n: float(row[n].removesuffix(" h")) for n in ("core-hours", *ends_at)} for row in rows)
    assert sum(part["core-hours"] for part in parts) > whole["core-hours"] > max(part["core-hours"] for part in parts)
    for cores in (2, 16, 64):
        column = f"end on {cores} cores"
        assert whole[column] == max(part[column] for part in parts) >= whole["core-hours"] / cores


def test_the_plan_of_one_figure_names_what_each_curve_lacks(tiny):
    reproduced(replace(ASKED, part=Part(curves=("promp",), seeds=(1, 3))))
    (directory("promp").with_name("seed3") / "DONE").unlink()
    rows = reproduce.planned(replace(ASKED, part=Part(seeds=(1, 2, 3, 4, 5))))
    assert {row["what"]: row["left"] for row in rows} == {
        "tiny": "8 runs missing, 1 run unfinished",
        "Navigation, promp": "seeds 2, 4, 5 missing, seed 3 unfinished",
        "Navigation, slow": "seeds 1–5 missing",
    }
    assert float(rows[0]["core-hours"]) == pytest.approx(sum(float(row["core-hours"]) for row in rows[1:]), abs=0.01)


# Studies


def free(figure, profile):
    return 0.0


@pytest.fixture
def study(monkeypatch, tmp_path):
    """A study of one number, which the test can change, as can its settings; its runs are finished."""
    for run in planned_runs(STUDIED, "smoke"):
        place = runs_directory(tmp_path, "smoke") / run.path
        place.mkdir(parents=True)
        save_config(run.config, place / "config.json")
        (place / "DONE").touch()
    state = {"number": 1.0, "settings": "small"}
    rows = lambda figure, profile, results: pd.DataFrame({"number": [state["number"]]})  # noqa: E731
    studies = {"tiny": tables.Study(rows, lambda profile: state["settings"], free)}
    for module in (plan, tables):
        monkeypatch.setattr(module, "STUDIES", studies)
    return state


def is_current(figure, results):
    """Whether the plan takes the table as made with today's settings of its study and its runs."""
    (step,) = (step for step in plan.plan([figure], "smoke", results) if step.kind == "study")
    return step.state == "finished"


def test_a_table_is_current_until_its_settings_or_its_runs_change(study, tmp_path):
    assert not is_current(STUDIED, tmp_path)
    tables.write(STUDIED, "smoke", tmp_path)
    assert is_current(STUDIED, tmp_path)
    assert pd.read_csv(table_path(tmp_path, "smoke", "tiny"))["number"].tolist() == [1.0]
    made = json.loads((tmp_path / "smoke" / "tiny" / "tiny.meta.json").read_text())
    assert made["metarl"] == __version__ and set(made["packages"]) == {"torch", "gymnasium", "mujoco", "numpy"}
    assert made["cpu_seconds"] >= 0.0
    other = replace(STUDIED, curves=(Curve("promp", "promp", ("inner.lr=0.01",)), TINY.curves[1]))
    assert not is_current(other, tmp_path)
    study["settings"] = "large"
    assert not is_current(STUDIED, tmp_path)
    table_path(tmp_path, "smoke", "tiny").unlink()
    study["settings"] = "small"
    assert not is_current(STUDIED, tmp_path)


def test_a_study_that_dies_leaves_no_table_that_looks_current(study, tmp_path):
    tables.write(STUDIED, "smoke", tmp_path)
    study["number"] = "no number"
    with pytest.raises(ZeroDivisionError), pytest.MonkeyPatch.context() as patch:
        broken = tables.Study(lambda figure, profile, results: 1 / 0, lambda profile: "small", free)
        patch.setattr(tables, "STUDIES", {"tiny": broken})
        tables.write(STUDIED, "smoke", tmp_path)
    assert not is_current(STUDIED, tmp_path)
    assert pd.read_csv(table_path(tmp_path, "smoke", "tiny"))["number"].tolist() == [1.0]


# What a user made


def test_a_study_by_itself_goes_where_no_reproduction_writes(metarl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("metarl_cli.studies.tabular.run", lambda settings, progress: pd.DataFrame({"number": [1]}))
    monkeypatch.setattr("metarl_cli.studies.toy1d.run", lambda settings, progress: pd.DataFrame({"number": [1]}))
    for command in ("tabular", "toy1d"):
        assert metarl("correlate", command, "--profile", "smoke").code == 0
    measured = ("--env", "Navigation", "--profile", "smoke", "--estimators", "lvc", "--rounds", "3")
    assert metarl("variance", *measured, "--checkpoints", "0").code == 0
    written = {path for path in LOCAL.rglob("*") if path.is_file()}
    assert len(written) > 5
    for step in plan.plan(list(FIGURES.values()), "smoke", LOCAL):
        assert not step.obstacles
        assert not {path for path in written for place in step.job.writes if path.is_relative_to(LOCAL / place)}


@pytest.mark.parametrize("command", ["tabular", "toy1d"])
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("there.csv", "there.csv is there already: --overwrite replaces it"),
        ("beside.csv", "beside.meta.json is there already"),
        ("link.csv", "link.csv is there already"),
        ("folder.csv", "folder.csv is a directory"),
        (".", "the name of a table ends in .csv"),
        ("/", "the name of a table ends in .csv"),
        ("there.csv/table.csv", "there.csv"),
    ],
)
def test_a_table_that_must_not_be_written_is_refused_before_the_study(
    metarl, tmp_path, monkeypatch, command, out, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"metarl_cli.studies.{command}.run", lambda settings, progress: pytest.fail("it was computed"))
    Path("there.csv").write_text("mine")
    Path("beside.meta.json").write_text("mine")
    Path("link.csv").symlink_to("nowhere")
    Path("folder.csv").mkdir()
    before = files_below(tmp_path)
    code, _, err = metarl("correlate", command, "--profile", "smoke", "--out", out)
    assert (code, message in err) == (2, True), err
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(("command", "figure"), [("tabular", "taypo-fig1"), ("toy1d", "tmaml-fig4")])
def test_a_table_over_one_of_a_reproduction_is_no_longer_the_reproductions(
    metarl, tmp_path, monkeypatch, command, figure
):
    path = table_path(tmp_path, "smoke", figure)
    path.parent.mkdir(parents=True)
    path.write_text("number\n1\n")
    tables.origin_path(path).write_text(tables.origin_text(FIGURES[figure], "smoke", []))
    assert is_current(FIGURES[figure], tmp_path)
    mine = pd.DataFrame({"number": [2]})
    monkeypatch.setattr(f"metarl_cli.studies.{command}.run", lambda settings, progress: mine)
    assert metarl("correlate", command, "--profile", "smoke", "--out", path, "--overwrite").code == 0
    assert not is_current(FIGURES[figure], tmp_path)
    (step,) = (step for step in plan.plan([FIGURES[figure]], "smoke", tmp_path) if step.job.name == figure)
    assert step.state == "missing"
    assert step.obstacles == (path, path.with_suffix(".meta.json"))


def test_a_study_is_of_finished_runs_with_the_planned_settings(tmp_path):
    figure = FIGURES["promp-fig4"]
    first, second, third = islice(planned_runs(figure, "smoke"), 3)
    for run in (first, second, third):
        train_instantly(run.directory(tmp_path), config_text(run.config))
    (second.directory(tmp_path) / DONE).unlink()
    save_config(with_overrides(third.config, ["inner.lr=0.01"]), third.directory(tmp_path) / "config.json")
    assert finished_runs(figure, "smoke", tmp_path) == [first]


def test_a_study_beside_which_curves_are_drawn_waits_for_none_of_their_runs(tmp_path):
    figure = FIGURES["taypo-fig1"]
    *training, study = plan.plan([figure], "smoke", tmp_path)
    assert len(training) == len(figure.curves)
    assert (study.job.name, study.job.after, study.job.reads) == ("taypo-fig1", frozenset(), ())
    train_instantly(tmp_path / training[0].job.writes[0], training[0].job.stdin)
    tables.write(figure, "smoke", tmp_path)
    (step,) = (step for step in plan.plan([figure], "smoke", tmp_path) if step.kind == "study")
    assert step.state == "finished"
    assert "curve" not in read_table(table_path(tmp_path, "smoke", figure.name), TABLES[figure.plot])


@pytest.mark.parametrize("name", ["mine.json", "list.json", "text.json"])
def test_a_file_of_the_users_beside_a_table_stays(tmp_path, name):
    path = tmp_path / name
    path.write_text({"mine.json": '{"a": 1}', "list.json": "[1]", "text.json": "hello"}[name])
    before = path.read_bytes()
    tables.check_writable(path.with_suffix(".csv"), overwrite=True)
    assert path.read_bytes() == before


NO_MARKS = {
    "of the user's": {"figure": "tmaml-fig4.png", "size": [4, 3]},
    "of another figure": {"figure": "taypo-fig1"},
    "with more": {"figure": "tmaml-fig4", "caption": "mine"},
    "without hashes": {"figure": "tmaml-fig4", "settings": "mine", "runs": {"a": 1}},
    "with a list of runs": {"figure": "tmaml-fig4", "settings": "mine", "runs": ["a"]},
    "with settings of its own": {"figure": "tmaml-fig4", "settings": {"dpi": 300}, "runs": {}},
}


@pytest.mark.parametrize("document", NO_MARKS.values(), ids=NO_MARKS)
def test_a_file_of_the_users_that_says_figure_is_no_mark(tmp_path, document):
    table = table_path(tmp_path, "smoke", "tmaml-fig4")
    table.parent.mkdir(parents=True)
    table.write_text("mine")
    mine = tables.origin_path(table)
    mine.write_text(json.dumps(document))
    (step,) = plan.plan([FIGURES["tmaml-fig4"]], "smoke", tmp_path)
    assert step.obstacles == (table, mine)
    tables.check_writable(table, overwrite=True)
    assert json.loads(mine.read_text()) == document


def test_a_mark_is_one_where_a_reproduction_writes_it(tmp_path, monkeypatch):
    mine = tmp_path / "tmaml-fig4.json"
    mine.write_text('{"figure": "tmaml-fig4"}')
    tables.check_writable(mine.with_suffix(".csv"), overwrite=True)
    assert mine.exists()
    (tmp_path / "tmaml-fig4").mkdir()
    mark = mine.rename(tmp_path / "tmaml-fig4" / mine.name)
    monkeypatch.chdir(mark.parent)
    tables.check_writable(Path("tmaml-fig4.csv"), overwrite=True)
    assert not mark.exists()


@pytest.mark.parametrize("figure", ["promp-fig3", "tmaml-fig2"])
def test_a_measurement_with_other_settings_is_in_the_way_and_is_kept(tmp_path, figure):
    (environment,) = FIGURES[figure].environments
    planned = variance.settings_for(environment, profile="smoke", seed=1)
    mine = variance.home(planned, tmp_path)
    mine.mkdir(parents=True)
    for name, text in {"settings.json": "{}", "variance.csv": "mine", "checkpoint.pt": "mine"}.items():
        (mine / name).write_text(text)
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    (step,) = (step for step in plan.plan([FIGURES[figure]], "smoke", tmp_path) if step.job.name == figure)
    assert step.obstacles == (mine,)
    with pytest.raises(UserError, match="of other settings"):
        STUDIES[FIGURES[figure].plot].rows(FIGURES[figure], "smoke", tmp_path)
    places = [set_aside(mine, tmp_path / "smoke")]
    mine.mkdir()
    places.append(set_aside(mine, tmp_path / "smoke"))
    assert not mine.exists()
    assert [place.name for place in places] == ["seed1", "seed1-2"]
    assert {path.name: path.read_bytes() for path in places[0].iterdir() if path.name != ".lock"} == before


def test_a_run_that_is_going_on_is_not_set_aside(tmp_path):
    path = tmp_path / "smoke" / "runs" / "promp"
    with exclusive(path), pytest.raises(UserError, match="still going"):
        set_aside(path, tmp_path / "smoke")
    assert path.exists()


def test_the_users_table_in_a_figures_place_is_kept(tiny, monkeypatch):
    monkeypatch.setattr(reproduce, "_figures", lambda name: [STUDIED])
    failing = tables.Study(lambda figure, profile, results: pd.DataFrame(), lambda profile: "settings", free)
    for module in (plan, tables):
        monkeypatch.setattr(module, "STUDIES", {"tiny": failing})
    mine = table_path(LOCAL, "smoke", "tiny")
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    outcome = reproduced()
    kept = LOCAL / "smoke" / "set-aside" / "tiny" / "tiny.csv"
    assert f"is kept: {kept}." in outcome.messages[0]
    assert kept.read_text() == "mine"
    assert not mine.exists()


@pytest.mark.parametrize(("rows", "fraction"), [(None, 0.0), (0, 0.0), (1, 0.5), (2, 1.0), (9, 1.0)])
def test_the_fraction_of_a_run_is_its_rows(tmp_path, rows, fraction):
    config = run_config("promp", "Navigation", profile="smoke")
    save_config(config, tmp_path / "config.json")
    if rows is not None:
        (tmp_path / "progress.csv").write_text("\n".join(["header", *["row"] * rows]) + "\n")
    assert plan._fraction(tmp_path, config) == fraction
    assert plan._fraction(tmp_path, replace(config, seed=9)) == 0.0


# The command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give one figure"),
        (("promp-fig2", "--all"), "Give one figure"),
        (("promp-fig9",), "Did you mean"),
        (("adaptation",), "metarl plot adaptation"),
        (("promp-fig2", "--profile", "quik"), "Did you mean 'quick'"),
    ],
)
def test_a_mistake_is_one_message(metarl, arguments, message):
    code, _, err = metarl("reproduce", *arguments)
    assert (code, err.startswith("Error:")) == (2, True)
    assert message in err


def test_a_plan_starts_nothing(metarl, tmp_path):
    code, out, _ = metarl("reproduce", "--all", "--profile", "smoke", "--plan", "--results", tmp_path)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["what", *FIGURES, "all"]
    assert list(tmp_path.iterdir()) == []


def test_a_table_from_its_first_run_to_its_drawing(metarl, tmp_path):
    asked = ("reproduce", "sgmrl-table1", "--profile", "smoke", "--results", tmp_path, "--jobs", 2, "--quiet")
    code, out, err = metarl(*asked)
    assert (code, "Navigation sgmrl steps 1" in out) == (0, True), err
    table = pd.read_csv(table_path(tmp_path, "smoke", "sgmrl-table1"))
    assert set(table["curve"]) == {"sgmrl", "vpg-maml", "vpg-emaml"}
    assert table.groupby("curve")["steps"].apply(list).tolist() == [[0, 1]] * 3
    assert set(table["tasks"]) == {4}
    assert (tmp_path / "smoke" / "figures" / "sgmrl-table1.png").exists()
    code, out, err = metarl(*asked[:-1])
    assert (code, "done" in err) == (0, False), err


def test_a_table_of_some_runs_is_not_taken_for_the_whole(metarl, tmp_path):
    asked = ("reproduce", "sgmrl-table1", "--profile", "smoke", "--results", tmp_path, "--jobs", 2, "--quiet")
    assert metarl(*asked).code == 0
    figure, path = FIGURES["sgmrl-table1"], table_path(tmp_path, "smoke", "sgmrl-table1")
    whole, home = path.read_text(), runs_directory(tmp_path, "smoke")
    (home / "sgmrl" / "Navigation" / "seed1" / "DONE").unlink()
    tables.write(figure, "smoke", tmp_path)
    assert set(pd.read_csv(path)["curve"]) == {"vpg-maml", "vpg-emaml"}
    assert not is_current(figure, tmp_path)
    assert metarl(*asked).code == 0
    assert path.read_text() == whole
    for done in home.rglob("DONE"):
        done.unlink()
    with pytest.raises(UserError, match="No run of sgmrl-table1 below"):
        tables.write(figure, "smoke", tmp_path)


def test_a_finished_run_with_other_settings_than_planned_is_not_tested(metarl, tmp_path):
    """A reproduction sets it aside before; a study that is called by itself meets it."""
    figure, home = FIGURES["sgmrl-table1"], runs_directory(tmp_path, "smoke")
    for run in planned_runs(figure, "smoke"):
        other = ("--set", "inner.lr=0.03") if run.config.label == "sgmrl" else ()
        settings = tmp_path / "run.json"
        save_config(run.config, settings)
        assert metarl("train", "--config", settings, *other, "--out", home / run.path, "--quiet").code == 0
    tables.write(figure, "smoke", tmp_path)
    assert set(pd.read_csv(table_path(tmp_path, "smoke", "sgmrl-table1"))["curve"]) == {"vpg-maml", "vpg-emaml"}
    assert not is_current(figure, tmp_path)


def test_a_run_whose_numbers_stop_being_finite_costs_the_others_nothing(metarl, tmp_path, monkeypatch):
    curves = (Curve("wild", "promp", ("inner.lr=1e30",)), Curve("promp", "promp"))
    monkeypatch.setattr(reproduce, "_figures", lambda name: [replace(TINY, curves=curves)])
    code, out, err = metarl("reproduce", "tiny", "--profile", "smoke", "--results", tmp_path, "--jobs", 1, "--quiet")
    assert code == 3
    assert [row.split()[:2] for row in out.splitlines()[1:]] == [["Navigation", "promp"]]
    (told,) = (line for line in err.splitlines() if line.startswith("wild/Navigation/seed1: "))
    assert "the run failed: iteration 0: " in told and "not finite" in told
    home = runs_directory(tmp_path, "smoke")
    wild, other = (home / name / "Navigation" / "seed1" for name in ("wild", "promp"))
    assert json.loads((wild / "meta.json").read_text())["status"] == "failed"
    assert not (wild / "DONE").exists() and (other / "DONE").exists()
    assert len(pd.read_csv(other / "progress.csv")) == 2
