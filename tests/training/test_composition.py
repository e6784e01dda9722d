from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.config import RunConfig, with_overrides
from metarl_cli.errors import UserError
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.papers.settings import TRAINING, run_config
from metarl_cli.profiles import PROFILES
from metarl_cli.training.build import OBJECTIVES, OPTIMIZERS, build
from metarl_cli.training.composition import PER_ACTION_FORM, check_composition
from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.processing import REWARD_SCALINGS

SMALL = (
    "environment.name=Navigation",
    "sampling.tasks=2",
    "sampling.trajectories=2",
    "sampling.horizon=3",
    "policy.hidden=2",
)


INNER = [name for name, estimator in ESTIMATORS.items() if not estimator.per_action]


def small(*overrides):
    return with_overrides(RunConfig(), [*SMALL, "outer.gradient_steps=1", *overrides])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_named_algorithm_goes_together_everywhere(algorithm):
    for environment, profile in product(TRAINING, PROFILES):
        check_composition(run_config(algorithm, environment, profile=profile))


REGISTRIES = {
    "inner.estimator": ESTIMATORS,
    "inner.control_variate": CONTROL_VARIATES,
    "inner.rewards": REWARD_SCALINGS,
    "outer.objective": OBJECTIVES,
    "outer.exploration": EXPLORATIONS,
    "outer.optimizer": OPTIMIZERS,
}


@pytest.mark.parametrize("key", REGISTRIES)
def test_a_name_that_does_not_exist_is_refused_with_its_nearest_match(key):
    nearest = sorted(REGISTRIES[key])[0]
    with pytest.raises(UserError, match=f"Unknown .*Did you mean '{nearest}'"):
        check_composition(small(f"{key}={nearest}x"))
    with pytest.raises(UserError, match="Unknown"):
        check_composition(small(f"{key}=zzz"))


def test_a_file_without_its_function_says_how_one_is_named():
    with pytest.raises(UserError, match=r"Unknown inner estimator 'mine\.py'.* path/file\.py:function"):
        check_composition(small("inner.estimator=mine.py"))


@pytest.mark.parametrize("override", ["environment.name=Navigatoin", "environment.variant=squarred"])
def test_environments_and_variants_that_do_not_exist_are_refused(override):
    with pytest.raises(UserError, match=r"Did you mean '(Navigation|squared)'"):
        check_composition(small(override))


REFUSED = [
    (("inner.estimator=tmaml",), "there is none: set inner.control_variate"),
    (("inner.estimator=doubly_robust",), "there is none"),
    (("inner.estimator=lvc", "inner.control_variate=meta"), "no use for the control variate 'meta'"),
    (("inner.estimator=dice", "inner.control_variate=linear"), "no use for"),
    (("inner.estimator=doubly_robust", "inner.control_variate=per-task"), "no form per action dimension"),
    (("inner.estimator=tmaml", "inner.control_variate=per-task", "outer.objective=dice"), "log-probabilities of whole"),
    (("inner.estimator=tmaml", "inner.control_variate=meta", "sampling.trajectories=1"), "cross-fitted"),
    (
        ("inner.rewards=released",),
        "lvc sees advantages, and inner.rewards=released scales rewards: set",
    ),
    (("inner.estimator=taypo2", "inner.rewards=matched"), "taypo2 sees advantages"),
    (("outer.optimizer=trpo",), "clipped has a constraint of its own"),
    (("outer.optimizer=trpo", "outer.objective=vpg"), "vpg has none"),
    (("outer.objective=vpg", "outer.gradient_steps=3"), "good for one gradient step, not 3"),
    (("outer.objective=ratio", "outer.kl_target=0.01"), "adapts the penalty of the clipped objective"),
    (("outer.exploration=sgmrl_loo", "sampling.tasks=1"), "at least 2"),
    (("inner.average=steps",), "lvc has no orders, so both averages are one: set inner.average=orders, .* taypo2"),
    (("inner.estimator=dice", "inner.average=steps"), "dice has no orders"),
]


@pytest.mark.parametrize(("overrides", "message"), REFUSED)
def test_a_combination_that_makes_no_sense_is_refused_with_its_reason(overrides, message):
    with pytest.raises(UserError, match=message):
        check_composition(small(*overrides))


def test_an_expansion_may_be_averaged_over_steps():
    check_composition(small("inner.estimator=taypo2", "inner.average=steps"))


@pytest.mark.parametrize("rewards", REWARD_SCALINGS)
def test_rewards_that_the_outer_objective_alone_sees_may_be_scaled(rewards):
    check_composition(small(f"inner.rewards={rewards}", "outer.objective=dice"))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", INNER)
def test_a_scaling_of_rewards_is_refused_where_it_changes_nothing_and_only_there(name, objective):
    variate = "linear" if "control_variate" in ESTIMATORS[name].needs else "none"
    parts = (f"inner.estimator={name}", f"inner.control_variate={variate}", f"outer.objective={objective}")
    trainer, state = build(small(*parts))
    thetas = []
    for scaling in (trainer.processing.scaling, REWARD_SCALINGS["released"]):
        scaled = replace(trainer, processing=replace(trainer.processing, scaling=scaling))
        following, _ = scaled.step(state, scaled.sample(state, scaled.draw_tasks(0), 0))
        thetas.append(following.theta)
    asked = small(*parts, "inner.rewards=released")
    if all(torch.equal(value, thetas[1][key]) for key, value in thetas[0].items()):
        with pytest.raises(UserError, match=f"{name} sees advantages"):
            check_composition(asked)
    else:
        check_composition(asked)


def test_the_coupled_estimator_needs_two_trajectories():
    pairs = [name for name, estimator in ESTIMATORS.items() if estimator.pairs]
    assert pairs
    for name in pairs:
        with pytest.raises(UserError, match="at least 2"):
            check_composition(
                small(f"inner.estimator={name}", "inner.control_variate=linear", "sampling.trajectories=1")
            )


def test_build_checks_what_it_is_given():
    with pytest.raises(UserError, match="there is none"):
        build(small("inner.estimator=tmaml"))


def runs(*overrides):
    """Whether one meta-iteration ends well; False if the combination is refused."""
    config = small(*overrides)
    try:
        check_composition(config)
    except UserError:
        return False
    trainer, state = build(config)
    following, _ = trainer.step(state, trainer.sample(state, trainer.draw_tasks(0), 0))
    assert all(bool(torch.isfinite(value).all()) for value in following.theta.values())
    return True


@pytest.mark.parametrize("rewards", REWARD_SCALINGS)
@pytest.mark.parametrize("variate", CONTROL_VARIATES)
def test_inner_parts_that_are_not_refused_run(variate, rewards):
    parts = (f"inner.control_variate={variate}", f"inner.rewards={rewards}", "outer.objective=vpg")
    assert any([runs(f"inner.estimator={name}", *parts) for name in INNER])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("variate", ["none", "per-task"])
def test_outer_parts_that_are_not_refused_run(variate, optimizer):
    inner = (f"inner.estimator={'lvc' if variate == 'none' else 'tmaml'}", f"inner.control_variate={variate}")
    parts = (*inner, f"outer.optimizer={optimizer}")
    assert any(
        [runs(f"outer.objective={o}", f"outer.exploration={e}", *parts) for o in OBJECTIVES for e in EXPLORATIONS]
    )


@pytest.mark.parametrize("name", PER_ACTION_FORM)
def test_forms_per_action_dimension_are(name):
    assert not ESTIMATORS[name].per_action
    assert ESTIMATORS[PER_ACTION_FORM[name]].per_action
