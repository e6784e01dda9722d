"""The two ways a command can go wrong that are no bug: a mistake of the user's, and a run that cannot go on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["RunFailedError", "UserError", "check_known", "check_there", "nearest", "unknown_name"]


class UserError(Exception):
    """A mistake of the user's. The message says what was given, what is allowed and what to do; exit code 2."""


class RunFailedError(Exception):
    """A run whose numbers are no longer finite, or that cannot write its directory any more; exit code 1."""


def unknown_name(kind: str, given: str, known: Iterable[str]) -> UserError:
    """The error for a name that is in no registry, with the nearest match and all the names there are."""
    names = sorted(known)
    return UserError(f"Unknown {kind} {given!r}.{nearest(given, names)} Known: {', '.join(names)}.")


def check_known(kind: str, given: str, known: Iterable[str]) -> None:
    """Raise `unknown_name` unless the name is in the registry."""
    if given not in known:
        raise unknown_name(kind, given, known)


def check_there(path: Path) -> None:
    """Raise `UserError`, with the nearest name beside it, if there is nothing at a path."""
    if not path.exists():
        raise UserError(f"There is no {path}.{nearest(path.name, (other.name for other in path.parent.glob('*/')))}")


def nearest(given: str, known: Iterable[str]) -> str:
    """The question whether the nearest of the known names was meant; nothing if none is near."""
    matches = difflib.get_close_matches(given, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""
