"""Statistics over seeds: intervals that keep their word with three to five seeds.

With three seeds a nominal 95 % percentile bootstrap of the mean covers about 76 %, the Student t interval 95 % (600
simulated repeats, normal data; 0.69 and 0.92 for lognormal): single curves and cells therefore use Student t.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Interval", "mean_interval", "range_p_value"]


class Interval(NamedTuple):
    """A mean with its confidence limits, each of the shape of one run."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean over axis 0 (seeds) with its Student t interval, x̄ ± t_{n−1} s/√n.

    Args:
        values: [n, ...]; one row per seed.
        confidence: the nominal coverage.

    Returns:
        Mean, lower and upper limit, [...]. One seed has no interval: its limits are NaN.
    """
    runs = np.asarray(values, dtype=np.float64)
    n = runs.shape[0]
    mean = runs.mean(axis=0)
    if n < 2:
        nothing = np.full_like(mean, np.nan)
        return Interval(mean, nothing, nothing)
    half = special.stdtrit(n - 1, 0.5 + confidence / 2.0) * runs.std(axis=0, ddof=1) / np.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def range_p_value(values: ArrayLike, low: float, high: float) -> float:
    """How compatible values are with a mean in [low, high]: the p-value of the two-sided t-test against its nearer end.

    It is below α exactly where the 1 − α interval of `mean_interval` lies wholly outside.

    Args:
        values: [n], one per seed.
        low: may be −∞.
        high: may be ∞.

    Returns:
        p in [0, 1]; 1 where the mean lies inside, and where there is no interval: of one seed, or of NaN.
    """
    runs = np.asarray(values, dtype=np.float64)
    distance = max(low - runs.mean(), runs.mean() - high)
    if len(runs) < 2 or not distance > 0.0:
        return 1.0
    error = runs.std(ddof=1) / np.sqrt(len(runs))
    return float(2.0 * special.stdtr(len(runs) - 1, -distance / error)) if error > 0.0 else 0.0
