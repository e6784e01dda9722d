"""What `check update` says of a run's next update is what training then does; one that is too long is found."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from metarl_cli.studies.meta_update import LENGTHS, meta_update
from metarl_cli.training.build import OPTIMIZERS

NAMES = ["loss/before", "loss/after", "kl/pre", "kl/post"]


def trained(metarl, out, *settings):
    ended = metarl("train", "--env", "Navigation", "--profile", "smoke", *settings, "--out", out, "--quiet")
    assert ended.code == 0, ended.err
    return out


def asked(metarl, path):
    ended = metarl("check", "update", path, "--json")
    return ended.code, json.loads(ended.out)


@pytest.mark.parametrize("algorithm", ["promp", "trpo-emaml", "vpg-maml", "dice-vpg"])
def test_its_own_update_is_the_one_that_training_makes_next(metarl, tmp_path, algorithm):
    run = trained(metarl, tmp_path / "run", "--algo", algorithm, "--set", "inner.steps=2")
    own, rows = meta_update(run)
    assert asked(metarl, run)[1] == rows
    longer = shutil.copytree(run, tmp_path / "longer")
    assert metarl("train", "--resume", "--iterations", 3, "--out", longer, "--quiet").code == 0
    following = pd.read_csv(longer / "progress.csv").iloc[2]
    assert {name: own[name] for name in NAMES} == pytest.approx({name: following[name] for name in NAMES}, abs=1e-12)
    length = "outer.max_kl" if algorithm == "trpo-emaml" else "outer.lr"
    ours = json.loads((run / "config.json").read_text())["outer"]
    assert own[length] == ours[length.removeprefix("outer.")]
    assert [row[length] / own[length] for row in rows[-3:]] == pytest.approx([0.5, 0.3, 0.1])
    assert rows.index(own) == len(rows) - 4


def test_every_optimiser_has_a_length():
    assert set(LENGTHS) == set(OPTIMIZERS)


def test_an_update_with_too_long_steps_is_found(metarl, tmp_path):
    settings = {"algorithm": "promp", "environment": {"name": "Navigation"}, "profile": "smoke"}
    codes = {}
    for rate in (1e-4, 10.0):
        path = tmp_path / f"rate{rate}.json"
        path.write_text(json.dumps({**settings, "outer": {"lr": rate}}), encoding="utf-8")
        codes[rate], rows = asked(metarl, path)
        assert [row.get("outer.gradient_steps") for row in rows] == [1, 2, 3, 4, 5, 5, 5, 5]
        ended = metarl("check", "update", path)
        own = rows[4]
        assert ("no lower loss" in ended.out) == (own["loss/after"] >= own["loss/before"]) == (ended.code == 1)
    assert codes == {1e-4: 0, 10.0: 1}


def test_a_mistake_is_named(metarl, tmp_path):
    assert "is no directory of a run" in metarl("check", "update", tmp_path / "none").err
    (tmp_path / "empty").mkdir()
    assert "holds no run" in metarl("check", "update", tmp_path / "empty").err
