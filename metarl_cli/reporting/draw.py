"""`metarl plot`: read what a figure needs, draw it, write PNG, PDF and the table of what is drawn. Never trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from metarl_cli.errors import UserError
from metarl_cli.papers import Figure
from metarl_cli.reporting.frames import curves, load_runs, read_table, write_table
from metarl_cli.reporting.plots import Drawing, save
from metarl_cli.reporting.plots.learning import adaptation, learning_curves

__all__ = ["PLOTS", "plot"]

PLOTS: Mapping[str, Callable[[Figure, pd.DataFrame], Drawing]] = MappingProxyType(
    {
        "learning_curves": lambda figure, frame: learning_curves(
            frame, environments=figure.environments, algorithms=figure.algorithms
        ),
        "adaptation": lambda figure, frame: adaptation(frame),
    }
)


def plot(figure: Figure, *, results: Path, out: Path) -> list[Path]:
    """Draw one figure from the results in a directory.

    Args:
        figure: which.
        results: holds `<figure>/…`; for a figure of runs that has no such folder, the runs themselves.
        out: where PNG and PDF go.

    Returns:
        The files that were written: PNG, PDF, and for a figure of runs the table that was drawn.

    Raises:
        UserError: if there are no results of that figure at all.
    """
    where = results / figure.name if (results / figure.name).is_dir() else results
    table = where / f"{figure.name}.csv"
    if figure.source == "table":
        frame, written = read_table(table), list[Path]()
    else:
        frame, written = _curves(where), [table]
        write_table(frame, table)
    return [*save(PLOTS[figure.plot](figure, frame), out / figure.name), *written]


def _curves(directory: Path) -> pd.DataFrame:
    runs = load_runs(directory)
    if runs.empty:
        raise UserError(f"There are no runs below {directory}. `metarl train --out` puts one there.")
    return curves(runs, ("return/pre", "return/post"))
