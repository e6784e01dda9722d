"""A figure as bytes, for a page that holds its pictures itself."""

from __future__ import annotations

from io import BytesIO

from metarl_cli.figures.plots import DPI, Drawing

__all__ = ["png"]


def png(figure: Drawing) -> bytes:
    """What `save` writes as PNG; the same figure gives the same bytes."""
    figure.set_dpi(DPI)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)  # else `savefig` draws everything twice, the first time for the layout alone
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
