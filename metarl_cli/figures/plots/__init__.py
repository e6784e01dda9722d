"""Every figure as a function from a frame to a matplotlib figure, and how these are written. Nothing here reads a file.

What imports this package alone loads the settings of matplotlib, and not what draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib import __version__, rc_context, rcParams

from metarl_cli.store import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = ["PNG", "Pictures", "encoded", "pictures", "save", "settings", "write_pictures"]

DPI = 160
PNG: Mapping[str, Any] = MappingProxyType({"format": "png", "dpi": DPI, "metadata": {"Software": None}})
PDF: Mapping[str, Any] = MappingProxyType({"format": "pdf", "metadata": {"CreationDate": None}})

rcParams["text.parse_math"] = False  # what a user calls a run is text, also where it has a dollar


class Pictures(NamedTuple):
    """A figure as files hold it."""

    png: bytes
    pdf: bytes


def save(figure: Drawing, stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.png` and `<stem>.pdf`, whole and without dates: the same figure gives the same bytes."""
    return write_pictures(pictures(figure), stem)


def write_pictures(encodings: Pictures, stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.png` and `<stem>.pdf`, each whole or not at all."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    for path, encoding in zip(paths, encodings, strict=True):
        write_whole(path, encoding)
    return paths


def pictures(figure: Drawing) -> Pictures:
    """PNG and PDF of one layout: its panels stay where the first puts them."""
    figure.set_dpi(DPI)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)  # else `savefig` draws everything twice, the first time for the layout alone
    with rc_context({"pdf.fonttype": 42}):
        return Pictures(encoded(figure, PNG), encoded(figure, PDF))


def encoded(figure: Drawing, options: Mapping[str, Any]) -> bytes:
    """What `savefig` writes with these options."""
    buffer = BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()


def settings() -> str:
    """What every drawing depends on besides what it shows: matplotlib, and what its user asks of it.

    Not its backend, of which files have their own: to ask which it is loads it.
    """
    return f"{__version__} { {name: value for name, value in rcParams.copy().items() if name != 'backend'} }"
