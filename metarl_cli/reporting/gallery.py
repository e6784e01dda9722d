"""`figures/README.md`: the claims with their verdicts, and every figure with its size, its seeds and its command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from metarl_cli.papers import FIGURES, PAPERS, Figure
from metarl_cli.reporting.claims import Judgement, judge_all
from metarl_cli.reporting.draw import Content, NoResultsError, content_of, draw
from metarl_cli.reporting.effort import effort, ranges
from metarl_cli.reporting.frames import load_runs
from metarl_cli.reporting.wording import (
    conclusion_text,
    evidence_text,
    interval_text,
    range_text,
    tally,
    verdict_text,
)
from metarl_cli.store import PUBLISHED

__all__ = ["Shown", "conclusions", "plot_command", "shown", "write_gallery"]

GALLERY = "README.md"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a figure shows, of which profiles and seeds, and what was run for it, in words."""

    content: Content
    profile: str
    seeds: str
    effort: tuple[str, ...]


def shown(figure: Figure, results: Path, profile: str | None, load: Callable[[Path], pd.DataFrame]) -> Shown | None:
    """What a figure can show of the results, as `draw.content_of` chooses; None where there are none.

    Raises:
        UserError: if they are damaged.
    """
    try:
        content = content_of(figure, results=results, profile=profile, load=load)
    except NoResultsError:
        return None
    profiles = dict.fromkeys(path.parent.parent.name for path in content.tables)
    return Shown(content, ", ".join(profiles), _seeds(content.frame), tuple(effort(figure, content, results, load)))


def plot_command(figure: Figure, results: Path, profile: str | None) -> str:
    """The command that draws it again."""
    place = "" if results == PUBLISHED else f" --results {results.as_posix()}"
    return f"metarl plot {figure.name}{place}{f' --profile {profile}' if profile else ''}"


def write_gallery(results: Path, out: Path, exact: Callable[[str], float], profile: str | None = None) -> list[Path]:
    """Draw every figure that there are results of, and write the page that shows them.

    Args:
        results: a directory as `store` lays it out.
        out: where the pictures and `README.md` go.
        exact: the number behind the name of an exact check.
        profile: of the results of the figures; None for the one that has most of each. Claims choose for themselves.

    Returns:
        The files that were written.

    Raises:
        UserError: if results are damaged.
    """
    load, files, sections = cache(load_runs), list[Path](), list[str]()
    judgements = judge_all(results, exact, load)
    for figure in FIGURES.values():
        what = shown(figure, results, profile, load)
        if what is not None:
            files += draw(figure, what.content, out=out)
        sections.append(_section(figure, what, judgements, plot_command(figure, results, profile)))
    page = out / GALLERY
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join([_INTRODUCTION, *sections, _claims(judgements)]), encoding="utf-8")
    return [*files, page]


_INTRODUCTION = (
    "# Figures and claims\n\n"
    "Made by `metarl plot --all`; do not edit. A picture shows what was run, at the profile that it names: only "
    "`paper` is the size of the papers' own experiments. What all this says of [the papers' claims](#claims) stands "
    "below, and with every comparison in `metarl report`. Core-hours are the time in which a core made the numbers.\n"
)


def conclusions(figure: Figure, judgements: Sequence[Judgement]) -> list[str]:
    """What a reader should conclude from a figure, claim by claim."""
    return [conclusion_text(judgement) for judgement in judgements if judgement.claim.figure == figure.name]


def _section(figure: Figure, what: Shown | None, judgements: Sequence[Judgement], command: str) -> str:
    lines = [f"## {figure.name}: {figure.title}", "", f"{PAPERS[figure.paper]}.", ""]
    if what is None:
        return "\n".join([*lines, f"Not yet run; `metarl reproduce {figure.name}` runs it.", ""])
    size = f"Profile {what.profile}, seeds {what.seeds}. `{command}`"
    lines += [f"![{figure.title}]({figure.name}.png)", "", size, ""]
    lines += ["What was run:", "", *(f"- {sentence}" for sentence in what.effort), ""]
    return "\n".join([*lines, "What to conclude:", "", *(f"- {text}" for text in conclusions(figure, judgements)), ""])


def _claims(judgements: Sequence[Judgement]) -> str:
    """A table of all verdicts, each with its scope and the effect on which it hangs."""
    lines = [
        f"| {verdict_text(judgement)} | {judgement.claim.statement} ({judgement.claim.source}) | "
        f"{interval_text(judgement.weakest.effect)} | {range_text(judgement.weakest.wanted)} | "
        f"{judgement.weakest.effect.label} | {evidence_text(judgement)} |"
        for judgement in judgements
    ]
    header = ["| Verdict | Claim | Effect [95 % interval] | Wanted | Of | Profile, n |", "|---|---|---|---|---|---|"]
    return "\n".join(["## Claims", "", f"{tally(judgements)}.", "", *header, *lines, ""])


def _seeds(frame: pd.DataFrame) -> str:
    """The seeds of a table: a column of them, a column of lists of them, or both."""
    entries = [frame[column].dropna() for column in ("seed", "seeds") if column in frame]
    return ranges({int(float(seed)) for column in entries for entry in column.unique() for seed in str(entry).split()})
