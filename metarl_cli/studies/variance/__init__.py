"""ProMP Fig. 3 and TMAML Fig. 2: how much meta-gradients change when their batch is drawn again."""

from __future__ import annotations

from metarl_cli.studies.variance.figures import (
    COLUMNS,
    FIGURE_ESTIMATORS,
    SIZES,
    foreign,
    home,
    measurements,
    settings,
    settings_for,
    study,
)

__all__ = [
    "COLUMNS",
    "FIGURE_ESTIMATORS",
    "SIZES",
    "foreign",
    "home",
    "measurements",
    "settings",
    "settings_for",
    "study",
]
