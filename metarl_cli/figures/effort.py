"""What was run for an artefact: at which size, on how many seeds, and how many hours it took; in words."""

from __future__ import annotations

import pandas as pd

from metarl_cli.claims.wording import extent, number, steps_text
from metarl_cli.figures.draw import Content, runs_behind
from metarl_cli.figures.provenance import run_meta
from metarl_cli.papers import Figure
from metarl_cli.results import Results

__all__ = ["effort"]


def effort(figure: Figure, content: Content, results: Results) -> list[str]:
    """One sentence per size of the runs behind a figure, and one for its study.

    Args:
        figure: which.
        content: what it draws.
        results: from which.
    """
    texts = list[str]()
    for shown in runs_behind(figure, content, results):
        size = ["profile", "tasks", "trajectories"]
        first = shown.drop_duplicates("directory").to_dict("records")
        devices = {run["directory"]: run_meta(results, run).device for run in first}
        shown = shown.assign(seconds=_awake(shown), card=shown["directory"].map(devices) != "cpu")
        runs = shown.groupby(["curve", "environment", "seed", *size], as_index=False, sort=False).agg(
            iterations=("iteration", "size"),
            env_steps=("env_steps", "max"),
            seconds=("seconds", "sum"),
            card=("card", "first"),
        )
        texts += [_trained(group) for _, group in runs.groupby([*size, "iterations"], sort=False)]
    if figure.source == "study":
        for path, table in content.tables.items():
            profile = path.parent.parent.name
            core_seconds = results.table_meta(figure, profile).cpu_seconds or 0.0
            # Less is that of a table of measurements found there.
            hours = f", {_hours(core_seconds)} core-hours" if core_seconds >= 1.0 else ""
            texts.append(f"`{profile}`: its study, n = {table['seed'].nunique()}{hours}.")
    return texts


def _awake(shown: pd.DataFrame) -> pd.Series[float]:
    """Seconds of every iteration; of one that took three times as long as those around it, a laptop closed, theirs."""
    seconds = shown["time/sampling"] + shown["time/update"]
    by_run = seconds.groupby(shown["directory"])
    around = by_run.transform(lambda run: run.rolling(9, min_periods=1, center=True).median())
    return seconds.where(seconds < 3.0 * around, around)


def _trained(runs: pd.DataFrame) -> str:
    size = runs.iloc[0]
    seeds = runs.groupby(["curve", "environment"])["seed"].nunique()
    card, seconds = runs["card"], runs["seconds"]
    count, took = f"{len(runs)} run{'' if len(runs) == 1 else 's'}", f"{_hours(seconds.sum())} core-hours"
    if card.all():
        count = f"{count} on a GPU"
    elif card.any():
        count = f"{count}, {card.sum()} of them on a GPU"
        took = f"{took}, {_hours(seconds[card].sum())} of them with a GPU"  # which several runs may have shared
    return (
        f"`{size['profile']}`: {', '.join(dict.fromkeys(runs['environment']))}, {size['tasks']} tasks × "
        f"{size['trajectories']} trajectories × {size['iterations']} iterations, "
        f"{extent(runs['env_steps'], steps_text)} steps a run; {count}, "
        f"n = {extent(seeds, str)}, {took}."
    )


def _hours(seconds: float) -> str:
    return number(float(f"{seconds / 3600:.2g}"))
