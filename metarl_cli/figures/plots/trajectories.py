"""Paths in the plane before and after adaptation, a panel for each algorithm, its numbers below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.figures.curves import ranges
from metarl_cli.figures.labels import colour, curve_label
from metarl_cli.figures.plots.style import caption, mark_missing, new_figure

__all__ = ["trajectories"]

NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "return": "return {pre} → {post}",
        "end_distance": "distance to the goal in the end {pre} → {post}",
        "reaches_goal": "paths that reach the goal disc {pre} → {post}",
        "ends_at_goal": "paths that end in the goal disc {pre} → {post}",
        "ends_in_region": "paths that end where the task pays {pre} → {post}",
        "corners": "regions that a path enters before {pre}",
        "corners_of_batch": "regions that a task's paths enter before {pre}",
    }
)
"""What stands below a panel, in this order, of the numbers that the table has."""

SHARES = frozenset({"reaches_goal", "ends_at_goal", "ends_in_region"})

TASK_COLOURS = tuple(colour(name) for name in ("post", "trpo-maml", "lvc-vpg", "trpo-emaml"))
"""Of the drawn tasks, in order: distinct colours, no algorithm's."""


def trajectories(table: pd.DataFrame, *, labels: Sequence[str]) -> Figure:
    """Paths of one seed, with numbers over all seeds, tasks and trajectories.

    Args:
        table: as `studies.trajectories` writes it.
        labels: the panels, in order, also those that nothing was run for.
    """
    known = [name for name in NUMBERS if table[name].notna().any()]
    figure, panels = new_figure(1, len(labels), size=(3.3, 3.5 + 0.16 * len(known)))
    for panel, name in zip(panels, labels, strict=True):
        panel.set_title(curve_label(name), fontsize=10)
        run = table[table["curve"] == name]
        if run.empty:
            mark_missing(panel)
            continue
        for _, disc in run[run["stage"] == "region"].iterrows():
            panel.add_patch(Circle((disc["x"], disc["y"]), disc["radius"], color="#dfe8dc", linewidth=0, zorder=0))
        goals = run[run["stage"] == "goal"].sort_values("task")
        for own, (_, disc) in zip(TASK_COLOURS, goals.iterrows(), strict=False):
            goal = Circle((disc["x"], disc["y"]), disc["radius"], color=own, alpha=0.35, linewidth=0, zorder=1)
            panel.add_patch(goal)
            of_task = run[run["task"] == disc["task"]]
            _paths(panel, of_task[of_task["stage"] == "pre"], own=colour("pre"), width=0.7)
            _paths(panel, of_task[of_task["stage"] == "post"], own=own, width=1.0)
        numbers = run[run["task"].isna()]
        before, after = (numbers[numbers["stage"] == stage] for stage in ("pre", "post"))
        lines = (NUMBERS[key].format(pre=_mean(before[key]), post=_mean(after[key])) for key in known)
        panel.set_xlabel("\n".join(lines), fontsize=7)
    if len(table):  # the same square for all panels: all regions, or where there are none all paths and goals
        regions = table[table["stage"] == "region"]
        seen = (regions if len(regions) else table)[["x", "y", "radius"]].fillna(0.0)
        limit = 1.04 * float((seen[["x", "y"]].abs().max(axis=1) + seen["radius"]).max()) or 1.0
        for panel in panels:
            panel.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", anchor="N")
    shown = table[table["curve"].isin(labels)]
    if shown.empty:
        caption(figure, "No runs yet.")
        return figure
    drawn, iterations = shown[shown["stage"] == "goal"]["seed"].unique(), sorted(shown["iterations"].unique())
    caption(
        figure,
        f"Profile: {', '.join(sorted(shown['profile'].unique()))}; {' or '.join(map(str, iterations))} iterations. "
        f"Grey: before, colour: after adaptation; one colour per task. Paths: seed {ranges(drawn)}.\n"
        f"Numbers: means over seeds {ranges(shown['seed'].unique())}, ± 95 % Student t interval where there are "
        "several, of all held-out tasks and trajectories.",
    )
    return figure


def _paths(panel: Axes, points: pd.DataFrame, *, own: str, width: float) -> None:
    for _, path in points.sort_values("step").groupby("trajectory"):
        panel.plot(path["x"], path["y"], color=own, linewidth=width, marker=".", markersize=2.2, markeredgewidth=0)


def _mean(values: pd.Series) -> str:
    """Over seeds, with its 95 % Student t interval if there are several."""
    values = values.dropna()
    if values.empty:
        return "–"
    percent, unit = (100.0, " %") if values.name in SHARES else (1.0, "")
    mean, low, _ = (percent * float(limit) for limit in mean_interval(values))
    digits = 0 if values.name in SHARES else 1
    spread = f" ± {mean - low:.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{spread}{unit}".replace("-", "−")
