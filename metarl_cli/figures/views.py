"""How each kind of figure is drawn, and what of its table is compared: one entry for each.

The same key has what its table holds in `schema.TABLES`, and what makes it, where it is not training alone, in
`reproduction.tables.STUDIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from metarl_cli.figures.plots.correlation import taypo_fig1, tmaml_fig4
from metarl_cli.figures.plots.learning import adaptation, learning_curves, training_panel
from metarl_cli.figures.plots.style import Drawing
from metarl_cli.figures.plots.tables import table_figure
from metarl_cli.figures.plots.trajectories import trajectories
from metarl_cli.figures.plots.variance import promp_fig3, tmaml_fig2
from metarl_cli.figures.tables import beside_the_paper
from metarl_cli.papers import FIGURES, Figure

__all__ = ["VIEWS", "Cells", "View"]


@dataclass(frozen=True, slots=True)
class Cells:
    """What of a study's table is compared.

    Attributes:
        keys: the columns that name a cell.
        value: the column with its number, one per seed.
        only: a column and the value that a row must have, if not all rows are compared.
    """

    keys: tuple[str, ...]
    value: str
    only: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A kind of figure.

    Attributes:
        draw: the picture of a figure's frame.
        cells: of its table; None for learning curves, which are compared as such.
    """

    draw: Callable[[Figure, pd.DataFrame], Drawing]
    cells: Cells | None = None


def _names(figure: Figure) -> dict[str, str]:
    return {curve.label: curve.title for curve in figure.curves}


_RETURNS = View(lambda figure, frame: table_figure(beside_the_paper(figure, frame)))
_PLANE = View(
    lambda figure, frame: trajectories(frame, labels=list(_names(figure))),
    Cells(("environment", "curve", "stage"), "return"),
)
_DEVIATION = Cells(("environment", "curve", "iteration"), "value", only=("quantity", "rstd"))

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "learning_curves": View(
            lambda figure, frame: learning_curves(
                frame,
                environments=figure.environments,
                names=_names(figure),
                column=figure.column,
                title=figure.title if figure.name not in FIGURES else "",
            )
        ),
        "adaptation": View(lambda figure, frame: adaptation(frame)),
        "return_table": _RETURNS,
        "evaluation_table": View(_RETURNS.draw, Cells(("environment", "curve", "steps"), "return")),
        "promp_fig3": View(lambda figure, frame: promp_fig3(frame), _DEVIATION),
        "promp_fig4": _PLANE,
        "sgmrl_fig1": _PLANE,
        "tmaml_fig2": View(lambda figure, frame: tmaml_fig2(frame), _DEVIATION),
        "tmaml_fig4": View(
            lambda figure, frame: tmaml_fig4(frame),
            Cells(("role", "quantity", "estimator", "control_variate", "samples"), "pearson"),
        ),
        "taypo_fig1": View(
            lambda figure, frame: taypo_fig1(frame, training=training_panel(frame, _names(figure))),
            Cells(("sweep", "epsilon", "samples", "estimator", "order"), "pearson"),
        ),
    }
)
"""By `Figure.plot`."""
