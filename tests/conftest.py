"""What every test needs: one thread, a fast disk, and the command in this process."""

from __future__ import annotations

import os
import signal
import sys
from typing import NamedTuple

import pytest
import torch

from metarl_cli.cli import main

torch.set_num_threads(1)
# `nohup` ignores the one, a shell for what it starts in the background the other: for the tests, and runs they start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk():
    """No test outlives a power failure: what is written need not reach the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_cache_of_the_user(tmp_path_factory):
    """What the tests compute once is remembered for the tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


class Completed(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def metarl(monkeypatch, capfd):
    """`metarl(*arguments)`: run the command as the entry point does, and say what it printed and how it ended."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Completed:
        monkeypatch.setattr(sys, "argv", ["metarl", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capfd.readouterr()
        return Completed(int(ended.value.code or 0), printed.out, printed.err)

    return run
