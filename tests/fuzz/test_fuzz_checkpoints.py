"""Checkpoints of any content: the last state, the one before with a message, or neither; never another one."""

from __future__ import annotations

from hashlib import sha256

import pytest
import torch
from fuzzing import damaged, files_below, fuzzed, put, restored
from hypothesis import strategies as st

from metarl_cli.config import load_config
from metarl_cli.errors import UserError
from metarl_cli.runs import checkpoints
from metarl_cli.runs.checkpoints import CHECKPOINT, PREVIOUS, SEAL, tensors_of
from metarl_cli.training.build import build


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
    run = tmp_path_factory.mktemp("checkpoints")
    put(run, {run / path.name: content for path, content in files_below(small_run).items()})
    return run


@pytest.fixture(scope="module")
def fresh(run):
    """The settings, and a state before the first iteration."""
    config = load_config(run / "config.json")
    return config, build(config)[1]


@pytest.fixture(scope="module")
def states(run):
    """What both checkpoints hold, by their bytes."""
    last, before = (run / CHECKPOINT).read_bytes(), (run / PREVIOUS).read_bytes()
    with restored(run):
        states = {last: checkpoints.latest(run).state}
        (run / CHECKPOINT).unlink()
        return states | {before: checkpoints.latest(run).state}


@pytest.fixture(scope="module")
def foreign(run):
    """What else may lie there: the other files of the run, an archive, and a state without its seal."""
    unsealed = (run / CHECKPOINT).read_bytes().split(b"\n", 2)[2]
    return [*files_below(run).values(), b"PK\x03\x04" * 9, b"\n" * 99, unsealed]


def same(one, other):
    there, here = tensors_of(one), tensors_of(other)
    equal = there.keys() == here.keys() and all(torch.equal(there[name], here[name]) for name in there)
    return equal and one.iteration == other.iteration


@fuzzed(percent=20, data=st.data())
def test_a_damaged_checkpoint_is_never_believed(run, fresh, states, foreign, data):
    last, before = states
    contents = [data.draw(damaged(last, foreign)), data.draw(st.one_of(st.just(before), damaged(before, foreign)))]
    told = []
    with restored(run):
        for name, content in zip((CHECKPOINT, PREVIOUS), contents, strict=True):
            (run / name).write_bytes(content)
        try:
            state = checkpoints.load(run, *fresh, told.append)
        except UserError as error:
            assert str(run) in str(error)
            return
    used = next(content for content in contents if content in states)
    assert same(state, states[used])
    assert bool(told) == (used is not contents[0])


@fuzzed(percent=6, data=st.data())
def test_a_checkpoint_with_a_good_seal_and_a_bad_content_is_named(run, fresh, states, foreign, data):
    """As a program would write it that has another idea of what a checkpoint is."""
    body = data.draw(damaged(next(iter(states)).partition(b"\n")[2], foreign))
    with restored(run):
        (run / CHECKPOINT).write_bytes(SEAL + sha256(body).hexdigest().encode() + b"\n" + body)
        try:
            checkpoints.load(run, *fresh)
        except UserError as error:
            assert str(run) in str(error)
