"""Runs on an environment of the user's own, when its file changes between two commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

CASES = (Path(__file__).parents[1] / "envs" / "own_cases.py").read_text(encoding="utf-8")


@pytest.fixture
def begun(metarl, tmp_path, monkeypatch):
    """A run of one iteration, and a function that gives its environment another code."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of a file may have one size and one second
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_line", raising=False)

    def edit(old, new):
        Path("own_line.py").write_text(CASES.replace(old, new))
        monkeypatch.delitem(sys.modules, "own_line")

    Path("own_line.py").write_text(CASES)
    size = ("--set", "sampling.tasks=2", "--set", "sampling.trajectories=2", "--set", "sampling.horizon=3")
    begin = ("train", "--env", "own_line.py:Line", "--iterations", 1, *size, "--out", "run", "--quiet")
    assert metarl(*begin).code == 0
    return begin, edit


def settings():
    return json.loads(Path("run/config.json").read_text())


def test_a_run_goes_on_with_the_same_code_only(metarl, begun):
    begin, edit = begun
    more = ("train", "--resume", "--out", "run", "--quiet", "--iterations")
    assert metarl(*more, 2, "--env", "own_line.py:Line").code == 0
    before = {path: path.read_bytes() for path in Path("run").iterdir() if path.name != "meta.json"}
    edit("return -float", "return -2.0 * float")
    from_file = ("train", "--config", "run/config.json", "--resume", "--out", "run", "--quiet")
    for refused in (metarl(*more, 3), metarl(*more, 3, "--env", "own_line.py:Line"), metarl(*from_file)):
        assert refused.code == 2 and "The code of own_line.py:Line is not what it was" in refused.err
        assert "--overwrite" in refused.err
    assert {path: path.read_bytes() for path in before} == before
    first = settings()["environment"]["name"]
    assert metarl(*begin, "--overwrite").code == 0
    assert settings()["environment"]["name"] != first


def test_a_policy_is_tested_on_the_code_that_there_is_and_that_is_said(metarl, begun):
    _, edit = begun
    test = ("evaluate", "run", "--tasks", 2)
    same = metarl(*test)
    assert same.code == 0 and "is not that which" not in same.err
    edit("return -float", "return 100.0 - float")
    other = metarl(*test)
    assert other.code == 0 and "The code of own_line.py:Line is not that which run was trained with" in other.err
    assert other.out != same.out
