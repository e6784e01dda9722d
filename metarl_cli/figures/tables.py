"""The papers' tables: their number beside ours, as a frame, as CSV and as Markdown."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.claims.wording import interval, number
from metarl_cli.figures.labels import curve_label
from metarl_cli.papers import REPORTED, Figure
from metarl_cli.papers.claim import RETURN
from metarl_cli.papers.sizes import size
from metarl_cli.store import write_whole
from metarl_cli.tables import write_table

__all__ = ["COLUMNS", "beside_the_paper", "cells", "explanation", "markdown", "write_texts"]

COLUMNS = ("environment", "curve", "paper", "spread", "ours", "low", "high", "n", "profile")


def beside_the_paper(figure: Figure, frame: pd.DataFrame) -> pd.DataFrame:
    """One row per number that the paper prints, ours beside it; a number that we do not have is NaN, with n = 0.

    Args:
        figure: a table of a paper.
        frame: learning curves, of which the last iteration counts, or returns on new tasks, of which those after the
            most adaptation steps count.

    Returns:
        A frame with the columns `COLUMNS`.
    """
    ours = dict[tuple[str, str], tuple[float, float, float, int, str]]()
    if "quantity" in frame:
        curves = frame[frame["quantity"] == RETURN].sort_values("iteration")
        for _, last in curves.groupby(["environment", "curve"]).tail(1).iterrows():
            numbers = last["mean"], last["low"], last["high"], len(str(last["seeds"]).split())
            ours[last["environment"], last["curve"]] = *numbers, last["profile"]
    else:
        for (environment, curve), group in frame.groupby(["environment", "curve"]):
            returns = group[group["steps"] == group["steps"].max()].groupby("seed")["return"].mean()
            mean, low, high = map(float, mean_interval(returns.to_numpy()))
            ours[str(environment), str(curve)] = mean, low, high, len(returns), str(group["profile"].iloc[0])
    nothing = math.nan, math.nan, math.nan, 0, ""
    rows = [
        (entry.environment, entry.curve, entry.mean, entry.spread, *ours.get((entry.environment, entry.curve), nothing))
        for entry in REPORTED[figure.name]
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def cells(row: pd.Series) -> tuple[str, str, str, str]:
    """The paper's number, ours with its interval, n, and the profile of ours, as text."""
    ours = interval(row["ours"], row["low"], row["high"])
    return f"{number(row['paper'])} ± {number(row['spread'])}", ours, str(row["n"]), row["profile"]


def markdown(figure: Figure, table: pd.DataFrame) -> str:
    """The table as Markdown, with a line that says what the numbers are."""
    header = ("Environment", "Method", "Paper", "Ours", "n", "Profile")
    body = [(row["environment"], curve_label(row["curve"]), *cells(row)) for _, row in table.iterrows()]
    lines = [f"| {' | '.join(entries)} |" for entries in (header, ["---"] * len(header), *body)]
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
    write_whole(text, markdown(figure, table))
    return [csv, text]
