"""Where numbers come from: the runs behind a figure, their versions and commits, and the fingerprints of tables."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping
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

__all__ = ["fingerprint", "made_by", "run_meta", "run_rows", "table_rows"]

Row = dict[str, str]


def run_rows(results: Results) -> list[Row]:
    """One row per profile, curve and environment: seeds, iterations, and what made the runs."""
    keys, rows = ["profile", "curve", "environment"], []
    for profile in PROFILES:
        runs = results.runs(profile)
        iterations = Counter(runs["directory"] if len(runs) else ())
        for run in results.first_rows(profile).to_dict("records"):
            meta = run_meta(results, run)
            settings = {key: run[key] for key in keys} | {"seeds": run["seed"]}
            rows.append(settings | {"iterations": iterations[run["directory"]]} | made_by(meta))
    if not rows:
        return []
    groups = pd.DataFrame(rows).groupby(keys, sort=False)
    return [{name: ", ".join(map(str, sorted(group[name].unique()))) for name in rows[0]} for _, group in groups]


def run_meta(results: Results, run: Mapping[Hashable, Any]) -> Meta:
    """What made a run, of which one row is given."""
    packed = run.get(META)  # else it stands in its directory
    home = runs_directory(results.directory, run["profile"]) / str(run["directory"])
    return parse_meta(packed.encode()) if isinstance(packed, str) else results.meta(home / "meta.json")


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
        if path.is_file()
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
