"""An algorithm of one's own, from a TOML file."""

from __future__ import annotations

import json

import pytest

PARTS = 'inner = "taypo2"\nouter = "ratio"\noptimizer = "trpo"\n'


def run(metarl, directory, text, *more):
    (directory / "mine.toml").write_text(text)
    size = ("--profile", "smoke", "--iterations", 1, "--quiet", "--out", directory / "run")
    return metarl("train", "--algo", directory / "mine.toml", "--env", "Navigation", *size, *more)


def test_the_parts_and_settings_of_a_file_are_trained(metarl, tmp_path):
    text = PARTS + '[settings]\n"inner.lr" = 0.05\n[settings.policy]\nhidden = [8, 8]\n'
    done = run(metarl, tmp_path, text, "--set", "outer.max_kl=0.02")
    assert done.code == 0, done.err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["algorithm"] == "mine.toml"
    assert (config["inner"]["estimator"], config["inner"]["lr"]) == ("taypo2", 0.05)
    assert (config["outer"]["objective"], config["outer"]["max_kl"]) == ("ratio", 0.02)
    assert config["policy"]["hidden"] == [8, 8]
    more = ("--algo", tmp_path / "mine.toml", "--iterations", 2, "--quiet")
    assert metarl("train", "--resume", "--out", tmp_path / "run", *more).code == 0
    assert metarl("render", tmp_path / "run").code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('inner = "lvc"', "lacks outer, optimizer: an algorithm names inner, outer and optimizer"),
        (PARTS + 'iner = "lvc"', "'iner'. Did you mean 'inner'?"),
        (PARTS + "first_order = 1", "first_order is 1; expected true or false"),
        (PARTS + "title = 3", "title is 3; expected a string"),
        (PARTS + "settings = 3", "settings is 3; expected a table"),
        (PARTS + "[settings.inner]\nlrr = 1", "mine.toml: Unknown setting 'inner.lrr'. Did you mean 'inner.lr'?"),
        (PARTS + "[settings.inner]\nlr = -1", "mine.toml: inner.lr=-1: Input should be greater than 0"),
        (PARTS + "[settings]\ninner.lr.x = 1", "mine.toml: inner.lr is a table; a setting is section.field."),
        (PARTS + '[settings]\nenvironment.name = "Toy1D"', "mine.toml: environment.name is no setting of an algorithm"),
        (PARTS + '[settings]\nprofile = "quick"', "mine.toml: profile is no setting of an algorithm: --profile"),
        (PARTS.replace("taypo2", "tapyo2"), "Unknown inner estimator 'tapyo2'. Did you mean 'taypo2'?"),
        (PARTS.replace("ratio", "vpg"), "trpo needs an objective whose value tells an improvement"),
        ("inner = ", "mine.toml is not valid TOML"),
    ],
)
def test_mistakes_are_named(metarl, tmp_path, text, message):
    done = run(metarl, tmp_path, text)
    assert done.code == 2 and message in done.err
    assert not (tmp_path / "run").exists()


def test_a_name_that_is_none_says_how_a_file_is_given(metarl, tmp_path):
    ended = metarl("train", "--algo", "mine.tml", "--out", tmp_path / "run")
    assert ended.code == 2 and ended.err.startswith("Error: Unknown algorithm 'mine.tml'.")
    assert ended.err.endswith("Yours is FILE.toml.\n")


def test_a_file_that_is_not_there_is_named(metarl):
    done = metarl("train", "--algo", "nowhere.toml")
    assert done.code == 2 and "Cannot read nowhere.toml: No such file" in done.err
