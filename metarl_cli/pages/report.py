"""`metarl report`: claims with their verdicts, figures, tables and provenance on one page that needs no network.

Learning curves are drawn by the page itself, with uPlot, which is part of it; the papers' tables are tables, other
figures pictures. The same results give the same bytes: the page holds no date, and no path but those below the results.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from metarl_cli import __version__
from metarl_cli.claims.judge import Judgement, Verdict, judge_all
from metarl_cli.claims.wording import (
    counts_text,
    evidence_text,
    finding_evidence,
    interval_text,
    range_text,
    scope_text,
    statistic_text,
)
from metarl_cli.errors import UserError
from metarl_cli.figures.plots.picture import png
from metarl_cli.figures.plots.style import curve_label
from metarl_cli.figures.provenance import fingerprint, run_rows, table_rows
from metarl_cli.figures.tables import beside_the_paper, cells, explanation
from metarl_cli.figures.views import VIEWS
from metarl_cli.pages.behind import behind
from metarl_cli.pages.curves import explorable
from metarl_cli.pages.rendering import render
from metarl_cli.pages.shown import Shown, conclusions, plot_command, shown
from metarl_cli.pages.worth import MEANINGS, Worth, worth
from metarl_cli.papers import FIGURES, PAPERS, REPORTED, Figure
from metarl_cli.results import Results
from metarl_cli.store import write_whole

__all__ = ["write_report"]

SYMBOLS: Mapping[Verdict, str] = MappingProxyType(
    {Verdict.HOLDS: "✓", Verdict.FAILS: "✗", Verdict.UNDECIDED: "?", Verdict.NOT_RUN: "○"}
)

LIBRARY = ("uplot/uPlot.iife.min.js", "uplot/uPlot.min.css", "uplot/LICENSE")
"""uPlot 1.6.32, as its authors built it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG in base64, and its size in pixels, by which a page keeps the place until it is looked at."""

    data: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A figure on the page: what there is of it, if anything, as curves, table or picture, and what it tells."""

    figure: Figure
    what: Shown | None
    command: str
    conclusions: Sequence[str]
    curves: Mapping[str, object] | None = None
    picture: Picture | None = None
    tables: Sequence[tuple[str, str]] = ()
    beside: pd.DataFrame | None = None
    damage: str = ""


def write_report(results: Results, out: Path) -> list[Judgement]:
    """Write the page and return the judgements that it shows.

    Args:
        results: where; what is damaged there is said where it is missing, and stands in `results.damage`.
        out: the HTML file.

    Raises:
        UserError: if the name of the file does not end as that of a page does.
    """
    if out.suffix != ".html":
        raise UserError(f"--out {out}: the name of a page ends in .html.")
    judgements = judge_all(results)
    content = {
        "judgements": judgements,
        "behind": behind(judgements, results),
        "entries": [_entry(figure, results, judgements) for figure in FIGURES.values()],
        "provenance": {
            "Training runs, by profile, curve and environment": run_rows(results),
            "Tables of studies": table_rows(results),
        },
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, render("report.html", {**content, **_vocabulary(), **_assets()}))
    return judgements


def _entry(figure: Figure, results: Results, judgements: Sequence[Judgement]) -> Entry:
    what = shown(figure, results, None)
    command, concluded = plot_command(figure, results.directory, None), conclusions(figure, judgements)
    if isinstance(what, str):
        return Entry(figure, None, command, concluded, damage=what)
    if what is None:
        return Entry(figure, None, command, concluded)
    frame = what.content.frame
    curves = explorable(figure, frame)
    beside = beside_the_paper(figure, frame) if figure.name in REPORTED else None
    paths = [] if figure.source == "runs" else what.content.tables
    return Entry(
        figure,
        what,
        command,
        concluded,
        curves=curves,
        picture=_picture(figure, frame) if curves is None and beside is None else None,
        tables=[(path.relative_to(results.directory).as_posix(), fingerprint(path)) for path in paths],
        beside=beside,
    )


def _picture(figure: Figure, frame: pd.DataFrame) -> Picture:
    image = png(VIEWS[figure.plot].draw(figure, frame))
    width, height = struct.unpack(">II", image[16:24])  # where a PNG's first chunk has them
    return Picture(b64encode(image).decode("ascii"), width, height)


def _vocabulary() -> Mapping[str, object]:
    """What the template names: enumerations, registries, and the words for numbers."""
    numbers = (counts_text, evidence_text, finding_evidence, interval_text, range_text, scope_text, statistic_text)
    words = (*numbers, cells, explanation, curve_label, worth)
    names = {"Verdict": Verdict, "Worth": Worth, "MEANINGS": MEANINGS, "SYMBOLS": SYMBOLS, "PAPERS": PAPERS}
    return {word.__name__: word for word in words} | names | {"version": __version__}


def _assets() -> Mapping[str, str]:
    """Style, script and library: parts of the page, which needs no other file."""
    here = files("metarl_cli.pages")
    names = {"style": "templates/report.css", "script": "templates/report.js"}
    paths = names | dict(zip(("library", "library_style", "licence"), LIBRARY, strict=True))
    return {name: here.joinpath(path).read_text(encoding="utf-8") for name, path in paths.items()}
