"""`figures/README.md`: every figure that there are results of, with its size, its seeds and the command that draws it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metarl_cli.errors import UserError
from metarl_cli.papers import FIGURES, PAPERS, Figure
from metarl_cli.reporting.draw import draw, table_of
from metarl_cli.store import PUBLISHED

__all__ = ["Shown", "shown", "write_gallery"]

GALLERY = "README.md"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a figure shows.

    Attributes:
        frame: the table that is drawn.
        path: of that table.
        profile: of the results.
        seeds: of the results, in words.
    """

    frame: pd.DataFrame
    path: Path
    profile: str
    seeds: str


def shown(figure: Figure, results: Path) -> Shown | str:
    """What a figure can show of the results, or why it cannot."""
    try:
        frame, path = table_of(figure, results=results)
    except UserError as error:
        return str(error)
    return Shown(frame, path, path.parent.parent.name, _seeds(frame))


def write_gallery(results: Path, out: Path) -> list[Path]:
    """Draw every figure that there are results of, and write the page that shows them.

    Args:
        results: a directory as `store` lays it out.
        out: where the pictures and `README.md` go.

    Returns:
        The files that were written.
    """
    files, sections = [], []
    for figure in FIGURES.values():
        what = shown(figure, results)
        if isinstance(what, Shown):
            files += draw(figure, what.frame, what.path, out=out)
        sections.append(_section(figure, what, results))
    page = out / GALLERY
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(["# Figures", "", _INTRODUCTION, "", *sections]), encoding="utf-8")
    return [*files, page]


_INTRODUCTION = (
    "Made by `metarl plot --all`; do not edit. A picture shows what was run, at the profile that it names: only `paper` "
    "is the size of the papers' own experiments. `metarl report` sets the papers' claims beside it."
)


def _section(figure: Figure, what: Shown | str, results: Path) -> str:
    heading = [f"## {figure.name}: {figure.title}", "", f"{PAPERS[figure.paper]}.", ""]
    if isinstance(what, str):
        return "\n".join([*heading, f"Not yet run: `metarl reproduce {figure.name}`.", ""])
    place = "" if results == PUBLISHED else f" --results {results.as_posix()}"
    lines = [
        f"![{figure.title}]({figure.name}.png)",
        "",
        f"Profile {what.profile}, seeds {what.seeds}. `metarl plot {figure.name}{place} --profile {what.profile}`",
        "",
    ]
    return "\n".join([*heading, *lines])


def _seeds(frame: pd.DataFrame) -> str:
    """The seeds of a table: a column of them, or one of lists of them."""
    if "seed" in frame:
        seeds = {int(seed) for seed in frame["seed"].unique()}
    else:
        seeds = {int(seed) for entry in frame["seeds"].unique() for seed in str(entry).split()}
    return ", ".join(map(str, sorted(seeds)))
