from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy
import pandas as pd
import pytest
import torch
from synthetic_results import write_figure_runs

from metarl_cli import __version__, cli, terminal
from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.cli.options import given_path
from metarl_cli.config import save_config
from metarl_cli.envs.registry import ENVIRONMENTS
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.exact import EXAMPLE
from metarl_cli.listing import LISTINGS, listing
from metarl_cli.papers import FIGURES
from metarl_cli.papers.settings import run_config
from metarl_cli.store import runs_directory
from metarl_cli.training.trainer import Trainer

SMOKE = ("train", "--env", "Navigation", "--profile", "smoke", "--out", "{tmp}/run")


def subprocess_of(*arguments, **environment):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "metarl_cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=120
    )


def one_line(err):
    (line,) = err.splitlines()
    return line


# Mistakes


MISTAKES = [
    ((*SMOKE, "--algo", "prompp"), r"Unknown algorithm 'prompp'\. Did you mean 'promp'\? Known: dice, "),
    ((*SMOKE[:3], "--env", "HalfCheetahFwdBak"), r"Unknown environment .*Did you mean 'HalfCheetahFwdBack'"),
    (("train", "--profile", "quik", "--out", "{tmp}/run"), r"Unknown profile 'quik'\. Did you mean 'quick'"),
    ((*SMOKE, "--set", "inner.lrr=1"), r"Unknown setting 'inner\.lrr'\. Did you mean 'inner\.lr'"),
    ((*SMOKE, "--set", "inner.lr"), r"--set 'inner\.lr': expected section\.field=value"),
    ((*SMOKE, "--set", "=1"), r"expected section\.field=value"),
    ((*SMOKE, "--set", "inner.lr=fast"), r"inner\.lr=fast: .*Unless set it is 0\.1"),
    ((*SMOKE, "--set", "inner.steps=1.5"), r"inner\.steps=1\.5: .*integer"),
    ((*SMOKE, "--set", "sampling.tasks=0"), r"sampling\.tasks=0: .*greater than or equal to 1"),
    ((*SMOKE, "--set", "sampling.trajectories=-3"), r"greater than or equal to 1"),
    ((*SMOKE, "--set", "sampling.horizon=0"), r"greater than or equal to 1"),
    ((*SMOKE, "--set", "policy.hidden=64,0"), r"greater than or equal to 1"),
    (
        (*SMOKE, "--set", "policy.hidden=9999999999"),
        r"policy\.hidden: 39,999,999,996 .* need 149 GiB at least, and this",
    ),
    ((*SMOKE, "--set", "policy.hidden=9999999,9999999"), r"policy\.hidden: [\d,]+ parameters for 2 tasks need"),
    ((*SMOKE, "--set", "sampling.horizon=100000000000000"), r"= 1,600,000,000,000,000 steps need 29,802,322 GiB"),
    (
        (*SMOKE, "--set", "sampling.tasks=1000000000000"),
        r"steps need [\d,]+ GiB at least, and this machine has \d+ GiB",
    ),
    ((*SMOKE, "--set", "inner.steps=1000000000000"), r"× \(inner\.steps \+ 1\) = [\d,]+ steps need"),
    ((*SMOKE, "--set", f"inner.steps={'9' * 30}"), r"inner\.steps=9+: .*less than or equal to 1000000000000000"),
    ((*SMOKE, "--seed", "9" * 30), r"seed=9+: .*less than or equal to 1000000000000000"),
    ((*SMOKE, "--set", "algorithm=dice"), r"--set algorithm=dice: choose it with --algo"),
    ((*SMOKE, "--set", "environment.name=Toy1D"), r"choose it with --env"),
    ((*SMOKE, "--set", "environment.variant=plian"), r"Unknown variant of Navigation 'plian'\. Did you mean 'plain'"),
    ((*SMOKE, "--iterations", "0"), r"iterations=0: .*greater than or equal to 1"),
    ((*SMOKE, "--iterations", "-5"), r"iterations=-5"),
    ((*SMOKE, "--seed", "-1"), r"seed=-1: .*greater than or equal to 0"),
    ((*SMOKE, "--inner", "lvx"), r"Unknown inner estimator 'lvx'\. Did you mean 'lvc'"),
    ((*SMOKE, "--outer", "cliped"), r"Unknown outer objective 'cliped'\. Did you mean 'clipped'"),
    ((*SMOKE, "--optimizer", "adamm"), r"Unknown optimizer 'adamm'\. Did you mean 'adam'"),
    ((*SMOKE, "--exploration", "emalm"), r"Unknown exploration term 'emalm'\. Did you mean 'emaml'"),
    ((*SMOKE, "--inner", "tmaml"), r"tmaml subtracts a control variate, and there is none: set inner\.control_variate"),
    ((*SMOKE, "--optimizer", "trpo"), r"trpo needs an objective"),
    ((*SMOKE, "--device", "cuda:99"), r"--device cuda:99: torch [\w.+]+ finds no such device\. There is cpu[.,]"),
    ((*SMOKE, "--resume", "--overwrite"), r"give one of them"),
    ((*SMOKE, "--resume"), r"run holds no run to resume"),
    ((*SMOKE[:-1], "{tmp}/file"), r"Cannot write to .*file: .*Choose another --out"),
    ((*SMOKE[:-1], "{tmp}/file/below"), r"Cannot write to .*Not a directory"),
    ((*SMOKE[:-1], "/proc/metarl"), r"Cannot write to /proc/metarl"),
    (("evaluate", "{tmp}"), r"holds no run"),
    (("evaluate", "{tmp}/file"), r"holds no run"),
    (("evaluate", "{tmp}/damagd"), r"There is no .*damagd\. Did you mean 'damaged'"),
    (("render", "{tmp}/damagd"), r"There is no .*damagd\. Did you mean 'damaged'"),
    (("evaluate", "{tmp}/damaged"), r"damaged.* is not valid JSON|damaged.*no .*checkpoint"),
    (("plot", "fig99"), r"Unknown figure 'fig99'.* Known: adaptation, promp-fig2"),
    (("plot", "promp-fig22"), r"Did you mean 'promp-fig2'"),
    (("plot", "fig2", "--profile", "quik"), r"Unknown profile 'quik'\. Did you mean 'quick'"),
    (("plot", "adaptation", "--results", "{tmp}/nowhere"), r"no runs"),
    (("plot", "adaptation", "--results", "{tmp}/file"), r"no runs"),
    (("plot", "adaptation", "--results", "{tmp}/damaged"), r"damaged.*config\.json"),
    (("list", "algoritms"), r"Unknown list 'algoritms'\. Did you mean 'algorithms'\? Known: algorithms, "),
    (("report", "--out", "{tmp}/file"), r"--out .*file: the name of a page ends in \.html"),
    (("correlate", "exact"), r"--mdp"),
    (("correlate", "exact", "--mdp", "{tmp}/nowhere.json"), r"nowhere\.json"),
    (("correlate", "tabular", "--profile", "quik"), r"quik"),
    (("correlate", "toy1d", "--profile", "quik"), r"quik"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), MISTAKES, ids=lambda value: " ".join(value) if type(value) is tuple else ""
)
def test_a_mistake_is_one_line_that_helps_and_exit_code_2(metarl, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "damaged").mkdir()
    for name in ("config.json", "progress.csv"):
        (tmp_path / "damaged" / name).write_text("{")
    ended = metarl(*(argument.format(tmp=tmp_path) for argument in arguments))
    line = one_line(ended.err)
    assert ended.code == 2
    assert line.startswith("Error: ")
    assert re.search(message, line), line
    assert ended.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_without_results_is_a_mistake(metarl, tmp_path, figure):
    ended = metarl("plot", figure, "--results", tmp_path / "results", "--out", tmp_path / "figures")
    assert (ended.code, ended.out) == (2, "")
    assert re.match(r"Error: There (is no|are no runs) ", one_line(ended.err))
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--seed", "x"),
        ("train", "--threads", "0"),
        ("variance", "--threads", "1000000000000"),
        ("train", "--sed", "1"),
        ("plot",),
        ("trian",),
        ("list",),
        ("evaluate",),
    ],
    ids=" ".join,
)
def test_usage_errors_show_how_it_is_used(metarl, arguments):
    ended = metarl(*arguments)
    assert ended.code == 2
    assert ended.err.startswith("Usage: ")
    assert "Traceback" not in ended.err


PATHS = [
    (*SMOKE[:-1], "{blank}"),
    (*SMOKE[:-2], "--config", "{blank}"),
    ("evaluate", "{blank}"),
    ("render", "{blank}"),
    ("render", "run", "--out", "{blank}"),
    ("compare", "run", "{blank}"),
    ("compare", "run", "other", "--out", "{blank}"),
    ("variance", "--env", "Navigation", "--profile", "smoke", "--out", "{blank}"),
    ("audit", "lvc", "--mdp", "{blank}"),
    ("correlate", "exact", "--mdp", "{blank}"),
    ("correlate", "tabular", "--profile", "smoke", "--out", "{blank}"),
    ("correlate", "toy1d", "--profile", "smoke", "--out", "{blank}"),
    ("plot", "--all", "--results", "{blank}"),
    ("plot", "--all", "--out", "{blank}"),
    ("reproduce", "sgmrl-fig1", "--plan", "--results", "{blank}"),
    ("report", "--results", "{blank}"),
    ("report", "--out", "{blank}"),
    ("check", "second-order", "{blank}"),
    ("check", "update", "{blank}"),
]


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("arguments", PATHS, ids=" ".join)
def test_no_text_is_not_the_current_directory(metarl, tmp_path, monkeypatch, arguments, blank):
    monkeypatch.chdir(tmp_path)
    ended = metarl(*(argument.format(blank=blank) for argument in arguments))
    assert (ended.code, ended.out) == (2, "")
    assert f"{blank!r} names no file or directory. The current directory is '.'." in ended.err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("character", ["\n", "\x1b", "\x7f", "\x85"])
@pytest.mark.parametrize("arguments", PATHS, ids=" ".join)
def test_a_path_has_no_control_character(metarl, tmp_path, monkeypatch, arguments, character):
    monkeypatch.chdir(tmp_path)
    ended = metarl(*(argument.format(blank=f"a{character}b") for argument in arguments))
    assert (ended.code, ended.out) == (2, "")
    assert f"{f'a{character}b'!r} has a control character in it; choose a name without." in ended.err
    assert not [*tmp_path.iterdir()]


def test_every_path_of_a_command_is_one_that_was_named():
    commands = [*cli.COMMANDS.values(), *(cli.studies.exact, cli.studies.tabular, cli.studies.toy1d)]
    for command in (*commands, cli.checks.env, cli.checks.second_order, cli.checks.update):
        for name, hint in get_type_hints(command, include_extras=True).items():
            if "Path" in str(getattr(hint, "__origin__", "")):
                assert hint.__metadata__[0].parser is given_path, f"{command.__name__}, {name}"


def test_a_mistake_in_a_process_of_its_own():
    ended = subprocess_of("train", "--algo", "prompp")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert one_line(ended.stderr).startswith("Error: Unknown algorithm 'prompp'. Did you mean 'promp'?")


INTERRUPTED = """
import os, runpy, signal, sys
class PressedWhile:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, PressedWhile)
sys.argv = ["metarl", "train", "--env", "Navigation", "--profile", "smoke", "--out", {out!r}]
runpy.run_module("metarl_cli", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["metarl_cli.cli", "typer", "metarl_cli.runs.launch", "numpy", "torch"])
def test_ctrl_c_while_the_command_is_being_loaded(tmp_path, module):
    program = INTERRUPTED.format(module=module, out=str(tmp_path / "run"))
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
    assert not (tmp_path / "run").exists()


def test_hardly_anything_is_loaded_before_ctrl_c_is_heard():
    """Until then Python shows a traceback, as it does while it starts itself."""
    code = "import sys; before = {*sys.modules}; import metarl_cli.__main__; print(*({*sys.modules} - before))"
    ended = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in ended.stdout.split()}
    assert "metarl_cli" in loaded
    assert loaded.isdisjoint({"typing", "enum", "re", "signal", "contextlib", "collections", "functools", "typer"})


# Help and start-up

HEAVY = {"torch", "gymnasium", "mujoco", "pandas", "matplotlib", "numpy", "scipy"}


def modules_after(*arguments):
    code = (
        "import sys; from metarl_cli.cli import main\n"
        f"sys.argv = ['metarl', *{list(arguments)!r}]\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print('MODULES', *sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(ended.stdout.rpartition("MODULES ")[2].split())


def test_what_is_remembered_is_shown_without_what_draws(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_figure_runs(tmp_path / "results", "promp-fig2", "quick", {"promp": {1: (0.0, 2.0), 2: (1.0, 2.5)}})
    command = ("plot", "fig2", "--results", str(tmp_path / "results"), "--out", str(tmp_path))
    assert "matplotlib.figure" in modules_after(*command)
    assert "matplotlib.figure" not in modules_after(*command)


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], HEAVY),
        (["--version"], HEAVY),
        (["train", "--help"], HEAVY),
        (["list", "algorithms"], {"torch", "mujoco", "matplotlib"}),
        (["list", "estimators"], {"mujoco", "matplotlib"}),
    ],
    ids=lambda value: " ".join(value) if type(value) is list else "",
)
def test_nothing_heavy_is_loaded_where_nothing_heavy_is_done(arguments, heavy):
    loaded = modules_after(*arguments)
    assert "typer" in loaded
    assert loaded & heavy == set()


def test_a_training_loads_nothing_but_what_it_needs(tmp_path):
    """SymPy, .4 s, is what PyTorch takes to check a cotangent that `autograd.grad` is given."""
    loaded = modules_after(
        "train", "--algo", "trpo-maml", "--profile", "smoke", "--quiet", "--out", str(tmp_path / "run")
    )
    assert "mujoco" in loaded
    assert loaded.isdisjoint({"sympy", "torch._dynamo", "pandas", "matplotlib", "scipy"})


def test_exact_answers_load_no_compiler(metarl, tmp_path):
    """`torch.func` imports it for its first gradient, 1.7 s; the answers take a quarter of that."""
    (tmp_path / "mdp.json").write_text(metarl("correlate", "exact", "--example").out)
    loaded = modules_after("correlate", "exact", "--mdp", str(tmp_path / "mdp.json"))
    assert "metarl_cli.exact.oracles" in loaded
    assert loaded.isdisjoint({"sympy", "torch._dynamo"})


def test_a_study_writes_its_table_and_beside_it_what_made_it(metarl, tmp_path):
    path = tmp_path / "deep" / "table.csv"
    completed = metarl("correlate", "tabular", "--profile", "smoke", "--out", path)
    assert (completed.code, completed.out) == (0, f"{path}\n")
    assert {file.name for file in path.parent.iterdir()} == {"table.csv", "table.meta.json"}
    assert json.loads(path.with_name("table.meta.json").read_text())["metarl"] == __version__


def test_help_names_every_command_and_the_exit_codes(metarl):
    text = metarl("--help").out
    for command in ("train", "evaluate", "correlate", "plot", "list"):
        assert re.search(rf"^. {command} ", text, re.MULTILINE)
    assert "Exit codes: 0 ok, 1 run or check failed, 2 usage" in text
    assert metarl("-h").out == text
    assert metarl().code == 2  # no command was given


def test_version(metarl):
    assert metarl("--version").out == metarl("-V").out == f"metarl {__version__}\n"


@pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {}])
def test_colours_are_the_terminals_choice(setting):
    text = subprocess_of("--help", FORCE_COLOR="1", **setting).stdout
    assert bool(re.search(r"\x1b\[[0-9;]*3\dm", text)) == (not setting)


# Lists


@pytest.mark.parametrize("what", LISTINGS)
def test_lists_are_tables_or_json(metarl, what):
    rows = json.loads(metarl("list", what, "--json").out)
    table = metarl("list", what).out
    (name, *_) = rows[0]
    assert table.split()[0] == name
    for row in rows:
        assert re.search(rf"^{re.escape(str(row[name]))}\b", table, re.MULTILINE)


@pytest.mark.parametrize(
    ("what", "registry"),
    [("algorithms", ALGORITHMS), ("envs", ENVIRONMENTS), ("estimators", ESTIMATORS), ("figures", FIGURES)],
)
def test_lists_are_the_registries(what, registry):
    assert [row["name"] for row in listing(what).rows] == list(registry)


def test_json_has_no_nan(capsys):
    terminal.print_json([{"a": float("nan"), "b": float("-inf"), "c": 1.5}])
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == [{"a": None, "b": None, "c": 1.5}]


def test_square_brackets_of_an_equation_are_no_markup(metarl):
    assert ESTIMATORS["taypo2"].equation in metarl("list", "estimators").out
    assert "[1 + " in ESTIMATORS["taypo2"].equation


@pytest.mark.parametrize("columns", [60, 100])
def test_tables_fit_the_terminal(metarl, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = metarl("list", "algorithms").out.splitlines()
    assert columns - 20 < max(map(len, lines)) <= columns


@pytest.mark.parametrize("columns", [72, 80])
@pytest.mark.parametrize("what", LISTINGS)
def test_a_narrow_terminal_loses_no_letter(metarl, monkeypatch, what, columns):
    monkeypatch.setenv("COLUMNS", "400")
    whole = metarl("list", what).out
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = metarl("list", what).out
    assert not Counter("".join(whole.split())) - Counter("".join(narrow.split()))


@pytest.mark.parametrize("columns", [30, 60, 80])
def test_no_number_of_a_list_is_broken(metarl, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", "400")
    words = {word for word in metarl("list", "claims").out.split() if word[:1] in "−≤≥0123456789"}
    monkeypatch.setenv("COLUMNS", str(columns))
    assert not words - set(metarl("list", "claims").out.split())


def test_the_limits_of_an_interval_stay_whole_where_a_table_is_narrow(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    terminal.print_table(
        [{"claim": "taypo-corner", "effect": "−0.0003 [−0.01025, 0.009646]", "wanted": "≥ 0"}], as_json=False
    )
    assert {"−0.0003", "[−0.01025,", "0.009646]"} <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("columns", [40, 60, 80])
@pytest.mark.parametrize("what", LISTINGS)
def test_no_name_of_a_list_is_broken(metarl, monkeypatch, what, columns):
    rows = listing(what, brief=True).rows
    names = {str(row[next(iter(rows[0]))]) for row in rows}
    monkeypatch.setenv("COLUMNS", str(columns))
    assert not {word for name in names for word in name.split()} - set(metarl("list", what).out.split())


def test_words_stay_whole_where_a_table_has_room_for_them(monkeypatch, capsys):
    row = {"what": "WalkerFwdBack, trpo-fmaml", "left": "seed 7 unfinished, seed 8 missing", "core-hours": "0.44"}
    for columns, whole in ((60, True), (45, True), (41, True), (40, False)):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal.print_table([row], as_json=False)
        words = set(capsys.readouterr().out.split())
        assert "what:" not in words and {*row["what"].split(), "0.44"} <= words
        assert (set(row["left"].split()) <= words) == whole


# Train, evaluate


def test_train_says_where_it_is_and_what_to_do_next(metarl, tmp_path):
    directory = tmp_path / "run"
    ended = metarl("train", "--env", "Navigation", "--profile", "smoke", "--out", directory)
    assert (ended.code, ended.out) == (0, f"Finished: {directory}\n")
    progress = ended.err.splitlines()
    assert [re.match(r"iteration (\d)/2  env steps ([\d,]+)  return -?\d", line).groups() for line in progress] == [
        ("1", "1,600"),
        ("2", "3,200"),
    ]
    again = metarl("train", "--resume", "--out", directory, "--quiet")
    assert (again.code, again.out, again.err) == (0, f"Already finished: {directory}\n", "")


def test_a_report_on_no_directory_is_refused(metarl, tmp_path):
    ended = metarl("report", "--results", tmp_path / "none", "--out", tmp_path / "page.html")
    assert ended.code == 2 and "no directory" in ended.err
    assert not (tmp_path / "page.html").exists()


def test_quiet_is_quiet(metarl, tmp_path):
    ended = metarl("train", "--env", "Navigation", "--profile", "smoke", "--out", tmp_path / "run", "-q")
    assert (ended.code, ended.err) == (0, "")


def test_flags_are_settings(metarl, tmp_path):
    flags = (
        "--algo",
        "lvc-vpg",
        "--seed",
        3,
        "--iterations",
        1,
        "--inner",
        "dice",
        "--outer",
        "ratio",
        "--optimizer",
        "sgd",
    )
    exploring = ("--exploration", "emaml", "--set", "inner.lr=0.01", "--set", "policy.hidden=3", "--threads", 2)
    smoke = ("train", "--env", "Navigation", "--profile", "smoke", "--out", tmp_path / "run")
    assert metarl(*smoke, *flags, *exploring).code == 0
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (saved["algorithm"], saved["seed"], saved["iterations"]) == ("lvc-vpg", 3, 1)
    assert (saved["inner"]["estimator"], saved["inner"]["lr"], saved["policy"]["hidden"]) == ("dice", 0.01, [3])
    outer = saved["outer"]
    assert (outer["objective"], outer["optimizer"], outer["exploration"]) == ("ratio", "sgd", "emaml")
    assert json.loads((tmp_path / "run" / "meta.json").read_text())["argv"][:3] == ["metarl", "train", "--env"]


def test_a_terminal_shows_one_table_that_changes(metarl, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    ended = metarl("train", "--env", "Navigation", "--profile", "smoke", "--out", tmp_path / "run")
    assert (ended.code, ended.out) == (0, f"Finished: {tmp_path / 'run'}\n")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", ended.err)
    assert "promp on Navigation, seed 1" in plain
    assert re.search(r"iteration +env steps +return before +return after +steps/s +time left", plain)
    assert re.search(r"2/2 +3,200 +-\d+\.\d +-\d+\.\d +[\d,]+ +0:00:00", plain)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 4000), (1, 8000)], ["400 steps/s  0:01:30 left", "400 steps/s  0:01:20 left"]),
        ([(5, 24000), (6, 28000)], ["400 steps/s  0:00:40 left", "400 steps/s  0:00:30 left"]),
    ],
)
def test_speed_and_time_left_are_of_this_process(monkeypatch, capsys, rows, expected):
    """Ten seconds an iteration, ten iterations, also where five of them were done before."""
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(terminal.time, "perf_counter", lambda: float(next(clock)))
    config = replace(run_config("promp", "Navigation", profile="smoke"), iterations=10)
    with terminal.training_display() as show:
        for iteration, steps in rows:
            show(config, {"iteration": iteration, "env_steps": steps, "return/pre": 0.0, "return/post": 1.0})
    assert [line.partition("1.0  ")[2] for line in capsys.readouterr().err.splitlines()] == expected


def test_brackets_in_the_path_of_an_environment_are_shown_as_they_are(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    config = run_config("promp", "Navigation", profile="smoke")
    config = replace(config, environment=replace(config.environment, name="[draft][/old]/mine.py:Line"))
    with terminal.training_display() as show:
        show(config, {"iteration": 0, "env_steps": 1, "return/pre": 0.0, "return/post": 1.0})
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "promp on [draft][/old]/mine.py:Line, seed 1" in plain


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3661, "1:01:01"), (90061.0, "25:01:01")]
)
def test_durations(seconds, text):
    assert terminal.duration(seconds) == text


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A smoke run, made through the command."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    ended = subprocess_of("train", "--env", "Navigation", "--profile", "smoke", "--out", directory, "--quiet")
    assert ended.returncode == 0, ended.stderr
    return directory


@pytest.mark.parametrize("study", ["tabular", "toy1d"])
def test_a_study_of_a_profile_that_does_not_exist_touches_nothing(metarl, monkeypatch, tmp_path, study):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.json").write_text('{"figure": "taypo-fig1"}')  # the mark of a reproduction's table
    ended = metarl("correlate", study, "--profile", "qick", "--overwrite", "--out", tmp_path / "table.csv")
    assert ended.code == 2 and "Did you mean 'quick'?" in ended.err
    assert metarl("correlate", study, "--profile", "qick").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]


def test_a_page_of_a_profile_that_does_not_exist_is_not_written(metarl, tmp_path):
    ended = metarl("plot", "--all", "--profile", "qick", "--out", tmp_path / "out")
    assert ended.code == 2 and "Did you mean 'quick'?" in ended.err
    assert not (tmp_path / "out").exists()


def test_what_a_users_code_prints_is_no_result(metarl, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud.py").write_text(
        "from metarl_cli.estimators import lvc\n\n\ndef surrogate(*given):\n    print('loud')\n    return lvc(*given)\n"
    )
    (tmp_path / "mdp.json").write_text(metarl("correlate", "exact", "--example").out)
    own = ("--mdp", "mdp.json", "--estimator", "loud.py:surrogate")
    ended = metarl("correlate", "exact", *own, "--json")
    assert ended.code == 0 and "loud" in ended.err
    assert {row["estimator"] for row in json.loads(ended.out)} == {"loud.py:surrogate"}
    smoke = ("--env", "Navigation", "--profile", "smoke", "--out", "run")
    ended = metarl("variance", *smoke, "--estimators", "loud.py:surrogate", "--json")
    assert ended.code == 0 and "loud" in ended.err
    assert [row["iteration"] for row in json.loads(ended.out)] == [0, 1]
    settings = json.loads((tmp_path / "run/settings.json").read_text())["config"]
    settings["inner"]["estimator"] = "loud.py:surrogate"
    (tmp_path / "run.json").write_text(json.dumps(settings))
    ended = metarl("check", "second-order", "run.json", "--json")
    assert "loud" in ended.err and json.loads(ended.out)[0]["quantity"] == "second order"


def test_evaluate_has_a_row_per_step_and_depends_on_its_seed_alone(metarl, trained):
    def rows(*arguments):
        return json.loads(metarl("evaluate", trained, "--tasks", 3, "--json", *arguments).out)

    first = rows("--steps", 3)
    assert [row["step"] for row in first] == [0, 1, 2, 3]
    assert all(row["low"] <= row["return"] <= row["high"] for row in first)
    assert rows("--steps", 3, "--threads", 2) == first
    assert rows("--steps", 3, "--seed", 5) != first
    assert rows("--steps", 1) == first[:2]
    assert len(rows()) == 2


@pytest.mark.parametrize("asked", [("--tasks", 10**12), ("--steps", 10**12), ("--trajectories", 10**12)])
def test_what_no_memory_could_hold_is_not_evaluated(metarl, trained, asked):
    ended = metarl("evaluate", trained, *asked)
    assert (ended.code, ended.out) == (2, "")
    assert "steps need" in one_line(ended.err)


@pytest.mark.parametrize("allocate", [lambda: numpy.empty(10**15), lambda: torch.empty(10**15), lambda: bytes(10**15)])
def test_memory_that_is_not_there_is_one_message(metarl, tmp_path, monkeypatch, allocate):
    monkeypatch.setattr(Trainer, "sample", lambda *arguments: allocate())
    ended = metarl("train", "--env", "Navigation", "--profile", "smoke", "--out", tmp_path / "run")
    assert ended.code == 1
    assert one_line(ended.err).startswith("Error: not enough memory: ")
    assert json.loads((tmp_path / "run" / "meta.json").read_text())["status"] == "failed"


# Plot


def write_run(results, *, curve="promp", environment="HalfCheetahFwdBack", profile="quick", seed=1, level=0.0):
    directory = runs_directory(results, profile) / curve / environment / f"seed{seed}"
    directory.mkdir(parents=True)
    config = replace(run_config("promp", environment, profile=profile), seed=seed, label=curve)
    save_config(config, directory / "config.json")
    steps = pd.DataFrame({"iteration": range(4), "env_steps": [4000 * i for i in range(1, 5)]})
    post = [level + seed + i for i in range(4)]
    steps.assign(**{"return/pre": 0.0, "return/post": post, "time/sampling": 0.2, "time/update": 0.1}).to_csv(
        directory / "progress.csv", index=False
    )


@pytest.fixture
def results(tmp_path):
    for seed in (1, 2, 3):
        write_run(tmp_path / "results", seed=seed)
    write_run(tmp_path / "results", curve="lvc-vpg", environment="AntRandDir", level=9.0)
    return tmp_path / "results"


def test_plot_writes_a_picture_a_page_and_a_table(metarl, tmp_path, results):
    ended = metarl("plot", "fig2", "--results", results, "--out", tmp_path / "figures")
    assert ended.code == 0, ended.err
    png, pdf, table = map(Path, ended.out.splitlines())
    assert (png, pdf) == (tmp_path / "figures" / "promp-fig2.png", tmp_path / "figures" / "promp-fig2.pdf")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert table == results / "quick" / "promp-fig2" / "promp-fig2.csv"
    frame = pd.read_csv(table)
    post = frame[(frame["quantity"] == "return/post") & (frame["curve"] == "promp")]
    assert post["mean"].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert set(frame["environment"]) == {"HalfCheetahFwdBack", "AntRandDir"}


def test_plot_draws_the_same_bytes_again_in_any_process(metarl, tmp_path, results):
    first = metarl("plot", "fig2", "--results", results, "--out", tmp_path / "one").out.splitlines()
    before = [Path(path).read_bytes() for path in first]
    other = subprocess_of("plot", "fig2", "--results", results, "--out", tmp_path / "two", PYTHONHASHSEED="7")
    assert [Path(path).read_bytes() for path in other.stdout.splitlines()] == before


def test_results_that_cannot_be_written_are_only_read(metarl, monkeypatch, tmp_path, results):
    before = sorted(results.rglob("*"))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    ended = metarl("plot", "fig2", "--results", results, "--out", tmp_path / "figures")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == str(tmp_path / "figures" / "quick-promp-fig2.csv")
    assert sorted(results.rglob("*")) == before


def test_plot_takes_the_profile_that_is_asked_for(metarl, tmp_path, results):
    write_run(results, profile="smoke", level=50.0)
    for profile, mean in (("smoke", 51.0), ("quick", 2.0)):
        asked = metarl("plot", "fig2", "--results", results, "--profile", profile, "--out", tmp_path / profile)
        frame = pd.read_csv(asked.out.splitlines()[-1])
        assert set(frame["profile"]) == {profile}
        assert frame[(frame["curve"] == "promp") & (frame["quantity"] == "return/post")]["mean"].iloc[0] == mean


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/metarl"])
def test_a_place_that_cannot_be_drawn_to_is_named(metarl, tmp_path, results, place):
    (tmp_path / "file").write_text("")
    out = place if place.startswith("/") else tmp_path / place
    ended = metarl("plot", "fig2", "--results", results, "--out", out)
    assert (ended.code, ended.out) == (2, "")
    assert one_line(ended.err).startswith(f"Error: {out}")


@pytest.mark.parametrize("arguments", [("plot", "fig2"), ("plot", "--all"), ("compare", "run")], ids=" ".join)
def test_a_file_in_the_place_of_a_directory_for_pictures_is_named(metarl, tmp_path, arguments):
    (tmp_path / "file").write_text("mine")
    ended = metarl(*arguments, "--out", tmp_path / "file")
    assert (ended.code, ended.out) == (2, "")
    told = f"Error: {tmp_path / 'file'} is there and is no directory, which --out names. Choose another --out."
    assert one_line(ended.err) == told
    assert (tmp_path / "file").read_text() == "mine"


def test_adaptation_draws_any_run(metarl, tmp_path, trained):
    ended = metarl("plot", "adaptation", "--results", trained.parent, "--out", tmp_path)
    assert ended.code == 0
    assert (tmp_path / "adaptation.png").exists()


def test_adaptation_is_drawn_of_the_profile_that_is_asked_for(metarl, tmp_path, trained):
    asked = ("plot", "adaptation", "--results", trained.parent, "--out", tmp_path, "--profile")
    ended = metarl(*asked, "quick")
    assert (ended.code, ended.out) == (2, "") and "There are no runs of it" in ended.err
    assert metarl(*asked, "smoke").code == 0


def test_a_table_without_rows_is_nothing_or_an_empty_list(metarl, tmp_path):
    """Where every estimator is left out, which is said."""
    (tmp_path / "mdp.json").write_text(json.dumps({**EXAMPLE, "horizon": 6}))
    asked = ("correlate", "exact", "--mdp", tmp_path / "mdp.json", "--estimators", "tmaml_released")
    for more, shown in (((), ""), (("--json",), "[]\n")):
        ended = metarl(*asked, *more)
        assert (ended.code, ended.out) == (0, shown)
        assert "tmaml_released is left out: it couples two trajectories" in ended.err


def test_blanks_between_names_count_for_nothing(metarl, tmp_path):
    (tmp_path / "mdp.json").write_text(json.dumps(dict(EXAMPLE)))
    asked = ("correlate", "exact", "--mdp", tmp_path / "mdp.json", "--estimators")
    assert metarl(*asked, "lvc, dice,").out == metarl(*asked, "lvc,dice").out != ""


def test_a_measurement_stopped_before_its_first_checkpoint_is_an_empty_list(metarl, tmp_path, monkeypatch):
    monkeypatch.setattr("metarl_cli.studies.variance.launch.graceful_stop", lambda: nullcontext(lambda: True))
    asked = ("variance", "--env", "Navigation", "--profile", "smoke", "--estimators", "lvc", "--out", tmp_path)
    for more, shown in (((), ""), (("--json",), "[]\n")):
        ended = metarl(*asked, *more)
        assert (ended.code, ended.out) == (130, shown) and "Stopped." in ended.err
