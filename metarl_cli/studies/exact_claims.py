"""The old name of `metarl_cli.exact.theorems`."""

from __future__ import annotations

from metarl_cli.exact.theorems import CHECKS, exact_number

__all__ = ["CHECKS", "exact_number"]
