"""The study behind each figure that is not drawn from training runs alone, and the table that it writes.

`python -m metarl_cli.reproduction.tables FIGURE PROFILE RESULTS` writes one table, in the same grid as training.
Beside `<figure>.csv` stand `<figure>.meta.json`, the circumstances under which it was made, and `<figure>.json`, what
decided it.
"""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from metarl_cli.circumstances import circumstances
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.papers import FIGURES, Figure
from metarl_cli.papers.figure import planned_runs
from metarl_cli.reporting.frames import curves, load_runs, write_table
from metarl_cli.reproduction.costs import (
    START_SECONDS,
    accuracy_seconds,
    correlation_seconds,
    deviation_seconds,
    testing_seconds,
)
from metarl_cli.store import META_SUFFIX, runs_directory, table_path, write_whole
from metarl_cli.studies import meta_test, tabular, toy1d, trajectories, variance

__all__ = ["STUDIES", "Study", "command", "is_current", "write", "write_study_table"]

VARIANT = "released"
"""Of the random MDPs: the sizes with which the paper's figure was drawn."""


@dataclass(frozen=True, slots=True)
class Study:
    """What makes a figure's table.

    Attributes:
        rows: the tidy table, from the figure, a profile and where the results are.
        settings: what decides it at a profile, beside the runs that it reads: another answer means another table.
        after: a study with which it shares measurements, so that they cannot run at a time.
        seconds: of one core that a figure's table takes at a profile, once its runs are there; for plans and progress
            alone.
    """

    rows: Callable[[Figure, str, Path], pd.DataFrame]
    settings: Callable[[str], object]
    seconds: Callable[[Figure, str], float]
    after: tuple[str, ...] = ()


def _taypo_fig1(figure: Figure, profile: str, results: Path) -> pd.DataFrame:
    """Panels a to c, the accuracy, and panel d, the learning curves, told apart by `study`."""
    accuracy = tabular.run(tabular.settings(profile, VARIANT))
    runs = [load_runs(runs_directory(results, profile) / run.path) for run in planned_runs(figure, profile)]
    training = curves(pd.concat(runs), ("return/pre", "return/post"))
    return pd.concat([accuracy, training.assign(study="training")], ignore_index=True)


def _tmaml_fig4(figure: Figure, profile: str, results: Path) -> pd.DataFrame:
    return toy1d.run(toy1d.settings(profile))


def _pictured(figure: Figure, profile: str) -> float:
    return testing_seconds(figure, profile, trajectories.TASKS)


def _tested(figure: Figure, profile: str) -> float:
    return testing_seconds(figure, profile, meta_test.settings(profile))


def _collected(figure: Figure, profile: str) -> float:
    """Of a table whose measurements another study has made."""
    return START_SECONDS


STUDIES: Mapping[str, Study] = MappingProxyType(
    {
        "promp-fig3": Study(variance.study, variance.settings, deviation_seconds),
        "promp-fig4": Study(trajectories.study, trajectories.settings, _pictured),
        "tmaml-fig2": Study(variance.study, variance.settings, _collected, after=("promp-fig3",)),
        "tmaml-fig4": Study(_tmaml_fig4, toy1d.settings, correlation_seconds),
        "sgmrl-fig1": Study(trajectories.study, trajectories.settings, _pictured),
        "sgmrl-table1": Study(meta_test.study, meta_test.settings, _tested),
        "sgmrl-table2": Study(meta_test.study, meta_test.settings, _tested),
        "taypo-fig1": Study(_taypo_fig1, lambda profile: tabular.settings(profile, VARIANT), accuracy_seconds),
    }
)


def command(figure: Figure, profile: str, results: Path) -> list[str]:
    """The child process that writes the table of a figure."""
    return [sys.executable, "-m", __name__, figure.name, profile, str(results)]


def write(figure: Figure, profile: str, results: Path) -> None:
    """Run the study of a figure and write its table, then what it was made from; each file is whole or absent."""
    table = table_path(results, profile, figure.name)
    origin = _origin_path(table)
    origin.unlink(missing_ok=True)
    started = time.process_time()
    rows = STUDIES[figure.name].rows(figure, profile, results)
    write_study_table(rows, table, cpu_seconds=time.process_time() - started)
    write_whole(origin, _origin(figure, profile))


def write_study_table(frame: pd.DataFrame, path: Path, *, cpu_seconds: float) -> None:
    """Write a table, and beside it, as `<name>.meta.json`, the circumstances under which it was made, and what it took.

    What a study found measured when it began, as after a stop, is not in its seconds.
    """
    write_table(frame, path)
    meta = {**circumstances(threads=1), "cpu_seconds": round(cpu_seconds, 1)}
    write_whole(path.with_suffix(META_SUFFIX), json.dumps(meta, indent=2) + "\n")


def is_current(figure: Figure, profile: str, results: Path) -> bool:
    """Whether the table is there and was made with the settings that the study and its runs have now."""
    table = table_path(results, profile, figure.name)
    origin = _origin_path(table)
    return table.exists() and origin.exists() and origin.read_text(encoding="utf-8") == _origin(figure, profile)


def _origin_path(table: Path) -> Path:
    return table.with_suffix(".json")


def _origin(figure: Figure, profile: str) -> str:
    """What decides the table, as text: the study's settings and the settings of the runs, as hashes."""
    runs = {str(run.path): _digest(asdict(run.config)) for run in planned_runs(figure, profile)}
    origin = {"figure": figure.name, "settings": repr(STUDIES[figure.name].settings(profile)), "runs": runs}
    return json.dumps(origin, indent=2) + "\n"


def _digest(settings: object) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def main(name: str, profile: str, results: str) -> None:
    """Write one table. Ctrl-C ends it, also where the shell that started the grid ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        write(FIGURES[name], profile, Path(results))
    except (RunFailedError, UserError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
