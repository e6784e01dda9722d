"""Every command with any arguments, and the files that a user writes: settings, algorithms, MDPs."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import typer
from fuzzing import damaged, edited, files_below, fuzzed, json_texts, junk, metarl, nearly, numbers, restored
from hypothesis import strategies as st

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.cli import app
from metarl_cli.config import settable_keys
from metarl_cli.envs.registry import ENVIRONMENTS
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.exact.problem import EXAMPLE
from metarl_cli.listing import LISTINGS
from metarl_cli.papers import FIGURES
from metarl_cli.papers.settings import run_config
from metarl_cli.profiles import PROFILES
from metarl_cli.training.composition import OBJECTIVE_NAMES, OPTIMIZER_NAMES
from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.processing import REWARD_SCALINGS

pytestmark = pytest.mark.usefixtures("_nothing_is_sampled")

NAMES = (
    *(*ALGORITHMS, *ENVIRONMENTS, *ESTIMATORS, *FIGURES, *PROFILES, *LISTINGS, *OBJECTIVE_NAMES, *OPTIMIZER_NAMES),
    *(*EXPLORATIONS, *CONTROL_VARIATES, *REWARD_SCALINGS, "fig2", "dask", "gif", "paper", "orders", "plain"),
)
PLACES = (
    *("precious.txt", "precious.json", "precious.npy", "deep.json", "mdp.json", "settings.toml", "algorithm.toml"),
    *("run", "results", "run/config.json", "new", "new/below", "new.csv", "new.html", "new.png", "precious.txt/below"),
    *("", ".", "-", "x" * 300, "/proc/metarl"),
)
names, places = nearly(NAMES), st.one_of(st.sampled_from(PLACES), junk.filter(lambda text: "/" not in text))


def commands(group, path=()):
    """Every command that there is, by the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))
COUNTS = ("seed", "iterations", "threads", "steps", "tasks", "trajectories", "rounds", "jobs")


def values_of(parameter):
    if parameter.name in COUNTS:
        return st.one_of(numbers, junk)
    if parameter.name in ("out", "run", "config", "mdp", "results"):
        return places
    if parameter.name == "set_":
        return st.builds("{}={}".format, nearly(list(settable_keys())), st.one_of(numbers, names, junk))
    return st.one_of(names, names, junk, places)


@st.composite
def command_lines(draw):
    """A command, some of its arguments and options with some values, and now and then a word too many or too few."""
    path = draw(st.sampled_from(list(COMMANDS)))
    words = []
    for parameter in COMMANDS[path].params:
        option = next((name for name in parameter.opts if name.startswith("-")), None)
        if not draw(st.integers(0, 3) if option else st.booleans()):
            words += [option] if option else []
            words += [] if option and parameter.is_flag else [draw(values_of(parameter))]
    if not draw(st.integers(0, 9)):
        words.insert(draw(st.integers(0, len(words))), draw(st.one_of(junk, nearly(["--out", "--json", "--help"]))))
    if words and not draw(st.integers(0, 9)):
        del words[draw(st.integers(0, len(words) - 1))]
    return [*path, *words]


@fuzzed(percent=6, words=command_lines())
def test_any_arguments(home, words):
    with restored(home) as before:
        metarl(*words)
        after = files_below(home)
    may_change = {home / "run/meta.json"}
    if words[0] == "train" and "--overwrite" in words:
        may_change |= {path for path in before if path.parent == home / "run"}
    assert [path for path in before if path not in may_change and after.get(path) != before[path]] == []


SETTINGS = st.builds("{}={}".format, nearly(list(settable_keys())), st.one_of(numbers, names, junk))


@fuzzed(percent=10, given=st.lists(SETTINGS, min_size=1, max_size=3))
def test_any_settings(home, given):
    options = [word for setting in given for word in ("--set", setting)]
    with restored(home):
        ended = metarl("train", "--env", "Navigation", "--profile", "smoke", "--out", "new", "--quiet", *options)
        assert ended.code in (1, 2)
        assert ended.code == 1 or not (home / "new/config.json").exists()


SMALL = json.loads(json.dumps(asdict(run_config("promp", "Navigation", profile="smoke"))))
WORDS = (*NAMES, *settable_keys(), "schema")


def toml(document, path=""):
    """The document as TOML, as far as TOML can say it."""
    plain = {key: value for key, value in document.items() if not isinstance(value, dict)}
    lines = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in plain.items()]
    for key, value in document.items():
        if isinstance(value, dict):
            lines += [f"[{path}{json.dumps(key)}]", toml(value, f"{path}{json.dumps(key)}.")]
    return "\n".join(lines) + "\n"


def toml_texts(document):
    return st.one_of(
        edited(document, WORDS).map(lambda it: toml(it).encode(errors="replace")),
        damaged(
            toml(document).encode(), (b"a=" + b"[" * 900, b"a" + b".a" * 900 + b"=1", b"settings" + b".a" * 900 + b"=1")
        ),
    )


@fuzzed(percent=5, content=st.one_of(json_texts(SMALL, WORDS), json_texts({"schema": 2, **SMALL}, WORDS)))
def test_any_settings_in_json(home, content):
    with restored(home):
        (home / "new.json").write_bytes(content)
        assert metarl("train", "--config", "new.json", "--out", "new", "--quiet").code in (1, 2)


@fuzzed(percent=4, content=toml_texts({**SMALL, "environment": {"name": "Navigation"}}))
def test_any_settings_in_toml(home, content):
    with restored(home):
        (home / "new.toml").write_bytes(content)
        assert metarl("train", "--config", "new.toml", "--out", "new", "--quiet").code in (1, 2)


ALGORITHM = {"inner": "lvc", "outer": "ratio", "optimizer": "sgd", "settings": {"inner.lr": 0.05, "outer": {"lr": 1.0}}}


@fuzzed(percent=2, content=toml_texts(ALGORITHM))
def test_any_algorithm_of_ones_own(home, content):
    asked = ("--algo", "new.toml", "--env", "Navigation", "--profile", "smoke", "--out", "new", "--quiet")
    with restored(home):
        (home / "new.toml").write_bytes(content)
        assert metarl("train", *asked).code in (1, 2)


@fuzzed(percent=10, content=json_texts(dict(EXAMPLE)))
def test_any_mdp(home, content):
    with restored(home):
        (home / "new.json").write_bytes(content)
        ended = metarl("correlate", "exact", "--mdp", "new.json", "--estimators", "lvc", "--json")
    assert ended.code in (0, 2)
