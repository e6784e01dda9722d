"""What a figure or table is, as data: its curves, its panels, the runs it needs. Its entries: one module per paper.

A run is shared by all the figures that show it: it is known by its curve, its environment and its seed, and its size
belongs to the profile, not to the figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.config import RunConfig, with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.papers.sizes import seeds

__all__ = ["RELEASED_REWARDS", "Curve", "Figure", "PlannedRun", "Source", "planned_runs"]

Source: TypeAlias = Literal["runs", "study"]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a figure: an algorithm, and what is changed in it.

    Attributes:
        label: the name in file paths and tables.
        algorithm: one of `ALGORITHMS`.
        overrides: as for `--set`.
        named: the name in legends; empty for the algorithm's.
    """

    label: str
    algorithm: str
    overrides: tuple[str, ...] = ()
    named: str = ""

    @property
    def title(self) -> str:
        """The name in legends."""
        return self.named or ALGORITHMS[self.algorithm].title


RELEASED_REWARDS = ("inner.rewards=released",)
"""DiCE as released, whose adaptation steps are several times as long as those it is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One artefact of a paper.

    Attributes:
        name: `<paper>-<figure>`, the name of its files.
        paper: the short name of the paper.
        title: what it shows, one line.
        plot: the function of `figures.views` that draws it.
        source: `runs`: drawn from training runs alone; `study`: from the table that a study of that name writes,
            which may use trained runs.
        environments: the panels, in the paper's order.
        curves: the lines in each panel, in the order of the legend.
    """

    name: str
    paper: str
    title: str
    plot: str
    source: Source
    environments: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that a figure needs: its settings, and its directory below `runs/`."""

    config: RunConfig
    path: Path


def planned_runs(figure: Figure, profile: str) -> Iterator[PlannedRun]:
    """Every run of a figure at the size of a profile, seed by seed, so that a first seed of all comes early."""
    environments = figure.environments[:1] if profile == "smoke" else figure.environments
    count = max((len(seeds(environment, profile)) for environment in environments), default=0)
    for position in range(count):
        for environment in environments:
            for curve in figure.curves:
                if position < len(seeds(environment, profile)):
                    yield _planned(curve, environment, profile, seeds(environment, profile)[position])


def _planned(curve: Curve, environment: str, profile: str, seed: int) -> PlannedRun:
    changes = (*curve.overrides, f"seed={seed}", f"label={curve.label}")
    config = with_overrides(run_config(curve.algorithm, environment, profile=profile), changes)
    return PlannedRun(config, Path(curve.label) / environment / f"seed{seed}")
