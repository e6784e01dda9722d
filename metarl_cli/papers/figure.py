"""What a figure or table is, as data: its curves, its panels, the runs it needs. Its entries: one module per paper.

A run is shared by all the figures that show it: it is known by its curve, its environment and its seed, and its size
belongs to the profile, not to the figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from metarl_cli.algorithms import find_algorithm
from metarl_cli.config import RunConfig, with_overrides
from metarl_cli.errors import UserError
from metarl_cli.papers.claim import RETURN
from metarl_cli.papers.settings import run_config, with_code
from metarl_cli.papers.sizes import Size, size
from metarl_cli.references import directory_name
from metarl_cli.store import runs_directory

__all__ = [
    "RELEASED_REWARDS",
    "WHOLE",
    "Curve",
    "Figure",
    "Part",
    "PlannedRun",
    "plain",
    "planned_runs",
    "studied_runs",
]

OF_RUNS = frozenset({"learning_curves", "return_table", "adaptation"})
"""The plots that are drawn from training runs alone."""

CURVES_BESIDE = frozenset({"taypo_fig1"})
"""The plots that show learning curves beside the table of a study, which has nothing to do with them."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a figure: an algorithm, and what is changed in it.

    Attributes:
        label: the name in file paths and tables.
        algorithm: one of `ALGORITHMS`, or a TOML file, see `find_algorithm`.
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
        return self.named or find_algorithm(self.algorithm).title


def plain(*algorithms: str) -> tuple[Curve, ...]:
    """A line for each algorithm, under its own name and with its own settings."""
    return tuple(Curve(name, name) for name in algorithms)


RELEASED_REWARDS = ("inner.rewards=released",)
"""DiCE as released, whose adaptation steps are several times as long as those it is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One artefact of a paper, or one of the user's own, see `own`.

    Attributes:
        name: `<paper>-<figure>`, the name of its files.
        title: what it shows, one line.
        plot: the function of `figures.views` that draws it.
        environments: the panels, in the paper's order.
        curves: the lines in each panel, in the order of the legend.
        column: of `progress.csv`, which learning curves show.
        sizes: of its runs, by profile; none for those of the environments. `smoke` is as small as everywhere.
        own: of a user's file.
    """

    name: str
    title: str
    plot: str
    environments: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    column: str = RETURN
    sizes: Mapping[str, Size] = field(default_factory=dict, hash=False)
    own: bool = False

    @property
    def paper(self) -> str:
        """The short name of the paper, of a figure of a paper."""
        return self.name.partition("-")[0]

    @property
    def source(self) -> Literal["runs", "study"]:
        """`runs`: it is drawn from these alone; `study`: from the table that a study of that name writes."""
        return "runs" if self.plot in OF_RUNS else "study"

    @property
    def curves_beside(self) -> bool:
        """Whether its runs are drawn as learning curves beside the table of its study; else the study is of them."""
        return self.plot in CURVES_BESIDE

    def size(self, environment: str, profile: str) -> Size:
        """How large its runs on an environment are.

        Raises:
            UserError: for a profile that does not exist, or of which a figure with sizes of its own says nothing.
        """
        usual = size(environment, profile)
        if self.sizes and profile not in self.sizes and profile != "smoke":
            raise UserError(
                f"{self.name} has sizes for {', '.join(self.sizes)}, not for {profile}: choose by --profile."
            )
        return self.sizes.get(profile, usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which runs of a figure: those of the environments, curves and seeds that are named, all where none is.

    Attributes:
        environments: of its panels.
        curves: labels of its lines.
        seeds: also such as the size of a profile does not have.
    """

    environments: Sequence[str] = ()
    curves: Sequence[str] = ()
    seeds: Sequence[int] = ()


WHOLE = Part()


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that a figure needs: its settings, and its path below `runs/`, which names it."""

    config: RunConfig
    path: Path

    @property
    def name(self) -> str:
        """Its path, whatever the system."""
        return self.path.as_posix()

    def directory(self, results: Path) -> Path:
        """Where it lies among results."""
        return runs_directory(results, self.config.profile) / self.path


def planned_runs(figure: Figure, profile: str, part: Part = WHOLE) -> Iterator[PlannedRun]:
    """Every run of a figure, or of a part of it, at a profile's size: seed by seed, so that one of all comes early."""
    environments = [name for name in figure.environments if name in (part.environments or figure.environments)]
    curves = [curve for curve in figure.curves if curve.label in part.curves or not part.curves]
    # `smoke` tries the code, of which a paper's figure has the same for each environment; a user's may be of several.
    environments = environments[:1] if profile == "smoke" and not figure.own else environments
    sizes = {environment: figure.size(environment, profile) for environment in environments}
    seeds = part.seeds or range(1, 1 + max((each.seeds for each in sizes.values()), default=0))
    for seed in seeds:
        for environment, each in sizes.items():
            if seed > each.seeds and not part.seeds:
                continue
            for curve in curves:
                base = run_config(curve.algorithm, environment, profile=profile, scale=each)
                config = with_overrides(base, (*curve.overrides, f"seed={seed}", f"label={curve.label}"))
                yield PlannedRun(with_code(config), Path(curve.label) / directory_name(environment) / f"seed{seed}")


def studied_runs(figure: Figure, profile: str) -> list[PlannedRun]:
    """The runs that a figure's study reads, at a profile's size."""
    return [] if figure.curves_beside else list(planned_runs(figure, profile))
