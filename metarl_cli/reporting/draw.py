"""`metarl plot`: read what a figure needs, draw it, write PNG, PDF and the table of what is drawn. Never trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from metarl_cli.errors import UserError, unknown_name
from metarl_cli.papers import ADAPTATION, REPORTED, Figure
from metarl_cli.profiles import PROFILES
from metarl_cli.reporting.frames import curves, load_runs, read_table, write_table
from metarl_cli.reporting.plots import Drawing, save
from metarl_cli.reporting.plots.correlation import taypo_fig1, tmaml_fig4
from metarl_cli.reporting.plots.learning import adaptation, learning_curves, training_panel
from metarl_cli.reporting.plots.tables import table_figure
from metarl_cli.reporting.plots.trajectories import trajectories
from metarl_cli.reporting.plots.variance import promp_fig3, tmaml_fig2
from metarl_cli.reporting.tables import beside_the_paper, write_texts
from metarl_cli.store import INSTALLED, runs_directory, table_path

__all__ = ["PLOTS", "Content", "NoResultsError", "content_of", "draw", "plot"]


class NoResultsError(UserError):
    """A figure of which nothing was run yet; any other `UserError` is about results that are damaged."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a figure shows.

    Attributes:
        frame: what is drawn.
        tables: from which it is taken, by path. A figure of runs has one per profile that it shows.
    """

    frame: pd.DataFrame
    tables: Mapping[Path, pd.DataFrame]


def _labels(figure: Figure) -> list[str]:
    return [curve.label for curve in figure.curves]


PLOTS: Mapping[str, Callable[[Figure, pd.DataFrame], Drawing]] = MappingProxyType(
    {
        "learning_curves": lambda figure, frame: learning_curves(
            frame, environments=figure.environments, labels=_labels(figure)
        ),
        "adaptation": lambda figure, frame: adaptation(frame),
        "promp_fig3": lambda figure, frame: promp_fig3(frame),
        "promp_fig4": lambda figure, frame: trajectories(frame, labels=_labels(figure)),
        "tmaml_fig2": lambda figure, frame: tmaml_fig2(frame),
        "sgmrl_fig1": lambda figure, frame: trajectories(frame, labels=_labels(figure)),
        "taypo_fig1": lambda figure, frame: taypo_fig1(frame, training=training_panel(frame, _labels(figure))),
        "tmaml_fig4": lambda figure, frame: tmaml_fig4(frame),
        "return_table": lambda figure, frame: table_figure(beside_the_paper(figure, frame)),
        "evaluation_table": lambda figure, frame: table_figure(beside_the_paper(figure, frame)),
    }
)


def plot(figure: Figure, *, results: Path, out: Path, profile: str | None = None) -> list[Path]:
    """Draw one figure from the results in a directory.

    Args:
        figure: which.
        results: as `store` lays it out; for `adaptation`, any directory with runs in it.
        out: where PNG and PDF go.
        profile: of the results; None for what shows most: of a study the largest, of runs, panel by panel, the one with
            most curves, the larger one of equals.

    Returns:
        The files that were written: PNG, PDF, for a figure of runs the tables that it was drawn from, and for a table
        of a paper its numbers beside ours as CSV and Markdown.

    Raises:
        NoResultsError: if there are no results of that figure.
        UserError: if they are damaged.
    """
    return draw(figure, content_of(figure, results=results, profile=profile), out=out)


def draw(figure: Figure, content: Content, *, out: Path) -> list[Path]:
    """Draw and write what `content_of` gave; returns as `plot`."""
    files = list(save(PLOTS[figure.plot](figure, content.frame), out / figure.name))
    if figure.source == "runs":
        tables = {path: table for path, table in content.tables.items() if INSTALLED not in path.parents}
        for path, table in tables.items():  # what an installation brought is only read
            write_table(table, path)
        files += tables
    return [*files, *(write_texts(figure, content.frame, out) if figure.name in REPORTED else ())]


def content_of(
    figure: Figure, *, results: Path, profile: str | None = None, load: Callable[[Path], pd.DataFrame] = load_runs
) -> Content:
    """What a figure draws. Arguments and errors as for `plot`.

    `load` reads the runs below a directory; who draws many figures gives one that remembers them.
    """
    if profile is not None and profile not in PROFILES:
        raise unknown_name("profile", profile, PROFILES)
    if figure == ADAPTATION:
        frame = _curves(load(results), results)
        return Content(frame, {results / f"{figure.name}.csv": frame})
    if figure.source == "study":
        return _study_content(figure, results, profile, load)
    return _runs_content(figure, results, profile, load)


def _runs_content(figure: Figure, results: Path, profile: str | None, load: Callable[[Path], pd.DataFrame]) -> Content:
    names = [profile] if profile else list(PROFILES)
    runs = {name: _shown(figure, load(runs_directory(results, name))) for name in names}
    tables = {name: _curves(frame, results) for name, frame in runs.items() if len(frame)}
    if not tables:
        raise _no_runs(results)
    chosen = {environment: _fullest(tables, environment) for environment in figure.environments}
    panels = [tables[name][tables[name]["environment"] == environment] for environment, name in chosen.items()]
    used = {table_path(results, name, figure.name): tables[name] for name in tables if name in chosen.values()}
    return Content(pd.concat(panels, ignore_index=True), used)


def _study_content(figure: Figure, results: Path, profile: str | None, load: Callable[[Path], pd.DataFrame]) -> Content:
    path = _study_table(figure, results, profile)
    if not path.exists():
        raise NoResultsError(
            f"There is no {path}. `metarl reproduce {figure.name}` makes it, --results DIR reads another place."
        )
    table = read_table(path)
    lacks_training = "study" in table and bool(figure.curves) and "training" not in set(table["study"])
    frame = _with_training(table, figure, results, load) if lacks_training and profile is None else table
    return Content(frame, {path: table})


def _with_training(
    table: pd.DataFrame, figure: Figure, results: Path, load: Callable[[Path], pd.DataFrame]
) -> pd.DataFrame:
    """A study that was made before its figure's runs, beside the curves of another profile; their panel names it."""
    try:
        runs = _runs_content(figure, results, None, load)
    except NoResultsError:
        return table
    return pd.concat([table, runs.frame.assign(study="training")], ignore_index=True)


def _study_table(figure: Figure, results: Path, profile: str | None) -> Path:
    profiles = [profile] if profile else list(reversed(PROFILES))
    paths = [table_path(results, name, figure.name) for name in profiles]
    return next((path for path in paths if path.exists()), paths[0])


def _fullest(tables: Mapping[str, pd.DataFrame], environment: str) -> str:
    """The profile with most curves of a panel, and of equals the last, which is the largest."""

    def curves_shown(name: str) -> int:
        return int(tables[name].loc[tables[name]["environment"] == environment, "curve"].nunique())

    return max(reversed(list(tables)), key=curves_shown)


def _shown(figure: Figure, runs: pd.DataFrame) -> pd.DataFrame:
    labels = _labels(figure)
    return runs[runs["curve"].isin(labels) & runs["environment"].isin(figure.environments)]


def _curves(runs: pd.DataFrame, results: Path) -> pd.DataFrame:
    if runs.empty:
        raise _no_runs(results)
    return curves(runs, ("return/pre", "return/post"))


def _no_runs(results: Path) -> NoResultsError:
    return NoResultsError(f"There are no runs of it below {results}. `metarl reproduce` makes them.")
