"""Where results lie, and how their files are written. What is published and what a user runs have the same layout.

<results>/<profile>/runs/<curve>/<environment>/seed<k>/   run directories, shared by all figures
<results>/<profile>/<figure>/<figure>.csv                 the table that is drawn
<results>/<profile>/<figure>/<figure>.meta.json           of a study: the circumstances under which it was made
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["LOCAL", "META_SUFFIX", "PUBLISHED", "runs_directory", "table_path", "write_whole"]

PUBLISHED = Path("results/published")
LOCAL = Path("results/local")
META_SUFFIX = ".meta.json"


def runs_directory(results: Path, profile: str) -> Path:
    """Where the runs of a profile are."""
    return results / profile / "runs"


def table_path(results: Path, profile: str, figure: str) -> Path:
    """The table of a figure."""
    return results / profile / figure / f"{figure}.csv"


def write_whole(path: Path, text: str) -> None:
    """Write a file at once: it is whole or it is the previous one, whenever the process is killed."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(text.encode())
    os.replace(temporary, path)
