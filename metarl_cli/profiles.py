"""The profiles by name: what each is for. How large their runs and studies are stands with those.

Imports nothing, because the help of every command shows this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["MOST_SEEDS", "PROFILES", "PROFILE_HELP", "PURPOSES"]

PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "smoke": "does everything run: two iterations",
        "quick": "checks a fresh clone: how training begins",
        "overnight": "single figures on a workstation: 50 iterations of locomotion",
        "standard": "the published figures: curves that have bent, 100 to 300 iterations of locomotion",
        "paper": "the papers' own sizes, where their claims are decided as printed",
    }
)
"""From the smallest to the largest, as far as one can be larger than another in everything."""

PROFILES = tuple(PURPOSES)
PROFILE_HELP = f"Size: {', '.join(PROFILES)}; see `metarl list profiles`."

MOST_SEEDS = 10_000
"""Of a size, and of what is asked for: each is a run of every curve, and a plan is a list of them."""
