"""A place with files that are dear to somebody, where nothing is computed that takes long."""

from __future__ import annotations

import json
import os

import pytest
import typer
from fuzzing import COUNT, TRIED, files_below, metarl

from metarl_cli import cli
from metarl_cli.errors import RunFailedError
from metarl_cli.exact.problem import EXAMPLE

TINY = (
    "sampling.tasks=2",
    "sampling.trajectories=2",
    "sampling.horizon=4",
    "policy.hidden=2",
    "outer.gradient_steps=1",
)
MINE = "def surrogate(logp, sample):\n    return (logp * sample.adv).mean((-1, -2))\n"


def pytest_terminal_summary(terminalreporter):
    if COUNT:
        terminalreporter.section("inputs tried")
        for name, tried in TRIED.items():
            terminalreporter.line(f"{tried:8,} {name}")
        terminalreporter.line(f"{TRIED.total():8,} of {COUNT:,}")


@pytest.fixture(autouse=True, scope="module")
def _command():
    """Typer's command, made once: what is made anew for every input takes longer than the input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "app", typer.main.get_command(cli.app))
        yield


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A run of three iterations that was begun as one of two."""
    directory = tmp_path_factory.mktemp("small") / "run"
    settings = [word for setting in TINY for word in ("--set", setting)]
    common = ("train", "--out", directory, "--quiet", "--iterations")
    assert metarl(*common, 2, "--env", "Navigation", "--profile", "smoke", *settings).code == 0
    assert metarl(*common, 3, "--resume").code == 0
    return directory


@pytest.fixture(scope="module")
def home(tmp_path_factory, small_run):
    """The working directory: a run, an MDP, settings, an estimator of one's own, and what has nothing to do with it."""
    home = tmp_path_factory.mktemp("home")
    contents = {
        "precious.txt": b"mine",
        "precious.json": b"{}",
        "precious.npy": bytes(range(256)),
        "deep.json": b"[" * 900,
        "mdp.json": json.dumps(dict(EXAMPLE)).encode(),
        "settings.toml": b'environment.name = "Navigation"\nprofile = "smoke"\n',
        "algorithm.toml": b'inner = "lvc"\nouter = "ratio"\noptimizer = "sgd"\n',
        "mine.py": MINE.encode(),
        "leaves.py": b"raise SystemExit(0)\n",
        **{f"run/{path.name}": content for path, content in files_below(small_run).items()},
        **{
            f"results/smoke/runs/promp/Navigation/seed1/{path.name}": content
            for path, content in files_below(small_run).items()
            if path.suffix != ".pt"
        },
    }
    for name, content in contents.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    before = os.getcwd()
    os.chdir(home)
    yield home
    os.chdir(before)


@pytest.fixture(scope="module")
def _nothing_is_sampled(small_run):
    """Where training, or any other sampling, would begin, a run fails: all before that is what is fuzzed."""

    def refuse(*arguments, **options):
        raise RunFailedError("nothing is sampled here.")

    with pytest.MonkeyPatch.context() as patch:
        for place in (
            "metarl_cli.training.trainer.Trainer.sample",
            "metarl_cli.studies.tabular.run",
            "metarl_cli.studies.toy1d.run",
            "metarl_cli.reproduction.run.run_jobs",
        ):
            patch.setattr(place, refuse)
        yield
