from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from run_cases import assert_same_run, go, numbers

from metarl_cli.config import RunConfig, config_text, load_config
from metarl_cli.errors import UserError
from metarl_cli.papers.settings import run_config
from metarl_cli.runs.launch import RunRequest, default_directory, launch
from metarl_cli.runs.settings_file import read_settings


def written(path, text):
    path.write_text(text)
    return path


def test_what_a_file_leaves_out_is_the_algorithms_own(tmp_path):
    toml = 'algorithm = "tmaml"\nprofile = "quick"\nenvironment.name = "Navigation"\ninner.lr = 0.05\nseed = 4\n'
    own = run_config("tmaml", "Navigation", profile="quick")
    wanted = replace(own, seed=4, inner=replace(own.inner, lr=0.05))
    assert read_settings(written(tmp_path / "run.toml", toml)) == wanted
    document = {"algorithm": "tmaml", "profile": "quick", "environment": {"name": "Navigation"}, "inner": {"lr": 0.05}}
    assert read_settings(written(tmp_path / "run.json", json.dumps(document | {"seed": 4}))) == wanted
    assert read_settings(written(tmp_path / "none.json", "{}")) == run_config(
        "promp", "HalfCheetahFwdBack", profile="paper"
    )


def test_a_file_may_name_an_algorithm_by_its_path(tmp_path):
    (tmp_path / "mine.toml").write_text('inner = "lvc"\nouter = "vpg"\noptimizer = "adam"\n')
    document = {"algorithm": str(tmp_path / "mine.toml"), "environment": {"name": "Navigation"}, "profile": "smoke"}
    config = read_settings(written(tmp_path / "run.json", json.dumps(document)))
    assert config == run_config(document["algorithm"], "Navigation", profile="smoke")
    assert default_directory(config).parent.parent.name == "mine.toml" and not default_directory(config).is_absolute()


@pytest.mark.parametrize("schema", [None, 1, 2])
def test_the_config_of_a_run_is_such_a_file(tmp_path, monkeypatch, schema):
    config = replace(run_config("promp-taypo2", "PointCorner", profile="smoke"), label="mine", seed=7)
    document = json.loads(config_text(config))
    if schema != 2:
        del document["schema"], document["inner"]["average"], document["inner"]["dependence"]
        config = replace(config, inner=replace(config.inner, average="steps"))
    if schema == 1:
        document["schema"] = 1
    path = written(tmp_path / "config.json", json.dumps(document))
    assert read_settings(path) == load_config(path) == config
    monkeypatch.setattr(sys, "stdin", io.StringIO(path.read_text()))
    assert read_settings(Path("-")) == config


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"inner": {"lrr": 1}}', r"setting in .*a\.json 'inner\.lrr'.*Did you mean 'inner\.lr'"),
        ("a.toml", "iner.lr = 1", r"setting in .*a\.toml 'iner'.*Did you mean 'inner"),
        ("a.json", '{"inner.lr": 0.3}', r"a\.json: inner\.lr is lr in the table inner"),
        ("a.json", '{"environment.name": {}}', r"a\.json: environment\.name is name in the table environment"),
        ("a.toml", '"inner.lr" = 0.3', r"a\.toml: inner\.lr is lr in the table inner"),
        ("a.json", '{"iner": {}}', r"setting in .*a\.json 'iner'"),
        ("a.json", '{"inner": {"lr": -1}}', r"a\.json: inner\.lr: .*greater than 0"),
        ("a.toml", "seed = 1979-05-27", r"a\.toml: seed: .*integer"),
        ("a.json", '{"algorithm": "prom"}', r"a\.json: Unknown algorithm 'prom'. Did you mean 'promp'"),
        ("a.json", '{"environment": {"name": "Navigaton"}}', r"a\.json: Unknown environment .*'Navigation'"),
        ("a.json", '{"profile": "quik"}', r"a\.json: Unknown profile 'quik'. Did you mean 'quick'"),
        ("a.json", '{"schema": 99}', r"a\.json is of schema 99"),
        ("a.json", "[1]", r"a\.json: expected a table of settings"),
        ("a.json", "{", r"a\.json is not valid JSON"),
        ("a.json", "[" * 100_000, r"a\.json is not valid JSON"),
        ("a.json", '{"seed": ' + "9" * 5000 + "}", r"a\.json is not valid JSON|a\.json: seed"),
        ("a.toml", "seed = ", r"a\.toml is not valid TOML"),
        ("a.yaml", "", r"a\.yaml: expected FILE\.json, FILE\.toml"),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path, name, text, message):
    with pytest.raises(UserError, match=message):
        read_settings(written(tmp_path / name, text))


@pytest.mark.parametrize("name", ["none.json", "folder.toml"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UserError, match=f"Cannot read .*{name}"):
        read_settings(tmp_path / name)


@pytest.mark.parametrize("flag", [("--algo", "promp"), ("--env", "Navigation"), ("--profile", "smoke")])
def test_a_file_says_alone_which_run_it_is(metarl, tmp_path, flag):
    path = written(tmp_path / "run.json", "{}")
    code, _, err = metarl("train", "--config", path, *flag, "--out", tmp_path / "run")
    assert (code, f"leave out {' '.join(flag)}" in err) == (2, True)
    assert not (tmp_path / "run").exists()


def from_file(path, out, *overrides, resume=False):
    request = RunRequest(file=path, overrides=overrides)
    return launch(request, out=out, threads=1, resume=resume, overwrite=False)


def test_a_run_from_a_file_is_the_run_with_those_settings(tmp_path):
    go(tmp_path / "whole", "seed=3", iterations=3)
    settings = tmp_path / "whole" / "config.json"
    assert from_file(settings, tmp_path / "other", "seed=4", "iterations=1").finished
    assert load_config(tmp_path / "other" / "config.json").seed == 4
    assert from_file(settings, tmp_path / "run", "iterations=2", resume=True).finished  # it begins
    assert from_file(settings, tmp_path / "run", resume=True).finished  # it goes on
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    before = numbers(tmp_path / "run")
    with pytest.raises(UserError, match="seed is 3 there, not 4"):
        from_file(settings, tmp_path / "run", "seed=4", resume=True)
    assert numbers(tmp_path / "run") == before


def test_a_run_that_goes_on_from_a_file_has_the_settings_as_this_version_writes_them(tmp_path):
    go(tmp_path / "run", iterations=1)
    path = tmp_path / "run" / "config.json"
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text)))
    assert from_file(written(tmp_path / "same.json", text), tmp_path / "run", resume=True).finished
    assert path.read_text() == text
    assert isinstance(load_config(path), RunConfig)
