"""Statistics over seeds: intervals that keep their word with three to five seeds.

With three seeds a nominal 95 % percentile bootstrap of the mean covers about 76 %, the Student t interval 95 % (600
simulated repeats, normal data; 0.69 and 0.92 for lognormal): single curves and cells therefore use Student t.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["Interval", "mean_interval"]


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
    half = stats.t.ppf(0.5 + confidence / 2.0, n - 1) * runs.std(axis=0, ddof=1) / np.sqrt(n)
    return Interval(mean, mean - half, mean + half)
