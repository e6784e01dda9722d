"""Options that several commands have."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any
from unicodedata import category

import typer

from metarl_cli.errors import UserError
from metarl_cli.profiles import MOST_SEEDS

__all__ = ["AsJson", "Quiet", "Threads", "check_directory", "given_path", "listed", "path_option", "seeds"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Threads = Annotated[int, typer.Option(min=1, max=1024, help="Threads; no number depends on them.")]


def given_path(text: str | Path) -> Path:
    """A path as it is given; no text, as of a shell's variable that is not set, is not the current directory.

    Raises:
        typer.BadParameter: if there is no text, or nothing but blanks; or a control character in it, such as the end of
            a line, which spoils every list and message that the name stands in.
    """
    if not str(text).strip():
        raise typer.BadParameter(f"{text!r} names no file or directory. The current directory is '.'.")
    if any(category(character) == "Cc" for character in str(text)):
        raise typer.BadParameter(f"{str(text)!r} has a control character in it; choose a name without.")
    return Path(text)


def listed(text: str | None) -> tuple[str, ...]:
    """The words of an option that takes several, with commas between."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def seeds(text: str | None) -> tuple[int, ...]:
    """The numbers that `--seeds` names, with commas between, and ranges of them, as in 1-5 or 4,7.

    Raises:
        UserError: for anything else, or for more than are ever run.
    """
    found = dict[int, None]()
    for word in listed(text):
        first, dash, last = word.partition("-")
        numbers = [int(number) for number in (first, last if dash else first) if re.fullmatch("[0-9]{1,9}", number)]
        if len(numbers) < 2 or not 0 <= numbers[1] - numbers[0] < MOST_SEEDS:
            raise UserError(
                f"--seeds {word}: expected seeds and ranges of at most {MOST_SEEDS:,} of them, as in 1-5 or 4,7."
            )
        found |= dict.fromkeys(range(numbers[0], numbers[1] + 1))
    return tuple(found)


def path_option(metavar: str, help: str) -> Any:
    """An option that takes a path: of a FILE or a DIR, as its help calls it."""
    return typer.Option(metavar=metavar, parser=given_path, help=help)


def check_directory(out: Path) -> None:
    """Refuse, before anything is read or drawn, what is there already and is no directory.

    Raises:
        UserError: naming it.
    """
    if os.path.lexists(out) and not out.is_dir():
        raise UserError(f"{out} is there and is no directory, which --out names. Choose another --out.")
