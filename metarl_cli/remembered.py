"""What took seconds to compute or to read, remembered for the next command in the user's cache directory.

What is remembered is what the same call would give again: its key names all that the call depends on, and here the
sources of the package and the versions of the libraries are added. Anything else that lies there is computed anew.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import metarl_cli
from metarl_cli.store import write_whole

__all__ = ["Look", "look", "remembered"]

T = TypeVar("T")

MOST = 64
"""Of what is remembered: more, and the oldest is forgotten."""


def remembered(name: str, key: str, compute: Callable[[], T]) -> T:
    """What `compute` returns, or what it returned when it was last called by this name, if that was with this key.

    Args:
        name: of the one place where it is remembered.
        key: changes whenever it would return something else.
        compute: what it raises is not remembered.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "metarl"
    if not home.is_absolute():  # nobody's home is known: what lies in the working directory is the user's
        return compute()
    path = home / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.pickle"
    key = hashlib.sha256(f"{_code()} {name} {key}".encode()).hexdigest()
    with suppress(Exception):  # none, or none that this version wrote whole: whatever unpickling makes of it
        remembers, _, content = path.read_bytes().partition(b"\n")
        if remembers.decode() == key:
            return cast(T, pickle.loads(content))
    value = compute()
    with suppress(OSError):  # a home that cannot be written costs the next command its seconds, and nothing else
        home.mkdir(parents=True, exist_ok=True)
        write_whole(path, key.encode() + b"\n" + pickle.dumps(value))
        for old in sorted(home.glob("*.pickle"), key=os.path.getmtime)[:-MOST]:
            old.unlink(missing_ok=True)
    return value


class Look(NamedTuple):
    """What tells whether a file is the one that it was, as for make and git; zeros where there is none."""

    path: str
    inode: int = 0
    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0


def look(path: Path) -> Look:
    """At a file, without reading it."""
    try:
        stat = path.stat()
    except OSError:
        return Look(str(path))
    return Look(str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@cache
def _code() -> str:
    digest = hashlib.sha256(" ".join([sys.version, *map(version, ("torch", "numpy", "pandas"))]).encode())
    for source in sorted(Path(metarl_cli.__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
