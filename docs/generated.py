"""The parts of the pages that are made from the code.

A hook of MkDocs replaces the lines that end in `<!-- generated: NAME -->`, which tell a reader of the source where to
look instead.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import typer.main
from typer.cli import get_docs_for_click

from metarl_cli.cli import app
from metarl_cli.columns import COLUMNS
from metarl_cli.config import settable_keys
from metarl_cli.listing import listing
from metarl_cli.papers import CLAIMS, PAPERS
from metarl_cli.papers.settings import run_config

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, **context: Any) -> str:
    """MkDocs calls it with the text of every page. A link to a file of the repository is its name on the site."""
    markdown = re.sub(r"\[([^]]+)\]\(\.\./([^)#]+)[^)]*\)", r"\1 (`\2`)", markdown)
    return re.sub(r"^.*<!-- generated: (\w+) -->$", lambda match: GENERATED[match.group(1)](), markdown, flags=re.M)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    titles = list(header)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def tutorial() -> str:
    """The cells of the script: comments as text, the rest as code."""
    cells = re.split(r"^# %% ?", (ROOT / "examples/tutorial.py").read_text(encoding="utf-8"), flags=re.MULTILINE)[2:]
    return "\n\n".join(
        f"**{title}**\n\n```python\n{code.strip()}\n```" for title, code in (c.split("\n", 1) for c in cells)
    )


def reach() -> str:
    """The example of an environment, without what its first lines say."""
    text = (ROOT / "examples/reach.py").read_text(encoding="utf-8")
    return f"```python\n{text[text.index('from typing') :].strip()}\n```"


def claims() -> str:
    """Each paper's claims."""
    of = {paper: [claim for claim in CLAIMS.values() if claim.figure.startswith(paper)] for paper in PAPERS}
    return "\n\n".join(
        f"## {PAPERS[paper]}\n\n"
        + table(("claim", "where", "figure"), ((claim.statement, claim.source, f"`{claim.figure}`") for claim in found))
        for paper, found in of.items()
    )


def estimators() -> str:
    """The registry."""
    rows = listing("estimators").rows
    return table(rows[0], ([f"`{row['name']}`", f"`{row['surrogate']}`", *list(row.values())[2:]] for row in rows))


def algorithms() -> str:
    """The registry."""
    rows = listing("algorithms").rows
    return table(rows[0], ([f"`{row['name']}`", *list(row.values())[1:]] for row in rows))


def commands() -> str:
    """What `--help` says, as Typer writes it."""
    group = typer.main.get_command(app)
    text = get_docs_for_click(obj=group, ctx=typer.Context(group, info_name="metarl"), name="metarl")
    return re.sub(r"^# .*\n", "", text, count=1)


def settings() -> str:
    """Every key with its default."""
    defaults = settable_keys(run_config("promp", "HalfCheetahFwdBack", profile="paper"))
    return table(
        ("key", "default"), ((f"`{key}`", f"`{json.dumps(_plain(value))}`") for key, value in defaults.items())
    )


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def columns() -> str:
    """The glossary."""
    return table(("column", "meaning"), ((f"`{name}`", text) for name, text in COLUMNS.items()))


GENERATED: Mapping[str, Callable[[], str]] = {
    made.__name__: made for made in (tutorial, reach, claims, estimators, algorithms, commands, settings, columns)
}
