"""The papers' tables: their number beside ours, as a frame, as CSV and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pandas as pd

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.claims.wording import interval, number
from metarl_cli.figures.plots.style import curve_label
from metarl_cli.papers import REPORTED, Figure
from metarl_cli.papers.claim import Reported
from metarl_cli.papers.sizes import size
from metarl_cli.tables import write_table

__all__ = ["COLUMNS", "beside_the_paper", "cells", "explanation", "markdown", "write_texts"]

COLUMNS = ("environment", "curve", "paper", "spread", "ours", "low", "high", "n", "profile")


class _Ours(NamedTuple):
    ours: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    profile: str = ""


_Numbers: TypeAlias = dict[tuple[str, str], _Ours]
"""Ours by environment and curve."""


def beside_the_paper(figure: Figure, frame: pd.DataFrame) -> pd.DataFrame:
    """One row per number that the paper prints, ours beside it; a number that we do not have is NaN, with n = 0.

    Args:
        figure: a table of a paper.
        frame: learning curves, of which the last iteration counts, or returns on new tasks, of which those after the
            most adaptation steps count.

    Returns:
        A frame with the columns `COLUMNS`.
    """
    ours = _last_returns(frame) if "quantity" in frame else _tested_returns(frame)
    rows = [_row(entry, ours) for entry in REPORTED[figure.name]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cells(row: pd.Series) -> tuple[str, str, str]:
    """The paper's number, ours with its interval, and n, as text."""
    ours = interval(row["ours"], row["low"], row["high"])
    return f"{number(row['paper'])} ± {number(row['spread'])}", ours, str(row["n"])


def markdown(figure: Figure, table: pd.DataFrame) -> str:
    """The table as Markdown, with a line that says what the numbers are."""
    header = ("Environment", "Method", "Paper", "Ours", "n")
    body = [(row["environment"], curve_label(row["curve"]), *cells(row)) for _, row in table.iterrows()]
    lines = [_line(header), _line(["---"] * len(header)), *(_line(entries) for entries in body)]
    return "\n".join([f"# {figure.name}: {figure.title}", "", *lines, "", explanation(table), ""])


def explanation(table: pd.DataFrame) -> str:
    """What the numbers of a table are, and at which size ours were made."""
    made = {(profile, name) for profile, name in zip(table["profile"], table["environment"], strict=True) if profile}
    profiles = ", ".join(sorted({profile for profile, _ in made})) or "none yet"
    whole = made and all(size(name, profile) == size(name, "paper") for profile, name in made)
    scale = "the paper's own size" if whole else "only the profile paper has the paper's size"
    return (
        "Paper: mean ± spread as printed. Ours: mean over n seeds with its 95 % Student t interval, undiscounted "
        f"return after adaptation. Profile of ours: {profiles}; {scale}."
    )


def write_texts(figure: Figure, frame: pd.DataFrame, out: Path) -> list[Path]:
    """Write `<out>/<name>.csv` and `<out>/<name>.md`; the same frame gives the same bytes."""
    table = beside_the_paper(figure, frame)
    csv, text = out / f"{figure.name}.csv", out / f"{figure.name}.md"
    write_table(table, csv)
    text.write_text(markdown(figure, table), encoding="utf-8")
    return [csv, text]


def _last_returns(curves: pd.DataFrame) -> _Numbers:
    """Post-update return at the last iteration."""
    drawn = curves[curves["quantity"] == "return/post"].sort_values("iteration")
    last = drawn.groupby(["environment", "curve"]).tail(1)
    return {
        (row["environment"], row["curve"]): _Ours(
            row["mean"], row["low"], row["high"], len(str(row["seeds"]).split()), row["profile"]
        )
        for _, row in last.iterrows()
    }


def _tested_returns(returns: pd.DataFrame) -> _Numbers:
    """Return on new tasks after the most adaptation steps."""
    ours = {}
    for (environment, curve), group in returns.groupby(["environment", "curve"]):
        adapted = group[group["steps"] == group["steps"].max()]
        seeds = adapted.groupby("seed")["return"].mean()
        mean, low, high = (float(limit) for limit in mean_interval(seeds.to_numpy()))
        ours[str(environment), str(curve)] = _Ours(mean, low, high, len(seeds), str(group["profile"].iloc[0]))
    return ours


def _row(entry: Reported, ours: _Numbers) -> dict[str, object]:
    printed = {"environment": entry.environment, "curve": entry.curve, "paper": entry.mean, "spread": entry.spread}
    return printed | ours.get((entry.environment, entry.curve), _Ours())._asdict()


def _line(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"
