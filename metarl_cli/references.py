"""What is the user's own, named on the command line as "package.module:Name" or "path/file.py:Name".

`pinned` adds the hash of the file, "path/file.py:Name@hash": a name that only this code has, so that a run which was
begun with it does not go on with another. What that file imports is not looked at.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from metarl_cli.errors import UserError, nearest, unknown_name

__all__ = ["directory_name", "is_reference", "load_reference", "pinned", "unpinned"]

ADAPTERS: Mapping[str, str] = MappingProxyType({"metaworld": "metarl_cli.envs.metaworld"})
"""Packages whose benchmarks have an interface of their own, and the module that gives them metarl's."""

HASH_LENGTH = 12


def is_reference(name: str) -> bool:
    """Whether a name is a reference: no name of a registry has a colon."""
    return ":" in name


def unpinned(name: str) -> str:
    """A reference without the hash of its file; a name of a registry as it is."""
    place, colon, own = name.rpartition(":")
    return f"{place}{colon}{own.partition('@')[0]}"


def directory_name(name: str) -> str:
    """A reference as one component of a path, whatever its code; a name of a registry is its own."""
    return re.sub(r"[^\w.-]+", "-", unpinned(name).removesuffix("/")).strip("-.")


def pinned(name: str, kind: str) -> str:
    """A reference with the hash of its file; a name of a registry, and of a package's benchmark, as it is.

    Raises:
        UserError: as `load_reference`; or if the module has no file.
    """
    plain = unpinned(name)
    place = plain.rpartition(":")[0]
    if not is_reference(plain) or place in ADAPTERS:
        return name
    load_reference(name, kind)
    return f"{plain}@{_code(_module(place))}"


def load_reference(reference: str, kind: str) -> Any:
    """What a reference names. Modules are also looked for in the working directory.

    Args:
        reference: "package.module:Name" or "path/file.py:Name", the path relative to the working directory or to one of
            those in which Python looks for modules; pinned or not.
        kind: of the thing that is expected, for messages.

    Raises:
        UserError: if the reference has another form, the module cannot be imported, or it has no such name, with the
            nearest match; or if its file is not the one whose hash the reference has.
    """
    plain = unpinned(reference)
    wanted = reference[len(plain) :].removeprefix("@")
    place, _, name = plain.rpartition(":")
    if not (place and name):
        raise UserError(f"{plain!r} names no {kind}; write it as package.module:Name or path/file.py:Name.")
    module = _module(place)
    if not hasattr(module, name):
        package = module.__name__.partition(".")[0]  # what it imports from others is not meant, what it hands on is
        own = [
            key
            for key, value in vars(module).items()
            if callable(value)
            and not key.startswith("_")
            and str(getattr(value, "__module__", "")).partition(".")[0] == package
        ]
        raise unknown_name(f"{kind} of {place}", name, own)
    if wanted and wanted != _code(module):
        raise UserError(
            f"The code of {plain} is not what it was: its file has hash {_code(module)} now, and {wanted} is asked "
            "for. Put it back to go on; with the new code, begin anew: --overwrite, or another --out."
        )
    return getattr(module, name)


def _module(place: str) -> ModuleType:
    """The module of a name or a file; that of a file under its stem, so that other processes and a pickle find it."""
    place = ADAPTERS.get(place, place)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # an installed command does not have it, unlike `python -m`
    if not place.endswith(".py"):
        try:
            return _import(place)
        except ModuleNotFoundError as error:
            here = Path.cwd()
            known = (p.stem for p in (*here.glob("*.py"), *here.glob("*/")) if p.stem.isidentifier())
            raise UserError(
                f"There is no module {error.name}, neither installed nor in {here}."
                f"{nearest(place.partition('.')[0], known)}"
            ) from None
    path = Path(place)
    found = next((file for home in ("", *sys.path) if (file := home / path).is_file()), None)
    if found is None:
        raise UserError(f"There is no file {path}.{nearest(path.name, (p.name for p in path.parent.glob('*.py')))}")
    if "." in path.stem:
        raise UserError(f"{path}: the name of a module has no dot, and {path.stem} has one; rename the file.")
    if (home := str(found.parent.resolve())) not in sys.path:
        sys.path.insert(0, home)
    module = _import(path.stem)
    if Path(_file(module) or "").resolve() != found.resolve():
        raise UserError(f"{path}: the name {path.stem} belongs to {_file(module) or 'Python'}; rename the file.")
    return module


@cache  # what was imported stays what it is, whatever becomes of the file
def _code(module: ModuleType) -> str:
    source = Path(_file(module) or "")
    if not source.is_file():
        raise UserError(f"{module.__name__} has no file whose code could be compared; expected a module of Python's.")
    return hashlib.sha256(source.read_bytes()).hexdigest()[:HASH_LENGTH]


def _file(module: ModuleType) -> str | None:
    """None for a module that is part of the interpreter, which may lack even the attribute."""
    return getattr(module, "__file__", None)


def _import(name: str) -> ModuleType:
    importlib.invalidate_caches()  # the file may be younger than the last look into its directory
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise  # it is this module that is not there, not one that it imports
        raise UserError(f"Cannot import {name}: {type(error).__name__}: {error}.") from error
