"""Live logs are copies of `progress.csv`, number by number."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import pandas as pd
import pytest

from metarl_cli import live_logs
from metarl_cli.errors import UserError

SMALL = ("train", "--env", "Toy1D", "--profile", "smoke", "--quiet")


def test_a_log_that_does_not_exist(metarl, tmp_path):
    ended = metarl(*SMALL, "--out", tmp_path / "run", "--log", "tensorbord")
    assert ended.code == 2 and "Did you mean 'tensorboard'?" in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", live_logs.LIVE_LOGS)
def test_a_log_whose_package_is_missing(name, monkeypatch):
    monkeypatch.setattr(live_logs, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"pip install 'metarl-lab\[{name}\]'"):
        live_logs.check_live_log(name)


def test_a_folder_of_its_name_is_no_package(monkeypatch, tmp_path):
    """wandb leaves a folder `wandb` where it ran, and Python takes any folder for a package."""
    (tmp_path / "wandb").mkdir()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UserError, match=r"pip install 'metarl-lab\[wandb\]'"):
        live_logs.check_live_log("wandb")


def test_no_log_is_no_log(tmp_path):
    live_logs.check_live_log(None)
    with live_logs.live_log(None, tmp_path, None, done=0) as write:
        write({"iteration": 0})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of protobuf and of numpy in tensorboard
@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_has_every_number_once_also_after_a_resumption(metarl, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    assert metarl(*SMALL, "--iterations", 2, "--out", run, "--log", "tensorboard").code == 0
    assert metarl("train", "--resume", "--iterations", 3, "--out", run, "--log", "tensorboard", "--quiet").code == 0
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    progress = pd.read_csv(run / "progress.csv")
    assert sorted(events.Tags()["scalars"]) == sorted(progress)
    for name in progress:
        logged = {event.step: event.value for event in events.Scalars(name)}
        assert list(logged) == [0, 1, 2]
        assert list(logged.values()) == pytest.approx(progress[name].tolist(), rel=1e-6, nan_ok=True)


def test_wandb_is_given_every_row_and_stays_offline(monkeypatch, metarl, tmp_path):
    """With the calls recorded in its place: the package has half a gigabyte of its own."""
    told = []

    class Run:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            told.append("finished")

        def log(self, row, *, step):
            told.append((step, row["return/post"]))

    def init(**settings):
        told.append((settings["mode"], settings["config"]["algorithm"]))
        return Run()

    fake = ModuleType("wandb")
    fake.init = init
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(live_logs, "find_spec", lambda name: ModuleSpec(name, None, origin="wandb/__init__.py"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = tmp_path / "run"
    assert metarl(*SMALL, "--iterations", 2, "--out", run, "--log", "wandb").code == 0
    returns = pd.read_csv(run / "progress.csv")["return/post"].tolist()
    assert told == [("offline", "promp"), (0, returns[0]), (1, returns[1]), "finished"]
