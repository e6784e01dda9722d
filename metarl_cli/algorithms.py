"""An algorithm is four names and a citation. Names only: this module imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["ALGORITHMS", "Algorithm"]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Inner estimator, exploration term, outer objective, optimiser; and where they come from."""

    title: str
    inner: str
    exploration: str
    outer: str
    optimizer: str
    source: str


_PROMP = "Rothfuss et al. 2019"

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "promp": Algorithm("ProMP", "lvc", "none", "clipped", "adam", f"{_PROMP}, Eq. 7, Alg. 1"),
        "lvc-vpg": Algorithm("LVC-VPG", "lvc", "none", "vpg", "adam", f"{_PROMP}, Eq. 5"),
        "vpg-maml": Algorithm("MAML-VPG", "reinforce", "none", "vpg", "adam", "Finn et al. 2017, Eq. 4"),
        "dice-vpg": Algorithm("DiCE-VPG", "dice", "none", "vpg", "adam", "Foerster et al. 2018, Eq. 6"),
    }
)
