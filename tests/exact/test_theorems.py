"""The numbers behind the papers' theorems."""

from __future__ import annotations

import pytest

from metarl_cli.claims.exact import exact_number
from metarl_cli.errors import UserError
from metarl_cli.exact.theorems import CHECKS

BIASED = {"reinforce-hessian", "lvc-hessian", "tmaml-printed-hessian"}


@pytest.mark.parametrize("check", [check for check in CHECKS if check != "tmaml-variance"])
def test_a_bias_is_rounding_or_far_from_it(check):
    number = CHECKS[check]()
    assert number > 1.0 if check in BIASED else number < 1e-12


def test_the_printed_control_variate_adds_variance():
    assert CHECKS["tmaml-variance"]() == pytest.approx(1.7638, abs=1e-3)


def test_an_unknown_check_is_named():
    with pytest.raises(UserError, match="Did you mean 'dice'"):
        exact_number("dic")
