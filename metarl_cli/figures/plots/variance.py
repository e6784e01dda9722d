"""Noise of meta-gradient estimators along a training run, and the returns that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from metarl_cli.figures.curves import ranges
from metarl_cli.figures.labels import colour, estimator_label
from metarl_cli.figures.plots.style import caption, mark_missing, new_figure
from metarl_cli.papers.claim import RETURN

__all__ = ["promp_fig3", "tmaml_fig2"]


class Look(NamedTuple):
    """How a line is drawn that has no name of its own in `style`: whose colour it has, its style, its label."""

    like: str
    line: str
    label: str


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "carrier": Look("lvc", ":", "carrier of the measurements (LVC-VPG)"),
        "dice": Look("dice", "-", "DiCE inside"),
        "dice-released": Look("dice", "--", "DiCE inside, released step"),
        "dice-full": Look("trpo-maml", "-", "DiCE inside and outside"),
        "dice-full-released": Look("trpo-maml", "--", "DiCE inside and outside, released step"),
        "tmaml": Look("tmaml", "-", "TMAML, meta-learned control variate"),
        "tmaml-per-task": Look("tmaml", "--", "TMAML, per-task control variate"),
    }
)

TRAINED_WITH: Mapping[str, str] = MappingProxyType(
    {
        "lvc-vpg": "lvc",
        "vpg-maml": "reinforce",
        "dice-vpg": "dice",
        "dice-vpg-released": "dice-released",
        "dice": "dice-full",
        "dice-released": "dice-full-released",
    }
)
"""The estimator that a trained run uses, whose look it has, where their names differ."""

PURE_NOISE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"relative_deviation": (1.0, 0.5), "cosine": (0.0, -0.5)}
)
"""(a, b) of the value (R − a)^b that these quantities take where R rounds hold noise and no signal."""

NOISE = "rounds without any signal"

AXES: Mapping[str, str] = MappingProxyType(
    {
        "rstd": "mean of std/|mean| over coordinates",
        "relative_deviation": "‖std‖ / ‖mean‖",
        "cosine": "cosine to the mean gradient",
        "variance": "trace of the covariance",
        RETURN: "return after adaptation",
    }
)
LOGARITHMIC = frozenset({"rstd", "variance"})
"""Averaged as logarithms, too."""


def promp_fig3(table: pd.DataFrame) -> Figure:
    """The relative deviation that ProMP's Fig. 3 shows, two robust companions of it, and the return.

    Args:
        table: as `studies.variance` makes it; lines are drawn in its order. A trained run looks as its estimator.
    """
    return _figure(table, ("rstd", "relative_deviation", "cosine", RETURN), columns=2)


def tmaml_fig2(table: pd.DataFrame) -> Figure:
    """The variance that TMAML's Fig. 2 shows, the deviation relative to the gradient, and the return.

    Args:
        table: as for `promp_fig3`.
    """
    return _figure(table, ("variance", "relative_deviation", RETURN), columns=3)


def _figure(table: pd.DataFrame, quantities: Sequence[str], *, columns: int) -> Figure:
    figure, panels = new_figure(len(quantities) // columns, columns, size=(3.7, 3.0))
    for panel, quantity in zip(panels, quantities, strict=True):
        _panel(panel, quantity, table[table["quantity"] == quantity])
    lines = {label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(list(lines.values()), list(lines), loc="outside upper center", ncols=3, fontsize=7, frameon=False)
    if table.empty:
        caption(figure, "No measurements yet.")
        return figure
    measured = table[table["rounds"] > 0]
    seeds, rounds = sorted(measured["seed"].unique()), sorted(measured["rounds"].unique())
    trained = table[table["rounds"] == 0].groupby("curve")["seed"].nunique()
    runs = f"Returns: n = {ranges(set(trained))} runs. " if len(trained) else ""
    caption(
        figure,
        f"Profile: {', '.join(sorted(table['profile'].unique()))}. Carrier's seeds: {', '.join(map(str, seeds))} "
        f"(n={len(seeds)}); R = {', '.join(map(str, rounds))} rounds of one set of tasks at each point. "
        "Dots and thin lines: single seeds.\n"
        f"{runs}Line: mean over seeds, geometric on logarithmic axes. Ratios of two "
        "estimators, paired by seed, with their intervals: metarl list claims.",
    )
    return figure


def _panel(panel: Axes, quantity: str, rows: pd.DataFrame) -> None:
    panel.set_ylabel(AXES[quantity], fontsize=8)
    if rows.empty:
        mark_missing(panel)
        return
    if quantity == RETURN and (trained := rows["rounds"] == 0).any():
        rows = rows[trained]  # the carrier's training may be many times as long
    for name in rows["curve"].unique():
        line = rows[rows["curve"] == name]
        estimator = TRAINED_WITH.get(name, name) if (line["rounds"] == 0).all() else name
        look = LOOKS.get(estimator, Look(estimator, "-", estimator_label(estimator)))
        _line(panel, look, line, logarithmic=quantity in LOGARITHMIC)
    if quantity in LOGARITHMIC:
        panel.set_yscale("log")
        wide = rows["value"].max() > 1e3 * rows["value"].min()  # a number at each power of ten is then enough
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_locator(NullLocator())
    elif quantity == "cosine":
        panel.set_ylim(0.0, 1.0)
    elif quantity == "relative_deviation":
        panel.set_ylim(0.0, 1.1 * rows["value"].max())
    if quantity in PURE_NOISE:
        less, power = PURE_NOISE[quantity]
        for rounds in sorted(rows["rounds"].unique()):
            limit = (rounds - less) ** power
            panel.axhline(limit, color=colour("pre"), linewidth=0.9, linestyle=(0, (1, 2)), label=NOISE)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel("environment steps of training", fontsize=8)


def _line(panel: Axes, look: Look, rows: pd.DataFrame, *, logarithmic: bool) -> None:
    # Several numbers of a seed at one place, for instance of other rounds, count as their mean.
    values = rows.groupby(["env_steps", "seed"])["value"].mean().unstack().dropna()
    if logarithmic:
        values = values[(values > 0.0).all(axis=1)]
    mean = np.exp(np.log(values).mean(axis=1)) if logarithmic else values.mean(axis=1)
    own = colour(look.like)
    panel.plot(values.index, mean, look.line, color=own, linewidth=1.4, label=look.label)
    if (rows["rounds"] == 0).all():
        panel.plot(values.index, values, look.line, color=own, alpha=0.35, linewidth=0.6)
    else:
        steps = np.tile(values.index, len(values.columns))
        hollow = look.line != "-"  # as its line is broken where another has the same colour
        panel.scatter(
            steps,
            values.to_numpy().T.ravel(),
            s=9,
            facecolor="none" if hollow else own,
            edgecolor=own,
            alpha=0.4,
            linewidth=0.8 if hollow else 0.0,
        )
