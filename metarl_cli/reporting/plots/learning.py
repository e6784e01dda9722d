"""Learning curves: one panel per task distribution, one line per algorithm, a band over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from metarl_cli.reporting.plots.style import caption, colour, label, mark_missing, new_figure

__all__ = ["REQUIRED", "adaptation", "learning_curves", "training_panel"]

REQUIRED = frozenset({"curve", "environment", "profile", "seeds", "quantity", "env_steps", "mean", "low", "high"})
LINE_STYLES = ("-", "--", ":", "-.")
"""Of the profiles, where one panel has several: their lines are never joined."""

BAND = "Line: mean over seeds; band: 95 % Student t interval of the mean."


def learning_curves(curves: pd.DataFrame, *, environments: Sequence[str], labels: Sequence[str]) -> Figure:
    """Post-update return against environment steps, a panel for each environment, also where nothing was run yet.

    Args:
        curves: as `reporting.frames.curves` gives them.
        environments: the panels, in order.
        labels: the lines, in the order of the legend.
    """
    drawn = curves[curves["quantity"] == "return/post"]
    figure, panels = _panels(len(environments))
    for panel, environment in zip(panels, environments, strict=False):
        lines = drawn[(drawn["environment"] == environment) & drawn["curve"].isin(labels)]
        curve_panel(panel, environment, lines, by="curve", order=labels)
    _finish(figure, drawn)
    return figure


def adaptation(curves: pd.DataFrame) -> Figure:
    """Return before and after adaptation: the distance between the lines is what adaptation gains."""
    drawn = curves.assign(stage=curves["quantity"].str.removeprefix("return/"))
    groups = [group for _, group in drawn.groupby(["curve", "environment", "profile"], sort=True)]
    figure, panels = _panels(len(groups))
    for panel, lines in zip(panels, groups, strict=False):
        title = f"{label(lines['curve'].iloc[0])} on {lines['environment'].iloc[0]}"
        curve_panel(panel, title, lines, by="stage", order=("post", "pre"))
    _finish(figure, drawn)
    return figure


def training_panel(frame: pd.DataFrame, labels: Sequence[str]) -> Callable[[Axes], None] | None:
    """Draws panel (d) of TayPO's Fig. 1 from the rows `study = training` of its table; None if there are none."""
    rows = frame[frame["study"] == "training"]
    if rows.empty:
        return None
    drawn = rows[rows["quantity"] == "return/post"]
    title = f"(d) {drawn['environment'].iloc[0]}, {drawn['profile'].iloc[0]}"
    return lambda panel: curve_panel(panel, title, drawn, by="curve", order=labels)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(count, 3)
    figure, panels = new_figure(math.ceil(count / columns), columns, size=(3.4, 2.7) if count > 1 else (5.2, 3.4))
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels


def curve_panel(panel: Axes, title: str, curves: pd.DataFrame, *, by: str, order: Sequence[str]) -> None:
    """One line with its band for each name in the order, told apart by the column `by`; says so if there is none."""
    panel.set_title(title, fontsize=9)
    if curves.empty:
        mark_missing(panel)
        return
    for name in order:
        for style, (profile, group) in zip(LINE_STYLES, curves[curves[by] == name].groupby("profile"), strict=False):
            line, n = group.sort_values("env_steps"), len(str(group["seeds"].iloc[0]).split())
            text = f"{label(name)} (n={n})" if curves["profile"].nunique() == 1 else f"{label(name)}, {profile} (n={n})"
            panel.plot(line["env_steps"], line["mean"], style, color=colour(name), linewidth=1.4, label=text)
            panel.fill_between(line["env_steps"], line["low"], line["high"], color=colour(name), alpha=0.2, linewidth=0)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel("environment steps", fontsize=8)
    panel.set_ylabel("undiscounted return", fontsize=8)
    panel.legend(fontsize=7, frameon=False)


def _finish(figure: Figure, drawn: pd.DataFrame) -> None:
    if drawn.empty:
        caption(figure, "No runs yet.")
        return
    profiles = ", ".join(sorted(drawn["profile"].unique()))
    seeds = sorted({int(seed) for seeds in drawn["seeds"].unique() for seed in str(seeds).split()})
    caption(figure, f"Profile: {profiles}. Seeds: {', '.join(map(str, seeds))}. {BAND}")
