"""Each figure and table of the four papers as data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from metarl_cli.errors import unknown_name
from metarl_cli.papers import promp
from metarl_cli.papers.figure import Figure

__all__ = ["FIGURES", "Figure", "find_figure"]

_ADAPTATION = Figure(
    name="adaptation",
    paper="metarl",
    title="Return before and after adaptation, of any runs",
    plot="adaptation",
    source="runs",
)

FIGURES: Mapping[str, Figure] = MappingProxyType({figure.name: figure for figure in (*promp.FIGURES, _ADAPTATION)})

_DEFAULT_PAPER = "promp"


def find_figure(name: str) -> Figure:
    """The figure of that name; `fig2` alone means ProMP's.

    Raises:
        UserError: if there is none, with the nearest match.
    """
    for candidate in (name, f"{_DEFAULT_PAPER}-{name}"):
        if candidate in FIGURES:
            return FIGURES[candidate]
    raise unknown_name("figure", name, FIGURES)
