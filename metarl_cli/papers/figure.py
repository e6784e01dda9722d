"""What a figure or table is, as data; the entries themselves stand in one module per paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Figure", "Source"]

Source: TypeAlias = Literal["runs", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One artefact of a paper.

    Attributes:
        name: `<paper>-<figure>`, the name of its files.
        paper: the short name of the paper.
        title: what it shows, one line.
        plot: the function of `reporting.plots` that draws it.
        source: drawn from training runs, `<figure>/<algorithm>/<environment>/seed<k>/progress.csv`, or from one
            table that a study writes, `<figure>/<figure>.csv`.
        environments: the panels of learning curves, in the paper's order.
        algorithms: the lines in each panel.
    """

    name: str
    paper: str
    title: str
    plot: str
    source: Source
    environments: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
