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


def test_start_up_is_measured_of_every_command_and_of_what_is_shown_also_the_first_time(monkeypatch):
    again, first = list[tuple[str, ...]](), list[tuple[str, ...]]()

    def measured(*command, cache=None):
        assert cache is None or not any(Path(cache).iterdir())
        (first if cache else again).append(command)
        return Child(1.0, 7.0 if cache else 2.0, 3.0)

    monkeypatch.setattr("benchmarks.commands.metarl", measured)
    rows = start_up(quick=True, rounds=2)
    shows = dict.fromkeys(again[:3])
    assert {command[0] for command in shows} == {"list", "plot", "report"}
    assert {("--help",), ("train", "--help"), ("correlate", "toy1d", "--help"), *shows} <= set(again)
    assert len(again) == 3 + 2 * len(set(again)) > 2 * len(COMMANDS)
    assert first == [command for command in shows for _ in range(2)]
    assert Row("metarl check env --help, CPU", "s", [2.0, 2.0]) in rows
    assert Row("metarl list claims, memory", "MiB", [3.0, 3.0]) in rows
    assert Row("metarl plot fig2, the first time, CPU", "s", [7.0, 7.0]) in rows


def test_a_command_finds_what_is_remembered_in_the_cache_that_it_is_given(tmp_path):
    metarl("list", "claims", "--json", cache=str(tmp_path))
    assert list((tmp_path / "metarl").glob("*.pickle"))


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
