"""`metarl report`: claims with their verdicts, figures, tables and provenance on one page that needs no network.

The same results give the same bytes: the page holds no date, and no path but those below the results.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from types import MappingProxyType

import pandas as pd

from metarl_cli import __version__
from metarl_cli.papers import FIGURES, PAPERS, REPORTED, Figure
from metarl_cli.reporting.claims import Finding, Judgement, Verdict, judge_all
from metarl_cli.reporting.draw import PLOTS, Content
from metarl_cli.reporting.frames import load_runs
from metarl_cli.reporting.gallery import Shown, conclusions, plot_command, shown
from metarl_cli.reporting.plots.picture import png
from metarl_cli.reporting.plots.style import label
from metarl_cli.reporting.provenance import fingerprint, run_rows, table_rows
from metarl_cli.reporting.tables import beside_the_paper, cells, explanation
from metarl_cli.reporting.wording import (
    counts_text,
    evidence_text,
    finding_evidence,
    interval_text,
    range_text,
    scope_text,
    statistic_text,
)

__all__ = ["write_report"]

TEMPLATE, STYLE = (Path(__file__).with_name(f"report.{suffix}") for suffix in ("html", "css"))

SYMBOLS: Mapping[Verdict, str] = MappingProxyType(
    {Verdict.HOLDS: "✓", Verdict.FAILS: "✗", Verdict.UNDECIDED: "?", Verdict.NOT_RUN: "○"}
)


def write_report(results: Path, out: Path, exact: Callable[[str], float]) -> list[Judgement]:
    """Write the page and return the judgements that it shows.

    Args:
        results: a directory as `store` lays it out.
        out: the HTML file.
        exact: the number behind the name of an exact check.

    Raises:
        UserError: if a table or a run is damaged.
    """
    load = cache(load_runs)  # twelve figures and all claims show the same runs
    judgements = judge_all(results, exact, load)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_page(results, judgements, load), encoding="utf-8")
    return judgements


def _page(results: Path, judgements: Sequence[Judgement], load: Callable[[Path], pd.DataFrame]) -> str:
    papers = (
        _paper(title, [judgement for judgement in judgements if judgement.claim.paper == paper])
        for paper, title in PAPERS.items()
    )
    figures = (
        _figure(figure, shown(figure, results, None, load), results, conclusions(figure, judgements))
        for figure in FIGURES.values()
    )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        style=STYLE.read_text(encoding="utf-8"),
        printed=_counts((judgement.verdict for judgement in judgements), "as printed"),
        scoped=_counts((judgement.scoped for judgement in judgements), "at the size that their scope names"),
        glance=_glance(judgements),
        claims="".join(papers),
        figures="".join(figures),
        provenance=_provenance(results),
    )


def _counts(verdicts: Iterable[Verdict], of: str) -> str:
    counted = Counter(verdicts)
    entries = "".join(f"<li>{_badge(verdict)} {counted[verdict]}</li>" for verdict in Verdict if counted[verdict])
    return f'<ul class="counts" aria-label="Claims by verdict, {of}">{entries}</ul>'


def _verdicts(judgement: Judgement) -> str:
    """The verdict with its scope; both verdicts where that scope cannot decide the claim as printed."""
    scope = escape(scope_text(judgement))
    if judgement.decisive:
        return f"{_badge(judgement.verdict)} {scope}"
    return f"{_badge(judgement.verdict)} as printed · {_badge(judgement.scoped)} {scope}"


def _glance(judgements: Sequence[Judgement]) -> str:
    rows = [
        (
            _verdicts(judgement),
            f'<a href="#{judgement.claim.name}">{escape(judgement.claim.name)}</a>',
            escape(judgement.claim.statement),
            escape(interval_text(judgement.weakest.effect)),
            f"<strong>{escape(evidence_text(judgement))}</strong>",
            escape(counts_text(judgement)) if len(judgement.findings) > 1 else "",
        )
        for judgement in judgements
    ]
    header = ("Verdict", "Claim", "Statement", "Effect [95 % interval]", "Profile and n", "Comparisons")
    return _table("All claims, with the effect on which the verdict hangs", header, rows)


def _paper(title: str, judgements: Iterable[Judgement]) -> str:
    return f"<h3>{escape(title)}</h3>" + "".join(_card(judgement) for judgement in judgements)


def _card(judgement: Judgement) -> str:
    claim, weakest = judgement.claim, judgement.weakest
    label = f'<span class="quiet">({escape(weakest.effect.label)})</span>'
    entries = {
        "Found": escape(counts_text(judgement)),
        "Effect": f"{escape(interval_text(weakest.effect))} {label}",
        "Wanted": escape(range_text(weakest.wanted)),
        "Statistic": escape(statistic_text(claim) or "exact, no sampling error"),
        "Reads": _reads(judgement),
    }
    items = "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in entries.items())
    details = _details(judgement.findings) if len(judgement.findings) > 1 else ""
    return (
        f'<article id="{claim.name}"><p>{_verdicts(judgement)} '
        f"<strong>{escape(evidence_text(judgement))}</strong></p><h4>{escape(claim.statement)}</h4>"
        f'<p class="source">{escape(claim.source)} · <code>{escape(claim.name)}</code></p>'
        f"<dl>{items}</dl>{details}</article>"
    )


def _reads(judgement: Judgement) -> str:
    claim = judgement.claim
    if claim.reads == "exact":
        return f"nothing: computed by metarl {__version__} when this page was made"
    what = "training runs of" if claim.reads == "runs" else "the table of"
    return f'{what} <a href="#{claim.figure}">{claim.figure}</a>; <a href="#provenance">what made them</a>'


def _details(findings: Sequence[Finding]) -> str:
    rows = [
        (
            _badge(finding.scoped),
            escape(finding.effect.label),
            escape(interval_text(finding.effect)),
            escape(range_text(finding.wanted)),
            escape(finding_evidence(finding)),
        )
        for finding in findings
    ]
    table = _table("Each comparison", ("Verdict", "What", "Effect [95 % interval]", "Wanted", "Profile and n"), rows)
    return f"<details><summary>All {len(findings)} comparisons</summary>{table}</details>"


def _figure(figure: Figure, what: Shown | None, results: Path, concluded: Sequence[str]) -> str:
    heading = f"<h3>{figure.name}: {escape(figure.title)}</h3>"
    if what is None:
        command = f"<code>metarl reproduce {figure.name}</code>"
        return f'<figure id="{figure.name}">{heading}<p>{_badge(Verdict.NOT_RUN)} {command} runs it.</p></figure>'
    alternative = f"{figure.title}; profile {what.profile}, seeds {what.seeds}."
    image = b64encode(png(PLOTS[figure.plot](figure, what.content.frame))).decode("ascii")
    origin = "the training runs below" if figure.source == "runs" else _tables(what.content, results)
    return (
        f'<figure id="{figure.name}">{heading}'
        f'{_scroll(figure.title, f"""<img alt="{escape(alternative)}" src="data:image/png;base64,{image}">""")}'
        f"<figcaption><strong>Profile {what.profile}, seeds {what.seeds}.</strong> From {origin}. "
        f"<code>{escape(plot_command(figure, results, None))}</code>"
        f"{_list('What was run', what.effort)}{_list('What to conclude', concluded)}</figcaption>"
        f"{_numbers(figure, what) if figure.name in REPORTED else ''}</figure>"
    )


def _list(title: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence.replace('`', ''))}</li>" for sentence in sentences)
    return f"<p>{title}:</p><ul>{items}</ul>"


def _tables(content: Content, results: Path) -> str:
    return ", ".join(
        f"<code>{escape(path.relative_to(results).as_posix())}</code>, SHA-256 {fingerprint(path)}"
        for path in content.tables
    )


def _numbers(figure: Figure, what: Shown) -> str:
    table = beside_the_paper(figure, what.content.frame)
    rows = [
        tuple(map(escape, (str(row["environment"]), label(row["curve"]), *cells(row)))) for _, row in table.iterrows()
    ]
    header = ("Environment", "Method", "Paper", "Ours [95 % interval]", "n")
    return f'{_table(figure.title, header, rows)}<p class="quiet">{escape(explanation(table))}</p>'


def _provenance(results: Path) -> str:
    tables = {
        "Training runs, by profile, curve and environment": run_rows(results),
        "Tables of studies": table_rows(results),
    }
    parts = [
        _table(caption, tuple(rows[0]), [tuple(escape(text) for text in row.values()) for row in rows])
        for caption, rows in tables.items()
        if rows
    ]
    return "".join(parts) or "<p>There are no results yet.</p>"


def _badge(verdict: Verdict) -> str:
    name = verdict.replace(" ", "-")
    return f'<span class="verdict {name}"><span aria-hidden="true">{SYMBOLS[verdict]}</span> {verdict}</span>'


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of HTML fragments, in a box of its own that scrolls."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(_cell(text) for text in row)}</tr>" for row in rows)
    table = f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return _scroll(caption, table)


def _cell(fragment: str) -> str:
    return f'<td class="wide">{fragment}</td>' if len(fragment) > 40 and "<" not in fragment else f"<td>{fragment}</td>"


def _scroll(label: str, fragment: str) -> str:
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{fragment}</div>'
