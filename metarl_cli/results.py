"""The results below a directory, laid out as `store` says: read once, checked, and shared by all that show them."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from metarl_cli.config import load_config
from metarl_cli.errors import UserError
from metarl_cli.packing import packed_below
from metarl_cli.papers.figure import Figure
from metarl_cli.references import directory_name, unpinned
from metarl_cli.remembered import look, remembered
from metarl_cli.schema import PROGRESS, TABLES, Meta
from metarl_cli.store import CONFIG, META_SUFFIX, runs_directory, table_path
from metarl_cli.tables import read_columns, read_meta, read_table

__all__ = ["Results", "load_runs"]

SETTINGS = ("curve", "environment", "profile", "seed", "tasks", "trajectories", "directory")
KEYS = SETTINGS[:4]

MUCH = 200_000
"""Bytes; what is less is read again each time, and leaves nothing in the user's cache."""

T = TypeVar("T")


class _Run(NamedTuple):
    settings: tuple[Any, ...]
    columns: Mapping[str, Any]
    length: int


class Results:
    """What is below a directory. Runs and tables are read when they are first asked for, and no second time.

    Attributes:
        directory: where.
        damage: what could not be read of all that was asked for: the reasons, by path. Who shows the results tells it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.damage: dict[Path, str] = {}
        self._runs: dict[str, pd.DataFrame] = {}
        self._tables: dict[Path, pd.DataFrame] = {}
        self._metas: dict[Path, Meta] = {}

    def runs(self, profile: str) -> pd.DataFrame:
        """The runs of a profile as one frame, as `load_runs` gives them; one that is damaged is left out."""
        if profile not in self._runs:
            self._runs[profile], damage = _read_runs(runs_directory(self.directory, profile))
            self.damage |= damage
        return self._runs[profile]

    def runs_of(self, figure: Figure, profile: str) -> pd.DataFrame:
        """Of the runs of a profile those of a figure's curves in its environments."""
        runs = self.runs(profile)
        labels = [curve.label for curve in figure.curves]
        return runs[runs["curve"].isin(labels) & runs["environment"].isin(figure.environments)]

    def first_rows(self, profile: str) -> pd.DataFrame:
        """The first row of every run of a profile, which has its settings; none where there are no runs."""
        runs = self.runs(profile)
        return runs.drop_duplicates("directory") if len(runs) else runs

    def damaged_runs(self, figure: Figure, profile: str) -> list[str]:
        """Why runs are left out that lie where those of a figure lie."""
        home = runs_directory(self.directory, profile)
        places = [
            home / curve.label / directory_name(environment)
            for curve in figure.curves
            for environment in figure.environments
        ]
        return [reason for path, reason in self.damage.items() if path.parent in places]

    def table(self, figure: Figure, profile: str) -> pd.DataFrame | None:
        """The table of a figure; None where there is none.

        Raises:
            UserError: if it is damaged.
        """
        path = self.table_path(figure, profile)
        if path in self.damage:
            raise UserError(self.damage[path])
        if path not in self._tables and path.exists():
            try:
                self._tables[path] = _remembered(path, [path], partial(read_table, path, TABLES[figure.plot]))
            except UserError as error:
                self.damage[path] = str(error)
                raise
        return self._tables.get(path)

    def table_path(self, figure: Figure, profile: str) -> Path:
        """Where the table of a figure is."""
        return table_path(self.directory, profile, figure.name)

    def table_meta(self, figure: Figure, profile: str) -> Meta:
        """What made the table of a study; a file that does not say it says nothing."""
        return self.meta(self.table_path(figure, profile).with_suffix(META_SUFFIX))

    def meta(self, path: Path) -> Meta:
        """A `meta.json`; empty where there is none, or a damaged one."""
        if path not in self._metas:
            try:
                self._metas[path] = read_meta(path)
            except UserError as error:
                self.damage[path] = str(error)
                self._metas[path] = Meta()
        return self._metas[path]


def load_runs(directory: Path) -> pd.DataFrame:
    """Every `progress.csv` below a directory as one frame, settings joined on.

    They are curve, environment, profile, seed, tasks and trajectories, and come from each run's `config.json`, never
    from a path; the curve is the run's label, or its algorithm if it has none. `directory` is where the run lies below
    the one that is read. No run gives an empty frame.

    Raises:
        UserError: if a file is damaged, or two runs have the same four keys, so that one seed would count twice.
    """
    runs, damage = _read_runs(directory)
    if damage:
        raise UserError(" ".join(damage.values()))
    return runs


def _read_runs(directory: Path) -> tuple[pd.DataFrame, dict[Path, str]]:
    """The runs that can be read, and by directory why the others cannot."""
    paths, packed = sorted(directory.rglob("progress.csv")), packed_below(directory)
    files = [path for progress in paths for path in (progress, progress.with_name(CONFIG))]
    return _remembered(directory, [*files, *packed], partial(_joined, directory, paths, packed))


def _remembered(place: Path, files: Sequence[Path], read: Callable[[], T]) -> T:
    """What is read from the files of a place, remembered if it is much."""
    looks = [look(path) for path in files]
    if sum(seen.size for seen in looks) < MUCH:
        return read()
    return remembered(str(place.resolve()), repr(looks), read)


def _joined(directory: Path, paths: Sequence[Path], packed: Sequence[Path]) -> tuple[pd.DataFrame, dict[Path, str]]:
    runs: list[_Run] = []
    homes: dict[tuple[Any, ...], Path] = {}
    damage: dict[Path, str] = {}
    for path in paths:
        if path.is_file() and not path.stat().st_size:
            continue  # a run that is about to begin
        try:
            config, columns = load_config(path.with_name(CONFIG)), read_columns(path, PROGRESS)
            if not (length := len(columns["iteration"])):
                continue  # one in its first iteration, or failed there
            curve, environment = config.curve, unpinned(config.environment.name)
            key = (curve, environment, config.profile, config.seed)
            if key in homes:
                both = f"{homes[key]} and {path.parent} are both {' '.join(map(str, key))}"
                raise UserError(f"{both}: move one elsewhere, or give it another label in its {CONFIG}.")
            homes[key] = path.parent
            place = path.parent.relative_to(directory).as_posix()
            runs.append(_Run((*key, config.sampling.tasks, config.sampling.trajectories, place), columns, length))
        except UserError as error:
            damage[path.parent] = str(error)
    frames = []
    for path in packed:  # what an installation brings
        try:
            frames.append(pd.read_csv(path))
        except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
            damage[path] = f"{path} cannot be read: {error}."
    if runs or not frames:
        frames.insert(0, _framed(runs))
    return pd.concat(frames, ignore_index=True), damage


def _framed(runs: list[_Run]) -> pd.DataFrame:
    """One frame of all; a column that a run does not have is NaN there."""
    if not runs:
        return pd.DataFrame(columns=[*KEYS, "iteration", "env_steps"])
    names = dict.fromkeys(name for run in runs for name in run.columns)
    columns = {
        name: np.concatenate([run.columns.get(name, np.full(run.length, np.nan)) for run in runs]) for name in names
    }
    lengths = [run.length for run in runs]
    settings = {
        name: np.repeat(np.array([run.settings[place] for run in runs], dtype=object), lengths)
        for place, name in enumerate(SETTINGS)
    }
    return pd.DataFrame(columns | settings).infer_objects()
