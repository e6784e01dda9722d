"""Directories, disks and numbers that are not as a run expects them: said, never believed, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from run_cases import assert_same_run, begin, go, iterations_done, meta, numbers, resume

from metarl_cli.envs.vector import TaskVectorEnv
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.runs import checkpoints
from metarl_cli.runs import directory as runs
from metarl_cli.store import write_whole
from metarl_cli.terminal import say, training_display
from metarl_cli.training.trainer import Trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    go(directory, iterations=4)
    return directory


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("unfinished") / "run"
    begin(directory, 3, of=4)
    return directory


def copied(source, target):
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.fixture
def run(tmp_path, unfinished):
    """A run that was stopped after 3 of 4 iterations."""
    return copied(unfinished, tmp_path / "run")


def tree(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != ".lock"}


# progress.csv


def table(content):
    return [line.split(b",") for line in content.splitlines()]


def text(lines):
    return b"".join(b",".join(line) + b"\n" for line in lines)


def with_cell(row, column, value):
    def change(lines):
        lines[row][column] = value
        return lines

    return change


WRONG = {
    "renamed": (with_cell(0, 5, b"return/best"), r"column \S+ is missing and column 'return/best' is unknown"),
    "dropped": (lambda lines: [line[:3] + line[4:] for line in lines], "column wall_seconds is missing"),
    "extra": (lambda lines: [[*line, b"1"] for line in lines], "column '1' is unknown"),
    "reordered": (lambda lines: [line[::-1] for line in lines], "in another order"),
    "repeated column": (lambda lines: [[*line, line[-1]] for line in lines], "in another order, or twice"),
    "swapped rows": (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "row 1: iteration is '1', expected 0"),
    "repeated row": (lambda lines: [*lines[:2], lines[1], lines[3]], "row 2: iteration is '0', expected 1"),
    "a row lost": (lambda lines: [*lines[:2], lines[3]], r"has 2 of the 3 rows"),
    "all rows lost": (lambda lines: lines[:1], r"has 0 of the 3 rows"),
    "empty": (lambda lines: [], "has 0 of the 3 rows|column iteration is missing|is missing"),
    "short row": (lambda lines: [*lines[:2], lines[2][:5], lines[3]], "row 2: 5 cells, expected"),
    "nan": (with_cell(1, 4, b"nan"), "row 1: return/pre is 'nan', expected a finite number"),
    "inf": (with_cell(1, 4, b"-inf"), "row 1: return/pre is '-inf', expected a finite number"),
    "too large": (with_cell(3, 4, b"1e999"), "row 3: return/pre is '1e999'"),
    "5,000 digits": (with_cell(3, 1, b"9" * 5000), "row 3: env_steps is '9999"),
    "a word": (with_cell(2, 4, b"abc"), "row 2: return/pre is 'abc'"),
    "blank": (with_cell(2, 4, b" "), "row 2: return/pre is ' '"),
    "nothing": (with_cell(2, 4, b""), "row 2: return/pre is ''"),
    "underscore": (with_cell(2, 1, b"1_0"), "row 2: env_steps is '1_0'"),
    "a byte": (with_cell(2, 4, b"-1.\xff5"), "row 2: return/pre is '-1."),
    "binary": (lambda lines: [[bytes(range(256))]], "is missing|rows"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_table_that_is_not_the_runs_own_is_refused(run, kind):
    change, message = WRONG[kind]
    path = run / "progress.csv"
    path.write_bytes(text(change(table(path.read_bytes()))))
    before = tree(run)
    with pytest.raises(UserError, match=message) as refused:
        resume(run)
    assert str(path) in str(refused.value)
    assert "--overwrite starts" in str(refused.value)
    assert tree(run) == before


@pytest.mark.parametrize("kind", ["nan", "a row lost", "renamed", "all rows lost"])
def test_a_finished_run_whose_table_is_damaged_is_not_finished(whole, tmp_path, kind):
    run = copied(whole, tmp_path / "run")
    change, _ = WRONG[kind]
    path = run / "progress.csv"
    path.write_bytes(text(change(table(path.read_bytes()))[:4]))
    with pytest.raises(UserError, match=r"progress\.csv"):
        resume(run)


def test_what_comes_after_the_last_checkpoint_is_not_looked_at(run, whole):
    with (run / "progress.csv").open("ab") as file:
        file.write(b"3,nan\n\xff\x00\n4,")
    assert resume(run).finished
    assert_same_run(run, whole)


@pytest.mark.parametrize("asked", [(), ("iterations=9",)])
def test_rows_without_any_checkpoint_are_not_thrown_away(run, asked):
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (run / name).unlink()
    before = tree(run)
    with pytest.raises(UserError, match="has 3 rows, but no checkpoint is there"):
        resume(run, *asked)
    assert len(numbers(run)) == 3
    assert tree(run) == before


@pytest.mark.parametrize("asked", [(), ("iterations=9",), ("iterations=2",)])
def test_a_published_run_is_finished_and_has_nothing_to_go_on_from(whole, tmp_path, asked):
    run = copied(whole, tmp_path / "run")
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (run / name).unlink()
    before = tree(run)
    if asked:
        with pytest.raises(UserError, match=r"has no checkpoint to go on from|has done 4 already"):
            resume(run, *asked)
    else:
        assert resume(run).message == f"Already finished: {run}"
    assert tree(run) == before


# meta.json


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"3",
        b"{}",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"start": "yesterday", "diverged_simulations": 0}',
        b'{"start": 3, "diverged_simulations": []}',
        b'{"start": "2001-01-01T00:00:00", "diverged_simulations": 0}',
        b'{"start": "2001-01-01T00:00:00+00:00", "diverged_simulations": ' + b"9" * 5000 + b"}",
    ],
    ids=range(12),
)
def test_a_broken_meta_never_blocks_a_run(run, whole, content):
    (run / "meta.json").write_bytes(content)
    assert resume(run).finished
    assert_same_run(run, whole)
    assert (meta(run)["status"], meta(run)["diverged_simulations"]) == ("finished", 0)
    assert meta(run)["start"] > "2020"


@pytest.mark.parametrize("count", [None, "null", '"many"', "1e999"])
def test_a_start_outlives_a_count_that_is_missing_or_cannot_be_read(run, whole, count):
    written = "" if count is None else f', "diverged_simulations": {count}'
    (run / "meta.json").write_text(f'{{"start": "2001-01-01T00:00:00+00:00"{written}}}')
    assert resume(run).finished
    assert_same_run(run, whole)
    assert (meta(run)["start"], meta(run)["diverged_simulations"]) == ("2001-01-01T00:00:00+00:00", 0)


def test_a_device_that_was_not_recorded_is_no_other(run):
    (run / "meta.json").write_text(json.dumps(meta(run) | {"device": None}))
    said = []
    assert resume(run, tell=said.append).finished
    assert said == []


def test_a_clock_that_was_set_back_makes_no_run_that_ends_before_it_starts(run):
    path = run / "meta.json"
    path.write_text(json.dumps(meta(run) | {"start": "2999-01-01T00:00:00+00:00"}))
    assert resume(run).finished
    assert meta(run)["start"] <= meta(run)["end"] < "2999"


# Starting over


class Killed(BaseException):
    pass


def dies_later(function, count):
    """The function until the count is over, then a kill."""

    def wrapper(*arguments, **options):
        if next(count, None) is None:
            raise Killed
        return function(*arguments, **options)

    return wrapper


@pytest.mark.parametrize("finished", [True, False])
def test_a_kill_while_starting_over_leaves_no_half_of_a_run(tmp_path, whole, unfinished, monkeypatch, finished):
    """At every name that is taken away or put there: what is left is the old run, no run, or the new one; never DONE
    beside less than all its rows."""
    seen = set()
    for place in range(0, 16, 1 if finished else 3):
        directory = copied(whole if finished else unfinished, tmp_path / f"run{place}")
        count = iter(range(place))
        with monkeypatch.context() as patch:
            for name in ("unlink", "replace"):
                patch.setattr(os, name, dies_later(getattr(os, name), count))
            with suppress(Killed):
                go(directory, "seed=2", iterations=4, overwrite=True)
        if (directory / "DONE").exists():
            assert len(numbers(directory)) == iterations_done(directory) == 4
        if not (directory / "config.json").exists():
            state = "no run"
            assert go(directory, "seed=2", iterations=4).finished
        else:
            seed = json.loads((directory / "config.json").read_text())["seed"]
            state = "the old run" if seed == 1 else "the new run"
            assert resume(directory).finished
        seen.add(state)
        if state == "the old run":
            assert_same_run(directory, whole)
        elif (directory / "DONE").exists():
            assert len(numbers(directory)) == 4
    assert seen == {"the old run", "no run", "the new run"}


# Links


@pytest.mark.parametrize(
    "name", ["checkpoint.pt", "meta.json", "progress.csv", "config.json", "checkpoint.previous.pt"]
)
@pytest.mark.parametrize("suffix", ["tmp", "{pid}.tmp"])
def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(run, tmp_path, name, suffix):
    target = tmp_path / "precious"
    target.write_text("mine")
    (run / f"{name}.{suffix.format(pid=os.getpid())}").symlink_to(target)
    assert resume(run, "iterations=5").finished
    assert target.read_text() == "mine"
    assert not list(run.glob("*.tmp"))


def test_a_link_in_the_place_of_the_lock_is_not_followed(run, tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    (run / ".lock").unlink(missing_ok=True)
    (run / ".lock").symlink_to(target)
    with pytest.raises(UserError, match="Cannot write to"):
        resume(run)
    assert target.read_text() == "mine"


def test_what_killed_processes_left_is_swept_away_and_nothing_else(tmp_path):
    (tmp_path / "checkpoint.pt.123.tmp").write_text("half of one")
    (tmp_path / "notes.tmp").write_text("of the user's own")
    (tmp_path / "old.tmp").mkdir()
    with runs.exclusive(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "notes.tmp", "old.tmp"}


def test_a_file_is_written_whole_past_a_link_in_the_place_of_its_temporary_one(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / f"table.csv.{os.getpid()}.tmp").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "table.csv", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"precious": "mine", "table.csv": "new"}


def test_a_file_that_cannot_be_written_leaves_the_one_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    write_whole(path, "old")
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fails(errno.ENOSPC))
            with pytest.raises(OSError, match=r"No space left on device: .*table\.csv"):
                write_whole(path, "new")
        assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("table.csv", "old")]


def test_a_file_that_is_written_whole_has_the_permissions_of_any_other(tmp_path):
    write_whole(tmp_path / "a", "")
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


# Disks


def fails(number):
    def raises(*arguments):
        raise OSError(number, os.strerror(number))

    return raises


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("calls", range(10))
def test_a_disk_that_fails_at_any_write_is_named_and_nothing_is_lost(run, whole, metarl, monkeypatch, number, calls):
    left = calls

    def fsync(descriptor):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        ended = metarl("train", "--resume", "--out", run, "--quiet")
    if ended.code:
        (line,) = ended.err.splitlines()
        assert ended.code in (1, 2)
        assert str(run) in line and os.strerror(number) in line
        assert not (run / "DONE").exists()
    assert iterations_done(run) in (3, 4)
    assert resume(run).finished
    assert_same_run(run, whole)


def command(*arguments, limit=None, **how):
    """The command in a process of its own, where no file may grow beyond the limit."""
    limited = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
    argv = [sys.executable, "-m", "metarl_cli", *map(str, arguments)]
    return subprocess.run(argv, text=True, check=False, timeout=120, stderr=subprocess.PIPE, preexec_fn=limited, **how)


def test_a_limit_on_the_size_of_files_is_one_message(run, whole):
    ended = command("train", "--resume", "--out", run, "--quiet", limit=50_000, stdout=subprocess.PIPE)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"Error: the run failed: {run}/checkpoint.pt: File too large. What was reached stays; "
        f"to continue: metarl train --resume --out {run}"
    ]
    assert meta(run)["status"] == "failed"
    assert resume(run).finished
    assert_same_run(run, whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_costs_no_run(run, whole, unbuffered):
    with open("/dev/full", "w") as full:
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        ended = command("train", "--resume", "--out", run, "--quiet", stdout=full, env=environment)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: ") and "No space left on device" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert_same_run(run, whole)
    assert (run / "DONE").exists()


def test_a_terminal_that_is_gone_costs_no_run(tmp_path, whole, monkeypatch):
    class Gone:
        encoding = "utf-8"

        def write(self, text):
            raise OSError(errno.EIO, "Input/output error")

        def isatty(self):
            return False

        flush = write

    monkeypatch.setattr(sys, "stderr", Gone())
    with training_display() as show:
        assert go(tmp_path / "run", iterations=4, on_row=show, tell=say).finished
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_has_enough_is_no_failure(unbuffered):
    pipeline = f"{sys.executable} -m metarl_cli list claims --json | head -1; exit ${{PIPESTATUS[0]}}"
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    ended = subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, env=environment, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[\n", "")


@pytest.mark.parametrize(("during", "replaced"), [("step", False), ("step", True), ("save", False)])
def test_a_directory_that_is_moved_while_a_run_is_going_can_go_on_there(
    run, whole, tmp_path, monkeypatch, during, replaced
):
    """Also if another run has begun in its old place by then: nothing of its numbers is touched."""
    owner = Trainer if during == "step" else checkpoints
    go_on = getattr(owner, during)

    def move_and_go_on(*arguments):
        monkeypatch.undo()
        run.rename(tmp_path / "moved")
        if replaced:
            copied(whole, run)
        return go_on(*arguments)

    monkeypatch.setattr(owner, during, move_and_go_on)
    with pytest.raises(RunFailedError, match=rf"{run} was moved or replaced. --resume continues it where it is now"):
        resume(run)
    if replaced:
        assert {n: b for n, b in tree(run).items() if n != "meta.json"} == {
            n: b for n, b in tree(whole).items() if n != "meta.json"
        }
    assert resume(tmp_path / "moved").finished
    assert_same_run(tmp_path / "moved", whole)


def test_a_directory_whose_lock_is_held_is_left_alone(run):
    before = tree(run)
    with runs.exclusive(run), pytest.raises(UserError, match="belongs to a run that is still going"):
        resume(run)
    assert tree(run) == before


# Numbers


def message_of(metarl, *arguments):
    ended = metarl("train", *arguments)
    lines = [line for line in ended.err.splitlines() if not line.startswith("iteration ")]
    return ended.code, "\n".join(lines)


@pytest.mark.parametrize("algorithm", ["promp", "tmaml-ppo", "lvc-ppo"])
@pytest.mark.parametrize("environment", ["HalfCheetahFwdBack", "AntRandGoal"])
def test_a_penalty_that_overflows_ends_a_run_before_its_moments_do(tmp_path, metarl, algorithm, environment):
    asked = ("--algo", algorithm, "--env", environment, "--profile", "smoke", "--iterations", 20, "--out", tmp_path)
    code, said = message_of(metarl, *asked, "--set", "outer.kl_coefficient=1e30", "--set", "sampling.horizon=10")
    assert code == 1
    three_of_seven = r"optimiser's v\.[^,]+, [^,]+, [^,]+ and 4 more"
    assert re.match(rf"Error: the run failed: iteration \d+: not finite: {three_of_seven}\. ", said)
    assert re.search(r"The last good checkpoint, after \d+ iterations, is .*checkpoint\.pt|no checkpoint yet", said)
    assert meta(tmp_path)["status"] == "failed"
    assert not (tmp_path / "DONE").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("step", [0, 7])
def test_a_reward_that_is_not_finite_is_named(run, metarl, monkeypatch, value, step):
    taken = 0
    honest = TaskVectorEnv.step

    def poisoned(env, actions):
        nonlocal taken
        observations, rewards, *rest = honest(env, actions)
        rewards = np.where(np.arange(len(rewards)) == (1 if taken == step else -1), value, rewards)
        taken += 1
        return observations, rewards, *rest

    monkeypatch.setattr(TaskVectorEnv, "step", poisoned)
    code, said = message_of(metarl, "--resume", "--out", run)
    assert (code, said) == (
        1,
        f"Error: the run failed: iteration 3: the environment's reward at step {step} is not finite. "
        f"The last good checkpoint, after 3 iterations, is {run}/checkpoint.pt.",
    )
    assert meta(run)["status"] == "failed"
    assert iterations_done(run) == 3


def test_an_observation_that_is_not_finite_is_named(run, metarl, monkeypatch):
    honest = TaskVectorEnv.step

    def poisoned(env, actions):
        observations, *rest = honest(env, actions)
        return observations * np.nan, *rest

    monkeypatch.setattr(TaskVectorEnv, "step", poisoned)
    assert (
        "iteration 3: the environment's observations are not finite." in message_of(metarl, "--resume", "--out", run)[1]
    )


def test_a_matrix_that_cannot_be_inverted_is_a_failed_run(run, monkeypatch):
    def singular(trainer, state, rounds):
        return torch.linalg.inv(torch.zeros(2, 2))

    monkeypatch.setattr(Trainer, "step", singular)
    with pytest.raises(RunFailedError, match=r"iteration 3: .*singular.* The last good checkpoint, after 3"):
        resume(run)
