"""What `make bench` keeps, and how two of its files compare."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.commands import start_up
from benchmarks.measuring import Child, Row, metarl
from metarl_cli.cli import COMMANDS

ROOT = Path(__file__).parents[1]


def benchmarks(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )


def kept(path, quick=False, **rows):
    listed = [{"name": name, "unit": "s", "rounds": rounds} for name, rounds in rows.items()]
    path.write_text(json.dumps({"circumstances": {}, "quick": quick, "load": {}, "rows": listed}))
    return path


def test_the_medians_of_two_files_compare(tmp_path):
    a, b = kept(tmp_path / "a", both=[1.0, 2.0, 90.0], gone=[1.0]), kept(tmp_path / "b", both=[9.0, 5.0, 0.1])
    shown = benchmarks("--compare", a, b)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.split()[-4:] == ["both", "2", "5", "2.50"]
    assert "gone" not in shown.stdout


@pytest.mark.parametrize(
    ("other", "reason"), [({"quick": True, "both": [1.0]}, "--quick"), ({"another": [1.0]}, "no row in common")]
)
def test_what_does_not_compare_is_refused(tmp_path, other, reason):
    refused = benchmarks("--compare", kept(tmp_path / "a", both=[1.0]), kept(tmp_path / "b", **other))
    assert refused.returncode == 1
    assert reason in refused.stderr


def test_start_up_is_measured_of_every_command(monkeypatch):
    asked = list[tuple[str, ...]]()
    monkeypatch.setattr("benchmarks.commands.metarl", lambda *command: asked.append(command) or Child(1.0, 2.0, 3.0))
    rows = start_up(quick=True, rounds=2)
    assert {("--help",), ("train", "--help"), ("correlate", "toy1d", "--help"), ("list", "claims")} <= set(asked)
    assert len(asked) == 1 + 2 * len(set(asked)) > 2 * len(COMMANDS)
    assert Row("metarl check env --help, CPU", "s", [2.0, 2.0]) in rows
    assert Row("metarl list claims, memory", "MiB", [3.0, 3.0]) in rows


def test_a_child_s_memory_is_not_its_parent_s():
    ballast = bytearray(400 * 2**20)
    ballast[:: 2**12] = b"x" * len(ballast[:: 2**12])
    child = metarl("--version")
    assert 5.0 < child.memory < 300.0
    assert child.cpu > 0.01


def test_a_command_that_fails_says_so():
    with pytest.raises(SystemExit, match=r"(?s)metarl list nothing ended with exit code 2.*nothing"):
        metarl("list", "nothing")


def test_a_part_that_does_not_exist_is_refused():
    refused = benchmarks("speed")
    assert refused.returncode == 2
    assert "there is no part speed; there are rollouts, updates" in refused.stderr
