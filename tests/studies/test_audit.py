"""The audit: columns against the studies that they come from, and an estimator whose derivative is wrong."""

from __future__ import annotations

import json
import math

import pytest

from metarl_cli.estimators import ESTIMATORS
from metarl_cli.exact.estimates import exact_rows
from metarl_cli.exact.problem import EXAMPLE, parse_problem
from metarl_cli.studies.audit import audit

WRONG = """
import torch

class Half(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, following):
        return 0.5 * following * ctx.saved_tensors[0]

def wrong(logp, sample):
    return (Half.apply(logp - sample.behaviour_logp) * sample.advantages).sum(-1).mean(-1)
"""


def test_rows_are_those_of_the_studies(metarl):
    done = metarl("audit", "dice", "--rounds", 3, "--json")
    assert done.code == 0, done.err
    rows = {row["estimator"]: row for row in json.loads(done.out)}
    assert list(rows) == ["dice", "lvc", "taypo2"]
    for expected in exact_rows(parse_problem(EXAMPLE), rows):
        place = f"{'gH'[expected['order'] - 1]} {expected['policy']}"
        assert rows[expected["estimator"]][f"bias {place}"] == expected["bias_relative_frobenius"]
        assert rows[expected["estimator"]][f"variance {place}"] == expected["variance"]
    assert all(row["differences"] < 1e-8 and row["cost"] > 0 and row["signal_to_noise"] >= 0 for row in rows.values())
    assert rows["lvc"]["cost"] == 1.0


def test_a_derivative_that_is_not_that_of_the_value_is_seen(metarl, tmp_path):
    (tmp_path / "half.py").write_text(WRONG)
    done = metarl("audit", f"{tmp_path / 'half.py'}:wrong", "--rounds", 3, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)[0]["differences"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_has_a_signal(name):
    found = audit(name, parse_problem(EXAMPLE), "Navigation", rounds=3)[0]
    assert found["estimator"] == name and math.isfinite(found["signal_to_noise"])


def test_mistakes_are_named(metarl):
    assert "Did you mean 'taypo2'" in metarl("audit", "taypo3").err
    assert metarl("audit", "lvc", "--env", "Nowhere").code == 2
