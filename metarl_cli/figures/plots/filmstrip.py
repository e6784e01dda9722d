"""One trajectory per task before and after adaptation: bodies as rows of pictures, points as paths, both animated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metarl_cli.errors import UserError
from metarl_cli.figures.labels import STAGE_LABELS, colour
from metarl_cli.figures.plots import PNG, encoded
from metarl_cli.figures.plots.style import caption, new_figure
from metarl_cli.store import write_whole

__all__ = ["Animation", "Drawing", "Film", "Walk", "animated_films", "animated_walks", "filmstrip", "save"]

GOAL = "#D55E00"

GIF_DPI, FRAME_MILLISECONDS = 100, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """Pictures of a body.

    Attributes:
        task: what it should do, in words.
        stage: `pre` or `post`, before or after adaptation.
        total: the return.
        images: F pictures, [F, height, width, 3].
        notes: what stands below each picture.
    """

    task: str
    stage: str
    total: float
    images: NDArray[np.uint8]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Paths of points.

    Attributes:
        task: what they should do, in words.
        stage: `pre` or `post`, before or after adaptation.
        total: the mean return.
        paths: N paths in the plane or, with one coordinate, on a line, [N, steps, 1 or 2].
        goal: where they should go, [1 or 2].
        walls: lines in the plane that are in the way, [n, 2] each.
    """

    task: str
    stage: str
    total: float
    paths: NDArray[np.float64]
    goal: NDArray[np.float64]
    walls: Sequence[NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Animation:
    """A figure that changes.

    Attributes:
        figure: what is drawn.
        moving: the parts of it that change.
        show: brings them to a frame.
        frames: how many there are.
    """

    figure: Figure
    moving: Sequence[Artist]
    show: Callable[[int], None]
    frames: int


Drawing: TypeAlias = Figure | Animation


def filmstrip(films: Sequence[Film], text: str) -> Figure:
    """A row for each film, its pictures from left to right, and a line of text below."""
    columns = max(len(film.images) for film in films)
    figure = Figure(figsize=(1.2 + 1.5 * columns, 0.3 + 1.32 * len(films)), layout="constrained")
    panels = figure.subplots(len(films), columns, squeeze=False)
    for row, film in zip(panels, films, strict=True):
        row[0].set_ylabel(_heading(film), color=colour(film.stage), fontsize=8, rotation=0, ha="right", va="center")
        for panel in row:
            _clear(panel)
        for panel, image, note in zip(row, film.images, film.notes, strict=False):
            panel.imshow(image)
            panel.set_xlabel(note, fontsize=7, labelpad=2)
    caption(figure, text)
    return figure


def animated_films(films: Sequence[Film], text: str) -> Animation:
    """A panel for each film; one that is over stands still."""
    figure, panels = _grid(films, (3.0, 2.75))
    for panel in panels:
        _clear(panel)
    pictures = [panel.imshow(film.images[0]) for panel, film in zip(panels, films, strict=True)]
    below = {"ha": "center", "va": "top", "fontsize": 8}
    notes = [
        panel.text(0.5, -0.03, film.notes[0], below, transform=panel.transAxes)
        for panel, film in zip(panels, films, strict=True)
    ]
    caption(figure, text)

    def show(frame: int) -> None:
        for picture, note, film in zip(pictures, notes, films, strict=True):
            now = min(frame, len(film.images) - 1)
            picture.set_data(film.images[now])
            note.set_text(film.notes[now])

    frames = max(len(film.images) for film in films)
    return Animation(figure=figure, moving=[*pictures, *notes], show=show, frames=frames)


def animated_walks(walks: Sequence[Walk], text: str, frames: int) -> Animation:
    """A panel for each set of paths, which grow in at most so many frames; as returned, the figure shows them whole."""
    figure, panels = _grid(walks, (3.0, 3.3))
    lines = []
    for panel, walk in zip(panels, walks, strict=True):
        if walk.paths.shape[-1] == 1:
            panel.axhline(walk.goal[0], color=GOAL, linewidth=1.0)
            panel.set_xlabel("step", fontsize=8)
        else:
            panel.plot(*walk.goal, "*", color=GOAL, markersize=11, markeredgewidth=0)
            panel.set_aspect("equal")
        for wall in walk.walls:
            panel.plot(*wall.T, color="#999999", linewidth=2.0)
        starts = [_on_paper(path[:1]) for path in walk.paths]
        panel.plot(*np.concatenate(starts, axis=1), ".", color="black", markersize=3)
        own = colour(walk.stage)
        lines.append([panel.plot(*_on_paper(path), color=own, linewidth=0.8, alpha=0.7)[0] for path in walk.paths])
    if walks[0].paths.shape[-1] == 2:
        # The same limits to the right and upwards, and with them square panels without margins around them.
        limits = [*panels[0].get_xlim(), *panels[0].get_ylim()]
        panels[0].set(xlim=(min(limits), max(limits)), ylim=(min(limits), max(limits)))
    caption(figure, text)
    ends = np.unique(np.linspace(1, max(walk.paths.shape[1] for walk in walks), frames).round().astype(int))

    def show(frame: int) -> None:
        for drawn, walk in zip(lines, walks, strict=True):
            for line, path in zip(drawn, walk.paths, strict=True):
                line.set_data(*_on_paper(path[: ends[frame]]))

    return Animation(figure=figure, moving=[line for drawn in lines for line in drawn], show=show, frames=len(ends))


def save(drawing: Drawing, path: Path) -> None:
    """Write a figure as PNG, an animation as GIF, whole and without dates: the same drawing gives the same bytes.

    Raises:
        UserError: if it is an animation, and imageio is not installed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(drawing, Animation):
        write_whole(path, encoded(drawing, PNG))
        return
    try:
        from imageio.v3 import imwrite
    except ImportError:
        raise UserError("A GIF needs imageio, the extra `render`: pip install imageio. PNG works without.") from None
    figure, frames = drawing.figure, []
    figure.set_dpi(GIF_DPI)
    canvas: Any = FigureCanvasAgg(figure)  # without type information
    figure.draw_without_rendering()  # lays the panels out, with all that moves
    figure.set_layout_engine("none")
    for artist in drawing.moving:
        artist.set_animated(True)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)  # drawn once: it takes the longest
    for frame in range(drawing.frames):
        canvas.restore_region(still)
        drawing.show(frame)
        for artist in drawing.moving:
            figure.draw_artist(artist)
        frames.append(np.array(canvas.buffer_rgba())[..., :3])
    write_whole(path, imwrite("<bytes>", frames, extension=".gif", duration=FRAME_MILLISECONDS, loop=0))


def _heading(clip: Film | Walk) -> str:
    return f"{clip.task}\n{STAGE_LABELS[clip.stage]}\nreturn {clip.total:.1f}".replace("-", "−")


def _grid(clips: Sequence[Film | Walk], size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A panel for each clip, in their order: a column for each task, before above after; all with the same limits."""
    columns = len(clips) // 2
    figure, panels = new_figure(2, columns, size=size)
    ordered = [panel for column in range(columns) for panel in panels[column::columns]]
    for panel, clip in zip(ordered, clips, strict=True):
        panel.set_title(_heading(clip), color=colour(clip.stage), fontsize=8)
        panel.sharex(panels[0])
        panel.sharey(panels[0])
    return figure, ordered


def _clear(panel: Axes) -> None:
    panel.set(xticks=[], yticks=[])
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)


def _on_paper(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """What stands to the right and upwards, [2, steps]: the two coordinates, or the step and the only coordinate."""
    return path.T if path.shape[1] == 2 else np.stack([np.arange(len(path), dtype=np.float64), path[:, 0]])
