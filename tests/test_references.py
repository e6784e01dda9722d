from __future__ import annotations

import sys

import pytest

from metarl_cli.errors import UserError
from metarl_cli.references import load_reference


def test_a_file_that_no_module_can_be_named_after_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.mazes.py").write_text("class Maze: ...\n")
    with pytest.raises(UserError, match=r"my\.mazes\.py: .*rename the file"):
        load_reference("my.mazes.py:Maze", "environment")
