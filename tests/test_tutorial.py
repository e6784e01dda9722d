"""The tutorial is a script that runs as it stands."""

from __future__ import annotations

import runpy
from pathlib import Path

import metarl_cli

TUTORIAL = Path(metarl_cli.__file__).parents[1] / "examples/tutorial.py"


def test_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(TUTORIAL))
    assert (tmp_path / "tutorial/adaptation.png").stat().st_size > 1000
    assert len(names["progress"]) == 20
    assert "dice      ‖bias‖" in capsys.readouterr().out
