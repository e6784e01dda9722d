"""`metarl plot`: read what a figure needs, draw it, write PNG, PDF and the table of what is drawn. Never trains."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metarl_cli.errors import UserError, check_known
from metarl_cli.figures.curves import curves
from metarl_cli.figures.pictures import pictures_of
from metarl_cli.figures.plots import write_pictures
from metarl_cli.figures.tables import write_texts
from metarl_cli.papers import ADAPTATION, REPORTED, Figure
from metarl_cli.papers.claim import RETURN
from metarl_cli.profiles import PROFILES
from metarl_cli.results import Results, load_runs
from metarl_cli.store import INSTALLED
from metarl_cli.tables import write_table

__all__ = ["MOST_PANELS", "Content", "NoResultsError", "content_of", "draw", "plot", "runs_behind"]


MOST_PANELS = 40
"""Of `adaptation`, which has one for each curve, environment and profile: eight rows of five."""


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


def plot(figure: Figure, results: Results, *, out: Path, profile: str | None = None) -> list[Path]:
    """Draw one figure from results.

    Args:
        figure: which.
        results: where; for `adaptation`, any directory with runs in it.
        out: where PNG and PDF go.
        profile: of the results; None for what shows most: of a study the largest, which for a paper's table is chosen
            row by row, of runs, panel by panel, the largest that has half of the curves that any has; of `adaptation`
            all.

    Returns:
        The files that were written: PNG, PDF, for a figure of runs the tables that it was drawn from (in the results,
        or beside the PNG where those cannot be written), and for a table of a paper its numbers beside ours as CSV and
        Markdown.

    Raises:
        NoResultsError: if there are no results of that figure.
        UserError: if they are damaged.
    """
    return draw(figure, content_of(figure, results, profile), out=out)


def draw(figure: Figure, content: Content, *, out: Path) -> list[Path]:
    """Draw and write what `content_of` gave; returns as `plot`."""
    files = list(write_pictures(pictures_of(figure, content.frame), out / figure.name))
    if figure.source == "runs":
        for path, table in content.tables.items():
            if INSTALLED not in path.parents:  # what an installation brought is only read
                there = next(place for place in path.parents if place.exists())
                # Another's results are only read, too.
                files.append(path if os.access(there, os.W_OK) else out / f"{path.parent.parent.name}-{path.name}")
                write_table(table, files[-1])
    return [*files, *write_texts(figure, content.frame, out)] if figure.name in REPORTED else files


def content_of(figure: Figure, results: Results, profile: str | None = None) -> Content:
    """What a figure draws. Arguments and errors as for `plot`."""
    if profile is not None:
        check_known("profile", profile, PROFILES)
    if figure == ADAPTATION:
        runs = load_runs(results.directory)
        if profile is not None:
            runs = runs[runs["profile"] == profile]
        if runs.empty:
            raise _no_runs(results)
        if (panels := len(runs.drop_duplicates(["curve", "environment", "profile"]))) > MOST_PANELS:
            raise UserError(
                f"{figure.name} has a panel for each curve, environment and profile: {panels} for the runs below "
                f"{results.directory}, and {MOST_PANELS} is the most. --results DIR takes those below a directory "
                "alone, --profile NAME those of a size."
            )
        frame = _curves(figure, runs, results)
        return Content(frame, {results.directory / f"{figure.name}.csv": frame})
    return (_study_content if figure.source == "study" else _runs_content)(figure, results, profile)


def runs_behind(figure: Figure, content: Content, results: Results) -> Iterator[pd.DataFrame]:
    """The rows of the runs that a figure draws, or that its study tests: a frame for each profile that has some."""
    for profile in content.frame["profile"].dropna().unique():
        runs = results.runs_of(figure, profile)
        if figure.source == "runs" or figure.name in REPORTED:  # each panel, or row, is of one profile
            row = ["curve", "environment", "profile"]
            runs = runs.merge(content.frame[row].drop_duplicates(), on=row)
        if len(runs):
            yield runs


def _runs_content(figure: Figure, results: Results, profile: str | None) -> Content:
    names = [profile] if profile else list(PROFILES)
    runs = {name: rows for name in names if len(rows := results.runs_of(figure, name))}
    if damaged := [reason for name in names for reason in results.damaged_runs(figure, name)]:
        raise UserError(" ".join(damaged))
    if not runs:
        raise _no_runs(results)
    chosen = dict[str, str]()
    for environment in figure.environments:
        counts = {name: rows["curve"][rows["environment"] == environment].nunique() for name, rows in runs.items()}
        enough = max(counts.values()) / 2  # a few curves that have bent say more than the beginnings of all
        chosen[environment] = next(name for name in reversed(counts) if counts[name] >= enough)
    tables = {name: _curves(figure, rows, results) for name, rows in runs.items() if name in chosen.values()}
    panels = [tables[name][tables[name]["environment"] == environment] for environment, name in chosen.items()]
    used = {results.table_path(figure, name): table for name, table in tables.items()}
    return Content(pd.concat(panels, ignore_index=True), used)


def _study_content(figure: Figure, results: Results, profile: str | None) -> Content:
    """The table of the profile that was asked for, or of the largest there is; of a paper's table that of each row."""
    names = [profile] if profile else list(reversed(PROFILES))
    frames, tables = list[pd.DataFrame](), dict[Path, pd.DataFrame]()
    left = {(curve.label, environment) for curve in figure.curves for environment in figure.environments}
    for name in names:
        table = results.table(figure, name)
        if table is None:
            continue
        if figure.name in REPORTED:
            rows = pd.MultiIndex.from_frame(table[["curve", "environment"]])
            new, left = table[rows.isin(left)], left - set(rows)
        else:
            new, left = table, set()
        if len(new) or table.empty:
            frames.append(new)
            tables[results.table_path(figure, name)] = table
        if not left:
            break
    if not frames:
        raise NoResultsError(
            f"There is no {results.table_path(figure, names[0])}. `metarl reproduce {figure.name}` makes it, "
            "--results DIR reads another place."
        )
    frame = pd.concat(frames, ignore_index=True)
    if figure.curves_beside:
        with suppress(NoResultsError):  # of another profile, maybe, which their panel names
            frame = pd.concat([frame, _runs_content(figure, results, profile).frame], ignore_index=True)
    return Content(frame, tables)


def _curves(figure: Figure, runs: pd.DataFrame, results: Results) -> pd.DataFrame:
    if figure.column not in runs:
        raise UserError(f"The runs below {results.directory} have no column {figure.column!r}.")
    return curves(runs, tuple(dict.fromkeys(("return/pre", RETURN, figure.column))))


def _no_runs(results: Results) -> NoResultsError:
    return NoResultsError(f"There are no runs of it below {results.directory}. `metarl reproduce` makes them.")
