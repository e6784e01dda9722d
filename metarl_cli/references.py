"""What is the user's own, named on the command line as "package.module:Name" or "path/file.py:Name"."""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from metarl_cli.errors import UserError, unknown_name

__all__ = ["directory_name", "is_reference", "load_reference"]


def is_reference(name: str) -> bool:
    """Whether a name is a reference: no name of a registry has a colon."""
    return ":" in name


def directory_name(name: str) -> str:
    """A reference as one component of a path; a name of a registry is its own."""
    return re.sub(r"[^\w.-]+", "-", name.removesuffix("/")).strip("-.")


def load_reference(reference: str, kind: str) -> Any:
    """What a reference names. Modules are also looked for in the working directory.

    Args:
        reference: "package.module:Name" or "path/file.py:Name", the path relative to the working directory.
        kind: of the thing that is expected, for messages.

    Raises:
        UserError: if the reference has another form, the module cannot be imported, or it has no such name; with the
            nearest match.
    """
    place, _, name = reference.rpartition(":")
    if not (place and name):
        raise UserError(f"{reference!r} names no {kind}; write it as package.module:Name or path/file.py:Name.")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_path(place)
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown_name(f"{kind} of {place}", name, own)
    return getattr(module, name)


def _from_file(path: Path) -> ModuleType:
    """The module of that file, under its stem, so that a spawned process and a pickle find it again."""
    if not path.is_file():
        raise UserError(f"There is no file {path}.{_nearest(path.name, [p.name for p in path.parent.glob('*.py')])}")
    module = _import(path.stem, path.parent.resolve())
    if Path(getattr(module, "__file__", None) or "").resolve() != path.resolve():
        raise UserError(
            f"{path}: the name {path.stem} belongs to {getattr(module, '__file__', None) or 'Python'}; rename the file."
        )
    return module


def _from_path(name: str) -> ModuleType:
    first, here = name.partition(".")[0], Path.cwd()
    try:
        return _import(name, here)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):  # it is there, and imports what is not
            raise UserError(f"Cannot import {name}: {error}.") from error
        known = [p.stem for p in (*here.glob("*.py"), *here.glob("*/")) if p.stem.isidentifier()]
        raise UserError(
            f"There is no module {error.name}, neither installed nor in {here}.{_nearest(first, known)}"
        ) from None


def _import(name: str, home: Path) -> ModuleType:
    if os.fspath(home) not in sys.path:
        sys.path.insert(0, os.fspath(home))  # an installed command does not have it, unlike `python -m`
    importlib.invalidate_caches()  # the file may be younger than the last look into its directory
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"Cannot import {name}: {type(error).__name__}: {error}.") from error


def _nearest(given: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(given, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""
