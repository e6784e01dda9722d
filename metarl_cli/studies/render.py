"""`metarl render`: pictures of a trained policy on held-out tasks before and after adaptation.

A MuJoCo body gives a filmstrip or an animation of one trajectory per task and stage, the one of median return; a point
gives the paths of all trajectories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import cast

import numpy as np
import torch

from metarl_cli.config import RunConfig
from metarl_cli.envs.episodes import OwnWorkers
from metarl_cli.envs.registry import find_environment
from metarl_cli.envs.rendering import PositionRecorder, Shoot, camera, is_body
from metarl_cli.envs.replay import ActionRecorder, pictures
from metarl_cli.envs.vector import TaskVectorEnv
from metarl_cli.errors import UserError, check_known
from metarl_cli.figures.labels import curve_label
from metarl_cli.figures.plots.filmstrip import Drawing, Film, Walk, animated_films, animated_walks, filmstrip, save
from metarl_cli.references import is_reference
from metarl_cli.runs.evaluate import HELD_OUT, load_run
from metarl_cli.seeding import numpy_generator
from metarl_cli.training.build import build
from metarl_cli.training.rollouts import Array, Workers
from metarl_cli.training.trainer import Trainer, TrainState
from metarl_cli.types import Trajectories

__all__ = ["Episodes", "distinct_first", "film_steps", "record", "render", "task_label", "walls"]

FRAMES: Mapping[str, int] = MappingProxyType({"png": 6, "gif": 40})
"""How many pictures of a trajectory a format shows, by the ending of its files."""

POOL = 40
"""How many held-out tasks are drawn; the first of them that differ are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """What a policy did on one task before or after adaptation: N trajectories of T steps.

    Attributes:
        task: the task.
        stage: `pre` or `post`.
        returns: undiscounted, [N].
        lengths: steps until the episode ended, [N].
        positions: before the first step and after each, [N, T + 1, Q].
    """

    task: Array
    stage: str
    returns: Array
    lengths: Array
    positions: Array


def render(
    directory: Path,
    *,
    tasks: int,
    seed: int,
    threads: int,
    format: str,
    out: Path | None,
    tell: Callable[[str], None] = lambda message: None,
) -> Path:
    """Write the picture of a run.

    Args:
        directory: of the run.
        tasks: how many held-out tasks it shows.
        seed: of tasks, noise and actions.
        threads: of the simulation and the adaptation.
        format: `png` or `gif`.
        out: the file; None for one in the run's directory.
        tell: told in words of a damaged checkpoint.

    Returns:
        The file.

    Raises:
        UserError: if the directory holds no run, the format is unknown, or there is no OpenGL library to draw a body.
    """
    check_known("format", format, FRAMES)
    path = out or directory / f"render.{format}"
    if path.suffix != f".{format}":
        raise UserError(f"--out {path}: the name of a {format} file ends in .{format}; --format is one of png, gif.")
    config, state = load_run(directory, tell)
    name, variant = config.environment.name, config.environment.variant or None
    inner, trajectories = config.inner, config.sampling.trajectories
    text = (
        f"{curve_label(config.algorithm)} on {name}, profile {config.profile}, "
        f"seed {config.seed}, iteration {state.iteration}. Held-out tasks; "
        f"adaptation: {inner.steps} step{'s' if inner.steps > 1 else ''} on {trajectories} trajectories each. Shown:"
    )
    if is_reference(name):
        films = _own_films(config, state, format, tasks=tasks, seed=seed, threads=threads)
        drawing = _drawn(films, f"{text} the trajectory of median return.", format)
    elif is_body(name, variant):
        episodes = record(config, state, tasks=tasks, seed=seed, threads=threads)
        with camera(name, variant) as shoot:
            films = [_film(config, one, shoot, format) for one in episodes]
        drawing = _drawn(films, f"{text} the trajectory of median return; the camera follows it.", format)
    else:
        walks = [
            Walk(
                task=task_label(find_environment(name).task_distribution, one.task),
                stage=one.stage,
                total=float(one.returns.mean()),
                paths=one.positions,
                goal=_target(one.task),
                walls=walls(one.task),
            )
            for one in record(config, state, tasks=tasks, seed=seed, threads=threads)
        ]
        animation = animated_walks(walks, f"{text} all trajectories, and their mean return.", FRAMES["gif"])
        drawing = animation if format == "gif" else animation.figure
    save(drawing, path)
    return path


def record(config: RunConfig, state: TrainState, *, tasks: int, seed: int, threads: int) -> list[Episodes]:
    """Adapt the policy to held-out tasks, with its training-time inner steps and number of trajectories.

    The tasks are among those that `evaluate` tests with the same seed, and as different as there are: of a distribution
    with two tasks, both.

    Returns:
        Before and after all K steps of adaptation to the first task, the same for the second, and so on.
    """
    trainer = _trainer(config, tasks=tasks, seed=seed, threads=threads)
    recorder = PositionRecorder(cast(TaskVectorEnv, trainer.workers))
    pool = trainer.workers.sample_tasks(max(POOL, tasks), numpy_generator(seed, "tasks", *HELD_OUT))
    drawn = distinct_first(pool)[:tasks]
    rounds = replace(trainer, workers=cast(Workers, recorder)).sample(state, drawn, *HELD_OUT)
    before = _episodes(drawn, "pre", rounds[0].trajectories, recorder.episodes[0])
    after = _episodes(drawn, "post", rounds[-1].trajectories, recorder.episodes[-1])
    return [one for pair in zip(before, after, strict=True) for one in pair]


def _own_films(config: RunConfig, state: TrainState, format: str, *, tasks: int, seed: int, threads: int) -> list[Film]:
    """Of an environment of the user's own: the trajectories of median return, played again and drawn."""
    trainer = _trainer(config, tasks=tasks, seed=seed, threads=threads)
    recorder = ActionRecorder(cast(OwnWorkers, trainer.workers))
    drawn = recorder.sample_test_tasks(tasks, numpy_generator(seed, "tasks", *HELD_OUT))
    rounds = replace(trainer, workers=recorder).sample(state, drawn, *HELD_OUT)
    name, variant = config.environment.name, config.environment.variant
    films = []
    for m, (stage, number) in product(range(tasks), (("pre", 0), ("post", -1))):
        task, trajectories, played = drawn[m], rounds[number].trajectories, recorder.episodes[number]
        returns = trajectories.undiscounted_returns[m].numpy()
        median = int(np.argsort(returns)[len(returns) // 2])
        index, length = m * len(returns) + median, int(trajectories.mask[m, median].sum())
        steps = film_steps(length, config.sampling.horizon if format == "gif" else length, FRAMES[format])
        actions = [every[index] for every in played.actions]
        films.append(
            Film(
                task=shorten(str(task), 40, placeholder="…"),
                stage=stage,
                total=float(returns[median]),
                images=pictures(name, variant, task=task, seed=played.seed + index, actions=actions, steps=steps),
                notes=[f"step {t}" for t in steps],
            )
        )
    return films


def _trainer(config: RunConfig, *, tasks: int, seed: int, threads: int) -> Trainer:
    """The run's, without the exploration term: no adaptation sees it, and it may want more tasks than are shown."""
    torch.set_num_threads(1)  # as in training: one order of every sum
    sampling, outer = replace(config.sampling, tasks=tasks), replace(config.outer, exploration="none")
    return build(replace(config, seed=seed, sampling=sampling, outer=outer), threads=threads)[0]


def distinct_first(tasks: Array) -> Array:
    """The tasks, [n, …], in their order, but those that repeat an earlier one at the end."""
    _, first = np.unique(tasks, axis=0, return_index=True)
    first.sort()
    return np.concatenate([tasks[first], np.delete(tasks, first, axis=0)])


def film_steps(length: int, horizon: int, count: int) -> list[int]:
    """At most `count` evenly spaced steps of `horizon`, those after the end of an episode replaced by the end."""
    evenly = np.linspace(0, horizon, count).round().astype(int)
    return sorted({*np.minimum(evenly, length).tolist()})


def task_label(distribution: str, task: Array) -> str:
    """The task in words, by the text that describes its distribution: `velocity 1.27`, `goal (2, −2)`."""
    kind = distribution.split()[0]
    return f"{kind} {_vector(_target(task), '.3g')}" if kind in ("direction", "velocity", "goal") else "its own physics"


def walls(task: Array) -> list[Array]:
    """The circles around the origin, [n, 2] each, that keep points in except within 1 of their gap, where they open.

    The task of PointWalls is a goal and a point of each circle; other tasks have no walls.
    """
    arcs = []
    for gap in task[1:] if task.ndim == 2 else ():
        radius, middle = float(np.hypot(*gap)), float(np.arctan2(gap[1], gap[0]))
        half_gap = 2.0 * np.arcsin(0.5 / radius)
        angles = middle + np.linspace(half_gap, 2.0 * np.pi - half_gap, 200)
        arcs.append(radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    return arcs


def _episodes(tasks: Array, stage: str, trajectories: Trajectories, positions: Sequence[Array]) -> list[Episodes]:
    """One entry per task; positions are [M·N, Q] for each of T + 1 times."""
    returns, lengths = trajectories.undiscounted_returns.numpy(), trajectories.mask.sum(-1).numpy()
    everywhere = np.stack(positions, axis=1).reshape(*returns.shape, len(positions), -1)
    parts = zip(tasks, returns, lengths, everywhere, strict=True)
    return [Episodes(task=t, stage=stage, returns=r, lengths=n, positions=p) for t, r, n, p in parts]


def _drawn(films: Sequence[Film], text: str, format: str) -> Drawing:
    return animated_films(films, text) if format == "gif" else filmstrip(films, text)


def _film(config: RunConfig, episodes: Episodes, shoot: Shoot, format: str) -> Film:
    median = np.argsort(episodes.returns)[len(episodes.returns) // 2]
    length, positions = int(episodes.lengths[median]), episodes.positions[median]
    # An animation keeps the time that all its films share; a filmstrip shows each from its beginning to its end.
    steps = film_steps(length, len(positions) - 1 if format == "gif" else length, FRAMES[format])
    distribution = find_environment(config.environment.name).task_distribution
    # of the root: x, and y too where the task is in the plane
    places = [_vector(positions[t][: 2 if np.shape(episodes.task) == (2,) else 1], ".1f") for t in steps]
    return Film(
        task=task_label(distribution, episodes.task),
        stage=episodes.stage,
        total=float(episodes.returns[median]),
        images=np.stack(
            [shoot(positions[t], episodes.task if distribution.startswith("goal") else None) for t in steps]
        ),
        notes=[f"step {t}, at {place} m" for t, place in zip(steps, places, strict=True)],
    )


def _target(task: Array) -> Array:
    """The part of a task that says where to, as a vector."""
    return np.atleast_1d(task[0] if np.ndim(task) == 2 else task)


def _vector(entries: Array, digits: str) -> str:
    texts = [format(float(entry), f"z{digits}").replace("-", "−") for entry in entries]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
