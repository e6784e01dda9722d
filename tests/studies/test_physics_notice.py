"""Another MuJoCo moves bodies otherwise: said once per run directory."""

from __future__ import annotations

import pytest

from metarl_cli import circumstances
from metarl_cli.runs import launch

BODIES = ("train", "--env", "HalfCheetahFwdBack", "--profile", "smoke", "--set", "sampling.horizon=5")


def pretend(monkeypatch, version):
    monkeypatch.setattr(launch, "other_physics", lambda: version)
    installed = circumstances.metadata.version
    monkeypatch.setattr(
        circumstances.metadata, "version", lambda name: version if name == "mujoco" and version else installed(name)
    )


def test_said_once_per_directory_and_version(monkeypatch, metarl, tmp_path):
    pretend(monkeypatch, "4.0.0")
    first = metarl(*BODIES, "--iterations", 1, "--out", tmp_path / "run")
    again = metarl("train", "--resume", "--iterations", 2, "--out", tmp_path / "run")
    assert "MuJoCo 4.0.0 moves bodies otherwise than 3.17.x" in first.err
    assert "MuJoCo" not in again.err
    assert (first.code, again.code) == (0, 0)


@pytest.mark.parametrize(
    ("version", "arguments"),
    [(None, BODIES), ("4.0.0", ("train", "--env", "Toy1D", "--profile", "smoke"))],
    ids=["published physics", "no bodies"],
)
def test_not_said(monkeypatch, metarl, tmp_path, version, arguments):
    pretend(monkeypatch, version)
    ended = metarl(*arguments, "--iterations", 1, "--out", tmp_path / "run")
    assert (ended.code, "MuJoCo" in ended.err) == (0, False)


@pytest.mark.parametrize(
    ("version", "expected"), [("3.17.0", None), ("3.17.4", None), ("3.170.0", "3.170.0"), ("4.0.0", "4.0.0")]
)
def test_the_published_physics(monkeypatch, version, expected):
    monkeypatch.setattr(circumstances.metadata, "version", lambda name: version)
    assert circumstances.other_physics() == expected
