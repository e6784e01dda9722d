"""Where numbers come from: the runs behind a figure, their versions and commits, and the fingerprints of tables."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from metarl_cli.packing import META
from metarl_cli.papers import FIGURES
from metarl_cli.profiles import PROFILES
from metarl_cli.results import Results
from metarl_cli.schema import Meta
from metarl_cli.store import runs_directory
from metarl_cli.tables import parse_meta

__all__ = ["fingerprint", "made_by", "run_rows", "table_rows"]

Row = dict[str, str]


def run_rows(results: Results) -> list[Row]:
    """One row per profile, curve and environment: seeds, iterations, and what made the runs."""
    runs = pd.DataFrame([run for profile in PROFILES for run in _runs(results, profile)])
    if runs.empty:
        return []
    groups = runs.groupby(["profile", "curve", "environment"], sort=False)
    return [
        {**dict(zip(("profile", "curve", "environment"), map(str, keys), strict=True)), **_joined(group)}
        for keys, group in groups
    ]


def table_rows(results: Results) -> list[Row]:
    """One row per study table: where it lies, its fingerprint, and what made it."""
    studies = [figure for figure in FIGURES.values() if figure.source == "study"]
    paths = [(profile, figure, results.table_path(figure, profile)) for profile in PROFILES for figure in studies]
    return [
        {
            "profile": profile,
            "figure": figure.name,
            "table": path.relative_to(results.directory).as_posix(),
            "SHA-256": fingerprint(path),
            **made_by(results.table_meta(figure, profile)),
        }
        for profile, figure, path in paths
        if path.exists()
    ]


def fingerprint(path: Path) -> str:
    """The first twelve digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def made_by(meta: Meta) -> Row:
    """Commit and versions of a `meta.json`; where it does not say, so."""
    packages = ", ".join(f"{name} {version}" for name, version in meta.packages.items())
    return {
        "commit": meta.git_commit or "not recorded",
        "metarl": meta.metarl,
        "packages": packages or "not recorded",
    }


def _runs(results: Results, profile: str) -> Iterable[dict[str, Any]]:
    runs = results.runs(profile)
    iterations = Counter(runs["directory"]) if len(runs) else Counter[str]()
    for _, run in results.first_rows(profile).iterrows():
        yield {
            **{name: run[name] for name in ("profile", "curve", "environment")},
            "seeds": run["seed"],
            "iterations": iterations[run["directory"]],
            **made_by(_run_meta(results, profile, run)),
        }


def _run_meta(results: Results, profile: str, run: pd.Series[Any]) -> Meta:
    """What made a run: from its directory, or from beside its rows where it is packed."""
    if isinstance(packed := run.get(META), str):
        return parse_meta(packed.encode())
    return results.meta(runs_directory(results.directory, profile) / str(run["directory"]) / "meta.json")


def _joined(group: pd.DataFrame) -> Row:
    """Every column's distinct values, in order."""
    columns = [name for name in group.columns if name not in ("profile", "curve", "environment")]
    return {name: ", ".join(map(str, sorted(group[name].unique()))) for name in columns}
