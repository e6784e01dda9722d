"""Where results lie: the same layout for what is published, `results/published`, and what a user runs, `results/local`.

<results>/<profile>/runs/<curve>/<environment>/seed<k>/   run directories, shared by all figures
<results>/<profile>/<figure>/<figure>.csv                 the table that is drawn
<results>/<profile>/<figure>/<figure>.meta.json           of a study: the circumstances under which it was made
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["LOCAL", "META_SUFFIX", "PUBLISHED", "runs_directory", "table_path"]

PUBLISHED = Path("results/published")
LOCAL = Path("results/local")
META_SUFFIX = ".meta.json"


def runs_directory(results: Path, profile: str) -> Path:
    """Where the runs of a profile are."""
    return results / profile / "runs"


def table_path(results: Path, profile: str, figure: str) -> Path:
    """The table of a figure."""
    return results / profile / figure / f"{figure}.csv"
