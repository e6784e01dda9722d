"""How much a meta-gradient changes when its batch is drawn again: statistics of G[R, P], one gradient per row.

Where the R rounds hold nothing but noise, the mean of R gradients is noise too: the deviation relative to it is then
√(R − 1), not infinite, and the cosine to it 1/√R, not zero, as a figure shows: where many coordinates share the noise
equally ‖mean‖² is tr Σ/R, ‖std‖² is tr Σ (R − 1)/R, and ⟨g_r, mean⟩ is ‖g_r‖²/R.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Spread", "spread", "squared_bias"]

Array: TypeAlias = NDArray[np.float64]


class Spread(NamedTuple):
    """Statistics of R gradients.

    Attributes:
        rstd: mean over coordinates of std_r(g)/(|mean_r(g)| + 1e-8), std with divisor R: what Fig. 3 of Rothfuss et al.
            (2019) shows. Its expectation is infinite wherever the density of a mean does not vanish at 0, so single
            coordinates decide it.
        relative_deviation: ‖std_r(g)‖/‖mean_r(g)‖, the same without that defect.
        cosine: mean over rounds of the cosine between g_r and the mean gradient.
        variance: Σ over coordinates of the variance, divisor R − 1: what Fig. 2 of Liu et al. (2019) speaks of.
        signal_to_noise: ‖E[g]‖/√variance, of a single batch; ‖E[g]‖² is the mean of products of different rounds, so
            that noise does not add to it: 0 where it comes out negative, NaN where there is no noise.
    """

    rstd: float
    relative_deviation: float
    cosine: float
    variance: float
    signal_to_noise: float


def spread(gradients: Array) -> Spread:
    """The statistics of G[R, P].

    Raises:
        ValueError: for fewer than two rounds.
    """
    if len(gradients) < 2:
        raise ValueError(f"gradients: expected at least 2 rounds, got {len(gradients)}.")
    mean, deviation = gradients.mean(axis=0), gradients.std(axis=0)
    norms = np.linalg.norm(gradients, axis=1) * np.linalg.norm(mean)
    variance = float(gradients.var(axis=0, ddof=1).sum())
    squared_signal = max(_different_rounds(gradients @ gradients.T), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # the cosine to a mean of zero is NaN
        return Spread(
            rstd=float((deviation / (abs(mean) + 1e-8)).mean()),
            relative_deviation=float(np.linalg.norm(deviation) / np.linalg.norm(mean)),
            cosine=float((gradients @ mean / norms).mean()),
            variance=variance,
            signal_to_noise=float(np.sqrt(squared_signal / variance)) if variance > 0.0 else float("nan"),
        )


def squared_bias(gradients: Array, reference: Array) -> tuple[float, float]:
    """‖E[g] − E[g*]‖²/‖E[g*]‖² with its jackknife standard error, from pairs of gradients on the same batches.

    Both squared norms are means of products of *different* rounds, so noise does not add to them: near zero the ratio
    may be negative. Pairing removes the noise that the two estimators share. The error is right where there is a bias
    and up to √2 too large where there is none.

    Args:
        gradients: of the estimator that is judged, [R, P].
        reference: of one whose expectation is right, on the same batches, [R, P].

    Returns:
        The ratio and its standard error; NaN where the reference does not stand out from its noise, whichever round
        is left out.

    Raises:
        ValueError: for fewer than three rounds.
    """
    rounds = len(gradients)
    if rounds < 3:
        raise ValueError(f"gradients: expected at least 3 rounds, got {rounds}.")
    difference = gradients - reference
    numerator, denominator = difference @ difference.T, reference @ reference.T
    every = np.arange(rounds)
    without = [every[every != left_out] for left_out in every]
    leave_one_out = [_norms_ratio(numerator[np.ix_(kept, kept)], denominator[np.ix_(kept, kept)]) for kept in without]
    if np.isnan(leave_one_out).any():
        return float("nan"), float("nan")
    return _norms_ratio(numerator, denominator), float(np.sqrt((rounds - 1) * np.var(leave_one_out)))


def _norms_ratio(numerator: Array, denominator: Array) -> float:
    """The ratio of ‖E[x]‖² and ‖E[y]‖² from the products of all rounds of x and y, [R, R]."""
    below = _different_rounds(denominator)
    return _different_rounds(numerator) / below if below > 0.0 else float("nan")


def _different_rounds(products: Array) -> float:
    """E over r ≠ s of ⟨x_r, x_s⟩, an estimate of ‖E[x]‖² without bias."""
    rounds = len(products)
    return float((products.sum() - np.trace(products)) / (rounds * (rounds - 1)))
