"""Laws that hold over the whole registry of surrogates."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields, replace
from functools import partial

import pytest
import torch
from random_batches import DATA, LEAD, N, assert_same, jets, make_batch, normal
from torch import Tensor

from metarl_cli.estimators import (
    ESTIMATORS,
    doubly_robust,
    loaded_dice,
    taypo,
    truncated_dr,
)
from metarl_cli.types import Sample


def registered(name, *lead):
    estimator = ESTIMATORS[name]
    return estimator.surrogate, *make_batch(*lead, per_action=estimator.per_action)


def select(record: Sample, index) -> Sample:
    data = {f.name: getattr(record, f.name) for f in fields(record)}
    return Sample(**{key: x[index] if isinstance(x, Tensor) else x for key, x in data.items()})


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("lead", [(), (3,), LEAD])
def test_reduces_the_last_two_axes_to_finite_values(name, lead):
    surrogate, logp, sample = registered(name, *lead)
    value, first, second = jets(surrogate, logp, sample)
    assert value.shape == lead
    assert all(x.isfinite().all() for x in (value, first, second))
    assert first.any()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_leading_dimensions_are_stacking(name):
    surrogate, logp, sample = registered(name, *LEAD)
    indices = itertools.product(*map(range, LEAD))
    each = torch.stack([surrogate(logp[i], select(sample, i)) for i in indices]).reshape(LEAD)
    torch.testing.assert_close(surrogate(logp, sample), each, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, estimator in ESTIMATORS.items() if not estimator.pairs])
def test_trajectories_are_averaged(name):
    surrogate, logp, sample = registered(name)
    each = torch.stack([surrogate(logp[[n]], select(sample, [n])) for n in range(N)])
    torch.testing.assert_close(surrogate(logp, sample), each.mean(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", [name for name, estimator in ESTIMATORS.items() if estimator.pairs])
def test_pairs_couple_neighbours(name):
    surrogate, logp, sample = registered(name)
    each = torch.stack([surrogate(logp[[n]], select(sample, [n])) for n in range(N)])
    assert not torch.isclose(surrogate(logp, sample), each.mean())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_padded_steps_contribute_nothing(name):
    surrogate, logp, sample = registered(name, 2)

    def spoil(x, seed):
        mask = sample.mask.reshape(sample.mask.shape + (1,) * (x.ndim - sample.mask.ndim))
        return x + (1 - mask) * 3 * normal(seed, *x.shape)

    spoiled = replace(sample, **{field: spoil(getattr(sample, field), 10 + i) for i, field in enumerate(DATA)})
    clean = jets(surrogate, logp, sample)
    assert_same(jets(surrogate, spoil(logp, 9), spoiled), clean)
    first = torch.func.grad(lambda at: surrogate(at, sample).sum())(logp)
    assert not first[sample.mask == 0].any()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_steps_after_every_end_can_be_cut_off(name):
    surrogate, logp, sample = registered(name)
    rows = [1, 2]  # they end after 3 and after 1 steps
    whole, short = select(sample, rows), select(sample, (rows, slice(3)))
    torch.testing.assert_close(surrogate(logp[rows], whole), surrogate(logp[rows, :3], short), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_reads_what_it_says_it_needs_and_nothing_else(name):
    surrogate, logp, sample = registered(name, 2)
    needs = ESTIMATORS[name].needs
    assert needs <= set(DATA)
    for field in DATA:
        spoiled = replace(sample, **{field: torch.full_like(getattr(sample, field), math.nan)})
        assert surrogate(logp, spoiled).isnan().any() == (field in needs), field


@pytest.mark.parametrize("name", ESTIMATORS)
def test_refuses_other_shapes(name):
    surrogate, logp, sample = registered(name, 2)
    for field in (*ESTIMATORS[name].needs, "mask"):
        tensor = getattr(sample, field)
        with pytest.raises(ValueError, match=rf"{field}: expected shape .*, got \[2, 4, 4"):
            surrogate(logp, replace(sample, **{field: tensor[:, :, :4]}))


def test_refuses_half_a_critic():
    logp, sample = make_batch()
    with pytest.raises(ValueError, match="expected both or neither"):
        doubly_robust(logp, replace(sample, action_values=logp))
    with pytest.raises(ValueError, match="policy_values: expected shape"):
        doubly_robust(logp, replace(sample, action_values=logp, policy_values=logp[:1]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(taypo, order=0), "order: expected at least 1, got 0"),
        (partial(loaded_dice, lam=1.5), r"lam: expected a number in \[0, 1\], got 1.5"),
        (partial(truncated_dr, max_ratio=0.0), "max_ratio: expected a positive number, got 0.0"),
        (partial(truncated_dr, max_ratio=math.nan), "max_ratio: expected a positive number, got nan"),
    ],
)
def test_refuses_parameters_out_of_range(call, message):
    with pytest.raises(ValueError, match=message):
        call(*make_batch())


def test_registry_is_immutable_and_described():
    with pytest.raises(TypeError):
        ESTIMATORS["other"] = ESTIMATORS["dice"]
    assert len({estimator.title for estimator in ESTIMATORS.values()}) == len(ESTIMATORS)
    assert len({estimator.equation for estimator in ESTIMATORS.values()}) == len(ESTIMATORS)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_keeps_the_type_of_its_input(name):
    surrogate, logp, sample = registered(name)
    single = replace(sample, mask=sample.mask.float(), **{field: getattr(sample, field).float() for field in DATA})
    assert surrogate(logp.float(), single).dtype == torch.float32
