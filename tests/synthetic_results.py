"""Small results directories in which every number is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from metarl_cli.config import RunConfig, save_config
from metarl_cli.papers import FIGURES, REPORTED
from metarl_cli.papers.figure import planned_runs
from metarl_cli.store import runs_directory, table_path

META = {"metarl": "0.1.0", "git_commit": "abcdef123456", "packages": {"torch": "2.13.0"}}


def write_run(directory: Path, config: RunConfig, post: Sequence[float], *, seconds: float = 1.0) -> None:
    """A run whose returns after adaptation are given."""
    directory.mkdir(parents=True)
    save_config(config, directory / "config.json")
    (directory / "meta.json").write_text(json.dumps(META), encoding="utf-8")
    steps = np.arange(len(post))
    frame = pd.DataFrame({"iteration": steps, "env_steps": 100 * (steps + 1), "return/pre": -1.0, "return/post": post})
    frame.assign(**{"time/sampling": 0.25 * seconds, "time/update": 0.75 * seconds}).to_csv(
        directory / "progress.csv", index=False
    )


def write_figure_runs(
    results: Path, figure: str, profile: str, posts: Mapping[str, Mapping[int, Sequence[float]]]
) -> None:
    """The runs of a figure for which returns are given, by curve and seed, in every environment."""
    for run in planned_runs(FIGURES[figure], profile):
        if run.config.seed in posts.get(run.config.label, {}):
            write_run(runs_directory(results, profile) / run.path, run.config, posts[run.config.label][run.config.seed])


def write_study(results: Path, figure: str, profile: str, rows: Sequence[Mapping[str, object]]) -> Path:
    """The table of a study."""
    path = table_path(results, profile, figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def returns_on_new_tasks(
    figure: str, offsets: Mapping[int, float], *, profile: str = "quick"
) -> list[dict[str, object]]:
    """Returns on new tasks: the paper's own after the last step, moved by an offset per seed, and 0 before."""
    rows = []
    for entry in REPORTED[figure]:
        last = int(entry.curve[-1]) if entry.curve[-1].isdigit() else 1
        for seed, offset in offsets.items():
            for steps in range(last + 1):
                value = entry.mean + offset if steps == last else 0.0
                keys = {"curve": entry.curve, "environment": entry.environment, "profile": profile}
                rows.append({**keys, "steps": steps, "seed": seed, "tasks": 4, "return": value})
    return rows


def walks(figure: str, *, seeds: Sequence[int], profile: str = "quick") -> list[dict[str, object]]:
    """One path to one goal, of the first seed, and for every seed what a figure says below its panel."""
    numbers = (
        "return",
        "end_distance",
        "ends_at_goal",
        "reaches_goal",
        "ends_in_region",
        "corners",
        "corners_of_batch",
    )
    place = ("task", "trajectory", "step", "x", "y", "radius")
    run = {"curve": FIGURES[figure].curves[0].label, "environment": FIGURES[figure].environments[0], "profile": profile}
    keys = {**run, "iterations": 2, **dict.fromkeys((*place, *numbers))}
    told = [
        {**keys, "seed": seed, "stage": stage, "return": -1.0, "end_distance": 0.5, "ends_at_goal": 0.0}
        for seed in seeds
        for stage in ("pre", "post")
    ]
    path = [
        {**keys, "seed": seeds[0], "stage": stage, "task": 0, "trajectory": 0, "step": step, "x": 0.1 * step, "y": 0.0}
        for stage in ("pre", "post")
        for step in range(3)
    ]
    return [*told, *path, {**keys, "seed": seeds[0], "stage": "goal", "task": 0, "x": 0.4, "y": 0.1, "radius": 0.1}]
