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


def asked(metarl, path, *options):
    ended = metarl("check", "update", path, *options, "--json")
    return ended.code, json.loads(ended.out)


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("promp", ["inner.steps=2"]),
        ("promp", ["outer.kl_target=0.01", "outer.kl_coefficient=50"]),  # a penalty that has halved
        ("trpo-emaml", ["inner.steps=2"]),
        ("vpg-maml", ["inner.steps=2"]),
        ("dice-vpg", ["inner.steps=2"]),
    ],
)
def test_its_own_update_is_the_one_that_training_makes_next(metarl, tmp_path, algorithm, settings):
    run = trained(metarl, tmp_path / "run", "--algo", algorithm, *(word for one in settings for word in ("--set", one)))
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
        assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 5, 5, 5]
        ended = metarl("check", "update", path)
        own = rows[4]
        assert ("no lower loss" in ended.out) == (own["loss/after"] >= own["loss/before"]) == (ended.code == 1)
    assert codes == {1e-4: 0, 10.0: 1}


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        ("promp", ["outer.lr=0.05", "outer.gradient_steps=3", "outer.kl_coefficient=0.5", "outer.optimizer=sgd"]),
        ("promp", ["outer.optimizer=trpo", "outer.objective=ratio", "outer.max_kl=0.2"]),
        ("trpo-emaml", ["outer.optimizer=adam", "outer.gradient_steps=2", "outer.exploration=none"]),
    ],
)
def test_another_outer_step_is_the_one_that_training_with_it_makes(metarl, tmp_path, algorithm, changes):
    """Of a run that has not begun, so that nothing is remembered."""
    options = [word for change in changes for word in ("--set", change)]
    base = trained(metarl, tmp_path / "base", "--algo", algorithm)
    changed = trained(metarl, tmp_path / "changed", "--algo", algorithm, *options)
    own, _ = meta_update(base / "config.json", changes)
    first = pd.read_csv(changed / "progress.csv").iloc[0]
    assert {name: own[name] for name in NAMES} == pytest.approx({name: first[name] for name in NAMES}, abs=1e-12)


def test_what_another_optimiser_or_penalty_remembers_begins_anew_and_the_rest_goes_on(metarl, tmp_path):
    run = trained(metarl, tmp_path / "run", "--algo", "promp", "--set", "outer.kl_target=0.01")
    own, _ = meta_update(run)
    assert meta_update(run, ["outer.max_kl=0.5", "outer.kl_coefficient=0.0005"]).own == own
    assert meta_update(run, ["outer.kl_coefficient=50"]).own["loss/after"] != own["loss/after"]
    bounded = meta_update(run, ["outer.optimizer=trpo", "outer.objective=ratio", "outer.kl_target=0"])
    assert [row["outer.max_kl"] for row in bounded.rows] == pytest.approx([0.01, 0.005, 0.003, 0.001])
    region = trained(metarl, tmp_path / "region", "--algo", "trpo-emaml")
    assert len(meta_update(region, ["outer.optimizer=adam", "outer.gradient_steps=2"]).rows) == 5
    assert len(meta_update(region, ["outer.optimizer=adam", "outer.objective=clipped"]).rows) == 4
    ended = metarl("check", "update", run, "--set", "outer.lr=0.5")
    assert "The update with these settings ends with" in ended.out


def test_a_mistake_is_named(metarl, tmp_path):
    run = trained(metarl, tmp_path / "run", "--algo", "promp")
    ended = metarl("check", "update", run, "--set", "outer.lr=0.1", "--set", "inner.lr=0.2")
    assert ended.code == 2 and "--set inner.lr=0.2 is not of the outer step" in ended.err
    ended = metarl("check", "update", run, "--set", "outer.objektive=clipped")
    assert ended.code == 2 and "Did you mean 'outer.objective'" in ended.err
    ended = metarl("check", "update", run, "--set", "outer.objective=kliped")
    assert ended.code == 2 and "clipped" in ended.err
    assert "is no directory of a run" in metarl("check", "update", tmp_path / "none").err
    (tmp_path / "empty").mkdir()
    assert "holds no run" in metarl("check", "update", tmp_path / "empty").err
