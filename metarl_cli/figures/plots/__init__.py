"""Every figure as a function from a frame to a matplotlib figure; `save` writes it. Nothing here reads a file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure as Drawing

__all__ = ["Drawing", "png", "save"]

DPI = 160


def save(figure: Drawing, stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.png` and `<stem>.pdf`, without dates: the same figure gives the same bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    with rc_context({"pdf.fonttype": 42}):
        figure.savefig(png, dpi=DPI, metadata={"Software": None})
        figure.savefig(pdf, metadata={"CreationDate": None})
    return png, pdf


def png(figure: Drawing) -> bytes:
    """What `save` writes as PNG, for a page that holds its pictures itself."""
    figure.set_dpi(DPI)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)  # else `savefig` draws everything twice, the first time for the layout alone
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
