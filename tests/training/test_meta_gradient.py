from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from training_cases import (
    adapt,
    at_params,
    double,
    in_float64,
    inner_product,
    iterates,
    moved,
    penalised,
    sampled,
    slope,
    small,
    with_estimator,
    with_inner,
    with_objective,
)

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.config import OuterConfig, with_overrides
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.papers.settings import run_config
from metarl_cli.params import leaves
from metarl_cli.training import policies
from metarl_cli.training.build import OBJECTIVES, build
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.meta_gradient import TaskData, objective
from metarl_cli.training.objectives import Objective, Penalty, clipped, ratio
from metarl_cli.training.policies import kl_divergence
from metarl_cli.types import for_task

INNER = {name: with_estimator(name) for name, estimator in ESTIMATORS.items() if not estimator.per_action}
INNER["tmaml, per action"] = ("inner.estimator=tmaml", "inner.control_variate=per-task")
REFUSED = ("tmaml, per action", "dice")
TIES = {"truncated_dr"}
"""Not differentiable where ρ = ρ̄: at the θ that sampled."""
PAIRS = [(inner, objective) for inner in INNER for objective in OBJECTIVES if (inner, objective) != REFUSED]


@cache
def problem(inner, steps, *overrides):
    # Reward-based estimators take long steps: with a small α the objective bends little enough for differences.
    trainer, state = small(*INNER[inner], f"inner.steps={steps}", "inner.lr=0.02", *overrides)
    return trainer, *in_float64(trainer, state, sampled(trainer, state))


def check_gradient(trainer, theta, data):
    """Against finite differences of the objective, along two random directions: every parameter is in both."""
    gradient = trainer.meta_gradient(theta, data)
    for seed in (11, 12):
        direction = moved({name: torch.zeros_like(value) for name, value in theta.items()}, 1.0, seed)
        expected = slope(lambda at: trainer.diagnose(at, data).objective, theta, direction)
        assert abs(expected) > 1e-4
        assert inner_product(gradient, direction) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("inner", "name"), [pair for pair in PAIRS])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_it_is_the_derivative_of_the_objective_away_from_the_sampling_policy(inner, steps, name):
    trainer, theta, data = problem(inner, steps)
    trainer = with_objective(trainer, OBJECTIVES[name](OuterConfig(clip=0.05)))
    check_gradient(trainer, moved(theta, 0.05), penalised(data, steps, 0.7))


@pytest.mark.parametrize(("inner", "name"), [pair for pair in PAIRS if pair[0] not in TIES])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_it_is_the_derivative_of_the_objective_at_the_sampling_policy(inner, steps, name):
    trainer, theta, data = problem(inner, steps)
    check_gradient(with_objective(trainer, OBJECTIVES[name](OuterConfig())), theta, data)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_exploration_terms_are_differentiated_through_every_stage(exploration, steps):
    trainer, theta, data = problem("reinforce", steps, f"outer.exploration={exploration}")
    check_gradient(trainer, theta, data)
    check_gradient(trainer, moved(theta, 0.05), data)


@pytest.mark.parametrize("environment", ["PointWalls", "Toy1D", "HalfCheetahRandVel", "HopperRandParams"])
def test_other_environments_and_masks(environment):
    trainer, theta, data = problem("lvc", 1, f"environment.name={environment}", "sampling.horizon=20")
    check_gradient(trainer, theta, data)
    check_gradient(trainer, moved(theta, 0.02), data)


def first_order_by_hand(trainer, theta, task):
    """Σ_k ∇_{θ^k} J at constant θ⁰ … θᴷ: what is left of the chain rule where every Jacobian is I."""
    constant = [leaves(params) for params in iterates(leaves(theta), task.rounds, trainer.parts.inner)]
    cut = [at_params(params, round_) for params, round_ in zip(constant, task.rounds, strict=True)]
    flat = [tensor for params in constant for tensor in params.values()]
    gradients = torch.autograd.grad(objective(cut, task, trainer.parts)[0], flat, allow_unused=True)
    parts = [torch.zeros_like(leaf) if part is None else part for leaf, part in zip(flat, gradients, strict=True)]
    return {name: sum(parts[i :: len(theta)]) for i, name in enumerate(theta)}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_first_order_takes_the_jacobian_for_the_identity(steps, name):
    trainer, theta, data = problem("lvc", steps, "inner.first_order=true")
    trainer = with_objective(trainer, OBJECTIVES[name](OuterConfig()))
    data = penalised(data, steps, 0.7)
    theta = moved(theta, 0.05)
    gradient = trainer.meta_gradient(theta, data)
    by_hand = [first_order_by_hand(trainer, theta, task) for task in data]
    second_order = with_inner(trainer, first_order=False).meta_gradient(theta, data)
    for name, value in gradient.items():
        torch.testing.assert_close(value, sum(part[name] for part in by_hand) / len(by_hand), rtol=1e-12, atol=1e-14)
    assert any((gradient[name] - second_order[name]).abs().max() > 1e-4 for name in theta)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_promps_first_gradient_is_the_unclipped_one(steps):
    """At the θ that sampled, neither the clip nor the penalty has a gradient; elsewhere both have."""
    trainer, theta, data = problem("lvc", steps)
    data = penalised(data, steps, 1.0)
    bounded = Objective(value=partial(clipped, epsilon=0.01), penalty=Penalty(coefficient=1.0))
    promp, plain = with_objective(trainer, bounded), with_objective(trainer, Objective(value=ratio))
    first, unclipped = promp.meta_gradient(theta, data), plain.meta_gradient(theta, data)
    for name, value in first.items():
        torch.testing.assert_close(value, unclipped[name], rtol=1e-10, atol=1e-12)
    elsewhere = moved(theta, 0.05)
    second, unclipped = promp.meta_gradient(elsewhere, data), plain.meta_gradient(elsewhere, data)
    assert any((second[name] - unclipped[name]).abs().max() > 1e-3 for name in theta)


def test_promp_without_bounds_is_the_ratio_everywhere():
    trainer, theta, data = problem("lvc", 2)
    unbounded = Objective(value=partial(clipped, epsilon=1e9), penalty=Penalty(coefficient=0.0))
    promp, plain = with_objective(trainer, unbounded), with_objective(trainer, Objective(value=ratio))
    data = penalised(data, 2, 0.0)
    for at in (theta, moved(theta, 0.1)):
        torch.testing.assert_close(promp.meta_gradient(at, data), plain.meta_gradient(at, data), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_float32_agrees_with_float64(name):
    trainer, state = small("inner.steps=2", f"outer.objective={name}")
    data = trainer.task_data(state, sampled(trainer, state))
    exact = trainer.meta_gradient(*in_float64(trainer, state, sampled(trainer, state)))
    for name, value in trainer.meta_gradient(state.theta, data).items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), exact[name], rtol=1e-3, atol=1e-5)


def test_it_is_the_mean_over_tasks():
    trainer, theta, data = problem("lvc", 1)
    whole = trainer.meta_gradient(theta, data)
    parts = [trainer.meta_gradient(theta, [task]) for task in data]
    for name, value in whole.items():
        torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2.0, rtol=1e-12, atol=1e-15)
        assert not torch.equal(parts[0][name], parts[1][name])


@pytest.mark.parametrize("per_task_scale", [0.5, 3.0])
def test_lvc_and_reinforce_have_one_gradient_and_two_hessians(per_task_scale):
    """On-policy the inner gradients are equal, so the adapted policies are; the meta-gradients are not."""
    (lvc, theta, data), (reinforce, _, _) = problem("lvc", 1), problem("reinforce", 1)
    scaled = [
        replace(r, sample=replace(r.sample, advantages=per_task_scale * r.sample.advantages)) for r in data[0].rounds
    ]
    adapted = [iterates(leaves(theta), scaled, t.parts.inner)[-1] for t in (lvc, reinforce)]
    torch.testing.assert_close(*adapted, rtol=1e-12, atol=1e-14)
    task = data[0]._replace(rounds=scaled)
    plain = [with_objective(t, Objective(value=ratio)) for t in (lvc, reinforce)]
    gradients = [t.meta_gradient(theta, [task]) for t in plain]
    assert any((gradients[0][name] - gradients[1][name]).abs().max() > 1e-4 for name in theta)


@pytest.mark.parametrize("steps", [1, 2])
def test_at_the_sampling_policy_every_divergence_is_zero(steps):
    trainer, theta, data = problem("lvc", steps)
    assert trainer.diagnose(theta, data).kl == pytest.approx([0.0] * (steps + 1), abs=1e-14)
    assert min(trainer.diagnose(moved(theta, 0.1), data).kl) > 1e-3


def test_masked_steps_have_no_part_in_it():
    """Whatever stands in the cells after the end of an episode, the meta-gradient is the same."""
    trainer, theta, data = problem("lvc", 2)
    mask = torch.ones(1, 4, 5, dtype=torch.float64)
    mask[:, 1, 3:], mask[:, 2, 1:] = 0.0, 0.0

    def ended(task, noise):
        def fill(tensor):
            cells = mask.reshape(*mask.shape, *(1,) * (tensor.dim() - 3))
            return torch.where(cells > 0, tensor, noise * torch.ones_like(tensor))

        rounds = []
        for round_ in task.rounds:
            t, s = round_.trajectories, round_.sample
            filled = {"observations": fill(t.observations), "actions": fill(t.actions), "mask": mask}
            hidden = {"advantages": fill(s.advantages), "behaviour_logp": fill(s.behaviour_logp), "mask": mask}
            rounds.append(replace(round_, trajectories=replace(t, **filled), sample=replace(s, **hidden)))
        return task._replace(rounds=rounds)

    one, other = ([ended(task, noise) for task in data] for noise in (0.0, 0.7))
    for at in (theta, moved(theta, 0.05)):
        torch.testing.assert_close(
            trainer.meta_gradient(at, one), trainer.meta_gradient(at, other), rtol=1e-12, atol=0.0
        )


def test_masks_are_counted_out_of_the_means():
    """Two trajectories that ended at once weigh nothing: the same as the others alone, but for the number of steps."""
    trainer, theta, data = problem("lvc", 1)
    mask = torch.ones(1, 4, 5, dtype=torch.float64)
    mask[:, 2:] = 0.0

    def cut(record, rows):
        return replace(record, **{f: getattr(record, f)[:, rows] for f in fields_of(record)})

    def fields_of(record):
        names = record.__slots__
        return [n for n in names if isinstance(getattr(record, n), torch.Tensor) and getattr(record, n).dim() >= 3]

    def masked(round_):
        t, s = replace(round_.trajectories, mask=mask), replace(round_.sample, mask=mask)
        return replace(round_, trajectories=t, sample=s)

    def halved(round_):
        behaviour = replace(round_.trajectories.behaviour, mean=round_.trajectories.behaviour.mean[:, :2])
        t = replace(cut(round_.trajectories, slice(2)), behaviour=behaviour)
        return replace(round_, trajectories=t, sample=cut(round_.sample, slice(2)))

    with_mask = [task._replace(rounds=[masked(r) for r in task.rounds]) for task in data]
    without = [task._replace(rounds=[halved(r) for r in task.rounds]) for task in data]
    at = moved(theta, 0.05)
    torch.testing.assert_close(
        trainer.meta_gradient(at, with_mask), trainer.meta_gradient(at, without), rtol=1e-10, atol=1e-13
    )


def test_the_stage_is_what_the_objective_sees():
    _, theta, data = problem("lvc", 1)
    stage = at_params(theta, data[0].rounds[0])
    torch.testing.assert_close(stage.logp, data[0].rounds[0].trajectories.behaviour_logp, rtol=1e-12, atol=0.0)


def test_double_leaves_nothing_in_single():
    trainer, state = small()
    rounds = double(sampled(trainer, state))
    assert rounds[0].sample.advantages.dtype == rounds[1].trajectories.behaviour.mean.dtype == torch.float64


def by_autograd(trainer, theta, task):
    at = leaves(theta)
    value, _ = objective(adapt(at, task.rounds, trainer.parts.inner), task, trainer.parts)
    return dict(zip(at, torch.autograd.grad(value.sum(), [*at.values()]), strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_by_hand_it_is_what_automatic_differentiation_gives(algorithm, steps):
    settings = (f"inner.steps={steps}", "sampling.tasks=3", "sampling.trajectories=5", "sampling.horizon=8")
    trainer, state = build(with_overrides(run_config(algorithm, "Navigation", profile="smoke"), settings))
    theta, data = in_float64(trainer, state, sampled(trainer, state))
    theta = moved(theta, 0.01)
    for task in data:
        by_hand, expected = trainer.meta_gradient(theta, [task]), by_autograd(trainer, theta, task)
        assert list(by_hand) == list(theta)
        for name, value in by_hand.items():
            assert (value - expected[name]).norm() <= 1e-12 * expected[name].norm()


@pytest.mark.parametrize("size", [1, 2, 6])
def test_it_does_not_matter_which_tasks_are_differentiated_together(size):
    """Bit by bit, or the number of threads would."""
    trainer, state = small("sampling.tasks=6", "inner.steps=2")
    rounds = sampled(trainer, state)
    together = [
        TaskData([for_task(r, slice(i, i + size)) for r in rounds], torch.zeros(size), penalty=state.penalty)
        for i in range(0, 6, size)
    ]
    alone = trainer.meta_gradient(state.theta, trainer.task_data(state, rounds))
    assert all(torch.equal(value, alone[name]) for name, value in trainer.meta_gradient(state.theta, together).items())


@pytest.mark.parametrize(("name", "asked"), [("ratio", 0), ("vpg", 0), ("dice", 0), ("clipped", 2)])
def test_a_gradient_takes_divergences_only_for_a_penalty(monkeypatch, name, asked):
    trainer, theta, data = problem("lvc", 2)
    taken = []
    monkeypatch.setattr(policies, "kl_divergence", lambda old, new: taken.append(1) or kl_divergence(old, new))
    with_objective(trainer, OBJECTIVES[name](OuterConfig())).meta_gradient(theta, penalised(data[:1], 2, 0.7))
    assert len(taken) == asked
