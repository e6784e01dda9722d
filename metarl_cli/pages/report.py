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
    chance_text,
    counts_text,
    evidence_text,
    interval_text,
    range_text,
    scope_text,
    statistic_text,
)
from metarl_cli.errors import UserError
from metarl_cli.figures.ends import HEADER
from metarl_cli.figures.labels import curve_label
from metarl_cli.figures.pictures import pictures_of
from metarl_cli.figures.provenance import fingerprint, run_rows, table_rows
from metarl_cli.figures.tables import beside_the_paper, cells, explanation
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

LIBRARY: Mapping[str, str] = MappingProxyType(
    {"library": "uplot/uPlot.iife.min.js", "library_style": "uplot/uPlot.min.css", "licence": "uplot/LICENSE"}
)
"""uPlot 1.6.32, as its authors built it, by what the page calls its parts."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG in base64, and its size in pixels, by which a page keeps the place until it is looked at."""

    data: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A figure on the page: what `shown` says there is of it, as curves, table or picture, and what it tells."""

    figure: Figure
    what: Shown | str | None
    command: str
    conclusions: Sequence[str]
    curves: Mapping[str, object] | None = None
    picture: Picture | None = None
    tables: Sequence[tuple[str, str]] = ()
    beside: pd.DataFrame | None = None


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
    texts = (chance_text, counts_text, evidence_text, interval_text, range_text, scope_text, statistic_text)
    here, assets = files("metarl_cli.pages"), {"style": "templates/report.css", "script": "templates/report.js"}
    content = {
        "judgements": judgements,
        "behind": behind(judgements, results),
        "entries": [_entry(figure, results, judgements) for figure in FIGURES.values()],
        "provenance": {
            "Training runs, by profile, curve and environment": run_rows(results),
            "Tables of studies": table_rows(results),
        },
        "version": __version__,
        **{"Verdict": Verdict, "Worth": Worth, "MEANINGS": MEANINGS, "SYMBOLS": SYMBOLS},
        **{"PAPERS": PAPERS, "ENDS": HEADER},
        **{word.__name__: word for word in (*texts, cells, explanation, curve_label, worth)},
        **{name: here.joinpath(path).read_text(encoding="utf-8") for name, path in {**assets, **LIBRARY}.items()},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, render("report.html", content))
    return judgements


def _entry(figure: Figure, results: Results, judgements: Sequence[Judgement]) -> Entry:
    what = shown(figure, results, None)
    command, concluded = plot_command(figure, results.directory, None), conclusions(figure, judgements)
    if not isinstance(what, Shown):
        return Entry(figure, what, command, concluded)
    frame = what.content.frame
    curves, picture = explorable(figure, frame), None
    beside = beside_the_paper(figure, frame) if figure.name in REPORTED else None
    if curves is None and beside is None:
        image = pictures_of(figure, frame).png
        width, height = struct.unpack(">II", image[16:24])  # where a PNG's first chunk has them
        picture = Picture(b64encode(image).decode("ascii"), width, height)
    paths = [] if figure.source == "runs" else what.content.tables
    return Entry(
        figure,
        what,
        command,
        concluded,
        curves=curves,
        picture=picture,
        tables=[(path.relative_to(results.directory).as_posix(), fingerprint(path)) for path in paths],
        beside=beside,
    )
