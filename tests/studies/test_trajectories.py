from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from metarl_cli.envs.distributions import CORNERS
from metarl_cli.errors import UserError
from metarl_cli.papers import FIGURES
from metarl_cli.papers.figure import planned_runs
from metarl_cli.runs import checkpoints
from metarl_cli.runs import directory as runs
from metarl_cli.store import runs_directory
from metarl_cli.studies import trajectories
from metarl_cli.studies.trajectories import (
    COLUMNS,
    SCENES,
    TASKS,
    corners_visited,
    distances,
    drawn_tasks,
    study,
    summary,
)
from metarl_cli.training.build import build
from metarl_cli.training.policies import distribution

CORNER_SCENE, PLANE_SCENE = SCENES["PointMomentum"], SCENES["Navigation"]
HORIZON = 10
UPPER_RIGHT = np.array([2.0, 2.0])


def path(*points):
    return np.array(points, dtype=float)


# Numbers of hand-made paths


def test_distances_are_to_the_goal_of_the_own_task():
    paths = np.zeros((2, 1, 2, 2))
    paths[1, 0, 1] = [3.0, 0.0]
    goals = np.array([[3.0, 4.0], [3.0, -4.0]])
    np.testing.assert_allclose(distances(paths, goals), [[[5.0, 5.0]], [[5.0, 4.0]]])


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(0, 0), (0.5, 0.5)], []),
        ([(0, 0), (0.7, 0.7), (0, 0)], [3]),
        ([(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0)], [0, 1, 2, 3]),
        ([(1.0, 1.0), (30.0, -30.0)], [3]),
        ([(2.0, 0.0)], []),  # on the rim of two regions
    ],
)
def test_corners_that_a_path_visits(points, expected):
    assert list(np.flatnonzero(corners_visited(path(*points), 2.0))) == expected


def test_a_path_through_the_goal_reaches_it_and_need_not_end_there():
    there = [(0, 0), (2.1, 2.1)]
    through = [(2.1, 2.1), (1.5, 1.5)]
    away = [(2.1, 2.1), (-9.0, 2.0)]
    never = [(0, 0), (1.5, 1.5)]
    paths = np.array([[there, through, away, never]], dtype=float)
    numbers = summary(paths, UPPER_RIGHT[None], CORNER_SCENE)
    assert numbers["reaches_goal"] == 3 / 4
    assert numbers["ends_at_goal"] == 1 / 4
    assert numbers["ends_in_region"] == 3 / 4
    ends = [np.hypot(0.1, 0.1), np.hypot(0.5, 0.5), 11.0, np.hypot(0.5, 0.5)]
    assert numbers["end_distance"] == pytest.approx(np.mean(ends))
    assert numbers["corners"] == 1.0


def test_corners_are_counted_per_path_and_per_task():
    first_task = [[(1, 1), (1, -1)], [(1, 1), (0, 0)]]  # two, one; together two
    second_task = [[(-1, 1), (0, 0)], [(0, 0), (-1, -1)]]  # one, one; together two
    third_task = [[(0, 0), (0, 0)], [(1, 1), (1, 1)]]  # none, one; together one
    paths = np.array([first_task, second_task, third_task], dtype=float)
    numbers = summary(paths, np.repeat(UPPER_RIGHT[None], 3, axis=0), CORNER_SCENE)
    assert numbers["corners"] == pytest.approx((2 + 1 + 1 + 1 + 0 + 1) / 6)
    assert numbers["corners_of_batch"] == pytest.approx((2 + 2 + 1) / 3)


def test_where_there_are_no_regions_nothing_is_said_of_them():
    paths = np.array([[[(0, 0), (0.35, 0.0)], [(0, 0), (0.45, 0.0)]]], dtype=float)
    assert summary(paths, np.array([[0.4, 0.09]]), PLANE_SCENE) == {
        "end_distance": pytest.approx(np.hypot(0.05, 0.09)),
        "ends_at_goal": 0.0,
        "reaches_goal": 0.0,
    }
    assert summary(paths, np.array([[0.4, 0.05]]), PLANE_SCENE)["ends_at_goal"] == 1.0


def test_the_radii_are_those_of_the_papers_figure_and_the_tasks():
    assert (CORNER_SCENE.goal_radius, CORNER_SCENE.region_radius) == (0.3, 2.0)


def test_the_first_task_of_each_of_four_goals_is_drawn():
    assert drawn_tasks(CORNERS[[2, 2, 3, 1, 3, 0]]) == [0, 2, 3, 5]
    assert drawn_tasks(np.arange(12.0).reshape(6, 2)[::-1]) == [0, 1, 2, 3]


# Tables of trained runs


def short(config):
    return replace(config, sampling=replace(config.sampling, horizon=HORIZON))


def short_runs(figure, profile):
    return [replace(run, config=short(run.config)) for run in planned_runs(figure, profile)]


@pytest.fixture(scope="module", autouse=True)
def plan_of_short_runs():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metarl_cli.studies.trained.studied_runs", short_runs)
        yield


def trained(figure, directory, *, labels=None, seeds=(1,), theta=lambda theta: theta):
    """Run directories as training would leave them, without training."""
    for run in short_runs(FIGURES[figure], "smoke"):
        for seed in seeds:
            config = replace(run.config, seed=seed)
            home = runs_directory(directory, "smoke") / run.path.with_name(f"seed{seed}")
            if labels is None or config.label in labels:
                home.mkdir(parents=True)
                runs.prepare_new(home, config, overwrite=False)
                _, state = build(config)
                checkpoints.save(home, config, replace(state, theta=theta(state.theta), iteration=2))
                (home / runs.DONE).touch()


def numbers_of(table):
    return table[table["stage"].isin(["pre", "post"]) & table["task"].isna()]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    found = {}
    for figure in ("promp-fig4", "sgmrl-fig1"):
        directory = tmp_path_factory.mktemp(figure)
        trained(figure, directory)
        found[figure] = study(FIGURES[figure], "smoke", directory)
    return found


@pytest.mark.parametrize("figure", ["promp-fig4", "sgmrl-fig1"])
def test_a_table_has_the_numbers_of_every_run_before_and_after(tables, figure):
    table = tables[figure]
    assert list(table.columns) == list(COLUMNS)
    labels = [curve.label for curve in FIGURES[figure].curves]
    numbers = numbers_of(table)
    assert sorted(zip(numbers["curve"], numbers["stage"], strict=True)) == sorted(
        (label, stage) for label in labels for stage in ("pre", "post")
    )
    assert numbers[["return", "end_distance", "ends_at_goal", "reaches_goal"]].notna().all(axis=None)
    assert numbers["corners"].notna().all() == (figure == "promp-fig4")
    assert set(table["iterations"]) == {2} and set(table["seed"]) == {1} and set(table["profile"]) == {"smoke"}


def test_paths_of_the_drawn_tasks_are_kept_point_by_point(tables):
    for figure, tasks, kept in (("promp-fig4", 4, 2), ("sgmrl-fig1", 4, 2)):
        points = tables[figure].query("stage == 'post' and task.notna()")
        of_path = points.groupby(["curve", "task", "trajectory"])["step"].agg(list)
        assert len(of_path) == points["curve"].nunique() * tasks * kept, figure
        assert all(steps == list(range(HORIZON)) for steps in of_path)


def test_the_picture_has_its_discs(tables):
    corners = tables["promp-fig4"].query("stage == 'region' and curve == 'lvc-trpo'")
    assert sorted(zip(corners["x"], corners["y"], strict=True)) == sorted(map(tuple, CORNERS))
    assert set(corners["radius"]) == {2.0}
    goal = tables["promp-fig4"].query("stage == 'goal'")
    assert set(zip(goal["x"], goal["y"], strict=True)) == set(map(tuple, CORNERS)) and set(goal["radius"]) == {0.3}
    assert (tables["sgmrl-fig1"]["stage"] == "region").sum() == 0
    assert (tables["sgmrl-fig1"].query("curve == 'sgmrl'")["stage"] == "goal").sum() == 4


def test_the_numbers_are_over_all_held_out_tasks_and_the_points_are_the_trainers(tmp_path):
    trained("promp-fig4", tmp_path, labels=("lvc-trpo",))
    table = study(FIGURES["promp-fig4"], "smoke", tmp_path)
    (run,) = (run for run in planned_runs(FIGURES["promp-fig4"], "smoke") if run.config.label == "lvc-trpo")
    _, state = build(run.config)
    held_out = short(replace(run.config, seed=0))
    trainer, _ = build(replace(held_out, sampling=replace(held_out.sampling, tasks=TASKS)))
    goals = trainer.draw_tasks(0, 1)
    rounds = trainer.sample(state, goals, 0, 1)
    assert len(goals) == 40 and len(rounds) == 4
    for stage, round_ in (("pre", rounds[0]), ("post", rounds[3])):
        paths = round_.trajectories.observations[..., :2].double().numpy()
        of_stage = table[table["stage"] == stage]
        row = numbers_of(of_stage).iloc[0]
        for name, value in summary(paths, goals, CORNER_SCENE).items():
            assert row[name] == pytest.approx(value), name
        assert row["return"] == pytest.approx(round_.trajectories.rewards.double().sum(-1).mean().item())
        task = int(np.flatnonzero((goals == 2.0).all(axis=1))[0])
        points = of_stage[(of_stage["task"] == task) & (of_stage["trajectory"] == 1)].sort_values("step")
        np.testing.assert_allclose(points[["x", "y"]].to_numpy(), paths[task, 1], atol=5.1e-4)


def towards_the_corner(theta):
    """A policy that accelerates towards (2, 2) whatever it sees, by a tenth of the largest acceleration."""
    assert distribution(theta, torch.zeros(1, 4)).mean.shape == (1, 2)
    fixed = {name: torch.zeros_like(value) for name, value in theta.items()}
    return {**fixed, "mean.bias": torch.ones(2), "log_std": torch.full((2,), -8.0)}


def test_a_policy_that_goes_to_one_corner_is_seen_to(tmp_path, monkeypatch):
    monkeypatch.setattr(trajectories, "TASKS", 20)
    trained("promp-fig4", tmp_path, labels=("lvc-trpo",), theta=towards_the_corner)
    table = study(FIGURES["promp-fig4"], "smoke", tmp_path)
    last = table.query("stage == 'pre' and step == 9")
    # s_9 = s_0 + 9 v_0 + 0.01 (1 + … + 9), with |s_0| ≤ 0.2 and |v_0| ≤ 0.1 in each component
    assert (abs(last[["x", "y"]] - 0.45) <= 0.2 + 0.9 + 0.01).all(axis=None)


def test_paths_are_those_of_the_first_seed_and_numbers_of_all(tmp_path, monkeypatch):
    figure = FIGURES["sgmrl-fig1"]
    planned = [
        replace(run, config=replace(run.config, seed=seed), path=run.path.with_name(f"seed{seed}"))
        for seed in (1, 2)
        for run in short_runs(figure, "smoke")
    ]
    monkeypatch.setattr("metarl_cli.studies.trained.studied_runs", lambda *_: planned)
    trained("sgmrl-fig1", tmp_path, labels=("sgmrl",), seeds=(1, 2))
    trained("sgmrl-fig1", tmp_path, labels=("vpg-maml",), seeds=(2,))
    table = study(figure, "smoke", tmp_path)
    numbers = numbers_of(table).query("stage == 'post'")
    assert sorted(zip(numbers["curve"], numbers["seed"], strict=True)) == [("sgmrl", 1), ("sgmrl", 2), ("vpg-maml", 2)]
    drawn = table[table["task"].notna()]
    assert set(zip(drawn["curve"], drawn["seed"], strict=True)) == {("sgmrl", 1)}


def test_the_same_runs_give_the_same_table_and_it_survives_a_file(tmp_path):
    trained("sgmrl-fig1", tmp_path, labels=("sgmrl",))
    first, second = (study(FIGURES["sgmrl-fig1"], "smoke", tmp_path) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    first.to_csv(tmp_path / "table.csv", index=False)
    text = (tmp_path / "table.csv").read_text()
    assert ",0,0,0,0.0,0.0,," in text  # whole numbers stay whole beside empty cells


def test_without_trained_runs_there_is_no_picture(tmp_path):
    with pytest.raises(UserError, match=r"No run of promp-fig4 below .* is finished with the planned settings"):
        study(FIGURES["promp-fig4"], "smoke", tmp_path)


def test_a_run_that_is_not_finished_is_not_in_the_picture(tmp_path):
    trained("sgmrl-fig1", tmp_path, labels=("sgmrl", "vpg-maml"))
    (done,) = tmp_path.glob(f"smoke/runs/sgmrl/*/seed1/{runs.DONE}")
    done.unlink()
    assert set(study(FIGURES["sgmrl-fig1"], "smoke", tmp_path)["curve"]) == {"vpg-maml"}


def test_a_run_with_other_settings_than_planned_is_not_in_the_picture(tmp_path, monkeypatch):
    trained("sgmrl-fig1", tmp_path, labels=("sgmrl", "vpg-maml"))
    otherwise = [
        replace(run, config=replace(run.config, inner=replace(run.config.inner, lr=run.config.inner.lr / 2)))
        if run.config.label == "sgmrl"
        else run
        for run in short_runs(FIGURES["sgmrl-fig1"], "smoke")
    ]
    monkeypatch.setattr("metarl_cli.studies.trained.studied_runs", lambda *_: otherwise)
    assert set(study(FIGURES["sgmrl-fig1"], "smoke", tmp_path)["curve"]) == {"vpg-maml"}


def test_what_decides_a_table_is_the_same_text_each_time():
    assert repr(trajectories.settings("quick")) == repr(trajectories.settings("smoke"))
    assert " at 0x" not in repr(trajectories.settings("quick"))
