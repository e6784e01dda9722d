"""Pictures of adaptation in the plane, with numbers: Fig. 4 of Rothfuss et al. (2019), Fig. 1 of Fallah et al. (2021).

Each trained policy of the figure is adapted to the same held-out tasks, with its training-time inner steps and number
of trajectories. The numbers are over all of these tasks and trajectories and for every seed; a few paths, of the first
seed and of tasks that were chosen beforehand, are kept point by point. A path is s₀ … s_{T−1}, where actions were
taken; it "ends" in the last of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from metarl_cli.envs.distributions import CORNERS
from metarl_cli.papers.figure import Figure
from metarl_cli.runs.evaluate import load_run
from metarl_cli.studies.trained import runs_to_study
from metarl_cli.training.build import build
from metarl_cli.training.rollouts import Array

__all__ = ["COLUMNS", "SCENES", "Scene", "corners_visited", "distances", "settings", "study", "summary"]

TASKS = 40
HELD_OUT_SEED, HELD_OUT = 0, (0, 1)
"""The same tasks and noise for every run; no training iteration draws from this stream, theirs have one index."""

DRAWN_GOALS, DRAWN_TRAJECTORIES = 4, 2
"""How many goals are drawn, and how many trajectories of each."""

KEYS = ("curve", "environment", "profile", "seed", "iterations", "stage")
POINT = ("task", "trajectory", "step", "x", "y", "radius")
NUMBERS = ("return", "end_distance", "ends_at_goal", "reaches_goal", "ends_in_region", "corners", "corners_of_batch")
COLUMNS = (*KEYS, *POINT, *NUMBERS)
"""Four kinds of rows. Stage `pre` or `post` without a task: the numbers of a run, see `summary`; with a task: a point
of a path. Stage `goal`: the disc around the goal of a drawn task; `region`: beyond it that corner pays nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What belongs to the picture of an environment.

    Attributes:
        goal_radius: of the disc around the goal that counts as reached.
        region_radius: around each corner, beyond which the reward is zero; None where there are no such regions.
    """

    goal_radius: float
    region_radius: float | None = None


SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        "PointMomentum": Scene(goal_radius=0.3, region_radius=2.0),
        "Navigation": Scene(goal_radius=0.1),
    }
)
"""ProMP's radii are those of its figure, which shows one goal. SG-MRL's text has no disc: 0.1 is the longest step along
an axis."""


def drawn_tasks(goals: Array) -> list[int]:
    """Which of the tasks with these goals, [M, 2], are drawn: the first of each of the first goals that differ."""
    _, first = np.unique(goals, axis=0, return_index=True)
    return [int(task) for task in np.sort(first)[:DRAWN_GOALS]]


def distances(paths: Array, goals: Array) -> Array:
    """‖sₜ − g‖ for paths [M, N, T, 2] and goals [M, 2]: [M, N, T]."""
    lengths: Array = np.linalg.norm(paths - goals[:, None, None], axis=-1)
    return lengths


def corners_visited(paths: Array, radius: float) -> NDArray[np.bool_]:
    """Whether each path [..., T, 2] has a point within the radius of each of the four corners, [..., 4]."""
    visited: NDArray[np.bool_] = (np.linalg.norm(paths[..., None, :] - CORNERS, axis=-1) < radius).any(axis=-2)
    return visited


def summary(paths: Array, goals: Array, scene: Scene) -> dict[str, float]:
    """The numbers of one stage, over all tasks and trajectories; shares lie in [0, 1].

    Args:
        paths: [M, N, T, 2].
        goals: [M, 2].
        scene: the radii.

    Returns:
        `end_distance`: ‖s − g‖ in the end. `ends_at_goal`: the share that ends in the goal disc; `reaches_goal`: that
        is in it at any step. Where there are corners, `ends_in_region`: the share that ends where the task pays;
        `corners`: how many of the four regions a path enters; `corners_of_batch`: how many those of a task enter.
    """
    away = distances(paths, goals)
    numbers = {
        "end_distance": away[..., -1].mean(),
        "ends_at_goal": (away[..., -1] < scene.goal_radius).mean(),
        "reaches_goal": (away < scene.goal_radius).any(axis=-1).mean(),
    }
    if scene.region_radius is not None:
        visited = corners_visited(paths, scene.region_radius)
        numbers |= {
            "ends_in_region": (away[..., -1] < scene.region_radius).mean(),
            "corners": visited.sum(axis=-1).mean(),
            "corners_of_batch": visited.any(axis=1).sum(axis=-1).mean(),
        }
    return {name: float(value) for name, value in numbers.items()}


def settings(profile: str) -> object:
    """What decides the table besides the trained runs; the same at every profile."""
    return TASKS, HELD_OUT_SEED, HELD_OUT, DRAWN_GOALS, DRAWN_TRAJECTORIES, dict(SCENES)


def study(figure: Figure, profile: str, results: Path) -> pd.DataFrame:
    """The numbers of every run of the figure that is finished; of the first seed also the paths.

    Returns:
        See `COLUMNS`.

    Raises:
        UserError: if none is.
    """
    runs = runs_to_study(figure, profile, results)  # seed by seed
    frames = [_of_run(run.directory(results), drawn=run.config.seed == runs[0].config.seed) for run in runs]
    whole = dict.fromkeys(("task", "trajectory", "step"), "Int64")  # also beside empty cells
    table = pd.concat(frames, ignore_index=True).reindex(columns=list(COLUMNS))
    return table.round({"x": 3, "y": 3}).astype(whole)


def _of_run(directory: Path, *, drawn: bool) -> pd.DataFrame:
    """Its numbers before and after all K inner steps on the held-out tasks; if it is drawn, paths and discs."""
    config, state = load_run(directory)
    scene = SCENES[config.environment.name]
    torch.set_num_threads(1)  # as in training: one order of every sum
    trainer, _ = build(replace(config, seed=HELD_OUT_SEED, sampling=replace(config.sampling, tasks=TASKS)))
    goals = trainer.draw_tasks(*HELD_OUT)
    before, *_, after = (round_.trajectories for round_ in trainer.sample(state, goals, *HELD_OUT))
    stages = {"pre": before, "post": after}
    # the positions are the first two entries of the observations, [M, N, T, 2]
    paths: dict[str, Array] = {stage: of.observations[..., :2].double().numpy() for stage, of in stages.items()}
    frames = [
        pd.DataFrame(
            [{"stage": stage, "return": of.undiscounted_returns.mean().item(), **summary(paths[stage], goals, scene)}]
        )
        for stage, of in stages.items()
    ]
    if drawn:
        shown = drawn_tasks(goals)
        for stage in stages:
            kept = paths[stage][shown, :DRAWN_TRAJECTORIES]
            task, trajectory, step = (index.ravel() for index in np.indices(kept.shape[:-1]))
            x, y = kept.reshape(-1, 2).T
            points = {"task": np.array(shown)[task], "trajectory": trajectory, "step": step, "x": x, "y": y}
            frames.append(pd.DataFrame(points).assign(stage=stage))
        frames.append(_discs(goals[shown], scene.goal_radius).assign(stage="goal", task=shown))
        if scene.region_radius is not None:
            frames.append(_discs(CORNERS, scene.region_radius).assign(stage="region"))
    return pd.concat(frames, ignore_index=True).assign(
        curve=config.curve,
        environment=config.environment.name,
        profile=config.profile,
        seed=config.seed,
        iterations=state.iteration,
    )


def _discs(centres: Array, radius: float) -> pd.DataFrame:
    return pd.DataFrame({"x": centres[:, 0], "y": centres[:, 1], "radius": radius})
