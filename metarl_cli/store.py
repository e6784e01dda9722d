"""Where results lie, and how their files are written. What is published and what a user runs have the same layout.

<results>/<profile>/runs/<curve>/<environment>/seed<k>/   run directories, shared by all figures
<results>/<profile>/<figure>/<figure>.csv                 the table that is drawn
<results>/<profile>/<figure>/<figure>.meta.json           of a study: the circumstances under which it was made
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

__all__ = [
    "CONFIG",
    "INSTALLED",
    "LOCAL",
    "META_SUFFIX",
    "OWN_FIGURES",
    "OWN_STUDIES",
    "PUBLISHED",
    "runs_directory",
    "sweep",
    "sync_directory",
    "table_path",
    "write_whole",
]

INSTALLED = Path(__file__).with_name("published")
"""The published results that an installation brings, see `packing`; a checkout has none."""

_PLACES = (Path("results/published"), Path(__file__).parents[1] / "results/published")
PUBLISHED = next((path for path in _PLACES if path.is_dir()), INSTALLED)
"""Those of the working directory, else of the checkout that this code is in, else of the installation."""
LOCAL = Path("results/local")
OWN_STUDIES = LOCAL / "studies"
"""Where a study that was asked for by itself goes, so that it never meets what a reproduction makes."""
OWN_FIGURES = LOCAL / "own"
"""Where figures of the user's own are made, each in a directory of its name, for the same reason."""
META_SUFFIX = ".meta.json"
CONFIG = "config.json"
"""Of a run, its settings: what makes a directory that of a run."""
STRAY = re.compile(r"(DONE|.+\.(csv|json|pt))(\.\d+)?\.tmp")
"""What `write_whole` may leave in the directory of a run or a measurement; earlier versions wrote no number."""


def runs_directory(results: Path, profile: str) -> Path:
    """Where the runs of a profile are."""
    return results / profile / "runs"


def table_path(results: Path, profile: str, figure: str) -> Path:
    """The table of a figure."""
    return results / profile / figure / f"{figure}.csv"


def write_whole(path: Path, content: str | bytes, *, keep: Path | None = None) -> None:
    """Write a file at once: it is whole or it is the previous one, whenever the process is killed or the power fails.

    Args:
        path: the file.
        content: all of it.
        keep: where the previous one goes; None to lose it.

    Raises:
        OSError: with the file's name, if it cannot be written. The previous one is then as it was.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # left by a killed process that had this number
        with temporary.open("xb") as file:  # a new file: no link that lies there is followed
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if keep and path.exists():
            os.replace(path, keep)
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Let the names in a directory outlive a power failure, where the system can promise that."""
    with suppress(OSError):  # not every file system can, and none loses by it what it held before
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(directory: Path) -> None:
    """Remove what killed processes left of files that they were writing there; only for who holds its lock."""
    for stray in directory.glob("*.tmp"):
        if STRAY.fullmatch(stray.name):  # else it is the user's own
            stray.unlink(missing_ok=True)
