"""`metarl check env`: what is right passes every check, and what is wrong in one thing fails at that one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from metarl_cli.envs import ENVIRONMENTS
from metarl_cli.envs.checks import CHECKS, FAILS, NOTE, OK, check
from metarl_cli.envs.own import inspected

CASES = str(Path(__file__).parent / "own_cases.py")


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    inspected.cache_clear()


def results(name):
    return {row["check"]: row["result"] for row in check(name)}


@pytest.mark.parametrize("name", [f"{CASES}:{kind}" for kind in ("Line", "Lines", "Objects", "wrapped")])
def test_an_environment_that_is_right_passes(name):
    found = results(name)
    assert list(found) == ["interface", *CHECKS] and FAILS not in found.values()
    assert found["success"] == (OK if name.endswith("Objects") else NOTE)


@pytest.mark.parametrize("name", [n for n, spec in ENVIRONMENTS.items() if spec.observation_size < 50])
def test_the_built_in_ones_pass(name):
    found = results(name)
    assert list(found) == ["interface", *CHECKS] and FAILS not in found.values()


WRONG = {
    "OwnDice": ("sampling tasks", "two generators of one seed draw other tasks"),
    "Picky": ("same spaces", "Picky: set_task raised ValueError: too far left"),
    "Stretches": ("same spaces", "observation_space is Box"),
    "Forgets": ("seeding", "two environments of one seed differ"),
    "Hysteresis": ("task alone", "the third rollout is not the first"),
    "Deaf": ("task matters", "8 tasks give the same rewards and observations"),
    "Leaks": ("side by side", "the task of one environment changes what another does"),
    "NanReward": ("finite", "the reward of step 3 is nan"),
    "Huge": ("finite", "no float32"),
    "Leaves": ("in the space", "entry 0 of an observation is"),
    "Restless": ("ends", "a reset with the same seed after an episode begins elsewhere"),
    "NoMode": ("ends", "metadata['autoreset_mode'] is None, no AutoresetMode"),
    "Superstitious": ("arrays", "reset raised RuntimeError: not this one"),
    "SameArray": ("arrays", "an observation changes after it was returned"),
    "SameArrayInStep": ("arrays", "an observation changes after it was returned"),
    "Verbose": ("Gymnasium's checker", "AssertionError"),
    "Unpicklable": ("pickling", "local object"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found_where_it_is_with_the_remedy(name):
    rows = {row["check"]: row for row in check(f"{CASES}:{name}")}
    where, found = WRONG[name]
    assert found.lower() in rows[where]["found"].lower()
    assert rows[where]["result"] == (NOTE if name == "Unpicklable" else FAILS)
    assert rows[where]["remedy"] == CHECKS[where].remedy


def test_tasks_that_cannot_be_compared_are_no_fault():
    rows = {row["check"]: row for row in check(f"{CASES}:Functions")}
    noted = {where for where, row in rows.items() if "tasks cannot be compared" in row["found"]}
    assert noted == {"sampling tasks", "side by side"} and {rows[where]["result"] for where in noted} == {NOTE}
    assert FAILS not in {row["result"] for row in rows.values()}


def test_what_is_missing_and_its_remedy_stand_apart():
    (row,) = check(f"{CASES}:Dictionary")
    assert row["found"].endswith("expected a Box of one dimension") and row["remedy"].startswith("wrap the environment")


def test_every_check_has_something_that_fails_it():
    assert {where for where, _ in WRONG.values()} == set(CHECKS) - {"success"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NoTasks", ["sample_tasks", "set_task"]),
        ("NoSetTasks", ["set_tasks"]),
        ("Buttons", ["action space"]),
        ("Image", ["observation space"]),
        ("Breaks", ["first step"]),
        ("TooFew", ["first step"]),
        ("Forever", ["first step"]),
    ],
)
def test_what_cannot_be_tried_at_all_says_what_is_missing(name, expected):
    rows = check(f"{CASES}:{name}")
    assert [row["check"] for row in rows] == expected
    assert all(row["result"] == FAILS and row["found"] and row["remedy"] for row in rows)


def test_the_command(metarl):
    done = metarl("check", "env", f"{CASES}:Line", "--json")
    assert done.code == 0 and [row["check"] for row in json.loads(done.out)] == ["interface", *CHECKS]
    done = metarl("check", "env", f"{CASES}:Deaf")
    assert done.code == 1 and "let the reward or the dynamics depend on the task" in done.out
    done = metarl("check", "env", f"{CASES}:Lime")
    assert done.code == 2 and "Did you mean 'Line'?" in done.err
    done = metarl("check", "env", "Toy1")
    assert done.code == 2 and "Did you mean 'Toy1D'?" in done.err
