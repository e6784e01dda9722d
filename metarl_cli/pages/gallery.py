"""`figures/README.md`: the claims with their verdicts, and every figure with its size, its seeds and its command."""

from __future__ import annotations

from pathlib import Path

from metarl_cli.claims.judge import judge_all
from metarl_cli.claims.wording import evidence_text, interval_text, range_text, tally, verdict_text
from metarl_cli.errors import check_known
from metarl_cli.figures.draw import draw
from metarl_cli.figures.ends import HEADER
from metarl_cli.pages.rendering import render
from metarl_cli.pages.shown import Shown, conclusions, plot_command, shown
from metarl_cli.papers import FIGURES, PAPERS
from metarl_cli.profiles import PROFILES
from metarl_cli.results import Results
from metarl_cli.store import write_whole

__all__ = ["write_gallery"]


def write_gallery(results: Results, out: Path, profile: str | None = None) -> list[Path]:
    """Draw every figure that there are results of, and write the page that shows them.

    Args:
        results: where; what is damaged there is said where it is missing, and stands in `results.damage`.
        out: where the pictures and `README.md` go.
        profile: of the results of the figures; None for the one that has most of each. Claims choose for themselves.

    Returns:
        The files that were written.

    Raises:
        UserError: if there is no such profile.
    """
    if profile is not None:
        check_known("profile", profile, PROFILES)
    files, sections = list[Path](), list[dict[str, object]]()
    judgements = judge_all(results)
    for figure in FIGURES.values():
        what = shown(figure, results, profile)
        if isinstance(what, Shown):
            files += draw(figure, what.content, out=out)
        command, concluded = plot_command(figure, results.directory, profile), conclusions(figure, judgements)
        sections.append({"figure": figure, "what": what, "command": command, "conclusions": concluded})
    page = out / "README.md"
    out.mkdir(parents=True, exist_ok=True)
    texts = {text.__name__: text for text in (evidence_text, interval_text, range_text, tally, verdict_text)}
    content = {"sections": sections, "judgements": judgements, "papers": PAPERS, "header": HEADER, **texts}
    write_whole(page, render("gallery.md", content))
    return [*files, page]
