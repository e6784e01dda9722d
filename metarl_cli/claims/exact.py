"""The numbers behind exact checks; to compute them takes longer than all other claims together: they are remembered."""

from __future__ import annotations

from functools import cache

from metarl_cli.errors import check_known
from metarl_cli.remembered import remembered

__all__ = ["exact_number"]


def exact_number(check: str) -> float:
    """The number behind a key of `exact.theorems.CHECKS`.

    Raises:
        UserError: if there is no such check.
    """
    numbers = _numbers()
    check_known("exact check", check, numbers)
    return numbers[check]


@cache
def _numbers() -> dict[str, float]:
    return remembered("exact numbers", "", _computed)  # they depend on nothing but the code


def _computed() -> dict[str, float]:
    from metarl_cli.exact.theorems import CHECKS

    return {name: number() for name, number in CHECKS.items()}
