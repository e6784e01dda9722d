"""How long adaptation steps are, and rewards that make them as long as LVC's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_cases import sampled, small, with_estimator

from metarl_cli.config import RunConfig, with_overrides
from metarl_cli.errors import UserError
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.training import policies
from metarl_cli.training.build import build
from metarl_cli.training.step_lengths import distance, divergence, matched
from metarl_cli.types import for_task

REWARD_BASED = [
    name for name, estimator in ESTIMATORS.items() if "rewards" in estimator.needs and not estimator.per_action
]
SIZE = ("environment.name=Navigation", "sampling.tasks=6", "sampling.trajectories=8", "sampling.horizon=12")


def trained(*overrides, seed=1):
    """The state after two meta-iterations, and the rounds of a third."""
    trainer, state = build(with_overrides(RunConfig(seed=seed), [*SIZE, "policy.hidden=8", *overrides]))
    for iteration in range(2):
        state, _ = trainer.step(state, sampled(trainer, state, iteration))
    return state, sampled(trainer, state, 2)


@pytest.mark.parametrize("name", REWARD_BASED)
@pytest.mark.parametrize("steps", [1, 2])
def test_matched_steps_are_as_long_as_lvcs_on_the_same_batch(name, steps):
    inner = (*with_estimator(name), "inner.rewards=matched", f"inner.steps={steps}")
    state, rounds = trained(*inner)
    lvc, _ = build(with_overrides(RunConfig(), [*SIZE, "policy.hidden=8"]))
    reference = sampled(lvc, state, 2)
    assert torch.equal(rounds[0].trajectories.actions, reference[0].trajectories.actions)
    ratio = rounds[0].step.norm.mean() / reference[0].step.norm.mean()
    assert ratio.item() == pytest.approx(1.0, abs=0.15)  # of five other tasks each: in the mean, not in every batch
    for one in reference[0].step.norm / rounds[0].step.norm:
        assert 0.2 < one < 5.0


def test_released_steps_are_longer_than_matched_ones_by_what_the_rounds_say():
    """The one is the other, times the ratio of the measured steps: both are DiCE, in other units."""
    state, long = trained("inner.estimator=dice", "inner.rewards=released")
    fair, _ = build(
        with_overrides(RunConfig(), [*SIZE, "policy.hidden=8", "inner.estimator=dice", "inner.rewards=matched"])
    )
    lvc, _ = build(with_overrides(RunConfig(), [*SIZE, "policy.hidden=8"]))
    short, reference = sampled(fair, state, 2), sampled(lvc, state, 2)
    step_ratio = (long[0].step.norm.mean() / reference[0].step.norm.mean()).item()
    assert step_ratio > 1.5
    assert (long[0].step.norm.mean() / short[0].step.norm.mean()).item() == pytest.approx(step_ratio, rel=0.15)


def test_the_factor_of_a_task_does_not_depend_on_its_own_data():
    _, rounds = trained("inner.estimator=dice")
    own, reference = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0, 6.0])
    before = matched(rounds[0], own, reference).sample.rewards
    own[2], reference[2] = 100.0, 0.01
    after = matched(rounds[0], own, reference).sample.rewards
    for task in range(6):
        assert torch.equal(before[task], after[task]) == (task == 2)


def test_the_factor_is_a_ratio_of_sums_over_the_other_tasks():
    _, rounds = trained("inner.estimator=tmaml", "inner.control_variate=linear")
    own, reference = torch.arange(1.0, 7.0), torch.arange(7.0, 1.0, -1.0)
    scaled = matched(rounds[0], own, reference).sample
    for task in range(6):
        others = [j for j in range(6) if j != task]
        factor = reference[others].sum() / own[others].sum()
        torch.testing.assert_close(scaled.rewards[task], factor * rounds[0].sample.rewards[task])
        torch.testing.assert_close(scaled.control_variate[task], factor * rounds[0].sample.control_variate[task])
    assert torch.equal(scaled.advantages, rounds[0].sample.advantages)


def test_without_any_gradient_to_compare_with_rewards_stay():
    _, rounds = trained("inner.estimator=dice")
    scaled = matched(rounds[0], torch.zeros(6), torch.zeros(6))
    assert torch.equal(scaled.sample.rewards, rounds[0].sample.rewards)


def test_a_control_variate_per_action_is_scaled_too():
    state, rounds = trained("inner.estimator=tmaml", "inner.control_variate=per-task", "inner.rewards=matched")
    assert rounds[0].sample.control_variate.dim() == 4
    lvc, _ = build(with_overrides(RunConfig(), [*SIZE, "policy.hidden=8"]))
    ratio = rounds[0].step.norm.mean() / sampled(lvc, state, 2)[0].step.norm.mean()
    assert ratio.item() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_does_not_change_it(threads):
    overrides = (*SIZE, "inner.estimator=dice", "inner.rewards=matched")
    one, several = (build(with_overrides(RunConfig(), overrides), threads=n) for n in (1, threads))
    for left, right in zip(sampled(*one), sampled(*several), strict=True):
        assert torch.equal(left.sample.rewards, right.sample.rewards)


def test_one_task_has_no_others_to_take_a_length_from():
    with pytest.raises(UserError, match="at least 2"):
        small("sampling.tasks=1", "inner.estimator=dice", "inner.rewards=matched")


def test_a_step_is_measured_on_what_theta_sampled():
    state, rounds = trained("inner.steps=2")
    generator = torch.Generator().manual_seed(0)
    before = policies.repeat(state.theta, 6)
    after = {name: value + 0.1 * torch.randn(value.shape, generator=generator) for name, value in before.items()}
    mask = rounds[0].sample.mask.clone()
    mask[:, 1, 4:] = 0.0
    round_ = replace(rounds[0], sample=replace(rounds[0].sample, mask=mask))
    norms, divergences = distance(before, after), divergence(before, after, round_)
    for task in range(6):
        data = for_task(round_, task)
        pair = ({name: value[task] for name, value in params.items()} for params in (before, after))
        left, right = (policies.distribution(params, data.trajectories.observations) for params in pair)
        kl = policies.kl_divergence(left, right)
        assert divergences[task].item() == pytest.approx(kl[data.sample.mask > 0].mean().item(), rel=1e-5)
        moved = torch.cat([(after[name] - before[name])[task].flatten() for name in before])
        assert norms[task].item() == pytest.approx(moved.norm().item(), rel=1e-5)


def test_every_round_but_the_last_has_its_step():
    _, rounds = trained("inner.steps=2")
    assert [round_.step is None for round_ in rounds] == [False, False, True]
    assert all((round_.step.norm > 0).all() and (round_.step.kl > 0).all() for round_ in rounds[:-1])
