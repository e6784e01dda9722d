"""Sampling is the CPU's, all else happens where θ is; shown without hardware by tensors that only have a device.

Fake tensors refuse an operation on two devices, as CUDA does; of plain tensors on `meta`, a product would pass. They
are on `meta` all the same: on `cuda`, the first gradient ends a process that has no CUDA.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_trainer import named, tensors
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from training_cases import SMALL, double, sampled

from metarl_cli.config import RunConfig, with_overrides
from metarl_cli.runs import checkpoints
from metarl_cli.training import trainer as trainer_module
from metarl_cli.training.build import build
from metarl_cli.types import on_device

ELSEWHERE = "meta"


class EveryNumberIsOne(TorchDispatchMode):
    """What a fake tensor answers when it is asked for a number."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            return 1.0 if args[0].is_floating_point() else 1
        return function(*args, **(kwargs or {}))


def devices(record):
    return {tensor.device.type for tensor in tensors(record)}


CASES = {
    "promp-taypo2": ("outer.kl_target=0.01", "inner.steps=2", "outer.gradient_steps=2"),
    "trpo-emaml": (),
    "trpo-dice": ("inner.rewards=matched",),
    "dice": ("inner.rewards=released",),
    "sgmrl-paper": (),
    "tmaml-ppo": ("inner.control_variate=meta-paper",),
    "tmaml-trpo": ("inner.control_variate=per-task",),
    "tmaml": ("inner.control_variate=meta",),
    "sgmrl": ("inner.estimator=tmaml", "inner.control_variate=linear"),
}


@pytest.mark.parametrize("algorithm", CASES)
def test_the_cpu_acts_and_the_device_of_theta_does_all_else(algorithm, monkeypatch):
    short = ("sampling.tasks=2", "policy.hidden=3")
    trainer, state = named(algorithm, overrides=(*short, *CASES[algorithm]))
    trajectories = [round_.trajectories for round_ in sampled(trainer, state)]

    def collect(workers, tasks, params, **how):
        assert devices(params) == {"cpu"}
        return trajectories.pop(0)

    monkeypatch.setattr(trainer_module, "collect", collect)
    with FakeTensorMode(allow_non_fake_inputs=True), EveryNumberIsOne():
        state = trainer.init(on_device(state.theta, ELSEWHERE))
        rounds = sampled(trainer, state)
        following, _ = trainer.step(state, rounds)
        groups = trainer.task_data(state, rounds)
    assert devices((state, rounds, following)) == {ELSEWHERE}
    assert len(groups) == 1 < trainer.tasks  # on a card, a group of tasks is but more launches


def test_a_checkpoint_goes_to_the_device_of_the_run_that_reads_it(tmp_path):
    config = with_overrides(RunConfig(), SMALL)
    _, state = build(config)
    checkpoints.save(tmp_path, config, replace(state, iteration=1))
    there = on_device(state, ELSEWHERE)
    assert devices(checkpoints.load(tmp_path, config, there)) == {ELSEWHERE}
    assert devices(checkpoints.load(tmp_path, config, state)) == {"cpu"}


def agree(there, here):
    """To the rounding of sums of float64 in another order."""
    assert devices(there) == {"cuda"}
    for name, value in here.items():
        torch.testing.assert_close(there[name].cpu(), value, rtol=1e-9, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("algorithm", ["promp", "tmaml", "sgmrl"])
def test_an_update_on_cuda_is_the_one_on_the_cpu(algorithm):
    trainer, state = named(algorithm)
    state, rounds = double(state), double(sampled(trainer, state))
    here, _ = trainer.step(state, rounds)
    there, _ = trainer.step(on_device(state, "cuda"), [on_device(round_, "cuda") for round_ in rounds])
    agree(there.theta, here.theta)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("algorithm", ["trpo-maml", "trpo-dice"])
def test_what_the_trust_region_is_made_of_is_on_cuda_what_it_is_on_the_cpu(algorithm):
    """Not its step: ten conjugate gradients of a problem this small make of 1e-15 a tenth, on a CPU, too."""
    trainer, state = named(algorithm)
    state, rounds = double(state), double(sampled(trainer, state))
    found = []
    for place in ("cpu", "cuda"):
        on_place = on_device(state, place)
        data = trainer.task_data(on_place, [on_device(round_, place) for round_ in rounds])
        _, gradient, product = trainer.diagnosed_gradient(on_place.theta, data, curved=True)
        found.append((gradient, product(on_place.theta)))
    for here, there in zip(*found, strict=True):
        agree(there, here)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_checkpoint_of_cuda_needs_no_cuda(tmp_path):
    config = with_overrides(RunConfig(), SMALL)
    _, state = build(config, device="cuda")
    checkpoints.save(tmp_path, config, replace(state, iteration=1))
    found = checkpoints.latest(tmp_path)
    assert devices(found.state) == {"cpu"}
    assert devices(checkpoints.load(tmp_path, config, state)) == {"cuda"}
