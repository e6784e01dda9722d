"""Learning curves as data that a page draws: what `figures.plots.learning` draws, number by number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pandas as pd

from metarl_cli.claims.wording import interval, steps_text
from metarl_cli.figures.plots.learning import band, evidence, explanation
from metarl_cli.figures.plots.style import colour, curve_label
from metarl_cli.papers import Figure

__all__ = ["Line", "Panel", "explorable"]

DIGITS = 5
"""Significant, of every number: more than a screen has pixels."""


class Line(TypedDict):
    """A curve; a number is None where the curve has none at that place of its panel."""

    name: str
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


class Panel(TypedDict):
    """The curves of one environment, over the steps that any of them has; no lines where nothing was run."""

    title: str
    steps: list[int]
    lines: list[Line]


def explorable(figure: Figure, frame: pd.DataFrame) -> Mapping[str, Any] | None:
    """The content of a figure whose curves a page draws itself; None for any other figure.

    Args:
        figure: which.
        frame: what `draw.content_of` gives of it.

    Returns:
        `panels` to draw; `names` of the curves with label and colour, in the order of the legend; `last` numbers of
        every curve as rows of text, for who cannot see a drawing; and `explanation` of line and band.
    """
    if figure.plot != "learning_curves":
        return None
    names = [curve.label for curve in figure.curves]
    drawn = frame[(frame["quantity"] == "return/post") & frame["curve"].isin(names)]
    groups = {environment: drawn[drawn["environment"] == environment] for environment in figure.environments}
    seen = [name for name in names if name in set(drawn["curve"])]
    return {
        "panels": [_panel(environment, curves, seen) for environment, curves in groups.items()],
        "names": [{"name": name, "label": curve_label(name), "colour": colour(name)} for name in seen],
        "last": [row for environment, curves in groups.items() for row in _last(environment, curves, seen)],
        "explanation": explanation(drawn),
    }


def _panel(environment: str, curves: pd.DataFrame, names: Sequence[str]) -> Panel:
    title = f"{environment} ({evidence(curves)})" if len(curves) else environment
    steps = sorted(int(step) for step in curves["env_steps"].unique())
    return {"title": title, "steps": steps, "lines": [_line(name, line, steps) for name, line in _lines(curves, names)]}


def _lines(curves: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    lines = ((name, curves[curves["curve"] == name].sort_values("env_steps")) for name in names)
    return [(name, line) for name, line in lines if len(line)]


def _line(name: str, line: pd.DataFrame, steps: list[int]) -> Line:
    at, (low, high) = line.set_index("env_steps").reindex(steps), band(line)
    return {"name": name, "mean": _rounded(at["mean"]), "low": _rounded(at[low]), "high": _rounded(at[high])}


def _rounded(values: pd.Series) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values]


def _last(environment: str, curves: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, ...]]:
    rows = list[tuple[str, ...]]()
    for name, line in _lines(curves, names):
        last, (low, high) = line.iloc[-1], band(line)
        mean, count = interval(last["mean"], last[low], last[high]), len(str(last["seeds"]).split())
        rows.append((environment, curve_label(name), steps_text(last["env_steps"]), mean, last["profile"], str(count)))
    return rows
