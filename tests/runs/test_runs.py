from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from run_cases import assert_same_run, begin, checkpoint, go, meta, numbers, resume, stop_after

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.config import load_config, settable_keys
from metarl_cli.errors import UserError
from metarl_cli.runs import directory as runs
from metarl_cli.runs.launch import RunRequest, default_directory, launch
from metarl_cli.runs.record import progress_columns
from metarl_cli.training import trainer

FILES = {"config.json", "meta.json", "progress.csv", "checkpoint.pt", "checkpoint.previous.pt"}


# What a run writes


def test_a_finished_run(tmp_path):
    directory = tmp_path / "run"
    outcome = go(directory, iterations=3)
    assert outcome.finished
    assert outcome.message == f"Finished: {directory}"
    assert {path.name for path in directory.iterdir()} == FILES | {"DONE", ".lock"}
    config = load_config(directory / "config.json")
    assert (config.algorithm, config.environment.name, config.profile, config.iterations) == (
        "promp",
        "Navigation",
        "smoke",
        3,
    )
    with (directory / "progress.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == progress_columns(config)
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert b"\r" not in (directory / "progress.csv").read_bytes()
    about = meta(directory)
    assert about["schema_version"] == 1
    assert about["status"] == "finished"
    assert about["start"] <= about["end"]
    assert torch.__version__.startswith(about["packages"]["torch"])  # a build for CUDA has a longer one
    assert checkpoint(directory)["iteration"] == 3


def test_columns_count_steps_and_returns(tmp_path):
    """M·N·T·(K + 1) steps an iteration, fewer where episodes end; a return for each of K adaptation steps."""
    go(tmp_path / "walker", "inner.steps=3", "sampling.horizon=40", iterations=2, environment="WalkerFwdBack")
    with (tmp_path / "walker" / "progress.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert {"return/pre", "return/step_1", "return/step_2", "return/post"} <= set(rows[0])
    assert "return/step_3" not in rows[0]
    assert [row["env_steps"] for row in rows] == [2 * 4 * 40 * 4, 2 * 2 * 4 * 40 * 4]
    assert 0 < rows[0]["env_steps_actual"] < rows[1]["env_steps_actual"] < rows[1]["env_steps"]
    assert rows[0]["wall_seconds"] <= rows[1]["wall_seconds"]


@pytest.mark.parametrize("algorithm", ["promp", "lvc-vpg", "maml-ppo", "trpo-maml"])
def test_a_single_return_has_no_spread(tmp_path, algorithm):
    """One trajectory of one task: the deviation of what was sampled is 0, and no number is missing."""
    one = ("sampling.tasks=1", "sampling.trajectories=1")
    assert go(tmp_path / "run", *one, iterations=2, algorithm=algorithm).finished
    with (tmp_path / "run" / "progress.csv").open(newline="") as file:
        assert [row["return/post_std"] for row in csv.DictReader(file)] == ["0.0", "0.0"]


@pytest.mark.parametrize(("estimator", "variate"), [("lvc", "none"), ("tmaml", "meta")])
def test_columns_that_only_some_runs_have(tmp_path, estimator, variate):
    settings = (f"inner.estimator={estimator}", f"inner.control_variate={variate}", "outer.kl_target=0.01")
    go(tmp_path / "run", *settings, iterations=1)
    header = (tmp_path / "run" / "progress.csv").read_text().splitlines()[0].split(",")
    assert ("control_variate/explained_variance" in header) == (variate != "none")
    assert "kl/coefficient" in header
    assert "update/rejected" not in header


# The same seed, the same numbers


def test_a_run_records_the_processor(tmp_path):
    """By whose model the last digits differ."""
    go(tmp_path / "run", iterations=1)
    host, listed = meta(tmp_path / "run")["host"], Path("/proc/cpuinfo")
    assert set(host) == {"system", "machine", "processor", "cpus"}
    models = re.findall(r"model name\s*: (.*)", listed.read_text() if listed.exists() else "")
    assert host["processor"] in models if models else host["processor"]


@pytest.mark.parametrize("environment", ["Navigation", "HopperRandParams"])
def test_the_same_seed_twice_and_with_two_threads(tmp_path, environment):
    for name, threads in (("one", 1), ("again", 1), ("two", 2)):
        go(tmp_path / name, iterations=3, environment=environment, threads=threads)
    assert len(numbers(tmp_path / "one")) == 3
    assert_same_run(tmp_path / "one", tmp_path / "again")
    assert_same_run(tmp_path / "one", tmp_path / "two")
    go(tmp_path / "other", "seed=2", iterations=3, environment=environment)
    assert numbers(tmp_path / "one")[0] != numbers(tmp_path / "other")[0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_goes_on_where_it_was_stopped(tmp_path, algorithm):
    go(tmp_path / "whole", iterations=3, algorithm=algorithm)
    begin(tmp_path / "parts", 1, of=3, algorithm=algorithm)
    assert not stop_after(tmp_path / "parts", 2)
    assert resume(tmp_path / "parts").finished
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("environment", ["HalfCheetahRandVel", "WalkerRandParams", "PointMomentum"])
def test_every_kind_of_environment_goes_on_where_it_was_stopped(tmp_path, environment):
    go(tmp_path / "whole", iterations=3, environment=environment)
    begin(tmp_path / "parts", 2, of=3, environment=environment)
    assert resume(tmp_path / "parts").finished
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_longer_run_begins_as_a_shorter_one(tmp_path):
    go(tmp_path / "short", iterations=2)
    go(tmp_path / "long", iterations=4)
    assert numbers(tmp_path / "long")[:2] == numbers(tmp_path / "short")


def test_every_iteration_and_stage_draws_from_streams_of_its_own(tmp_path, monkeypatch):
    drawn = []

    def recorded(make):
        def wrapper(*stream):
            drawn.append(stream)
            return make(*stream)

        return wrapper

    for name in ("numpy_generator", "torch_generator", "derived_seed"):
        monkeypatch.setattr(trainer, name, recorded(getattr(trainer, name)))
    go(tmp_path / "run", "seed=5", iterations=3)
    noise = [(5, name, i, stage) for i in range(3) for stage in range(2) for name in ("actions", "environment")]
    assert sorted(drawn) == sorted([(5, "control variate"), *((5, "tasks", i) for i in range(3)), *noise])


# Crashes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    go(directory, iterations=5)
    return directory


def broken_row(text, position):
    """The next row, cut after so many characters."""
    return text + "3,640,640,0.2,-1.5,-1.4,0.3,0.99,-0.1,-0.2,0.001,0.002,0.01,0.05\n"[:position]


@pytest.mark.parametrize("position", [1, 5, 20, 40, 64, 66])
def test_a_row_without_its_checkpoint_is_written_again(tmp_path, whole, position):
    """Killed while a row was written or before its checkpoint was: whole or cut anywhere, the row goes."""
    directory = tmp_path / "run"
    begin(directory, 3, of=5)
    path = directory / "progress.csv"
    path.write_text(broken_row(path.read_text(), position))
    assert resume(directory).finished
    assert_same_run(whole, directory)


def test_killed_between_row_and_checkpoint(tmp_path, whole):
    directory = tmp_path / "run"
    begin(directory, 3, of=5)
    before = (directory / "checkpoint.pt").read_bytes()
    stop_after(directory, 4)
    assert len(numbers(directory)) == 4
    (directory / "checkpoint.pt").write_bytes(before)
    (directory / "checkpoint.pt.77.tmp").write_bytes(before[:100])
    assert resume(directory).finished
    assert_same_run(whole, directory)


@pytest.mark.parametrize("text", ["", "iter", "iteration,env_steps,env_", None])
def test_killed_in_the_first_iteration(tmp_path, whole, text):
    directory = tmp_path / "run"
    begin(directory, 1, of=5)
    (directory / "checkpoint.pt").unlink()
    if text is None:
        (directory / "progress.csv").unlink()
    else:
        (directory / "progress.csv").write_text(text)
    assert resume(directory).finished
    assert_same_run(whole, directory)


def test_killed_before_done_was_written(tmp_path, whole):
    directory = tmp_path / "run"
    go(directory, iterations=5)
    (directory / "DONE").unlink()
    assert resume(directory).finished
    assert (directory / "DONE").exists()
    assert_same_run(whole, directory)


class Process:
    """`metarl train` in a process of its own, in a directory of its own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        command = [sys.executable, "-m", "metarl_cli", "train", "--out", str(directory), *arguments]
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def rows(self) -> int:
        path = self.directory / "progress.csv"
        return max(path.read_bytes().count(b"\n") - 1, 0) if path.exists() else 0

    def wait_for_rows(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.rows() < count:
            assert self.popen.poll() is None, self.popen.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def end(self, number: int) -> tuple[int, str, str]:
        self.popen.send_signal(number)
        out, err = self.popen.communicate(timeout=60)
        return self.popen.returncode, out, err


SETTINGS = ("--env", "Navigation", "--profile", "smoke")


def test_killed_again_and_again_and_resumed_is_the_run_that_was_never_stopped(tmp_path):
    """SIGKILL in three processes, at whatever they were doing; the last part runs here."""
    go(tmp_path / "whole", iterations=40)
    directory, first = tmp_path / "run", (*SETTINGS, "--iterations", "40")
    for rows, delay, arguments in ((3, 0.013, first), (9, 0.031, ("--resume",)), (17, 0.0, ("--resume",))):
        process = Process(directory, *arguments)
        process.wait_for_rows(rows)
        time.sleep(delay)
        code, _, err = process.end(signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert "Error" not in err
        assert meta(directory)["status"] == "running"
        assert not (directory / "DONE").exists()
    assert 17 <= len(numbers(directory)) < 40
    assert resume(directory).finished
    assert_same_run(tmp_path / "whole", directory)


def test_ctrl_c_ends_after_the_iteration_and_says_how_to_go_on(tmp_path, metarl):
    directory = tmp_path / "run"
    process = Process(directory, *SETTINGS, "--iterations", "100000")
    process.wait_for_rows(2)
    for how in ("--resume", "--overwrite", "--quiet"):
        refused = metarl("train", "--out", directory, *SETTINGS, how)
        assert refused.code == 2
        assert "belongs to a run that is still going" in refused.err
    code, out, err = process.end(signal.SIGINT)
    assert code == 130
    assert out == f"Stopped. To continue: metarl train --resume --out {directory}\n"
    assert "Traceback" not in err
    assert err.splitlines()[0].startswith("iteration 1/100000")
    assert meta(directory)["status"] == "interrupted"
    done = checkpoint(directory)["iteration"]
    assert done == len(numbers(directory)) >= 2
    assert not (directory / "DONE").exists()
    go(tmp_path / "whole", iterations=done + 2)
    continued = metarl("train", "--resume", "--out", directory, "--iterations", done + 2)
    assert (continued.code, continued.out) == (0, f"Finished: {directory}\n")
    assert_same_run(tmp_path / "whole", directory)


def test_kills_at_random_moments_and_file_operations_cost_nothing():
    """A handful; `make torture` does a thousand."""
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    ended = subprocess.run([sys.executable, script, "--count", "3"], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"^all( +\d+){4} +0 *$", ended.stdout, re.MULTILINE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_system_that_ends_a_run_is_heard_as_ctrl_c_is(tmp_path, whole, number):
    directory = tmp_path / "run"
    process = Process(directory, *SETTINGS, "--iterations", "100000")
    process.wait_for_rows(1)
    code, out, err = process.end(number)
    assert (code, out) == (130, f"Stopped. To continue: metarl train --resume --out {directory}\n")
    assert "Traceback" not in err
    assert meta(directory)["status"] == "interrupted"
    done = checkpoint(directory)["iteration"]
    assert numbers(directory)[:5] == numbers(whole)[:done]


def test_a_second_request_ends_a_run_at_once_and_is_no_failure(tmp_path, monkeypatch):
    begin(tmp_path / "run", 1, of=5)

    def asked_twice(*_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer.Trainer, "step", asked_twice)
        resume(tmp_path / "run")
    assert meta(tmp_path / "run")["status"] == "interrupted"
    assert len(numbers(tmp_path / "run")) == checkpoint(tmp_path / "run")["iteration"] == 1


# What is refused, and what is not


def tree(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_finished_run_is_never_touched_unless_asked(tmp_path):
    directory = tmp_path / "run"
    go(directory, iterations=2)
    before = tree(directory)
    with pytest.raises(UserError, match="already holds a finished run: --overwrite starts again, --out goes elsewhere"):
        go(directory, iterations=2)
    assert tree(directory) == before
    again = resume(directory)
    assert again.finished
    assert again.message == f"Already finished: {directory}"
    assert tree(directory) == before
    assert go(directory, iterations=1, overwrite=True).finished
    assert len(numbers(directory)) == checkpoint(directory)["iteration"] == 1


def test_an_unfinished_run_is_never_touched_unless_asked(tmp_path):
    begin(tmp_path / "run", 1, of=3)
    before = tree(tmp_path / "run")
    with pytest.raises(UserError, match="already holds an unfinished run: --resume continues it, --overwrite"):
        go(tmp_path / "run", iterations=3)
    assert tree(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"overrides": ("inner.lr=0.5",)}, r"inner\.lr is 0\.1 there, not 0\.5"),
        ({"overrides": ("seed=3", "inner.steps=2")}, r"seed is 1 there, not 3, inner\.steps is 1 there, not 2"),
        ({"algorithm": "lvc-vpg"}, "algorithm is promp there, not lvc-vpg"),
        ({"environment": "Toy1D"}, r"environment\.name is Navigation there, not Toy1D"),
        ({"profile": "quick"}, "profile is smoke there, not quick"),
        ({"overrides": ("iterations=1",)}, "has done 2 already"),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(tmp_path, asked, message):
    begin(tmp_path / "run", 2, of=3)
    before = tree(tmp_path / "run")
    with pytest.raises(UserError, match=message):
        launch(RunRequest(**asked), out=tmp_path / "run", threads=1, resume=True, overwrite=False)
    assert tree(tmp_path / "run") == before


def test_a_run_is_resumed_with_its_own_settings_named_again(tmp_path, whole):
    begin(tmp_path / "run", 2, of=5)
    request = RunRequest(
        algorithm="promp", environment="Navigation", profile="smoke", overrides=("inner.lr=0.1", "seed=1")
    )
    assert launch(request, out=tmp_path / "run", threads=2, resume=True, overwrite=False).finished
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize("finished", [True, False])
def test_more_iterations_extend_a_run(tmp_path, whole, finished):
    if finished:
        go(tmp_path / "run", iterations=2)
    else:
        begin(tmp_path / "run", 2, of=3)
    assert resume(tmp_path / "run", "iterations=5").finished
    assert load_config(tmp_path / "run" / "config.json").iterations == 5
    assert_same_run(whole, tmp_path / "run")


def test_an_unfinished_run_may_be_declared_finished(tmp_path):
    begin(tmp_path / "run", 2, of=9)
    assert resume(tmp_path / "run", "iterations=2").finished
    assert len(numbers(tmp_path / "run")) == 2


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_not_resumed(tmp_path, exists):
    directory = tmp_path / "run"
    if exists:
        directory.mkdir()
    with pytest.raises(UserError, match="holds no run to resume"):
        resume(directory)
    assert not exists or not list(directory.iterdir())
    assert directory.exists() == exists


def test_resume_and_overwrite_exclude_each_other(tmp_path):
    with pytest.raises(UserError, match="give one of them"):
        go(tmp_path / "run", resume=True, overwrite=True)
    assert not (tmp_path / "run").exists()


def test_settings_that_do_not_exist_leave_no_directory(tmp_path):
    for overrides in (("inner.lrr=1",), ("inner.estimator=lvx",), ("environment.variant=x",), ("algorithm=dice",)):
        with pytest.raises(UserError):
            go(tmp_path / "run", *overrides)
    assert not (tmp_path / "run").exists()


def test_a_start_is_kept_when_a_run_is_resumed(tmp_path):
    begin(tmp_path / "run", 1, of=2)
    path = tmp_path / "run" / "meta.json"
    path.write_text(json.dumps(meta(tmp_path / "run") | {"start": "2001-01-01T00:00:00+00:00"}))
    resume(tmp_path / "run")
    assert meta(tmp_path / "run")["start"] == "2001-01-01T00:00:00+00:00"
    assert meta(tmp_path / "run")["end"] > "2020"


def test_a_run_that_changes_its_device_says_so(tmp_path):
    begin(tmp_path / "run", 1, of=2)
    path, said = tmp_path / "run" / "meta.json", list[str]()
    assert meta(tmp_path / "run")["device"] == "cpu"
    path.write_text(json.dumps(meta(tmp_path / "run") | {"device": "cuda"}))
    assert resume(tmp_path / "run", tell=said.append).finished
    assert said == ["The run was on cuda and goes on on cpu, which rounds otherwise. meta.json records it."]
    assert meta(tmp_path / "run")["device"] == "cpu"


# Runs that fail


@pytest.mark.parametrize("override", ["inner.lr=1e38", "outer.lr=1e38"])
@pytest.mark.parametrize("environment", ["Navigation", "HalfCheetahFwdBack"])
def test_numbers_that_are_not_finite_end_a_run(tmp_path, metarl, environment, override):
    directory = tmp_path / "run"
    smoke = ("train", "--env", environment, "--profile", "smoke", "--iterations", 1, "--out", directory)
    ended = metarl(*smoke, "--set", override)
    assert ended.code == 1
    (message,) = [line for line in ended.err.splitlines() if not line.startswith("iteration ")]
    assert message.startswith("Error: the run failed: iteration 0: ")
    assert "not finite" in message
    assert meta(directory)["status"] == "failed"
    assert not (directory / "DONE").exists()


# The directory


def test_the_default_directory_is_named_after_the_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert go(None, "seed=4", iterations=1).finished
    (progress,) = tmp_path.rglob("progress.csv")
    expected = Path("results/local/smoke/train/promp/Navigation/seed4")
    assert progress.parent.relative_to(tmp_path) == expected
    assert default_directory(load_config(progress.with_name("config.json"))) == expected


def test_a_saved_configuration_is_the_one_that_ran(tmp_path):
    go(tmp_path / "run", "inner.lr=0.05", "policy.hidden=7,5", iterations=1)
    settings = settable_keys(load_config(tmp_path / "run" / "config.json"))
    assert (settings["inner.lr"], settings["policy.hidden"]) == (0.05, (7, 5))
    assert checkpoint(tmp_path / "run")["theta"]["hidden1.weight"].shape == (5, 7)


@pytest.mark.parametrize("blocker", ["file", "file/below", "/proc/metarl", "/proc/self/metarl", "/dev/null"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, blocker):
    (tmp_path / "file").write_text("")
    place = Path(blocker) if blocker.startswith("/") else tmp_path / blocker
    with pytest.raises(UserError, match=r"Cannot write to .*Choose another --out"):
        go(place, iterations=1)


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"Cannot write to .*too long"):
        go(tmp_path / ("x" * 300), iterations=1)


def test_a_lock_ends_with_its_process(tmp_path):
    """A lock file that a killed process left behind stops nobody."""
    (tmp_path / ".lock").write_text("")
    with runs.exclusive(tmp_path), pytest.raises(UserError, match="still going"), runs.exclusive(tmp_path):
        pass
    with runs.exclusive(tmp_path):
        pass
    assert os.path.exists(tmp_path / ".lock")
