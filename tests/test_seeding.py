from __future__ import annotations

import numpy as np
import pytest
import torch

from metarl_cli.seeding import derived_seed, numpy_generator, torch_generator

STREAMS = [
    (1, "tasks"),
    (2, "tasks"),
    (1, "actions"),
    (1, "tasks", 0),
    (1, "tasks", 1),
    (1, "tasks", 0, 1),
    (0, "tasks"),
]


def numpy_draws(*stream):
    return numpy_generator(*stream).random(4).tolist()


def torch_draws(*stream):
    return torch.rand(4, generator=torch_generator(*stream)).tolist()


def seeds(*stream):
    return derived_seed(*stream)


@pytest.mark.parametrize("draw", [numpy_draws, torch_draws, seeds])
def test_a_stream_is_a_function_of_its_name_and_every_name_is_another_stream(draw):
    first = [draw(*stream) for stream in STREAMS]
    assert [draw(*stream) for stream in reversed(STREAMS)] == first[::-1]
    assert len({repr(drawn) for drawn in first}) == len(STREAMS)


def test_streams_are_uncorrelated():
    draws = np.array([numpy_generator(1, "tasks", i).standard_normal(2000) for i in range(20)])
    correlations = np.corrcoef(draws) - np.eye(20)
    assert abs(correlations).max() < 5 / np.sqrt(2000)


def test_global_state_is_neither_read_nor_written():
    before = torch.random.get_rng_state()
    drawn = torch_draws(1, "actions")
    torch.rand(3)
    torch.random.set_rng_state(before)
    torch_generator(1, "actions")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch_draws(1, "actions") == drawn


def test_a_derived_seed_fits_where_a_32_bit_seed_is_wanted():
    values = [derived_seed(seed, "environment", 7, 1) for seed in range(200)]
    assert all(isinstance(value, int) and 0 <= value < 2**32 for value in values)
    assert max(values) > 2**31  # the whole range is used


def test_these_numbers_never_change():
    """Published runs were made with these streams."""
    assert derived_seed(1, "environment", 0, 0) == 2989428317
    assert numpy_draws(1, "tasks", 0) == pytest.approx(
        [0.7667693555834977, 0.3371285238578018, 0.8956853150224606, 0.6543906032948815], rel=1e-15
    )
    assert torch_draws(1, "init") == pytest.approx([0.77461487, 0.53192264, 0.53280854, 0.13258165], rel=1e-6)
