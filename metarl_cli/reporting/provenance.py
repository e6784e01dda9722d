"""Where numbers come from: the runs behind a figure, their versions and commits, and the fingerprints of tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from metarl_cli.config import load_config
from metarl_cli.errors import UserError
from metarl_cli.packing import META, packed_below
from metarl_cli.papers import FIGURES
from metarl_cli.profiles import PROFILES
from metarl_cli.reporting.frames import read_table
from metarl_cli.store import META_SUFFIX, runs_directory, table_path

__all__ = ["cpu_seconds", "fingerprint", "made_by", "run_rows", "table_rows"]

Row = dict[str, str]


def run_rows(results: Path) -> list[Row]:
    """One row per profile, curve and environment: seeds, iterations, and what made the runs."""
    runs = pd.DataFrame([run for profile in PROFILES for run in _runs(results, profile)])
    if runs.empty:
        return []
    groups = runs.groupby(["profile", "curve", "environment"], sort=False)
    return [
        {**dict(zip(("profile", "curve", "environment"), map(str, keys), strict=True)), **_joined(group)}
        for keys, group in groups
    ]


def table_rows(results: Path) -> list[Row]:
    """One row per study table: where it lies, its fingerprint, and what made it."""
    paths = [(profile, name, table_path(results, profile, name)) for profile in PROFILES for name in _studies()]
    return [
        {
            "profile": profile,
            "figure": name,
            "table": path.relative_to(results).as_posix(),
            "SHA-256": fingerprint(path),
            **made_by(_meta(path.with_suffix(META_SUFFIX))),
        }
        for profile, name, path in paths
        if path.exists()
    ]


def fingerprint(path: Path) -> str:
    """The first twelve digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def made_by(meta: Mapping[str, Any]) -> Row:
    """Commit and versions of a `meta.json`; where it does not say, so."""
    packages = ", ".join(f"{name} {version}" for name, version in meta.get("packages", {}).items())
    return {
        "commit": meta.get("git_commit") or "not recorded",
        "metarl": meta.get("metarl", "not recorded"),
        "packages": packages or "not recorded",
    }


def cpu_seconds(table: Path) -> float | None:
    """What the study that wrote a table took; None where its `meta.json` does not say."""
    seconds: float | None = _meta(table.with_suffix(META_SUFFIX)).get("cpu_seconds")
    return seconds


def _studies() -> Iterable[str]:
    return (name for name, figure in FIGURES.items() if figure.source == "study")


def _runs(results: Path, profile: str) -> Iterable[dict[str, Any]]:
    for path in sorted(runs_directory(results, profile).rglob("config.json")):
        config, progress = load_config(path), path.with_name("progress.csv")
        lines = progress.read_bytes().count(b"\n") if progress.exists() else 0
        yield {
            "profile": config.profile,
            "curve": config.label or config.algorithm,
            "environment": config.environment.name,
            "seeds": config.seed,
            "iterations": max(lines - 1, 0),
            **made_by(_meta(path.with_name("meta.json"))),
        }
    for path in packed_below(runs_directory(results, profile)):
        yield from _packed_runs(read_table(path))


def _packed_runs(rows: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for (curve, environment, name, seed, meta), run in rows.groupby(["curve", "environment", "profile", "seed", META]):
        keys = {"profile": name, "curve": curve, "environment": environment, "seeds": seed, "iterations": len(run)}
        yield {**keys, **made_by(json.loads(str(meta)))}


def _meta(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from None
    return content


def _joined(group: pd.DataFrame) -> Row:
    """Every column's distinct values, in order."""
    columns = [name for name in group.columns if name not in ("profile", "curve", "environment")]
    return {name: ", ".join(map(str, sorted(group[name].unique()))) for name in columns}
