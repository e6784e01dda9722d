"""`figures/README.md`: the claims with their verdicts, and every figure with its size, its seeds and its command."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from metarl_cli.pages.rendering import render
from metarl_cli.pages.shown import conclusions, plot_command, shown
from metarl_cli.papers import FIGURES, PAPERS
from metarl_cli.reporting.claims import judge_all
from metarl_cli.reporting.draw import draw
from metarl_cli.reporting.frames import load_runs
from metarl_cli.reporting.wording import evidence_text, interval_text, range_text, tally, verdict_text

__all__ = ["write_gallery"]

GALLERY = "README.md"


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
    load, files, sections = cache(load_runs), list[Path](), list[dict[str, object]]()
    judgements = judge_all(results, exact, load)
    for figure in FIGURES.values():
        what = shown(figure, results, profile, load)
        if what is not None:
            files += draw(figure, what.content, out=out)
        command, concluded = plot_command(figure, results, profile), conclusions(figure, judgements)
        sections.append({"figure": figure, "what": what, "command": command, "conclusions": concluded})
    page = out / GALLERY
    page.parent.mkdir(parents=True, exist_ok=True)
    texts = {text.__name__: text for text in (evidence_text, interval_text, range_text, tally, verdict_text)}
    content = {"sections": sections, "judgements": judgements, "papers": PAPERS, **texts}
    page.write_text(render("gallery.md", content), encoding="utf-8")
    return [*files, page]
