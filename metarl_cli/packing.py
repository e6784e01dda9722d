"""The published results as a distribution brings them: tables as they are, and all runs of a profile in one file.

    published/<profile>/<figure>/<figure>.csv, <figure>.meta.json    copies
    published/<profile>/runs.csv.xz                                  every row of every run, with the columns `KEPT`

A row of the latter begins with its run's settings, as `load_runs` joins them on, and what made it, as JSON. Numbers
keep the characters that the run wrote, so that what is read from it is what is read from the runs. Written while a
distribution is built (`hatch_build.py`), where there is nothing but the standard library.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import shutil
from pathlib import Path

from metarl_cli.references import unpinned
from metarl_cli.store import CONFIG, META_SUFFIX, runs_directory, table_path

__all__ = ["META", "PACKED", "pack", "packed_below"]

PACKED = "runs.csv.xz"

META = "meta"
"""The column with what made a run: the entries `MADE_BY` of its `meta.json`."""

KEPT = ("iteration", "env_steps", "return/pre", "return/post", "time/sampling", "time/update")
"""Of `progress.csv`: what figures, claims and the report read. The diagnoses, most of the bytes, stay behind."""

MADE_BY = ("git_commit", "metarl", "packages", "device")


def packed_below(runs: Path) -> list[Path]:
    """The files in which the runs of a directory are packed: of the runs of one profile, or of all below."""
    beside = runs.with_name(PACKED)
    return [beside] if beside.exists() else sorted(runs.rglob(PACKED))


def pack(results: Path, out: Path) -> None:
    """Write what a distribution brings.

    Args:
        results: a directory as `store` lays it out.
        out: an empty one.
    """
    for profile in sorted(path.name for path in results.iterdir() if path.is_dir()):
        (out / profile).mkdir(parents=True)
        runs, rows = runs_directory(results, profile), list[dict[str, str]]()
        for path in sorted(runs.rglob("progress.csv")):
            config = json.loads(path.with_name(CONFIG).read_text(encoding="utf-8"))
            meta = json.loads(path.with_name("meta.json").read_text(encoding="utf-8"))
            settings = {
                "curve": config.get("label") or config["algorithm"],
                "environment": unpinned(config["environment"]["name"]),
                "profile": config["profile"],
                "seed": config["seed"],
                "tasks": config["sampling"]["tasks"],
                "trajectories": config["sampling"]["trajectories"],
                "directory": path.parent.relative_to(runs).as_posix(),
                META: json.dumps({name: meta[name] for name in MADE_BY if name in meta}),
            }
            with path.open(encoding="utf-8", newline="") as file:
                rows += [settings | {name: row[name] for name in KEPT} for row in csv.DictReader(file)]
        if rows:
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            (out / profile / PACKED).write_bytes(lzma.compress(text.getvalue().encode()))
        for figure in sorted(path.name for path in (results / profile).iterdir()):
            table = table_path(results, profile, figure)
            for path in (table, table.with_suffix(META_SUFFIX)):
                if path.exists():
                    copy = out / path.relative_to(results)
                    copy.parent.mkdir(exist_ok=True)
                    shutil.copyfile(path, copy)
