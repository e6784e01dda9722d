"""What lies where a reproduction writes, and is not its own, is kept: moved to `<results>/<profile>/set-aside/`."""

from __future__ import annotations

import os
from contextlib import nullcontext
from itertools import count
from pathlib import Path

from metarl_cli.runs.directory import exclusive

__all__ = ["SET_ASIDE", "set_aside"]

SET_ASIDE = "set-aside"


def set_aside(path: Path, home: Path) -> Path:
    """Move a file or a directory to the first free place for it.

    Args:
        path: what is moved; a directory of a run or a measurement that must not be going on.
        home: the directory of the profile, below which it lies.

    Returns:
        Where it is now.

    Raises:
        UserError: if a process is at work in the directory.
    """
    free = place = home / SET_ASIDE / path.relative_to(home)
    numbers = count(2)
    while os.path.lexists(free):
        free = place.with_name(f"{place.stem}-{next(numbers)}{place.suffix}")
    free.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(path) if path.is_dir() else nullcontext():
        os.rename(path, free)
    return free
