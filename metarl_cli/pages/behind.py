"""What is behind a claim: the directories of the runs and the tables that its verdict was judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from metarl_cli.papers.claim import Comparison
from metarl_cli.reporting.claims import Finding, Judgement
from metarl_cli.store import runs_directory, table_path

__all__ = ["behind"]


def behind(judgement: Judgement, results: Path, load: Callable[[Path], pd.DataFrame]) -> Mapping[str, list[str]]:
    """Directories relative to the results, and what of each is behind the claim: runs by name, or a table.

    Args:
        judgement: a claim and what was found of it; nothing is behind what is computed or was not run.
        results: a directory as `store` lays it out.
        load: reads the runs below a directory.
    """
    claim = judgement.claim
    paths = dict[PurePosixPath, None]()
    for finding in judgement.findings:
        if finding.effect.seeds and claim.reads == "study":
            paths[PurePosixPath(table_path(results, finding.profile, claim.figure).relative_to(results))] = None
        elif finding.effect.seeds:
            paths |= dict.fromkeys(_runs(finding, _compared(judgement, finding), results, load))
    directories = dict[str, list[str]]()
    for path in paths:
        directories.setdefault(path.parent.as_posix(), []).append(path.name)
    return directories


def _compared(judgement: Judgement, finding: Finding) -> Comparison:
    """The comparison that gave a finding: a sweep adds the place to its label."""
    comparisons = (part for part in judgement.claim.comparisons if isinstance(part, Comparison))
    return next(part for part in comparisons if finding.effect.label.startswith(part.label))


def _runs(
    finding: Finding, comparison: Comparison, results: Path, load: Callable[[Path], pd.DataFrame]
) -> list[PurePosixPath]:
    """The runs of the comparison's curves and environments with the seeds that went into the finding."""
    home, paths = runs_directory(results, finding.profile), list[PurePosixPath]()
    for measure in (comparison.measure, comparison.against):
        if measure is not None:
            rows = load(home)
            for column, value in measure.where:
                rows = rows[rows[column] == value]
            names = rows.loc[rows["seed"].isin(finding.effect.seeds), "directory"].unique()
            paths += [PurePosixPath(home.relative_to(results)) / name for name in names]
    return paths
