"""What is behind a claim: the directories of the runs and the tables that its verdict was judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from metarl_cli.claims.judge import Finding, Judgement
from metarl_cli.claims.measures import Grouped
from metarl_cli.papers.claim import Comparison
from metarl_cli.profiles import PROFILES
from metarl_cli.results import Results
from metarl_cli.store import runs_directory, table_path

__all__ = ["behind"]


def behind(judgements: Sequence[Judgement], results: Results) -> Mapping[str, Mapping[str, list[str]]]:
    """Of each claim the directories relative to the results, and what of each is behind it: runs by name, or a table.

    Args:
        judgements: claims and what was found of them; nothing is behind what is computed or was not run.
        results: by which they were judged.
    """
    runs = {profile: Grouped(results.first_rows(profile)) for profile in PROFILES}
    return {judgement.claim.name: _behind(judgement, runs) for judgement in judgements}


def _behind(judgement: Judgement, runs: Mapping[str, Grouped]) -> Mapping[str, list[str]]:
    claim = judgement.claim
    paths = dict[PurePosixPath, None]()
    for finding in judgement.findings:
        if not isinstance(finding.part, Comparison) or not finding.effect.seeds:
            continue
        if claim.reads == "study":
            paths[PurePosixPath(table_path(Path(), finding.profile, claim.figure))] = None
        else:
            paths |= dict.fromkeys(_runs(finding, finding.part, runs[finding.profile]))
    directories = dict[str, list[str]]()
    for path in paths:
        directories.setdefault(path.parent.as_posix(), []).append(path.name)
    return directories


def _runs(finding: Finding, comparison: Comparison, runs: Grouped) -> list[PurePosixPath]:
    """The runs of the comparison's curves and environments with the seeds that went into the finding."""
    home, paths = PurePosixPath(runs_directory(Path(), finding.profile)), list[PurePosixPath]()
    for measure in (comparison.measure, comparison.against):
        if measure is not None:
            directories, seeds = (runs.column(name)[runs.rows(measure.where)] for name in ("directory", "seed"))
            paths += [home / name for name in directories[np.isin(seeds, finding.effect.seeds)]]
    return paths
