"""Learning curves: one panel per task distribution, one line per algorithm, a band over seeds."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import pandas as pd
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from metarl_cli.claims.wording import extent
from metarl_cli.figures.curves import ranges
from metarl_cli.figures.labels import BROKEN, STAGE_LABELS, colours, curve_label
from metarl_cli.figures.plots.style import caption, mark_missing, new_figure
from metarl_cli.papers.claim import RETURN

__all__ = ["adaptation", "band", "explanation", "heading", "learning_curves", "training_panel"]

LINE_INCHES, CHARACTER_INCHES = 0.6, 0.07
"""Of an entry of the legend: its line with the space around, and each character of its text."""

TITLE_CHARACTERS = 52
"""What fits above a panel, of a title's font."""

FEWEST = 3
"""Seeds with which the interval is drawn: that of two is 12.7 times as wide as their standard error."""

COLUMNS: Mapping[int, int] = MappingProxyType({4: 2, 5: 3, 6: 3})
"""Of panels, by their number, where a single row would be too wide; at most five."""


def learning_curves(
    curves: pd.DataFrame,
    *,
    environments: Sequence[str],
    names: Mapping[str, str],
    column: str = RETURN,
    title: str = "",
) -> Figure:
    """A column against environment steps, a panel for each environment, also where nothing was run yet.

    Args:
        curves: as `figures.curves.curves` gives them, each environment at one profile.
        environments: the panels, in order.
        names: what the legend says of each line, in its order.
        column: of `progress.csv`.
        title: above the legend.
    """
    drawn = curves[(curves["quantity"] == column) & curves["curve"].isin(names)]
    figure, panels = _panels(len(environments))
    for panel, environment in zip(panels, environments, strict=False):
        curve_panel(panel, environment, drawn[drawn["environment"] == environment], by="curve", names=names)
        if column != RETURN and panel.lines:
            panel.set_ylabel(column, fontsize=8)
    _finish(figure, panels, drawn, title)
    return figure


def adaptation(curves: pd.DataFrame) -> Figure:
    """Return before and after adaptation: the distance between the lines is what adaptation gains."""
    drawn = curves.assign(stage=curves["quantity"].str.removeprefix("return/"))
    groups = [group for _, group in drawn.groupby(["curve", "environment", "profile"], sort=True)]
    figure, panels = _panels(len(groups))
    for panel, lines in zip(panels, groups, strict=False):
        title = f"{curve_label(lines['curve'].iloc[0])} on {lines['environment'].iloc[0]}"
        curve_panel(panel, title, lines, by="stage", names=STAGE_LABELS)
    _finish(figure, panels, drawn)
    return figure


def training_panel(frame: pd.DataFrame, names: Mapping[str, str]) -> Callable[[Axes], None] | None:
    """Draws panel (d) of TayPO's Fig. 1, the curves among the rows of its frame; None if there are none."""
    if "quantity" not in frame:
        return None
    drawn = frame[frame["quantity"] == RETURN]

    def draw(panel: Axes) -> None:
        curve_panel(panel, f"(d) {drawn['environment'].iloc[0]}", drawn, by="curve", names=names)
        panel.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return draw


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = COLUMNS.get(count, min(count, 5))
    figure, panels = new_figure(math.ceil(count / columns), columns, size=(3.4, 2.7) if count > 1 else (5.2, 3.4))
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels


def curve_panel(panel: Axes, title: str, curves: pd.DataFrame, *, by: str, names: Mapping[str, str]) -> None:
    """One line with its band for each name that the column `by` holds, under its label; says so if there is none."""
    panel.set_title(heading(title, curves, by=by, names=names), fontsize=9)
    if curves.empty:
        mark_missing(panel)
        return
    own, drawn = colours(names), curves[curves[by].isin(names)]
    for name, label in names.items():
        line = drawn[drawn[by] == name].sort_values("env_steps")
        if line.empty:
            continue
        low, high = band(line)
        broken = name in BROKEN  # and on top: the line that it runs along is seen between the dashes
        style, height = ((0, (4, 1.5)), 3) if broken else ("-", 2)
        panel.plot(
            line["env_steps"], line["mean"], color=own[name], linewidth=1.4, label=label, ls=style, zorder=height
        )
        panel.fill_between(line["env_steps"], line[low], line[high], color=own[name], alpha=0.15, linewidth=0)
    # The interval of three seeds is so wide that lines are flat beside it: what is drawn of it ends where they do.
    least, greatest = drawn["least"].min(), drawn["greatest"].max()
    if least < greatest:
        margin = rcParams["axes.ymargin"] * (greatest - least)
        panel.set_ylim(least - margin, greatest + margin)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel("environment steps", fontsize=8)
    panel.set_ylabel("undiscounted return", fontsize=8)


def band(line: pd.DataFrame) -> tuple[str, str]:
    """The columns of a line's band: its interval, or the range of seeds that are too few for one."""
    return ("low", "high") if min(_counts(line)) >= FEWEST else ("least", "greatest")


def heading(title: str, curves: pd.DataFrame, *, by: str, names: Mapping[str, str]) -> str:
    """A panel's title with profiles and seeds, "Navigation (paper, n = 1 to 3)", and below it which lines it lacks."""
    if curves.empty:
        return title
    evidence = f"{', '.join(sorted(curves['profile'].unique()))}, n = {extent(_counts(curves), str)}"
    lacking = [label for name, label in names.items() if name not in set(curves[by])]
    without = textwrap.wrap(f"without {', '.join(lacking)}", TITLE_CHARACTERS) if lacking else []
    return "\n".join([f"{title} ({evidence})", *without])


def _counts(curves: pd.DataFrame) -> set[int]:
    return {len(str(seeds).split()) for seeds in curves["seeds"].unique()}


def _finish(figure: Figure, panels: Iterable[Axes], drawn: pd.DataFrame, title: str = "") -> None:
    if drawn.empty:
        caption(figure, "No runs yet.")
        return
    lines = {str(line.get_label()): line for panel in panels for line in panel.lines}
    width = figure.get_figwidth()
    names = [textwrap.fill(name, int((width - LINE_INCHES) / CHARACTER_INCHES)) for name in lines]
    longest = max(len(row) for name in names for row in name.splitlines())
    figure.legend(
        list(lines.values()),
        names,
        loc="outside upper center",
        ncols=min(len(lines), max(1, int(width / (LINE_INCHES + CHARACTER_INCHES * longest)))),
        fontsize=8,
        frameon=False,
        title=title or None,
        title_fontsize=9,
    )
    caption(figure, explanation(drawn))


def explanation(drawn: pd.DataFrame) -> str:
    """What a stranger must know to read the curves: profiles, seeds, line and band."""
    seeds = ranges({int(seed) for seeds in drawn["seeds"].unique() for seed in str(seeds).split()})
    profiles, counts = ", ".join(sorted(drawn["profile"].unique())), _counts(drawn)
    several = "95 % Student t interval of the mean, cut at what the seeds reached" if max(counts) >= FEWEST else ""
    two = f"range of the seeds{', where there are two' if several else ''}" if FEWEST - 1 in counts else ""
    bands = "; ".join(filter(None, (several, two)))
    line = f"Line: mean over seeds{f'; band: {bands}' if bands else ''}."
    return f"Profile: {profiles}. Seeds: {seeds}. {line}"
