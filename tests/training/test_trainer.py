from __future__ import annotations

import copy
import math
import platform
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from torch import Tensor
from training_cases import adapt, at_params, in_float64, iterates, moved, sampled, small, with_estimator, with_inner

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.config import with_overrides
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.papers.settings import run_config
from metarl_cli.params import leaves
from metarl_cli.training import policies
from metarl_cli.training.adaptation import inner_step
from metarl_cli.training.build import build
from metarl_cli.training.objectives import stage_kl
from metarl_cli.training.trainer import TrainState
from metarl_cli.types import check_shape, for_task

TINY = ("sampling.tasks=3", "sampling.trajectories=4", "sampling.horizon=8", "policy.hidden=6,5")


def named(algorithm, environment="Navigation", *, overrides=(), threads=1):
    config = run_config(algorithm, environment, profile="smoke")
    return build(with_overrides(config, [*TINY, *overrides]), threads=threads)


def tensors(record):
    """Every tensor in a record, list or dict, however deep."""
    if isinstance(record, Tensor):
        yield record
    elif is_dataclass(record):
        for field in fields(record):
            yield from tensors(getattr(record, field.name))
    elif isinstance(record, dict):
        yield from (tensor for value in record.values() for tensor in tensors(value))
    elif isinstance(record, (list, tuple)):
        yield from (tensor for value in record for tensor in tensors(value))


def assert_same(one, other):
    left, right = list(tensors(one)), list(tensors(other))
    assert len(left) == len(right) > 0
    assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_step_moves_theta_and_leaves_what_it_was_given(algorithm):
    trainer, state = named(algorithm)
    rounds = sampled(trainer, state)
    before = copy.deepcopy((state, rounds))
    following, ascent = trainer.step(state, rounds)
    assert_same((state, rounds), before)
    assert following.iteration == state.iteration + 1 == 1
    assert any(not torch.equal(following.theta[name], state.theta[name]) for name in state.theta)
    data = trainer.task_data(state, rounds)
    assert ascent == (trainer.diagnose(state.theta, data), trainer.diagnose(following.theta, data))
    assert not any(tensor.requires_grad for tensor in tensors((following, rounds)))


@pytest.mark.parametrize("algorithm", [name for name, a in ALGORITHMS.items() if a.inner in ("dice", "tmaml")])
def test_products_of_ratios_stay_finite_away_from_what_sampled(algorithm):
    trainer, state = named(algorithm, overrides=("sampling.horizon=100",))
    recorded = with_inner(trainer, magic_box=False)
    (task, *_) = trainer.task_data(state, sampled(trainer, state))
    unlikely = [replace(r, sample=replace(r.sample, behaviour_logp=r.sample.behaviour_logp - 1.0)) for r in task.rounds]
    far = [task._replace(rounds=unlikely)]  # every ratio is e, a product of a hundred more than float32 can hold
    assert math.isfinite(trainer.diagnose(state.theta, far).kl[-1])
    assert not math.isfinite(recorded.diagnose(state.theta, far).kl[-1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_gives_the_same_bits_whatever_the_number_of_threads(algorithm):
    states = []
    for threads in (1, 2):
        trainer, state = named(algorithm, threads=threads)
        for iteration in range(2):
            state, _ = trainer.step(state, sampled(trainer, state, iteration))
        states.append(state)
    assert_same(*states)


def test_threads_change_no_bit_of_a_simulated_body_either():
    results = []
    for threads in (1, 2):
        trainer, state = named("promp", "HalfCheetahFwdBack", threads=threads)
        rounds = sampled(trainer, state)
        results.append((rounds, trainer.step(state, rounds)[0]))
    assert_same(results[0], results[1])


FREED_AND_TAKEN_AGAIN = """
import resource
from concurrent.futures import ThreadPoolExecutor
import torch
from metarl_cli.papers.settings import run_config
from metarl_cli.training.build import build

torch.set_num_threads(1)
build(run_config("promp", "Navigation", profile="smoke"), threads=2)

def work(_):
    for _ in range(10):
        kept = [torch.zeros(2**18) for _ in range(100)]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps its memory as it likes")
def test_threads_keep_what_they_free():
    """Twenty times a hundred megabytes, more than one piece of a heap, are 500,000 pages, if faulted in again."""
    found = subprocess.run([sys.executable, "-c", FREED_AND_TAKEN_AGAIN], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 2000


@pytest.mark.parametrize("algorithm", ["promp", "trpo-maml", "tmaml"])
def test_another_seed_gives_another_run(algorithm):
    (one, state), (other, other_state) = (named(algorithm, overrides=[f"seed={seed}"]) for seed in (1, 2))
    assert not torch.equal(state.theta["mean.weight"], other_state.theta["mean.weight"])
    data, other_data = sampled(one, state)[0].trajectories, sampled(other, state)[0].trajectories
    assert not torch.equal(data.actions, other_data.actions)
    assert not torch.equal(data.rewards, other_data.rewards)


def test_every_iteration_draws_other_tasks_and_other_noise():
    trainer, state = named("promp")
    tasks = [trainer.draw_tasks(iteration) for iteration in range(3)]
    assert len({task.tobytes() for task in tasks}) == 3
    rounds = [trainer.sample(state, tasks[0], iteration)[0].trajectories.actions for iteration in range(3)]
    assert not torch.equal(rounds[0], rounds[1])
    assert not torch.equal(rounds[1], rounds[2])
    assert torch.equal(trainer.sample(state, tasks[0], 1)[0].trajectories.actions, rounds[1])


def test_every_stage_has_noise_of_its_own():
    trainer, state = named("promp", overrides=["inner.steps=2", "inner.lr=1e-9"])
    noises = [(round_.trajectories.actions - round_.trajectories.behaviour.mean) for round_ in sampled(trainer, state)]
    assert not torch.allclose(noises[0], noises[1], atol=0.1)
    assert not torch.allclose(noises[1], noises[2], atol=0.1)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_round_is_sampled_by_the_policy_adapted_on_the_rounds_before(steps):
    trainer, state = small(f"inner.steps={steps}", "inner.lr=0.5")
    rounds = sampled(trainer, state)
    assert len(rounds) == steps + 1
    for task in range(trainer.tasks):
        data = [for_task(round_, task) for round_ in rounds]
        params = iterates(leaves(state.theta), data, trainer.parts.inner)
        for at, round_ in zip(params, data, strict=True):
            stage = at_params(at, round_)
            torch.testing.assert_close(stage.policy.mean, round_.trajectories.behaviour.mean, rtol=1e-4, atol=1e-5)
            log_std = round_.trajectories.behaviour.log_std.flatten()
            torch.testing.assert_close(at["log_std"], log_std, rtol=1e-4, atol=1e-5)
    first, last = rounds[0].trajectories.behaviour.log_std, rounds[-1].trajectories.behaviour.log_std
    assert torch.equal(first[0], first[1])
    assert not torch.allclose(last[0], last[1])


def test_sampling_adapts_as_the_meta_gradient_does_also_to_first_order():
    trainer, state = small("inner.steps=2")
    first_order = with_inner(trainer, first_order=True)
    assert_same(sampled(trainer, state), sampled(first_order, state))


@pytest.mark.parametrize("name", ["lvc", "dice", "tmaml"])
def test_an_inner_step_is_theta_plus_alpha_times_the_gradient_of_the_mean_over_steps(name):
    trainer, state = small(*with_estimator(name), "inner.lr=0.3")
    theta, data = in_float64(trainer, state, sampled(trainer, state))
    mask = torch.ones(1, 4, 5, dtype=torch.float64)
    mask[:, 1, 3:], mask[:, 2, 1:] = 0.0, 0.0
    round_ = data[0].rounds[0]
    round_ = replace(round_, sample=replace(round_.sample, mask=mask))
    at = leaves(theta)
    stage = at_params(at, round_)
    total = ESTIMATORS[name].surrogate(stage.logp, round_.sample) * 4.0  # surrogates average over the N trajectories
    gradients = torch.autograd.grad(total.sum() / mask.sum(), list(at.values()))
    adapted = inner_step(policies.repeat(theta, 1), round_, trainer.parts.inner, differentiable=False).following
    for (key, value), gradient in zip(at.items(), gradients, strict=True):
        torch.testing.assert_close(adapted[key][0], (value + 0.3 * gradient).detach())
        assert not adapted[key].requires_grad


@pytest.mark.parametrize("differentiable", [False, True])
def test_an_inner_step_leaves_what_it_was_given(differentiable):
    trainer, state = small()
    theta, data = in_float64(trainer, state, sampled(trainer, state))
    params, round_ = policies.repeat(theta, 1), data[0].rounds[0]
    before = copy.deepcopy((params, round_))
    step = inner_step(params, round_, trainer.parts.inner, differentiable=differentiable)
    if differentiable:
        step.product(params)
    assert_same((params, round_), before)


def test_one_step_on_what_was_sampled_improves_the_objective():
    trainer, state = named("promp", overrides=["sampling.trajectories=20", "outer.lr=0.003"])
    rounds = sampled(trainer, state)
    following, (before, after) = trainer.step(state, rounds)
    assert after.objective > before.objective
    assert 0.0 < after.kl[0] < 0.1
    assert following.iteration == 1


def test_training_learns_to_reach_the_goal():
    """ProMP on the navigation task: what adaptation gains is more after training than before."""
    overrides = ("sampling.tasks=8", "sampling.trajectories=8", "sampling.horizon=15", "outer.lr=0.02", "inner.lr=0.3")
    trainer, state = named("promp", overrides=overrides)

    def returns(at, stream):
        rounds = trainer.sample(at, trainer.draw_tasks(stream, 0), stream, 0)
        return [float(round_.trajectories.rewards.sum(-1).mean()) for round_ in rounds]

    untrained = [returns(state, stream) for stream in range(3)]
    for iteration in range(8):
        state, _ = trainer.step(state, sampled(trainer, state, iteration))
    trained = [returns(state, stream) for stream in range(3)]
    gains = [sum(post - pre for pre, post in pairs) / 3 for pairs in (untrained, trained)]
    assert sum(post for _, post in trained) > sum(post for _, post in untrained)
    assert gains[1] > gains[0]


def test_the_penalty_is_updated_with_the_divergences_before_the_last_stage_after_the_step():
    trainer, state = small("inner.steps=2", "outer.kl_target=0.01", "outer.kl_coefficient=0.001")
    following, ascent = trainer.step(state, sampled(trainer, state))
    expected = trainer.parts.objective.penalty.update(state.penalty, ascent.after.kl[:2])
    assert_same(following.penalty, expected)
    assert not torch.equal(following.penalty["coefficient"], state.penalty["coefficient"])


def test_on_the_corners_the_penalty_holds_the_policy_before_adaptation():
    """Ten times less divergence there, at the least, than with the released η, which penalises next to nothing."""
    moved_by = []
    for overrides in ([], ["outer.kl_coefficient=0.0005"]):
        config = run_config("promp", "PointCorner", profile="smoke")
        trainer, state = build(with_overrides(config, ["sampling.tasks=4", "policy.hidden=16,16", *overrides]))
        _, ascent = trainer.step(state, sampled(trainer, state))
        moved_by.append(ascent.after.kl[0])
    held, free = moved_by
    assert 0.0 < 10.0 * held < free


def test_divergences_are_means_over_unmasked_steps():
    trainer, state = small("environment.name=HopperRandParams", "sampling.horizon=60")
    rounds = sampled(trainer, state)
    assert 0.0 < rounds[0].sample.mask.mean() < 1.0
    theta, data = in_float64(trainer, state, rounds)
    at = moved(theta, 0.1)
    for task in data:
        stages = adapt(leaves(at), task.rounds, trainer.parts.inner)
        for value, stage, round_ in zip(stage_kl(stages, task.rounds), stages, task.rounds, strict=True):
            kl = policies.kl_divergence(round_.trajectories.behaviour, stage.policy)
            torch.testing.assert_close(value, kl[round_.sample.mask > 0].mean().reshape(1))


def test_the_control_variate_learns_after_its_predictions_were_used():
    """What it learns from an iteration's rounds is used from the next iteration on, and only θ⁰ … θᴷ⁻¹'s are seen."""
    trainer, state = named("tmaml")
    first = sampled(trainer, state)
    following, _ = trainer.step(state, first)
    assert any(not torch.equal(following.control_variate[k], v) for k, v in state.control_variate.items())
    relearned = replace(following, theta=state.theta)
    second = sampled(trainer, relearned)
    assert torch.equal(first[0].trajectories.actions, second[0].trajectories.actions)
    assert not torch.equal(first[0].sample.control_variate, second[0].sample.control_variate)


def test_the_control_variate_learns_from_the_rounds_before_the_last():
    """It serves the inner steps, and the last round has none."""
    trainer, state = named("tmaml", overrides=["inner.steps=2"])
    rounds = sampled(trainer, state)
    learned = trainer.step(state, rounds)[0].control_variate
    for stage in range(3):
        data = rounds[stage].trajectories
        other = [*rounds]
        other[stage] = replace(
            rounds[stage],
            trajectories=replace(data, rewards=data.rewards.flip(1) + 1.0),
            returns=rounds[stage].returns.flip(1) + 1.0,
        )
        relearned = trainer.step(state, other)[0].control_variate
        assert all(torch.equal(relearned[name], learned[name]) for name in learned) == (stage == 2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_state_is_tensors_and_a_number(algorithm):
    """So that a checkpoint can be loaded without running code."""
    _, state = named(algorithm)
    assert [field.name for field in fields(TrainState)] == list(
        ("theta", "optimizer_state", "control_variate", "penalty", "iteration")
    )
    for entries in (state.theta, state.optimizer_state, state.control_variate, state.penalty):
        assert all(type(key) is str and type(value) is Tensor for key, value in entries.items())
    assert type(state.iteration) is int


def test_for_task_takes_one_task_of_everything():
    trainer, state = small()
    (round_, _) = sampled(trainer, state)
    one = for_task(round_, 1)
    assert torch.equal(one.sample.advantages, round_.sample.advantages[1])
    assert torch.equal(one.trajectories.behaviour.mean, round_.trajectories.behaviour.mean[1])
    assert torch.equal(one.scale, round_.scale[1])
    assert one.sample.discount == round_.sample.discount
    assert one.sample.action_values is None
    assert len(list(tensors(one))) == len(list(tensors(round_)))


def test_shapes_are_checked_with_what_was_expected_and_given():
    check_shape("x", torch.zeros(2, 3), (2, 3))
    with pytest.raises(ValueError, match=r"x: expected shape \[3, 2\], got \[2, 3\]"):
        check_shape("x", torch.zeros(2, 3), (3, 2))
