"""What the learning curves behind a figure come to: a few numbers for each, as rows of text."""

from __future__ import annotations

from collections.abc import Sequence

from metarl_cli.claims.measures import Grouped, summarised
from metarl_cli.claims.wording import interval_text, number
from metarl_cli.figures.draw import Content, runs_behind
from metarl_cli.papers import Figure
from metarl_cli.papers.claim import RETURN
from metarl_cli.results import Results

__all__ = ["HEADER", "ends"]

HEADER = (
    "Environment",
    "Method",
    "Last tenth [95 %]",
    "All iterations [95 %]",
    "Last tenth, before adaptation",
    "Iterations",
    "n",
    "Profile",
)


def ends(figure: Figure, content: Content, results: Results) -> list[Sequence[str]]:
    """Of every curve in every task distribution the undiscounted return, a mean over seeds with its 95 % t interval.

    These are the numbers of which claims compare two: of a seed the mean over the last tenth of its iterations, or over
    all of them, after adaptation; and what it had at the end before it adapted.

    Args:
        figure: which.
        content: what it draws.
        results: from which.

    Returns:
        Rows under `HEADER`: by task distribution in the order of the figure, and there from the highest end to the
        lowest. None where the figure has no runs.
    """
    found = list[tuple[int, float, Sequence[str]]]()
    titles = {curve.label: curve.title for curve in figure.curves}
    for runs in runs_behind(figure, content, results):
        table, profile = Grouped(runs), str(runs["profile"].iloc[0])
        for curve, environment in runs[["curve", "environment"]].drop_duplicates().itertuples(index=False):
            rows = ("curve", curve), ("environment", environment)
            last, whole = (summarised(table, RETURN, summary, rows) for summary in ("final", "mean"))
            before = summarised(table, "return/pre", "final", rows)
            numbers = interval_text(last), interval_text(whole), number(before.mean)
            row = environment, titles[curve], *numbers, str(last.iterations), str(len(last.seeds)), profile
            found.append((figure.environments.index(environment), -last.mean, row))
    return [row for *_, row in sorted(found)]
