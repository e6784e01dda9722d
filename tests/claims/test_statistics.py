from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from metarl_cli.claims.statistics import mean_interval


def test_by_hand():
    """Three seeds 1, 2, 6: mean 3, s = √7, t₂ = 4.30265273 for 95 %."""
    mean, low, high = mean_interval([1.0, 2.0, 6.0])
    half = 4.30265273 * np.sqrt(7.0) / np.sqrt(3.0)
    np.testing.assert_allclose([mean, low, high], [3.0, 3.0 - half, 3.0 + half], rtol=1e-9)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_against_scipy_for_any_shape(confidence):
    values = np.random.default_rng(0).standard_normal((5, 4, 3))
    interval = mean_interval(values, confidence)
    low, high = stats.t.interval(confidence, df=4, loc=values.mean(0), scale=stats.sem(values, axis=0))
    assert interval.mean.shape == (4, 3)
    np.testing.assert_allclose(interval.low, low, rtol=1e-12)
    np.testing.assert_allclose(interval.high, high, rtol=1e-12)


@pytest.mark.parametrize(("n", "confidence"), [(3, 0.95), (5, 0.95), (3, 0.8)])
def test_it_covers_the_truth_as_often_as_it_says(n, confidence):
    repeats = 20_000
    interval = mean_interval(np.random.default_rng(1).normal(2.0, 3.0, (n, repeats)), confidence)
    covered = ((interval.low <= 2.0) & (interval.high >= 2.0)).mean()
    assert covered == pytest.approx(confidence, abs=4 * np.sqrt(confidence * (1 - confidence) / repeats))


def test_one_seed_has_a_mean_and_no_interval():
    mean, low, high = mean_interval([[1.0, 2.0]])
    assert mean.tolist() == [1.0, 2.0]
    assert np.isnan(low).all() and np.isnan(high).all()
    assert low.shape == high.shape == (2,)


def test_equal_seeds_have_an_interval_of_no_width():
    mean, low, high = mean_interval([[2.0], [2.0], [2.0]])
    assert mean == low == high == 2.0


def test_what_is_given_stays():
    values = np.array([[1.0, 2.0], [3.0, 5.0]])
    before = values.copy()
    mean_interval(values)
    np.testing.assert_array_equal(values, before)
