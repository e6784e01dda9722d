"""The study behind each figure that is not drawn from training runs alone, and the table that it writes.

Beside `<figure>.csv` stand `<figure>.meta.json`, the circumstances under which it was made, and `<figure>.json`, what
decided it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from metarl_cli.circumstances import circumstances
from metarl_cli.errors import UserError
from metarl_cli.papers import Figure
from metarl_cli.papers.figure import PlannedRun
from metarl_cli.reproduction.costs import (
    START_SECONDS,
    accuracy_seconds,
    correlation_seconds,
    deviation_seconds,
    testing_seconds,
)
from metarl_cli.store import META_SUFFIX, table_path, write_whole
from metarl_cli.studies import meta_test, tabular, toy1d, trajectories, variance
from metarl_cli.studies.trained import finished_runs
from metarl_cli.tables import write_table

__all__ = [
    "STUDIES",
    "Study",
    "check_writable",
    "origin_path",
    "origin_text",
    "write",
    "write_study_table",
]

VARIANT = "released"
"""Of the random MDPs: the sizes with which the paper's figure was drawn."""


@dataclass(frozen=True, slots=True)
class Study:
    """What makes a figure's table.

    Attributes:
        rows: the tidy table, from the figure, a profile and where the results are.
        settings: what decides it at a profile, beside the runs that it reads: another answer means another table.
        after: a study with which it shares measurements, so that they cannot run at a time.
        measurements: directories that it makes and goes on with, from the same.
        foreign: of these, what belongs to other measurements and must not be touched.
        seconds: of one core that a figure's table takes at a profile, once its runs are there; for plans and progress
            alone.
    """

    rows: Callable[[Figure, str, Path], pd.DataFrame]
    settings: Callable[[str], object]
    seconds: Callable[[Figure, str], float]
    after: tuple[str, ...] = ()
    measurements: Callable[[Figure, str, Path], list[Path]] = lambda figure, profile, results: []
    foreign: Callable[[Figure, str, Path], list[Path]] = lambda figure, profile, results: []

    def obstacles(self, figure: Figure, profile: str, results: Path) -> list[Path]:
        """What lies where it writes, and is neither its table nor its measurement."""
        table = table_path(results, profile, figure.name)
        files = () if _is_origin(origin_path(table)) else (table, table.with_suffix(META_SUFFIX), origin_path(table))
        return [*filter(os.path.lexists, files), *self.foreign(figure, profile, results)]


_DEVIATION = Study(
    variance.study,
    variance.settings,
    deviation_seconds,
    measurements=variance.measurements,
    foreign=variance.foreign,
)
_PLANE = Study(
    trajectories.study,
    trajectories.settings,
    lambda figure, profile: testing_seconds(figure, profile, trajectories.TASKS),
)

STUDIES: Mapping[str, Study] = MappingProxyType(
    {
        "promp_fig3": _DEVIATION,
        "promp_fig4": _PLANE,
        # Of the measurements that promp_fig3 has made.
        "tmaml_fig2": replace(_DEVIATION, seconds=lambda figure, profile: START_SECONDS, after=("promp-fig3",)),
        "tmaml_fig4": Study(
            lambda figure, profile, results: toy1d.run(toy1d.settings(profile)), toy1d.settings, correlation_seconds
        ),
        "sgmrl_fig1": _PLANE,
        "evaluation_table": Study(
            meta_test.study,
            meta_test.settings,
            lambda figure, profile: testing_seconds(figure, profile, meta_test.settings(profile)),
        ),
        "taypo_fig1": Study(
            lambda figure, profile, results: tabular.run(tabular.settings(profile, VARIANT)),
            lambda profile: tabular.settings(profile, VARIANT),
            accuracy_seconds,
        ),
    }
)
"""By `Figure.plot`."""


def write(figure: Figure, profile: str, results: Path) -> None:
    """Run the study of a figure and write its table, then what it was made from; each file is whole or absent.

    A table that was made before all runs of its figure were there is no proof that the figure is done.
    """
    table, finished = table_path(results, profile, figure.name), finished_runs(figure, profile, results)
    table.parent.mkdir(parents=True, exist_ok=True)
    write_whole(origin_path(table), json.dumps({"figure": figure.name}) + "\n")  # of no table yet, but of this study
    write_study_table(partial(STUDIES[figure.plot].rows, figure, profile, results), table)
    write_whole(origin_path(table), origin_text(figure, profile, finished))


def write_study_table(study: Callable[[], pd.DataFrame], path: Path) -> None:
    """Write a study's table, and beside it, as `<name>.meta.json`, under which circumstances, and what it took.

    What a study found measured when it began, as after a stop, is not in its seconds.
    """
    started = time.process_time()
    write_table(study(), path)
    meta = {**circumstances(threads=1), "cpu_seconds": round(time.process_time() - started, 1)}
    write_whole(path.with_suffix(META_SUFFIX), json.dumps(meta, indent=2) + "\n")


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Refuse a table's file before anything is computed; a table of a reproduction's loses the mark of being one.

    Raises:
        UserError: if it, or what is written beside it, is there and `overwrite` was not asked for, or no file can be.
    """
    if path.suffix != ".csv":
        raise UserError(f"--out {path}: the name of a table ends in .csv.")
    for file in (path, path.with_suffix(META_SUFFIX)):
        if file.is_dir():
            raise UserError(f"{file} is a directory. Choose another --out.")
        if os.path.lexists(file) and not overwrite:
            raise UserError(f"{file} is there already: --overwrite replaces it, --out goes elsewhere.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"Cannot write to {path.parent}. Choose another --out.")
    if _is_origin(origin_path(path)):
        origin_path(path).unlink()


def origin_path(table: Path) -> Path:
    """Beside a table, what it was made from."""
    return table.with_suffix(".json")


def origin_text(figure: Figure, profile: str, runs: Iterable[PlannedRun]) -> str:
    """What decides the table: the study's settings and the settings of the runs, as hashes."""
    hashes = {}
    for run in runs:
        settings = json.dumps(asdict(run.config), sort_keys=True)
        hashes[str(run.path)] = hashlib.sha256(settings.encode()).hexdigest()[:16]
    origin = {"figure": figure.name, "settings": repr(STUDIES[figure.plot].settings(profile)), "runs": hashes}
    return json.dumps(origin, indent=2) + "\n"


def _is_origin(path: Path) -> bool:
    """Whether it is what `write` leaves beside a figure's table, and no file of the user's that has its name."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    home = Path(os.path.abspath(path)).parent.name
    if not isinstance(document, dict) or not document.get("figure") == path.stem == home:
        return False
    settings, runs = document.get("settings"), document.get("runs")
    if settings is runs is None:  # while the study is being made
        return len(document) == 1
    hashed = isinstance(runs, dict) and all(re.fullmatch("[0-9a-f]{16}", str(value)) for value in runs.values())
    return len(document) == 3 and isinstance(settings, str) and hashed
