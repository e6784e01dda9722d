"""Answers without Monte-Carlo error on small MDPs: what the estimators estimate, and how far from it they are."""

from __future__ import annotations

from metarl_cli.exact.estimates import Bias, bias, exact_rows
from metarl_cli.exact.problem import EXAMPLE, Problem, load_problem, parse_problem

__all__ = ["EXAMPLE", "Bias", "Problem", "bias", "exact_rows", "load_problem", "parse_problem"]
