"""What is behind a claim: the directories of the runs and the tables that its verdict was judged by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from metarl_cli.claims.judge import Finding, Judgement
from metarl_cli.papers.claim import Comparison
from metarl_cli.results import Results
from metarl_cli.store import runs_directory, table_path

__all__ = ["behind"]


def behind(judgement: Judgement, results: Results) -> Mapping[str, list[str]]:
    """Directories relative to the results, and what of each is behind the claim: runs by name, or a table.

    Args:
        judgement: a claim and what was found of it; nothing is behind what is computed or was not run.
        results: by which it was judged.
    """
    claim = judgement.claim
    paths = dict[PurePosixPath, None]()
    for finding in judgement.findings:
        if finding.effect.seeds and claim.reads == "study":
            paths[PurePosixPath(table_path(Path(), finding.profile, claim.figure))] = None
        elif finding.effect.seeds:
            paths |= dict.fromkeys(_runs(finding, _compared(judgement, finding), results))
    directories = dict[str, list[str]]()
    for path in paths:
        directories.setdefault(path.parent.as_posix(), []).append(path.name)
    return directories


def _compared(judgement: Judgement, finding: Finding) -> Comparison:
    """The comparison that gave a finding: a sweep adds the place to its label."""
    comparisons = (part for part in judgement.claim.comparisons if isinstance(part, Comparison))
    return next(part for part in comparisons if finding.effect.label.startswith(part.label))


def _runs(finding: Finding, comparison: Comparison, results: Results) -> list[PurePosixPath]:
    """The runs of the comparison's curves and environments with the seeds that went into the finding."""
    home, paths = PurePosixPath(runs_directory(Path(), finding.profile)), list[PurePosixPath]()
    for measure in (comparison.measure, comparison.against):
        if measure is not None:
            rows = results.runs(finding.profile)
            chosen = rows["seed"].isin(finding.effect.seeds)
            for column, value in measure.where:
                chosen &= rows[column] == value
            names = rows.loc[chosen, "directory"].unique()
            paths += [home / name for name in names]
    return paths
