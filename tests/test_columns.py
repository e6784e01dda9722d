"""The glossary has every column that any run can write, and no other."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.columns import COLUMNS, meaning
from metarl_cli.papers.settings import run_config
from metarl_cli.runs.record import progress_columns

OWN = f"{Path(__file__).parent}/envs/own_cases.py:Objects"
"""An environment that says whether its task is accomplished."""


def every_column():
    yield from progress_columns(run_config("promp", OWN, profile="smoke"))
    for name in ALGORITHMS:
        config = run_config(name, "HalfCheetahFwdBack", profile="smoke")
        for inner in (config.inner, replace(config.inner, steps=3)):
            for outer in (config.outer, replace(config.outer, kl_target=0.01)):
                yield from progress_columns(replace(config, inner=inner, outer=outer))


def test_every_column_is_explained_and_every_explanation_is_of_a_column():
    written = dict.fromkeys(every_column())
    assert all(meaning(column).endswith(".") for column in written)
    assert {re.sub(r"step_\d+$", "step_k", column) for column in written} == set(COLUMNS)
