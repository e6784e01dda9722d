"""Statistics over seeds: intervals that keep their word with three to five seeds.

With three seeds a nominal 95 % percentile bootstrap of the mean covers about 76 %, the Student t interval 95 % (600
simulated repeats, normal data; 0.69 and 0.92 for lognormal): single curves and cells therefore use Student t.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Interval", "RangeTest", "mean_interval", "range_test"]


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


class RangeTest(NamedTuple):
    """How compatible values are with a mean that lies in a range, and with one that does not: two p-values.

    `inside` is below α exactly where the 1 − α interval of `mean_interval` lies wholly outside the range, and `outside`
    where it lies wholly inside.
    """

    inside: float = 1.0
    outside: float = 1.0


def range_test(values: ArrayLike, low: float, high: float) -> RangeTest:
    """Two-sided t-tests of a mean against the ends of a range, the nearer one where it lies outside.

    Args:
        values: [n], one per seed.
        low: may be −∞.
        high: may be ∞.

    Returns:
        The p-values; 1 of what the mean itself speaks for, and both where there is no interval: of one seed, or of NaN.
    """
    runs = np.asarray(values, dtype=np.float64)
    into = min(runs.mean() - low, high - runs.mean())  # how far into the range
    if len(runs) < 2 or np.isnan(into):
        return RangeTest()
    error = runs.std(ddof=1) / np.sqrt(len(runs))
    p_value = float(2.0 * special.stdtr(len(runs) - 1, -abs(into) / error)) if error > 0.0 else 0.0
    return RangeTest(outside=p_value) if into >= 0.0 else RangeTest(inside=p_value)
