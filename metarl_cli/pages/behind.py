"""What is behind a claim: the directories of the runs and the tables that its verdict was judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from metarl_cli.claims.judge import Judgement
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
    found = dict[str, dict[str, list[str]]]()
    for judgement in judgements:
        claim, paths = judgement.claim, dict[PurePosixPath, None]()
        for finding in judgement.findings:
            part, profile = finding.part, finding.profile
            if not isinstance(part, Comparison) or not finding.effect.seeds:
                continue
            if claim.reads == "study":
                paths[PurePosixPath(table_path(Path(), profile, claim.figure))] = None
                continue
            home = PurePosixPath(runs_directory(Path(), profile))
            for measure in filter(None, (part.measure, part.against)):
                rows = runs[profile].rows(measure.where)
                names, seeds = (runs[profile].column(column)[rows] for column in ("directory", "seed"))
                paths |= dict.fromkeys(home / name for name in names[np.isin(seeds, finding.effect.seeds)])
        directories = found[claim.name] = {}
        for path in paths:
            directories.setdefault(path.parent.as_posix(), []).append(path.name)
    return found
