"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["AsJson", "Quiet", "Threads", "given_path", "path_option"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Threads = Annotated[int, typer.Option(min=1, max=1024, help="Threads; no number depends on them.")]


def given_path(text: str | Path) -> Path:
    """A path as it is given; no text, as of a shell's variable that is not set, is not the current directory.

    Raises:
        typer.BadParameter: if there is no text, or nothing but blanks.
    """
    if not str(text).strip():
        raise typer.BadParameter(f"{text!r} names no file or directory. The current directory is '.'.")
    return Path(text)


def path_option(metavar: str, help: str) -> Any:
    """An option that takes a path: of a FILE or a DIR, as its help calls it."""
    return typer.Option(metavar=metavar, parser=given_path, help=help)
