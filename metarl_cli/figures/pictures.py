"""The pictures of a figure: to draw them takes longer than all else that shows them, so that they are remembered."""

from __future__ import annotations

import hashlib
from functools import partial

import pandas as pd

from metarl_cli.figures.plots import Pictures, pictures, settings
from metarl_cli.papers import Figure
from metarl_cli.remembered import remembered

__all__ = ["pictures_of"]


def pictures_of(figure: Figure, frame: pd.DataFrame) -> Pictures:
    """PNG and PDF of what a figure shows of a frame, drawn if it is not what it showed the last time."""
    shown = hashlib.sha256(pd.util.hash_pandas_object(frame).to_numpy().tobytes()).hexdigest()
    key = f"{figure} {list(frame)} {shown} {settings()}"
    return remembered(f"pictures of {figure.name}", key, partial(_drawn, figure, frame))


def _drawn(figure: Figure, frame: pd.DataFrame) -> Pictures:
    from metarl_cli.figures.views import VIEWS  # with all of matplotlib, which what is remembered need not load

    return pictures(VIEWS[figure.plot].draw(figure, frame))
