"""Runs beside each other: the settings that differ, their curves, and their differences seed by seed.

Runs that differ in nothing but the seed are one curve. What is finished and what is not are compared over the
iterations that all of them have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from metarl_cli.claims.measures import Effect, Grouped, summarised
from metarl_cli.columns import meaning
from metarl_cli.config import RunConfig, load_config, settable_keys
from metarl_cli.errors import UserError, check_there, unknown_name
from metarl_cli.figures.curves import curves
from metarl_cli.papers.claim import RETURN, Summary
from metarl_cli.references import unpinned
from metarl_cli.results import SETTINGS, load_runs
from metarl_cli.runs.progress import PROGRESS
from metarl_cli.store import CONFIG
from metarl_cli.tables import write_table

__all__ = ["Compared", "compare", "draw"]

Row: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What two or more curves come to.

    Attributes:
        column: of `progress.csv`, and what it is, in words, where `columns` says it.
        settings: a row for every setting that differs, a column for every curve.
        curves: a row for every curve: `first` and `last`, means over the first and the last tenth of the iterations,
            the latter with its 95 % Student t interval over seeds; and `area`, the mean over all of them.
        differences: of `last` and `area` from the first curve's, paired by seed, with the same interval.
        notes: why something is left out or not compared.
        table: the curves as figures have them, see `figures.curves`.
    """

    column: str
    settings: list[Row]
    curves: list[Row]
    differences: list[Row]
    notes: list[str]
    table: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    name: str
    config: RunConfig
    rows: pd.DataFrame

    @property
    def environment(self) -> str:
        """With the hash of a user's code: another code is another environment."""
        return _environment(self.config.environment.name, self.config.environment.variant)

    @property
    def seeds(self) -> str:
        return " ".join(str(seed) for seed in sorted(self.rows["seed"].unique()))


def compare(paths: Sequence[Path], column: str = RETURN) -> Compared:
    """Compare runs, with the first curve as what the others are compared with.

    Args:
        paths: run directories, or directories with runs below them.
        column: of `progress.csv`.

    Raises:
        UserError: if there are fewer than two curves, a run is damaged, or one does not have the column.
    """
    notes = list[str]()
    found = _curves(paths, notes)
    if len(found) < 2:
        given = ", ".join(map(str, paths))
        why = " ".join(notes) or "The runs there differ in nothing but the seed."
        raise UserError(f"{given}: nothing to compare. {why}")
    whole = {curve.name: set(curve.rows.dropna(axis="columns").columns) for curve in found}
    not_measured = {*SETTINGS, "iteration"}
    known = set.intersection(*whole.values()) - not_measured
    if column not in known:
        if column in not_measured or not any(column in curve.rows for curve in found):
            raise unknown_name("column", column, known)
        lacking = [name for name, columns in whole.items() if column not in columns]
        raise UserError(f"--metric {column}: it is not in every run of {', '.join(lacking)}.")
    described = column
    with suppress(KeyError):  # of a column of another version there is nothing to say
        described = f"{column}: {meaning(column)}"
    settings = {curve.name: settable_keys(curve.config) for curve in found}
    common = min(int(rows["iteration"].max()) + 1 for curve in found for _, rows in curve.rows.groupby("directory"))
    notes += _unequal(found, common)
    frame = pd.concat([curve.rows.assign(curve=curve.name) for curve in found], ignore_index=True)
    frame = frame[frame["iteration"] < common]
    begun = frame[frame["iteration"] < math.ceil(common / 10)]
    if not (differing := _differing([curve.config for curve in found])):
        notes.append("No setting differs: these are runs of the same seeds.")
    return Compared(
        column=described,
        settings=[{"setting": key, **{name: of[key] for name, of in settings.items()}} for key in differing],
        curves=[
            {
                "curve": curve.name,
                "environment": _environment(unpinned(curve.config.environment.name), curve.config.environment.variant),
                "seeds": curve.seeds,
                "first": _effect(begun, column, "mean", curve).mean,
                **_interval("last", _effect(frame, column, "final", curve)),
                "area": _effect(frame, column, "mean", curve).mean,
            }
            for curve in found
        ],
        differences=[row for curve in found[1:] for row in _differences(curve, found[0], frame, column, notes)],
        notes=notes,
        table=curves(frame, (column,)),
    )


def draw(compared: Compared, out: Path) -> list[Path]:
    """Write the curves as `compare.png`, `compare.pdf` and `compare.csv` to a directory; returns the files."""
    from metarl_cli.figures.plots import save
    from metarl_cli.figures.plots.learning import learning_curves

    names = {str(row["curve"]): str(row["curve"]) for row in compared.curves}
    environments = list(dict.fromkeys(compared.table["environment"]))
    (column,) = compared.table["quantity"].unique()
    files = save(
        learning_curves(compared.table, environments=environments, names=names, column=column), out / "compare"
    )
    write_table(compared.table, out / "compare.csv")
    return [*files, out / "compare.csv"]


def _curves(paths: Sequence[Path], notes: list[str]) -> list[_Curve]:
    """The runs by all their settings but the seed; a second run of the same seed begins a curve of its own."""
    directories = dict[Path, Path]()  # of the runs, each once
    for path in paths:
        check_there(path)
        below = [path] if (path / CONFIG).exists() else [file.parent for file in sorted(path.rglob(CONFIG))]
        below = [place for place in below if (place / PROGRESS).exists()]
        if not below:
            raise UserError(f"{path} holds no run: expected a run directory, or a directory with runs below it.")
        directories |= {place.resolve(): place for place in below if place.resolve() not in directories}
    groups: dict[tuple[object, ...], tuple[RunConfig, list[pd.DataFrame]]] = {}
    times = Counter[tuple[object, ...]]()
    for directory in directories.values():
        config, found = load_config(directory / CONFIG), load_runs(directory)
        rows = found[found["directory"] == "."] if len(found) else found  # none of runs that lie below this one
        if rows.empty:
            notes.append(f"{directory} has no iteration yet, and is left out.")
            continue
        same = tuple(value for key, value in settable_keys(config).items() if key not in ("seed", "iterations"))
        key = (same, times[same, config.seed])
        times[same, config.seed] += 1
        groups.setdefault(key, (config, []))[1].append(rows.assign(directory=str(directory)))
    # What tells the curves apart: their labels, if need be with settings, or with their number.
    configs = [config for config, _ in groups.values()]
    labels = [config.curve for config in configs]
    names = labels
    for setting in _differing(configs):
        values = [settable_keys(config)[setting] for config in configs]
        longer = [f"{name} {setting}={value}" for name, value in zip(names, values, strict=True)]
        if setting != "label" and len(set(longer)) > len(set(names)):  # one that tells no more of them apart is no name
            names = longer
    if len(set(names)) < len(names):
        names = [f"{label} {number}" for number, label in enumerate(labels, start=1)]
    return [
        _Curve(name=name, config=config, rows=pd.concat(parts, ignore_index=True))
        for name, (config, parts) in zip(names, groups.values(), strict=True)
    ]


def _environment(name: str, variant: str) -> str:
    return f"{name} ({variant})" if variant else name


def _differing(configs: Sequence[RunConfig]) -> list[str]:
    settings = [settable_keys(config) for config in configs]
    return [key for key in settings[0] if key != "seed" and len({of[key] for of in settings}) > 1]


def _unequal(found: Sequence[_Curve], common: int) -> Iterator[str]:
    """What of runs of unequal length or size is to be known."""
    longer = [curve.name for curve in found if curve.rows["iteration"].max() >= common]
    if longer or any(curve.config.iterations > common for curve in found):
        done = "; ".join(
            f"{curve.name} {' '.join(str(n) for n in curve.rows.groupby('seed')['iteration'].size())} of "
            f"{curve.config.iterations}"
            for curve in found
        )
        yield f"Compared over the first {common} iterations, which all runs have: by seed, {done}."
    steps = {
        curve.name: int(curve.rows.loc[curve.rows["iteration"] == common - 1, "env_steps"].iloc[0]) for curve in found
    }
    if len(set(steps.values())) > 1:
        told = ", ".join(f"{name} {count:,}" for name, count in steps.items())
        yield f"Until then the runs have taken unequal numbers of environment steps: {told}."


def _differences(curve: _Curve, base: _Curve, frame: pd.DataFrame, column: str, notes: list[str]) -> Iterator[Row]:
    """Of what is paired by seed; why it is not, is noted."""
    pair = f"{curve.name} − {base.name}"
    if curve.environment != base.environment:
        notes.append(f"{pair} is not taken: the environments are {curve.environment} and {base.environment}.")
        return
    found = {"last": _effect(frame, column, "final", curve, base), "area": _effect(frame, column, "mean", curve, base)}
    seeds = found["last"].seeds
    if not seeds:
        notes.append(f"{pair} is not taken: no seed is in both, {curve.seeds} and {base.seeds}.")
        return
    if len(seeds) == 1:
        notes.append(f"{pair}: one common seed, {seeds[0]}, has no interval.")
    for name, effect in found.items():
        yield {"difference": pair, "of": name, **_interval("mean", effect), "n": len(seeds)}


def _effect(frame: pd.DataFrame, column: str, summary: Summary, *pair: _Curve) -> Effect:
    """Of a column of one curve, or its difference from another."""
    where, *against = ((("curve", curve.name),) for curve in pair)
    return summarised(Grouped(frame), column, summary, where, *against)


def _interval(name: str, effect: Effect) -> Mapping[str, Any]:
    """None where there is no limit, which JSON has and NaN it has not."""
    limits = {"low": effect.low, "high": effect.high}
    return {name: effect.mean, **{key: value if math.isfinite(value) else None for key, value in limits.items()}}
