"""Noise of meta-gradient estimators along a training run, and the returns that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from metarl_cli.reporting.plots.style import caption, colour, label, mark_missing, new_figure
from metarl_cli.reporting.statistics import Interval, mean_interval

__all__ = ["REQUIRED", "promp_fig3", "tmaml_fig2"]

REQUIRED = frozenset({"profile", "seed", "rounds", "curve", "env_steps", "quantity", "value"})


class Look(NamedTuple):
    """How a line is drawn that has no name of its own in `style`: whose colour it has, its style, its label."""

    like: str
    line: str
    label: str


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "carrier": Look("lvc", ":", "carrier of the measurements (LVC-VPG)"),
        "dice": Look("dice", "-", "DiCE inside"),
        "dice-released": Look("dice", "--", "DiCE inside, released scaling"),
        "dice-full": Look("trpo-maml", "-", "DiCE inside and outside"),
        "dice-full-released": Look("trpo-maml", "--", "DiCE inside and outside, released scaling"),
        "tmaml": Look("tmaml", "-", "TMAML, meta-learned control variate"),
        "tmaml-per-task": Look("tmaml", "--", "TMAML, per-task control variate"),
    }
)

TRAINED_WITH: Mapping[str, str] = MappingProxyType(
    {"lvc-vpg": "lvc", "vpg-maml": "reinforce", "dice-vpg": "dice-released", "dice": "dice-full-released"}
)
"""The estimator that a trained run uses, whose look it has, where their names differ."""

PURE_NOISE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"relative_deviation": (1.0, 0.5), "cosine": (0.0, -0.5)}
)
"""(a, b) of the value (R − a)^b that these quantities take where R rounds hold noise and no signal."""

AXES: Mapping[str, str] = MappingProxyType(
    {
        "rstd": "mean of std/|mean| over coordinates",
        "relative_deviation": "‖std‖ / ‖mean‖",
        "cosine": "cosine to the mean gradient",
        "variance": "sum of the variances of all coordinates",
        "return/post": "return after adaptation",
    }
)
LOGARITHMIC = frozenset({"rstd", "variance"})
"""Averaged as logarithms, too: their intervals cannot reach below zero."""


def promp_fig3(table: pd.DataFrame) -> Figure:
    """The relative deviation that ProMP's Fig. 3 shows, two robust companions of it, and the return.

    Args:
        table: as `studies.variance` makes it; lines are drawn in its order. A trained run looks as its estimator.
    """
    return _figure(table, ("rstd", "relative_deviation", "cosine", "return/post"), columns=2)


def tmaml_fig2(table: pd.DataFrame) -> Figure:
    """The variance that TMAML's Fig. 2 shows, the deviation relative to the gradient, and the return.

    Args:
        table: as for `promp_fig3`.
    """
    return _figure(table, ("variance", "relative_deviation", "return/post"), columns=3)


def _figure(table: pd.DataFrame, quantities: Sequence[str], *, columns: int) -> Figure:
    figure, panels = new_figure(len(quantities) // columns, columns, size=(3.7, 3.0))
    for panel, quantity in zip(panels, quantities, strict=True):
        _panel(panel, quantity, table[table["quantity"] == quantity])
    lines = {str(line.get_label()): line for panel in panels for line in panel.lines}
    named = [text for text in lines if not text.startswith("_")]  # the others mark levels
    figure.legend(
        [lines[text] for text in named], named, loc="outside upper center", ncols=3, fontsize=7, frameon=False
    )
    caption(figure, _caption(table))
    return figure


def _panel(panel: Axes, quantity: str, rows: pd.DataFrame) -> None:
    panel.set_ylabel(AXES[quantity], fontsize=8)
    if rows.empty:
        mark_missing(panel)
        return
    for name in rows["curve"].unique():
        line = rows[rows["curve"] == name]
        trained = (line["rounds"] == 0).all()
        look = _look(TRAINED_WITH.get(name, name) if trained else name)
        _line(panel, look, line, logarithmic=quantity in LOGARITHMIC)
    _limit(panel, quantity, rows)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel("environment steps of training", fontsize=8)


def _look(name: str) -> Look:
    return LOOKS.get(name, Look(name, "-", label(name)))


def _limit(panel: Axes, quantity: str, rows: pd.DataFrame) -> None:
    """The range of the single seeds: with few of them, the bands may leave it."""
    if quantity in LOGARITHMIC:
        panel.set(yscale="log", ylim=(rows["value"].min() / 1.5, rows["value"].max() * 1.5))
    elif quantity == "cosine":
        panel.set_ylim(0.0, 1.0)
    elif quantity == "relative_deviation":
        panel.set_ylim(0.0, 1.1 * rows["value"].max())
    if quantity in PURE_NOISE:
        _noise_limit(panel, quantity, rows)


def _line(panel: Axes, look: Look, rows: pd.DataFrame, *, logarithmic: bool) -> None:
    values = rows.pivot(index="env_steps", columns="seed", values="value").dropna()
    band = _geometric(values) if logarithmic else mean_interval(values.to_numpy().T)
    own, steps = colour(look.like), values.index.to_numpy()
    panel.plot(steps, band.mean, look.line, color=own, marker="o", markersize=2.5, linewidth=1.3, label=look.label)
    panel.fill_between(steps, band.low, band.high, color=own, alpha=0.12, linewidth=0)


def _geometric(values: pd.DataFrame) -> Interval:
    """Geometric mean over seeds, [checkpoints], with the interval of the mean logarithm."""
    return Interval(*map(np.exp, mean_interval(np.log(values.to_numpy().T))))


def _noise_limit(panel: Axes, quantity: str, rows: pd.DataFrame) -> None:
    less, power = PURE_NOISE[quantity]
    for rounds in sorted(rows["rounds"].unique()):
        limit = (rounds - less) ** power
        panel.axhline(limit, color=colour("pre"), linewidth=0.8, linestyle=(0, (1, 2)))
        own, place = colour("pre"), panel.get_yaxis_transform()
        text = panel.text(0.99, limit, "nothing but noise", transform=place, ha="right", va="bottom", color=own)
        text.set(fontsize=6, clip_on=True, in_layout=False)


def _caption(table: pd.DataFrame) -> str:
    if table.empty:
        return "No measurements yet."
    measured = table[table["rounds"] > 0]
    seeds, rounds = sorted(measured["seed"].unique()), sorted(measured["rounds"].unique())
    return (
        f"Profile: {', '.join(sorted(table['profile'].unique()))}. Carrier's seeds: {', '.join(map(str, seeds))} "
        f"(n={len(seeds)}); R = {', '.join(map(str, rounds))} rounds of one set of tasks at each point. "
        "Line: mean over seeds, geometric on logarithmic axes;\nband: 95 % Student t interval of the mean."
    )
