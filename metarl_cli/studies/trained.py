"""What the studies of trained policies are made from: the runs of a figure."""

from __future__ import annotations

from pathlib import Path

from metarl_cli.errors import UserError
from metarl_cli.papers.figure import Figure, PlannedRun, studied_runs
from metarl_cli.runs.directory import holds, is_finished
from metarl_cli.store import runs_directory

__all__ = ["finished_runs", "runs_to_study"]


def finished_runs(figure: Figure, profile: str, results: Path) -> list[PlannedRun]:
    """The runs of a figure's study that have written their last row, with the planned settings and no others."""
    places = {run.directory(results): run for run in studied_runs(figure, profile)}
    return [run for place, run in places.items() if is_finished(place) and holds(place, run.config)]


def runs_to_study(figure: Figure, profile: str, results: Path) -> list[PlannedRun]:
    """The same, of a study that has nothing to say without.

    Raises:
        UserError: if none is finished.
    """
    if runs := finished_runs(figure, profile, results):
        return runs
    home = runs_directory(results, profile)
    raise UserError(f"No run of {figure.name} below {home} is finished with the planned settings.")
