"""The look of every figure: one size grid, one caption line that says what is shown."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.layout_engine import ConstrainedLayoutEngine

__all__ = ["Drawing", "caption", "mark_missing", "new_figure"]

CAPTION_POINTS, CHARACTERS_PER_INCH = 7, 19
"""The size of captions, and how many characters of it fit into an inch."""


def new_figure(rows: int, columns: int, *, size: tuple[float, float]) -> tuple[Drawing, list[Axes]]:
    """A figure of `rows × columns` panels, each of `size` inches, and its panels row by row."""
    figure = Drawing(
        figsize=(columns * size[0], rows * size[1]), layout=ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.07)
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(visible=True, color="#e6e6e6", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.tick_params(labelsize=8)
    return figure, panels


def caption(figure: Drawing, text: str) -> None:
    """Small lines under the figure: profile, seeds, band, whatever a stranger must know to read it; wrapped to fit."""
    columns = int(CHARACTERS_PER_INCH * figure.get_figwidth())
    lines = [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, columns)]
    figure.supxlabel("\n".join(lines), fontsize=CAPTION_POINTS, color="#444444")


def mark_missing(panel: Axes) -> None:
    """Say in an empty panel that it has no data, rather than leave it blank or fail."""
    panel.text(
        0.5, 0.5, "no data yet", transform=panel.transAxes, ha="center", va="center", color="#888888", fontsize=9
    )
    panel.set_xticks([])
    panel.set_yticks([])
