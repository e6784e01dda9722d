"""A table of a paper as a figure: its number beside ours, as marks on an axis and in digits."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metarl_cli.figures.labels import colour, curve_label
from metarl_cli.figures.plots.learning import FEWEST
from metarl_cli.figures.plots.style import caption, new_figure
from metarl_cli.figures.tables import cells, explanation

__all__ = ["table_figure"]

_PAPER, _OURS = "#777777", colour("post")
_OFFSETS = (10, 95)
"""Points from the panel's right edge to the two columns of digits."""


def table_figure(table: pd.DataFrame) -> Figure:
    """A panel per environment, a row per method: the paper's mean ± spread in grey, ours with its interval in blue.

    An interval of two seeds, which would stretch the axis, stands in the digits alone.

    Args:
        table: as `figures.tables.beside_the_paper` gives it.
    """
    groups = list(table.groupby("environment", sort=False))
    figure, panels = new_figure(len(groups), 1, size=(8.4, 1.0 + 0.3 * max(len(rows) for _, rows in groups)))
    for panel, (environment, rows) in zip(panels, groups, strict=True):
        panel.set_title(str(environment), fontsize=9, loc="left")
        _digits(panel, -0.75, ("paper", "ours [95 % interval]"), bold=True)
        for height, (_, row) in enumerate(rows.iterrows()):
            at, spread = height - 0.12, row["spread"]
            panel.errorbar(row["paper"], at, xerr=spread, color=_PAPER, fmt="D", markersize=4, capsize=2)
            if row["n"] >= FEWEST:
                panel.plot([row["low"], row["high"]], [height + 0.12] * 2, color=_OURS, linewidth=1.4)
            if row["n"]:
                panel.plot(row["ours"], height + 0.12, "o", color=_OURS, markersize=5)
            paper, ours, n, profile = cells(row)
            _digits(panel, height, (paper, f"{ours}  n = {n}, {profile}" if row["n"] else "not yet run"))
        panel.set_yticks(range(len(rows)), [curve_label(curve) for curve in rows["curve"]])
        panel.set_ylim(len(rows) - 0.4, -0.6)
        panel.margins(x=0.08)
        panel.set_xlabel("return", fontsize=8)
    few = " Intervals of two seeds are in the digits alone." if FEWEST - 1 in set(table["n"]) else ""
    caption(figure, explanation(table) + few)
    return figure


def _digits(panel: Axes, height: float, texts: tuple[str, str], *, bold: bool = False) -> None:
    """Beside the panel at a height of its axis, in points, so that the layout can make room for them."""
    for text, offset in zip(texts, _OFFSETS, strict=True):
        panel.annotate(
            text,
            (1.0, height),
            xycoords=panel.get_yaxis_transform(),
            xytext=(offset, 0),
            textcoords="offset points",
            fontsize=8,
            weight="bold" if bold else "normal",
            va="center",
            annotation_clip=False,
        )
