"""The example of an environment of one's own: checked, trained on and tested on fresh tasks, as its docstring says."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from metarl_cli.envs.own import inspected

REACH = f"{Path(__file__).parents[2] / 'examples' / 'reach.py'}:Reach"


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    inspected.cache_clear()


def rows_of(run):
    with (run / "progress.csv").open() as file:
        return list(csv.DictReader(file))


def test_it_is_checked_trained_on_and_tested(metarl, tmp_path):
    done = metarl("check", "env", REACH, "--json")
    assert done.code == 0 and {row["result"] for row in json.loads(done.out)} == {"ok"}

    run = tmp_path / "run"
    command = ("train", "--env", REACH, "--profile", "smoke", "--out", run, "-q")
    assert metarl(*command, "--iterations", 3).code == 0
    assert json.loads((run / "config.json").read_text())["environment"]["name"].startswith(f"{REACH}@")
    assert json.loads((run / "config.json").read_text())["sampling"]["horizon"] == 20
    rows = rows_of(run)
    assert len(rows) == 3 and all(-60.0 < float(row["return/post"]) < 0.0 for row in rows)
    assert all(0.0 <= float(row["success/post"]) <= 1.0 for row in rows)

    done = metarl("evaluate", run, "--tasks", 5, "--json")
    assert [row["step"] for row in json.loads(done.out)] == [0, 1] and "success" in json.loads(done.out)[0]


def test_it_is_interrupted_and_resumed_to_the_same_numbers(metarl, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train = ("train", "--env", REACH, "--profile", "smoke", "-q", "--iterations")
    assert metarl(*train, 3, "--out", whole).code == metarl(*train, 1, "--out", parts).code == 0
    assert metarl("train", "--resume", "--out", parts, "--iterations", 3, "-q").code == 0
    assert [row["return/post"] for row in rows_of(whole)] == [row["return/post"] for row in rows_of(parts)]


def test_it_is_drawn_as_it_draws_itself(metarl, tmp_path):
    assert metarl("train", "--env", REACH, "--profile", "smoke", "--iterations", 1, "--out", tmp_path, "-q").code == 0
    assert metarl("render", tmp_path).code == 0
    picture = imread(tmp_path / "render.png")[..., :3]
    blue, orange = (np.abs(picture - np.array(c) / 255.0).max(-1) < 0.02 for c in ((0, 114, 178), (213, 94, 0)))
    assert blue.sum() > 100 and orange.sum() > 100


def test_its_gradients_are_measured(metarl, tmp_path):
    out = ("--out", tmp_path / "variance")
    done = metarl("variance", "--env", REACH, "--profile", "smoke", "--estimators", "lvc,dice", "--json", "-q", *out)
    assert done.code == 0 and {row["estimator"] for row in json.loads(done.out)} == {"lvc", "dice"}


def test_mistakes_are_messages(metarl, tmp_path):
    for given, message in (("Reech", "Did you mean 'Reach'?"), ("", "names no environment")):
        done = metarl("train", "--env", f"{REACH.removesuffix('Reach')}{given}", "--out", tmp_path / "run")
        assert done.code == 2 and "Traceback" not in done.err and not (tmp_path / "run").exists()
        assert message in done.err
