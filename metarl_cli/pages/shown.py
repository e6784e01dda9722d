"""What a page says of a figure: its content, profile and seeds, what was run and came of it, and what to conclude."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metarl_cli.claims.judge import Judgement
from metarl_cli.claims.wording import conclusion_text
from metarl_cli.errors import UserError
from metarl_cli.figures.curves import ranges
from metarl_cli.figures.draw import Content, NoResultsError, content_of
from metarl_cli.figures.effort import effort
from metarl_cli.figures.ends import ends
from metarl_cli.papers import Figure
from metarl_cli.results import Results
from metarl_cli.store import PUBLISHED

__all__ = ["Shown", "conclusions", "plot_command", "shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a figure shows, of which profiles and seeds; in words, what was run for it and what its curves come to."""

    content: Content
    profile: str
    seeds: str
    effort: Sequence[str]
    ends: Sequence[Sequence[str]]


def shown(figure: Figure, results: Results, profile: str | None) -> Shown | str | None:
    """What a figure can show of the results, as `draw.content_of` chooses; None where there are none.

    Where they are damaged, the reason: what is wrong with one figure costs the others nothing.
    """
    try:
        content = content_of(figure, results, profile)
    except NoResultsError:
        return None
    except UserError as error:
        return str(error)
    profiles = dict.fromkeys(path.parent.parent.name for path in content.tables)
    # A column of seeds, a column of lists of them, or both.
    columns = [content.frame[name].dropna().unique() for name in ("seed", "seeds") if name in content.frame]
    seeds = ranges({int(float(seed)) for column in columns for entry in column for seed in str(entry).split()})
    words = effort(figure, content, results), ends(figure, content, results)
    return Shown(content, ", ".join(profiles), seeds, *words)


def plot_command(figure: Figure, results: Path, profile: str | None) -> str:
    """The command that draws it again."""
    place = "" if results == PUBLISHED else f" --results {shlex.quote(results.as_posix())}"
    return f"metarl plot {figure.name}{place}{f' --profile {profile}' if profile else ''}"


def conclusions(figure: Figure, judgements: Sequence[Judgement]) -> list[str]:
    """What a reader should conclude from a figure, claim by claim."""
    return [conclusion_text(judgement) for judgement in judgements if judgement.claim.figure == figure.name]
