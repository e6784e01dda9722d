"""Under which circumstances numbers are made: versions, commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from metarl_cli import __version__

__all__ = ["circumstances", "other_physics"]

SCHEMA_VERSION = 1
PACKAGES = ("torch", "gymnasium", "mujoco", "numpy")
"""On which numbers depend."""

PHYSICS = "3.17"
"""The MuJoCo releases, up to their last number, with which bodies move as in the published results."""


def circumstances(threads: int) -> dict[str, Any]:
    """What goes into a `meta.json` wherever numbers are written; `threads` are those of this process."""
    return {
        "schema_version": SCHEMA_VERSION,
        "metarl": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "host": {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()},
        "threads": threads,
    }


def other_physics() -> str | None:
    """The version of MuJoCo where bodies move otherwise than in the published results; None where they do not."""
    version = metadata.version("mujoco")
    return None if f"{version}.".startswith(f"{PHYSICS}.") else version


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
