"""What was run for an artefact: at which size, on how many seeds, and how many core-hours it took; in words."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from metarl_cli.claims.wording import extent, number, steps_text
from metarl_cli.figures.draw import Content
from metarl_cli.papers import Figure
from metarl_cli.results import Results

__all__ = ["effort"]

SIZE = ("profile", "tasks", "trajectories", "iterations")


def effort(figure: Figure, content: Content, results: Results) -> list[str]:
    """One sentence per size of the runs behind a figure, and one for its study.

    Args:
        figure: which.
        content: what it draws.
        results: from which.
    """
    profiles = content.frame["profile"].dropna().unique()
    runs = [_runs(figure, results.runs(profile), content) for profile in profiles]
    sizes = [group for frame in runs for _, group in frame.groupby(list(SIZE), sort=False)]
    studies = (
        []
        if figure.source == "runs"
        else [_study(figure, path, table, results) for path, table in content.tables.items()]
    )
    return [*map(_trained, sizes), *studies]


def _runs(figure: Figure, rows: pd.DataFrame, content: Content) -> pd.DataFrame:
    """One row per run that the figure draws or its study tests, with what it took."""
    labels = {curve.label for curve in figure.curves}
    shown = rows[rows["curve"].isin(labels) & rows["environment"].isin(figure.environments)]
    if figure.source == "runs":  # each panel is of one profile
        drawn = content.frame[["environment", "profile"]].drop_duplicates()
        shown = shown.merge(drawn, on=["environment", "profile"])
    if shown.empty:
        return pd.DataFrame(columns=SIZE)
    seconds = shown["time/sampling"] + shown["time/update"]
    runs = shown.assign(seconds=seconds).groupby(["curve", "environment", "seed", *SIZE[:3]], sort=False)
    return runs.agg(
        iterations=("iteration", "size"), env_steps=("env_steps", "max"), seconds=("seconds", "sum")
    ).reset_index()


def _trained(runs: pd.DataFrame) -> str:
    size = runs.iloc[0]
    seeds = runs.groupby(["curve", "environment"])["seed"].nunique()
    return (
        f"`{size['profile']}`: {', '.join(dict.fromkeys(runs['environment']))}, {size['tasks']} tasks × "
        f"{size['trajectories']} trajectories × {size['iterations']} iterations, "
        f"{extent(runs['env_steps'], steps_text)} steps a run; {len(runs)} run{'' if len(runs) == 1 else 's'}, "
        f"n = {extent(seeds, str)}, {_hours(runs['seconds'].sum())}."
    )


def _study(figure: Figure, path: Path, table: pd.DataFrame, results: Results) -> str:
    profile = path.parent.parent.name
    seconds = results.table_meta(figure, profile).cpu_seconds or 0.0
    took = f", {_hours(seconds)}" if seconds >= 1.0 else ""  # less is that of a table of measurements found there
    return f"`{profile}`: its study, n = {table['seed'].nunique()}{took}."


def _hours(seconds: float) -> str:
    return f"{number(float(f'{seconds / 3600:.2g}'))} core-hours"
