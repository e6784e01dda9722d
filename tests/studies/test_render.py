from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageSequence

from metarl_cli.envs import rendering
from metarl_cli.envs.points import PROBLEMS as POINTS
from metarl_cli.envs.registry import ENVIRONMENTS
from metarl_cli.envs.vector import make_vec
from metarl_cli.figures.plots.filmstrip import Film, Walk, animated_films, animated_walks, filmstrip, save
from metarl_cli.runs.evaluate import evaluate, load_run
from metarl_cli.runs.launch import RunRequest, launch
from metarl_cli.studies import render as study

DRAWN = [("png", b"\x89PNG"), ("gif", b"GIF89a")]


def trained(directory, environment, *overrides):
    overrides = ("iterations=1", "policy.hidden=8", *overrides)
    request = RunRequest(environment=environment, profile="smoke", overrides=overrides)
    launch(request, out=directory, threads=1, resume=False, overwrite=False)
    return directory


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("points") / "run", "Navigation", "inner.steps=2", "sampling.horizon=7")


@pytest.fixture(scope="module")
def walker(tmp_path_factory):
    """Its episodes end one after the other, long before the last step."""
    return trained(tmp_path_factory.mktemp("walker") / "run", "WalkerFwdBack", "sampling.horizon=60", "inner.steps=1")


@pytest.fixture(scope="module")
def opengl():
    if rendering.find_backend() is None:
        pytest.skip("no OpenGL library that draws without a display: apt-get install libegl1 libgl1, or libosmesa6")


@pytest.fixture
def no_opengl(monkeypatch):
    """As on a machine without it: PyOpenGL refuses to load any library but that of the platform which is named."""
    monkeypatch.setenv("PYOPENGL_PLATFORM", "none")


@pytest.fixture
def fake_camera(monkeypatch):
    """Takes white pictures and keeps what it was shown."""
    shots = []

    @contextmanager
    def camera(name, variant):
        yield lambda qpos, goal: shots.append((name, qpos, goal)) or np.full((24, 32, 3), 255, np.uint8)

    monkeypatch.setattr(study, "camera", camera)
    return shots


# What is shown


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([1.0, 1.0, -1.0, 1.0], [1.0, -1.0, 1.0, 1.0]),
        ([0.3, 0.1, 0.2], [0.3, 0.1, 0.2]),
        ([[2, 2], [2, -2], [2, 2], [-2, 2]], [[2, 2], [2, -2], [-2, 2], [2, 2]]),
    ],
)
def test_tasks_that_differ_come_first(tasks, expected):
    assert study.distinct_first(np.array(tasks)).tolist() == expected


@pytest.mark.parametrize(
    ("length", "horizon", "expected"),
    [
        (100, 100, [0, 20, 40, 60, 80, 100]),
        (37, 37, [0, 7, 15, 22, 30, 37]),
        (37, 100, [0, 20, 37]),
        (3, 3, [0, 1, 2, 3]),
        (1, 100, [0, 1]),
    ],
)
def test_steps_are_spread_evenly_and_include_the_end(length, horizon, expected):
    assert study.film_steps(length, horizon, 6) == expected


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("HalfCheetahFwdBack", -1.0, "direction −1"),
        ("AntRandDir", [0.6, -0.8], "direction (0.6, −0.8)"),
        ("HalfCheetahRandVel", 1.2345, "velocity 1.23"),
        ("AntRandGoal", [2.5, -0.0001], "goal (2.5, −0.0001)"),
        ("PointWalls", [[2, -2], [1, 0], [0, 2]], "goal (2, −2)"),
        ("Toy1D", 0.5, "goal 0.5"),
        ("HopperRandParams", [1.0, 2.0, 3.0], "its own physics"),
    ],
)
def test_a_task_in_words(name, task, expected):
    assert study.task_label(ENVIRONMENTS[name].task_distribution, np.array(task)) == expected


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_task_has_words(name):
    (task,) = make_vec(name).sample_tasks(1, np.random.default_rng(0))
    pattern = r"its own physics" if "Params" in name else r"(direction|velocity|goal) [-−\d.,e() ]+"
    assert re.fullmatch(pattern, study.task_label(ENVIRONMENTS[name].task_distribution, task))


def test_walls_stand_where_they_hold_points_back():
    problem = POINTS["PointWalls"]["released"]
    task = problem.draw(1, np.random.default_rng(5))[0]
    drawn = study.walls(task)
    assert [round(float(np.hypot(*wall[0])), 12) for wall in drawn] == [1.0, 2.0]
    angles = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for wall, radius in zip(drawn, (1.0, 2.0), strict=True):
        inside, tasks = (radius - 0.01) * rays, np.broadcast_to(task, (60, 3, 2))
        moved, _ = problem.move(inside, 0.02 * rays, tasks)
        held = np.linalg.norm(moved, axis=1) < radius
        stands = np.linalg.norm(wall[:, None] - radius * rays, axis=-1).min(axis=0) < 0.02 * radius
        assert 0 < held.sum() < 60
        assert (held == stands).all()
    assert study.walls(np.array([2.0, 2.0])) == study.walls(np.array(1.0)) == []


@pytest.mark.parametrize("name", ["PointMomentum", "Toy1D", "AntRandGoal", "HalfCheetahFwdBack"])
def test_positions_are_recorded_before_and_after_each_step(name):
    recorder = rendering.PositionRecorder(make_vec(name, 3))
    actions = np.random.default_rng(1).uniform(-0.1, 0.1, recorder.action_space.shape)
    for _ in range(2):
        seen = [recorder.reset(seed=4)[0], *(recorder.step(actions)[0] for _ in range(3))]
    assert [len(episode) for episode in recorder.episodes] == [4, 4]
    hidden = 1 if name == "HalfCheetahFwdBack" else 0  # x
    size = {"PointMomentum": 2, "Toy1D": 1, "AntRandGoal": 15, "HalfCheetahFwdBack": 9}[name]
    for positions, observation in zip(recorder.episodes[1], seen, strict=True):
        assert positions.shape == (3, size)
        assert (positions[:, hidden:] == observation[:, : size - hidden]).all()
    assert not (recorder.episodes[1][0] == recorder.episodes[1][3]).any(axis=1).all()


def test_the_policy_is_adapted_as_in_evaluation(points):
    """All of the tasks of an evaluation, with its seed: its returns after 0 and after all adaptation steps."""
    episodes = study.record(*load_run(points), tasks=40, seed=3, threads=1)
    expected = evaluate(points, steps=None, tasks=40, trajectories=None, seed=3, threads=1)["return"]
    assert [one.stage for one in episodes] == ["pre", "post"] * 40
    assert np.mean([one.returns.mean() for one in episodes[0::2]]) == pytest.approx(expected.iloc[0], abs=1e-9)
    assert np.mean([one.returns.mean() for one in episodes[1::2]]) == pytest.approx(expected.iloc[2], abs=1e-9)


def test_positions_belong_to_their_task_and_stage(points):
    """−‖s' − g‖² summed over the recorded path is the return."""
    for one in study.record(*load_run(points), tasks=3, seed=0, threads=1):
        rewards = -np.square(one.positions[:, 1:] - one.task).sum(axis=-1)
        assert one.returns == pytest.approx(rewards.sum(axis=-1), rel=1e-5)
        assert (one.lengths == one.positions.shape[1] - 1).all()


def test_of_two_tasks_both_are_shown(walker):
    for seed in range(3):
        episodes = study.record(*load_run(walker), tasks=2, seed=seed, threads=1)
        assert sorted(float(one.task) for one in episodes) == [-1.0, -1.0, 1.0, 1.0]


# What is drawn


def film(stage="pre", frames=3, total=-1.5):
    images = np.zeros((frames, 24, 32, 3), np.uint8)
    return Film(
        task="goal 1", stage=stage, total=total, images=images, notes=[f"{stage} {number}" for number in range(frames)]
    )


def walk(paths, stage="pre"):
    paths = np.array(paths, np.float64)
    return Walk(task="goal 1", stage=stage, total=2.0, paths=paths, goal=np.full(paths.shape[-1], 5.0), walls=[])


def test_a_filmstrip_has_a_row_for_each_film():
    figure = filmstrip([film(), film("post", frames=2, total=3.0)], "what it is")
    notes = [panel.get_xlabel() for panel in figure.axes]
    assert notes == ["pre 0", "pre 1", "pre 2", "post 0", "post 1", ""]
    assert [len(panel.images) for panel in figure.axes] == [1, 1, 1, 1, 1, 0]
    assert figure.axes[0].get_ylabel() == "goal 1\nbefore adaptation\nreturn −1.5"
    assert figure.axes[3].get_ylabel() == "goal 1\nafter adaptation\nreturn 3.0"
    assert figure.get_supxlabel() == "what it is"


def test_an_animation_of_films_stands_still_where_one_is_over():
    films = [film(), film("post", frames=2), film(), film("post")]
    films[1].images[1] = 7
    animation = animated_films(films, "")
    before, after = animation.figure.axes[0], animation.figure.axes[2]  # the first column
    assert [panel.get_title().splitlines()[1] for panel in (before, after)] == ["before adaptation", "after adaptation"]
    assert animation.frames == 3
    animation.show(2)
    assert (before.texts[0].get_text(), after.texts[0].get_text()) == ("pre 2", "post 1")
    assert (after.images[0].get_array() == 7).all()
    animation.show(0)
    assert (before.texts[0].get_text(), after.texts[0].get_text()) == ("pre 0", "post 0")


def test_a_frame_of_a_gif_shows_nothing_of_the_frame_before(tmp_path):
    images = np.full((3, 24, 32, 3), 255, np.uint8)
    images[1] = 0
    one = Film(task="", stage="pre", total=0.0, images=images, notes=["x" * 30, "", "x"])
    save(animated_films([one, one], ""), tmp_path / "films.gif")
    with Image.open(tmp_path / "films.gif") as gif:
        frames = [np.array(frame.convert("L")) for frame in ImageSequence.Iterator(gif)]
    assert [frame[100, 150] for frame in frames] == [255, 0, 255]
    first, _, last = ((frame < 128).sum() for frame in frames)
    assert first - last > 100


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_an_interrupted_picture_leaves_the_one_that_was_there(tmp_path, monkeypatch, suffix):
    one = Film(task="", stage="pre", total=0.0, images=np.zeros((1, 24, 32, 3), np.uint8), notes=[""])
    drawing = animated_films([one, one], "") if suffix == "gif" else filmstrip([one, one], "")
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(b"whole")

    def interrupt(one, two):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(drawing, path)
    assert path.read_bytes() == b"whole" and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("path", [[[0, 0], [1, 4], [9, -3], [2, 2]], [[0], [-8], [3], [1]]])
def test_paths_grow_within_limits_that_stay(path):
    animation = animated_walks([walk([path]), walk([path, -3 * np.array(path)], "post")], "", frames=3)
    panel = animation.figure.axes[0]
    (line,) = [line for line in panel.lines if len(line.get_xdata()) == 4]
    limits = panel.get_xlim(), panel.get_ylim()
    whole = np.column_stack(line.get_data())
    assert (whole[:, -len(path[0]) :] == path).all()
    for axis, (low, high) in enumerate(limits):
        assert low < whole[:, axis].min() < whole[:, axis].max() < high
    lengths = []
    for frame in range(animation.frames):
        animation.show(frame)
        lengths.append(len(line.get_xdata()))
    assert lengths == [1, 2, 4]
    assert (limits[0] == limits[1]) == (len(path[0]) == 2)
    for other in animation.figure.axes:
        assert (other.get_xlim(), other.get_ylim()) == limits


# The command


@pytest.mark.parametrize(("format", "magic"), DRAWN)
def test_points(metarl, points, format, magic):
    ended = metarl("render", points, "--format", format, "--tasks", 1)
    path = points / f"render.{format}"
    assert (ended.code, ended.out, ended.err) == (0, f"{path}\n", "")
    content = path.read_bytes()
    assert content.startswith(magic)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == (8 if format == "gif" else 1)  # seven steps
        assert len(image.convert("RGB").getcolors(1 << 20)) > 20


def test_one_task_is_enough_where_training_compares_several(metarl, tmp_path):
    run = trained(tmp_path / "run", "Navigation", "outer.exploration=sgmrl_loo")
    ended = metarl("render", run, "--tasks", 1)
    assert (ended.code, ended.err) == (0, "")


def test_the_same_picture_has_the_same_bytes(metarl, points, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        assert metarl("render", points, "--tasks", 1, "--seed", seed, "--out", path).code == 0
    assert paths[0].read_bytes() == paths[1].read_bytes() != paths[2].read_bytes()


def test_the_pictures_of_a_body_are_of_the_median_trajectory_until_its_end(walker, fake_camera, tmp_path):
    study.render(walker, tasks=2, seed=0, threads=1, format="png", out=tmp_path / "new" / "strip.png")
    assert (tmp_path / "new" / "strip.png").exists()
    shown = iter(fake_camera)
    for one in study.record(*load_run(walker), tasks=2, seed=0, threads=1):
        (median,) = np.flatnonzero(one.returns == np.sort(one.returns)[2])
        assert 6 < one.lengths[median] < 60
        for step in study.film_steps(int(one.lengths[median]), int(one.lengths[median]), 6):
            name, qpos, goal = next(shown)
            assert (name, goal) == ("WalkerFwdBack", None)
            assert (qpos == one.positions[median, step]).all()
    assert list(shown) == []


@pytest.mark.parametrize(("task", "goal"), [([1.0, 2.0], [1.0, 2.0]), ([0.6, 0.8], None)])
def test_a_goal_is_shown_and_a_direction_is_not(fake_camera, task, goal):
    config = SimpleNamespace(environment=SimpleNamespace(name="AntRandGoal" if goal else "AntRandDir"))
    positions = np.arange(2 * 15, dtype=float).reshape(1, 2, 15)
    one = study.Episodes(task=np.array(task), stage="pre", returns=np.ones(1), lengths=np.ones(1), positions=positions)
    with study.camera("", None) as shoot:
        drawn = study._film(config, one, shoot, "png")
    assert all(np.array_equal(seen, goal) if goal else seen is None for _, _, seen in fake_camera)
    assert drawn.notes == ["step 0, at (0.0, 1.0) m", "step 1, at (15.0, 16.0) m"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "jpg"), r"Unknown format 'jpg'\. Did you mean 'png'\? Known: gif, png"),
        (
            ("--format", "gif", "--out", "picture.png"),
            r"--out picture\.png: .*ends in \.gif; --format is one of png, gif",
        ),
        (("--out", "picture"), r"--out picture: .*ends in \.png"),
    ],
)
def test_mistakes(metarl, points, arguments, message):
    ended = metarl("render", points, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert re.match(f"Error: {message}", ended.err)


def test_a_directory_without_a_run(metarl, tmp_path):
    ended = metarl("render", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "holds no run" in ended.err


def test_without_imageio_a_gif_says_what_to_install(metarl, points, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    ended = metarl("render", points, "--format", "gif", "--tasks", 1, "--out", points / "other.gif")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Error: A GIF needs imageio, the extra `render`: pip install imageio. PNG works without.\n"
    assert not (points / "other.gif").exists()


# OpenGL


def test_without_opengl_a_body_says_what_to_install(metarl, walker, no_opengl):
    ended = metarl("render", walker)
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.err.splitlines()
    for words in ("libegl1 libgl1", "libosmesa6", "Everything else of metarl works without"):
        assert words in line
    assert not (walker / "render.png").exists()


def test_without_opengl_points_are_drawn(metarl, points, no_opengl, tmp_path):
    assert metarl("render", points, "--tasks", 1, "--out", tmp_path / "points.png").code == 0


@pytest.mark.parametrize(
    ("wanted", "working", "expected"),
    [
        (None, {"egl", "osmesa"}, "egl"),
        (None, {"osmesa"}, "osmesa"),
        (None, set(), None),
        ("osmesa", {"egl", "osmesa"}, "osmesa"),
        ("osmesa", {"egl"}, "egl"),
        ("glfw", {"egl", "osmesa"}, "egl"),
    ],
)
def test_a_way_to_opengl_is_found(monkeypatch, wanted, working, expected):
    monkeypatch.setattr(rendering, "BACKENDS", ("egl", "osmesa"))

    def run(command, **options):
        return SimpleNamespace(returncode=0 if command[-1] in working else 1)

    monkeypatch.setattr(rendering.subprocess, "run", run)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    if wanted:
        monkeypatch.setenv("MUJOCO_GL", wanted)
    assert rendering.find_backend() == expected


def test_a_point_has_no_camera():
    with pytest.raises(ValueError, match="Navigation: expected a MuJoCo body"), rendering.camera("Navigation", None):
        pass


def start(name):
    """A body somewhere above the floor, in its model's first position."""
    recorder = rendering.PositionRecorder(make_vec(name))
    recorder.reset(seed=0)
    return recorder.episodes[0][0][0]


def skin(picture):
    """Pixels in the colour of a body; floor and sky are grey or greenish."""
    return picture[..., 0].astype(int) - picture[..., 2] > 35


def moved(before, after):
    """Pixels that differ clearly."""
    return np.abs(before.astype(int) - after.astype(int)).max(axis=-1) > 40


@pytest.mark.parametrize("name", ["HalfCheetahFwdBack", "AntRandGoal", "SwimmerRandVel"])
def test_the_camera_follows_the_body_and_sees_all_of_it(opengl, name):
    qpos = start(name)
    places = [qpos, qpos, qpos.copy(), qpos.copy()]
    places[2][0] += 6.0
    places[3][-2:] += 0.5
    with rendering.camera(name, None) as shoot:
        here, again, far, bent = (shoot(place, None) for place in places)
    assert here.shape == (240, 320, 3)
    assert (here == again).all()
    assert (skin(here) != skin(far)).mean() < 0.002 < (skin(here) != skin(bent)).mean()
    height, width = np.nonzero(skin(here))
    assert 500 < height.size < 10_000
    assert 20 < height.min() < height.max() < 220
    assert 20 < width.min() < width.max() < 300


def test_a_goal_is_an_orange_ball_where_it_belongs(opengl):
    qpos = start("AntRandGoal")
    goals = {"right": [1.5, 0.0], "left": [-1.5, 0.0], "near": [0.0, -1.5], "far": [0.0, 1.5]}
    with rendering.camera("AntRandGoal", None) as shoot:
        plain = shoot(qpos, None)
        pictures = {side: shoot(qpos, np.array(goal)) for side, goal in goals.items()}
    where = {side: np.argwhere(moved(plain, picture)) for side, picture in pictures.items()}
    assert all(20 < len(pixels) < 1000 for pixels in where.values())
    assert where["right"][:, 1].min() > 160 > where["left"][:, 1].max()
    assert where["near"][:, 0].min() > where["far"][:, 0].max()
    red, _, blue = pictures["right"][moved(plain, pictures["right"])].mean(axis=0)
    assert red > 2 * blue


@pytest.mark.parametrize(("format", "magic"), DRAWN)
def test_bodies(opengl, metarl, walker, format, magic):
    ended = metarl("render", walker, "--format", format, "--tasks", 1)
    path = walker / f"render.{format}"
    assert (ended.code, ended.out) == (0, f"{path}\n")
    assert path.read_bytes().startswith(magic)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) > 5 or format == "png"
        assert len(image.convert("RGB").getcolors(1 << 20)) > 100
    path.unlink()
