"""Learning curves as data that a page draws: what `figures.plots.learning` draws, number by number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from metarl_cli.figures.labels import colour
from metarl_cli.figures.plots.learning import band, explanation, heading
from metarl_cli.papers import Figure
from metarl_cli.papers.claim import RETURN

__all__ = ["explorable"]

DIGITS = 5
"""Significant, of every number: more than a screen has pixels."""


def explorable(figure: Figure, frame: pd.DataFrame) -> Mapping[str, Any] | None:
    """The content of a figure whose curves a page draws itself; None for any other figure.

    Args:
        figure: which.
        frame: what `draw.content_of` gives of it.

    Returns:
        `panels` to draw, one per environment: its `title`, the `steps` that any of its curves has, and its `lines`,
        none where nothing was run: `name`, `mean`, `low` and `high`, None where the curve has no number; `names` of the
        curves with label and colour, in the order of the legend; and `explanation` of line and band.
    """
    if figure.plot != "learning_curves":
        return None
    titles = {curve.label: curve.title for curve in figure.curves}
    drawn = frame[(frame["quantity"] == RETURN) & frame["curve"].isin(titles)]
    seen = [name for name in titles if name in set(drawn["curve"])]
    panels = list[Mapping[str, Any]]()
    for environment in figure.environments:
        curves, lines = drawn[drawn["environment"] == environment], list[Mapping[str, Any]]()
        steps = sorted(int(step) for step in curves["env_steps"].unique())
        for name in seen:
            points = curves[curves["curve"] == name].drop_duplicates("env_steps", keep="last")  # a page has one a place
            line = points.sort_values("env_steps")
            if line.empty:
                continue
            at, (low, high) = line.set_index("env_steps").reindex(steps), band(line)
            shown: dict[str, Any] = {"name": name}
            for key, column in (("mean", "mean"), ("low", low), ("high", high)):
                shown[key] = [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in at[column]]
            lines.append(shown)
        title = heading(environment, curves, by="curve", names=titles)
        panels.append({"title": title, "steps": steps, "lines": lines})
    return {
        "panels": panels,
        "names": [{"name": name, "label": titles[name], "colour": colour(name)} for name in seen],
        "explanation": explanation(drawn),
    }
