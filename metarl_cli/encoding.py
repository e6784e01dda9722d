"""The maths where its symbols cannot be shown: `Σₜ γᵗ ρ_≤t` is `Sum_t gamma^t rho_<=t` on an ASCII terminal."""

from __future__ import annotations

import codecs
import io
import unicodedata
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import TextIO

__all__ = ["can_show", "spell_out", "spelled"]

SPELLED = "metarl.spelled"
"""The name of the error handler."""

SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        **{"Σ": "Sum", "Π": "Prod", "∇": "grad ", "∂": "d", "√": "sqrt ", "∈": "in", "≈": "~", "±": "+-", "∞": "inf"},
        **{"≤": "<=", "≥": ">=", "≠": "!=", "≡": "==", "→": "->", "←": "<-", "↦": "|->", "×": "x", "·": "*", "−": "-"},
        **{"‖": "||", "⟨": "<", "⟩": ">", "⊥": "stop ", "✓": "yes", "✗": "no", "○": "o", "λ": "lambda"},
        **{"–": "-", "—": "-", "…": "...", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"', "⁄": "/"},
        **{"\N{COMBINING CIRCUMFLEX ACCENT}": "_hat", "\N{COMBINING MACRON}": "_bar", "\N{COMBINING TILDE}": "_tilde"},
    }
)


def spell_out(*streams: TextIO) -> None:
    """Let streams take every text: what their encoding lacks is spelled."""
    codecs.register_error(SPELLED, _handle)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):  # not what a test or a notebook puts in its place
            stream.reconfigure(errors=SPELLED)


def spelled(text: str, encoding: str) -> str:
    """The text as a stream of that encoding shows it, after `spell_out`.

    >>> spelled("Σₜ γᵗ (ρₜ − 1) Aₜ", "ascii")
    'Sum_t gamma^t (rho_t - 1) A_t'
    """
    codecs.register_error(SPELLED, _handle)
    return text.encode(encoding, SPELLED).decode(encoding)


def can_show(text: str, encoding: str) -> bool:
    """Whether nothing of it has to be spelled."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    pieces = [_spell(symbol) for symbol in error.object[error.start : error.end]]
    spelling = ""
    for last, piece in pairwise(["", *pieces]):
        goes_on = len(last) == 2 and piece[:1] == last[0] in "_^"  # the marks of one index, ₜ₊₁, are one mark
        spelling += piece[1:] if goes_on else piece
    return spelling, error.end


def _spell(symbol: str) -> str:
    if symbol.isascii() or symbol in SYMBOLS:
        return SYMBOLS.get(symbol, symbol)
    name = unicodedata.name(symbol, "")
    if name.startswith("GREEK"):
        letter = name.split()[-1]
        return letter.lower() if "SMALL" in name else letter.capitalize()
    kind, parts = unicodedata.decomposition(symbol), unicodedata.normalize("NFKD", symbol)
    if parts != symbol:
        return {"<sub>": "_", "<super>": "^"}.get(kind.split()[0], "") + "".join(map(_spell, parts))
    return "" if unicodedata.combining(symbol) else symbol.encode("ascii", "backslashreplace").decode()
