"""Whether the second order is on: by a derivative that knows no autograd, and where it is switched off or broken."""

from __future__ import annotations

import json

import pytest

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.studies import second_order as study
from metarl_cli.training import adaptation


def settings(path, algorithm, **others):
    document = {"algorithm": algorithm, "environment": {"name": "Navigation"}, "profile": "smoke", **others}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def asked(metarl, path):
    ended = metarl("check", "second-order", path, "--json")
    return ended.code, {row["quantity"]: row["value"] for row in json.loads(ended.out)}


FIRST_ORDER = {"sgmrl", "trpo-fmaml"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_is_on_in_every_algorithm_that_does_not_leave_it_out(metarl, tmp_path, algorithm):
    code, found = asked(metarl, settings(tmp_path / "run.json", algorithm))
    assert code == 0
    assert found["second order"] == (study.OFF if algorithm in FIRST_ORDER else study.ON)
    assert found["slope with second order"] == pytest.approx(found["slope by central differences"], rel=1e-3)
    contribution = found["slope with second order"] - found["slope without"]
    assert contribution == pytest.approx(found["‖∇J − ∇J₁‖"]) and contribution > 1e-3


def test_two_steps_and_a_trained_run(metarl, tmp_path):
    run = tmp_path / "run"
    trained = metarl("train", "--env", "Navigation", "--profile", "smoke", "--set", "inner.steps=2", "--out", run, "-q")
    assert trained.code == 0
    assert asked(metarl, run)[1]["second order"] == study.ON


def test_a_step_that_moves_nothing_has_none(metarl, tmp_path):
    assert asked(metarl, settings(tmp_path / "run.json", "promp", inner={"lr": 1e-30}))[1]["second order"] == study.OFF


@pytest.mark.parametrize("algorithm", ["promp", "dice-vpg", "tmaml"])
def test_a_first_order_run_has_none_with_or_without_a_magic_box(metarl, tmp_path, algorithm):
    path = settings(tmp_path / "run.json", algorithm, inner={"first_order": True})
    assert asked(metarl, path)[1]["second order"] == study.OFF


def test_half_a_second_order_is_wrong(metarl, tmp_path, monkeypatch):
    whole = adaptation.InnerStep.product

    def half(step, vector, value=None):
        return {name: 0.5 * (part + vector[name]) for name, part in whole(step, vector, value).items()}

    monkeypatch.setattr(adaptation.InnerStep, "product", half)
    code, found = asked(metarl, settings(tmp_path / "run.json", "promp"))
    assert (code, found["second order"]) == (1, study.WRONG)


def test_mistakes_are_named(metarl, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no run" in metarl("check", "second-order", tmp_path / "empty").err
    assert metarl("check", "second-order", tmp_path / "none.json").code == 2


def test_a_run_that_is_not_there_is_named_with_the_nearest(metarl, tmp_path):
    (tmp_path / "mine").mkdir()
    ended = metarl("check", "second-order", tmp_path / "min")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"Error: {tmp_path / 'min'} is no directory of a run, nor ")
    assert "Did you mean 'mine'?" in ended.err
