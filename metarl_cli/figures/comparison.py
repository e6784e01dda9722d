"""A figure that was run here beside the published one: value by value, with a verdict that is computed.

Learning curves are compared at the last iteration that both have, the tables of studies in every cell. A verdict needs
the same profile: at another size the numbers stand beside each other and nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.claims.wording import interval
from metarl_cli.errors import UserError
from metarl_cli.figures.curves import curves
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers.figure import Figure
from metarl_cli.profiles import PROFILES
from metarl_cli.results import Results
from metarl_cli.schema import CURVES

__all__ = ["VERDICTS", "compare", "detail", "summarise"]

VERDICTS = ("equal", "within", "outside", "no interval", "other size", "not published")
"""`equal`: to the digits of the files; `within` or `outside` the published 95 % interval; `no interval`: one seed."""

VALUES = ("what", "iteration", "mean", "low", "high", "seeds")


def compare(figure: Figure, results: Results, *, profile: str, published: Results) -> pd.DataFrame:
    """Every number of a figure beside the published one.

    Args:
        figure: which; its table must be there.
        results: where it was run.
        profile: of the run; the published one has the same if there is one, else the one that has most of the numbers,
            the larger one of equals.
        published: where published results are.

    Returns:
        One row per number, `what` it is and the `iteration` of a learning curve; ours and the published one with
        `low`, `high` and the number of `seeds`; the `published_profile`, and the `verdict`, one of `VERDICTS`.

    Raises:
        UserError: if our table is missing, or one of them is damaged.
    """
    table = _numbers(figure, results, profile)
    if table is None:
        raise UserError(f"There is no {results.table_path(figure, profile)}.")
    ours = _values(figure, table)
    tables = {name: _numbers(figure, published, name) for name in reversed(PROFILES)}
    found = {name: _values(figure, table) for name, table in tables.items() if table is not None}
    found[""] = _values(figure, pd.DataFrame())  # where nothing is published
    wanted = set(ours["what"])
    source = profile if profile in found else max(found, key=lambda name: len(wanted & set(found[name]["what"])))
    joined = ours.merge(
        found[source].add_prefix("published_"),
        how="left",
        left_on=["what", "iteration"],
        right_on=["published_what", "published_iteration"],
    )
    # Of a curve the last iteration that both have; where nothing is published, our last one.
    order = joined.assign(shared=joined["published_mean"].notna()).sort_values(["shared", "iteration"], kind="stable")
    rows = order.groupby("what", sort=False).tail(1).sort_index()
    rows = rows.drop(columns=["published_what", "published_iteration"]).assign(
        figure=figure.name, published_profile=source
    )
    there, low, high = (rows[f"published_{name}"].astype(float) for name in ("mean", "low", "high"))
    cases = {
        "not published": there.isna(),
        "other size": ~there.isna() & (source != profile),
        "equal": np.isclose(rows["mean"].astype(float), there, rtol=1e-8, atol=0.0),  # tables have ten digits
        "no interval": low.isna(),
        "within": rows["mean"].between(low, high),
    }
    return rows.assign(verdict=list(map(str, np.select(list(cases.values()), list(cases), default="outside"))))


def detail(comparison: pd.DataFrame) -> list[dict[str, object]]:
    """Every number in words, ours with its interval; beside the published one, if any is, and of which profile."""
    rows = []
    for _, row in comparison.iterrows():
        at = "" if row["iteration"] < 0 else f"iteration {row['iteration']}"
        words = {"what": row["what"], "at": at, "ours": interval(row["mean"], row["low"], row["high"])}
        if row["published_profile"]:
            published = interval(row["published_mean"], row["published_low"], row["published_high"])
            words |= {f"published ({row['published_profile']})": published, "verdict": row["verdict"]}
        rows.append(words)
    return rows


def summarise(comparison: pd.DataFrame) -> list[dict[str, object]]:
    """One row per figure: the published profile, and how many numbers got which verdict."""
    rows = []
    for figure, group in comparison.groupby("figure", sort=False):
        counts = group["verdict"].value_counts()
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts)
        published = group["published_profile"].iloc[0] or "nothing"
        rows.append({"figure": figure, "published": published, "numbers": len(group), "verdicts": verdicts})
    return rows


def _numbers(figure: Figure, results: Results, profile: str) -> pd.DataFrame | None:
    """The table of a figure, with the curves that are drawn beside it; None where there is none."""
    table = results.table(figure, profile)
    if table is None or not figure.curves_beside or (runs := results.runs_of(figure, profile)).empty:
        return table
    return pd.concat([table, curves(runs, (figure.column,))], ignore_index=True)


def _values(figure: Figure, frame: pd.DataFrame) -> pd.DataFrame:
    """The points of all curves of a table, and mean and interval over seeds of all its cells; -1 is no iteration."""
    parts, cells = [pd.DataFrame(columns=list(VALUES))], VIEWS[figure.plot].cells
    if set(CURVES.columns) <= set(frame.columns):
        rows = frame[frame["quantity"] == figure.column]
        seeds = [len(str(seeds).split()) for seeds in rows["seeds"]]
        points = rows.assign(what=_names(rows, ("environment", "curve")), seeds=seeds)
        parts.append(points.reindex(columns=list(VALUES)))
    if cells is not None and cells.value in frame:
        rows = frame[frame[cells.value].notna()]
        if cells.only:
            rows = rows[rows[cells.only[0]] == cells.only[1]]
        values = []
        for what, group in rows.assign(what=_names(rows, cells.keys)).groupby("what", sort=False):
            limits = mean_interval(group[cells.value].to_numpy())
            values.append((what, -1, *map(float, limits), len(group)))
        parts.append(pd.DataFrame(values, columns=list(VALUES)))
    # An empty part has no types of its own, and would take theirs from the others.
    return pd.concat([part for part in parts if not part.empty] or parts[:1], ignore_index=True)


def _names(rows: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """The values of the keys in words; a number says what it is."""
    words = [[v if isinstance(v, str) else f"{key} {v:g}" for v in rows[key]] for key in keys]
    return [" ".join(row) for row in zip(*words, strict=True)]
