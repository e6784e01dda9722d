"""Every figure as a function from a frame to a matplotlib figure; `save` writes it. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

from matplotlib import __version__, rc_context, rcParams
from matplotlib.figure import Figure as Drawing

from metarl_cli.store import write_whole

__all__ = ["PNG", "Drawing", "encoded", "png", "save", "settings"]

DPI = 160
PNG: Mapping[str, Any] = MappingProxyType({"format": "png", "dpi": DPI, "metadata": {"Software": None}})
PDF: Mapping[str, Any] = MappingProxyType({"format": "pdf", "metadata": {"CreationDate": None}})


def save(figure: Drawing, stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.png` and `<stem>.pdf`, whole and without dates: the same figure gives the same bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    write_whole(paths[0], png(figure))
    with rc_context({"pdf.fonttype": 42}):
        write_whole(paths[1], encoded(figure, PDF))
    return paths


def png(figure: Drawing) -> bytes:
    """What `save` writes as PNG, for a page that holds its pictures itself; the panels stay where it puts them."""
    figure.set_dpi(DPI)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)  # else `savefig` draws everything twice, the first time for the layout alone
    return encoded(figure, PNG)


def encoded(figure: Drawing, options: Mapping[str, Any]) -> bytes:
    """What `savefig` writes with these options."""
    buffer = BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()


def settings() -> str:
    """What every drawing depends on besides what it shows: matplotlib, and what its user asks of it."""
    return f"{__version__} {rcParams}"
