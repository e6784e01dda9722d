"""Under which circumstances numbers are made: versions, commit, machine."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from metarl_cli import __version__

__all__ = ["circumstances", "memory", "other_physics"]

PACKAGES = ("torch", "gymnasium", "mujoco", "numpy")
"""On which numbers depend."""

PHYSICS = "3.17"
"""The MuJoCo releases, up to their last number, with which bodies move as in the published results."""


def circumstances(threads: int) -> dict[str, Any]:
    """What goes into a `meta.json` wherever numbers are written; `threads` are those of this process."""
    return {
        "schema_version": 1,
        "metarl": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "host": {
            "system": platform.system(),
            "machine": platform.machine(),
            "processor": _processor(),
            "cpus": os.cpu_count(),
        },
        "threads": threads,
    }


def other_physics() -> str | None:
    """The version of MuJoCo where bodies move otherwise than in the published results; None where they do not."""
    version = metadata.version("mujoco")
    return None if f"{version}.".startswith(f"{PHYSICS}.") else version


def memory() -> float:
    """The bytes that this machine has; infinity where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return math.inf


@cache
def _processor() -> str:
    """Its model, by which the last digits of numbers may differ."""
    with suppress(OSError):  # Linux alone has it
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


@cache
def _git_commit() -> str | None:
    """The commit of this code, asked for once: it is the one that this process has loaded."""
    root = Path(__file__).parents[1]
    if not (root / "pyproject.toml").exists():  # installed: whatever repository is around it is not ours
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
