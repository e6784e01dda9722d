"""TMAML Fig. 4: how well estimates correlate with the true Hessian and meta-gradient of a 1-D task."""

from __future__ import annotations

from metarl_cli.studies.toy1d.correlation import COLUMNS, METHODS, run, settings

__all__ = ["COLUMNS", "METHODS", "run", "settings"]
