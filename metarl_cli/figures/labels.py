"""What curves, estimators and stages are called, and their colours: one per name in every figure.

Colours are Okabe and Ito's, distinct for colour-blind readers. Labels are of curves, of estimators or of stages: a
`dice` among runs is not the `dice` among estimators.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.papers import FIGURES

__all__ = [
    "BROKEN",
    "COLOURS",
    "CURVE_LABELS",
    "ESTIMATOR_LABELS",
    "STAGE_LABELS",
    "colour",
    "colours",
    "curve_label",
    "estimator_label",
]

_BLACK, _ORANGE, _SKY, _GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
_YELLOW, _BLUE, _VERMILION, _PURPLE, _GREY = "#D0C000", "#0072B2", "#D55E00", "#CC79A7", "#777777"

PALETTE = (_BLUE, _VERMILION, _GREEN, _ORANGE, _PURPLE, _SKY, _BLACK, _YELLOW, _GREY)

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "pre": _GREY,
        "post": _BLUE,
        "promp": _BLUE,
        "promp-taypo2": _SKY,
        "trpo-maml": _VERMILION,
        "trpo-emaml": _ORANGE,
        "lvc-vpg": _GREEN,
        "vpg-emaml": _PURPLE,
        "trpo-dice": _BLACK,
        "trpo-fmaml": _GREY,
        "lvc-trpo": _GREEN,
        "vpg-maml": _VERMILION,
        "dice-vpg": _BLACK,
        "dice-vpg-released": _ORANGE,
        "dice-released": _ORANGE,
        "tmaml-per-task": _SKY,
        "sgmrl": _BLUE,
        "reinforce": _VERMILION,
        "lvc": _GREEN,
        "dice": _BLACK,
        "loaded_dice": _SKY,
        "doubly_robust": _ORANGE,
        "truncated_dr": _PURPLE,
        "taypo2": _BLUE,
        "tmaml": _BLUE,
        "tmaml_printed": _YELLOW,
        "tmaml_released": _PURPLE,
    }
)

BROKEN = frozenset({"promp-taypo2"})
"""Curves drawn as broken lines, for they run along another: TayPO-2's along ProMP's."""

CURVE_LABELS: Mapping[str, str] = MappingProxyType(
    {name: algorithm.title for name, algorithm in ALGORITHMS.items()}
    | {curve.label: curve.title for figure in FIGURES.values() for curve in figure.curves}
)
"""Of runs: the titles of algorithms, and of the papers' curves."""

ESTIMATOR_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "reinforce": "MAML",
        "lvc": "LVC (TayPO-1)",
        "dice": "DiCE (step-wise IS)",
        "loaded_dice": "Loaded DiCE",
        "doubly_robust": "doubly robust",
        "truncated_dr": "truncated DR",
        "taypo2": "TayPO-2",
        "tmaml": "TMAML (corrected)",
        "tmaml_per_action": "TMAML (corrected), per action dimension",
        "tmaml_printed": "TMAML (as printed)",
        "tmaml_released": "TMAML (as released)",
    }
)
"""The titles of `ESTIMATORS`, which a picture need not load PyTorch for."""

STAGE_LABELS: Mapping[str, str] = MappingProxyType({"post": "after adaptation", "pre": "before adaptation"})


def colour(name: str) -> str:
    """The colour of an algorithm or estimator, grey for a name that has none."""
    return COLOURS.get(name, _GREY)


def colours(names: Collection[str]) -> dict[str, str]:
    """The colour of each curve of a figure: its own; without one, or with another's, the first that is left."""
    own = dict[str, str]()
    for name in names:
        if name in COLOURS and COLOURS[name] not in own.values():
            own[name] = COLOURS[name]
    left = iter([shade for shade in PALETTE if shade not in own.values()])
    return {name: own.get(name) or next(left, _GREY) for name in names}


def curve_label(name: str) -> str:
    """The name of a curve as the papers write it; a user's own label is its own name."""
    return CURVE_LABELS.get(name, name)


def estimator_label(name: str) -> str:
    """The name of an estimator as the papers write it."""
    return ESTIMATOR_LABELS.get(name, name)
