"""What was run for an artefact: at which size, on how many seeds, and how many core-hours it took; in words."""

from __future__ import annotations

from metarl_cli.claims.wording import extent, number, steps_text
from metarl_cli.figures.draw import Content
from metarl_cli.papers import REPORTED, Figure
from metarl_cli.results import Results

__all__ = ["effort"]


def effort(figure: Figure, content: Content, results: Results) -> list[str]:
    """One sentence per size of the runs behind a figure, and one for its study.

    Args:
        figure: which.
        content: what it draws.
        results: from which.
    """
    labels, texts = {curve.label for curve in figure.curves}, list[str]()
    for profile in content.frame["profile"].dropna().unique():
        rows = results.runs(profile)  # of which the figure draws some, or its study tests them
        shown = rows[rows["curve"].isin(labels) & rows["environment"].isin(figure.environments)]
        if figure.source == "runs" or figure.name in REPORTED:  # each panel, or row, is of one profile
            row = ["curve", "environment", "profile"]
            shown = shown.merge(content.frame[row].drop_duplicates(), on=row)
        if shown.empty:
            continue
        seconds = shown["time/sampling"] + shown["time/update"]
        size = ["profile", "tasks", "trajectories"]
        runs = shown.assign(seconds=seconds).groupby(["curve", "environment", "seed", *size], sort=False)
        took = runs.agg(iterations=("iteration", "size"), env_steps=("env_steps", "max"), seconds=("seconds", "sum"))
        for _, group in took.reset_index().groupby([*size, "iterations"], sort=False):
            first, seeds = group.iloc[0], group.groupby(["curve", "environment"])["seed"].nunique()
            texts.append(
                f"`{first['profile']}`: {', '.join(dict.fromkeys(group['environment']))}, {first['tasks']} tasks × "
                f"{first['trajectories']} trajectories × {first['iterations']} iterations, "
                f"{extent(group['env_steps'], steps_text)} steps a run; "
                f"{len(group)} run{'' if len(group) == 1 else 's'}, "
                f"n = {extent(seeds, str)}, {_hours(group['seconds'].sum())}."
            )
    if figure.source == "study":
        for path, table in content.tables.items():
            profile = path.parent.parent.name
            core_seconds = results.table_meta(figure, profile).cpu_seconds or 0.0
            # Less is that of a table of measurements found there.
            hours = f", {_hours(core_seconds)}" if core_seconds >= 1.0 else ""
            texts.append(f"`{profile}`: its study, n = {table['seed'].nunique()}{hours}.")
    return texts


def _hours(seconds: float) -> str:
    return f"{number(float(f'{seconds / 3600:.2g}'))} core-hours"
