"""Which parts go together: names that do not exist, and meaningless combinations, are refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from operator import mul
from types import MappingProxyType

from metarl_cli.circumstances import memory
from metarl_cli.config import InnerConfig, RunConfig, SamplingConfig
from metarl_cli.envs.own import check_environment
from metarl_cli.errors import UserError, check_known, unknown_name
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.estimators.own import OWN_ESTIMATOR, find_estimator
from metarl_cli.references import is_reference
from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.processing import MATCHED, REWARD_SCALINGS

__all__ = ["OBJECTIVE_NAMES", "OPTIMIZER_NAMES", "PER_ACTION_FORM", "check_composition", "sees_rewards"]

OBJECTIVE_NAMES = ("clipped", "vpg", "ratio", "dice")
OPTIMIZER_NAMES = ("adam", "sgd", "trpo")
AVERAGES = ("orders", "steps")

PARAMETER_BYTES = 4
STEP_BYTES = 5 * PARAMETER_BYTES
"""A step has at least an observation, an action, its log-probability, a reward and whether it counts."""

PER_ACTION_FORM: Mapping[str, str] = MappingProxyType({"tmaml": "tmaml_per_action"})
"""The estimators that can take a control variate per action dimension, and what they are called then."""


def check_composition(config: RunConfig) -> None:
    """Raise `UserError` for a name that does not exist or for parts that make no sense together."""
    inner, outer = config.inner, config.outer
    if is_reference(inner.estimator):
        find_estimator(inner.estimator)  # a function of the user's own, which has reasons of its own
    else:
        whole = [name for name, estimator in ESTIMATORS.items() if not estimator.per_action]
        if inner.estimator not in whole:
            raise UserError(f"{unknown_name('inner estimator', inner.estimator, whole)} {OWN_ESTIMATOR}")
    check_known("control variate", inner.control_variate, CONTROL_VARIATES)
    check_known("reward scaling", inner.rewards, REWARD_SCALINGS)
    check_known("average", inner.average, AVERAGES)
    check_known("outer objective", outer.objective, OBJECTIVE_NAMES)
    check_known("exploration term", outer.exploration, EXPLORATIONS)
    check_known("optimizer", outer.optimizer, OPTIMIZER_NAMES)
    check_environment(config.environment.name, config.environment.variant)
    for wrong, reason in (*_size_rules(config), *_inner_rules(inner, config.sampling), *_outer_rules(config)):
        if wrong:
            raise UserError(reason)


def sees_rewards(estimator: str, objective: str) -> bool:
    """Whether an inner estimator, or the outer objective, sees what `inner.rewards` scales."""
    return objective == "dice" or not {"rewards", "control_variate"}.isdisjoint(find_estimator(estimator).needs)


def _size_rules(config: RunConfig) -> list[tuple[bool, str]]:
    """What no memory of this machine could hold, by the least that it needs."""
    sampling, hidden, has = config.sampling, config.policy.hidden, memory()
    steps = sampling.tasks * sampling.trajectories * sampling.horizon * (config.inner.steps + 1)
    parameters = sampling.tasks * (hidden[0] + sum(map(mul, hidden, hidden[1:])) + hidden[-1])
    return [
        (
            STEP_BYTES * steps > has,
            f"sampling.tasks × sampling.trajectories × sampling.horizon × (inner.steps + 1) = {steps:,} steps need "
            f"{_gibibytes(STEP_BYTES * steps)} at least, and this machine has {_gibibytes(has)}: lower one of them.",
        ),
        (
            PARAMETER_BYTES * parameters > has,
            f"policy.hidden: {parameters:,} parameters for {sampling.tasks:,} tasks need "
            f"{_gibibytes(PARAMETER_BYTES * parameters)} at least, and this machine has {_gibibytes(has)}: lower one.",
        ),
    ]


def _gibibytes(count: float) -> str:
    return f"{count / 2**30:,.0f} GiB"


def _inner_rules(inner: InnerConfig, sampling: SamplingConfig) -> list[tuple[bool, str]]:
    variate, estimator = inner.control_variate, find_estimator(inner.estimator)
    uses_variate = "control_variate" in estimator.needs
    return [
        (
            uses_variate and variate == "none",
            f"{inner.estimator} subtracts a control variate, and there is none: set inner.control_variate to "
            "linear, meta or per-task, or take dice, which it is without.",
        ),
        (
            not uses_variate and variate != "none",
            f"{inner.estimator} has no use for the control variate {variate!r}: set inner.control_variate=none, or "
            "take an estimator that subtracts one, for instance tmaml.",
        ),
        (
            CONTROL_VARIATES[variate].per_action and inner.estimator not in PER_ACTION_FORM,
            f"{inner.estimator} has no form per action dimension, which the control variate {variate!r} needs: take "
            f"{', '.join(PER_ACTION_FORM)}, or another control variate.",
        ),
        (
            variate != "none" and sampling.trajectories < 2,
            f"The control variate {variate!r} is cross-fitted: sampling.trajectories must be at least 2, not "
            f"{sampling.trajectories}.",
        ),
        (
            estimator.pairs and sampling.trajectories < 2,
            f"{inner.estimator} couples each trajectory with the next: sampling.trajectories must be at least 2.",
        ),
        (
            inner.rewards == MATCHED and sampling.tasks < 2,
            "inner.rewards=matched takes the length of a task's step from the other tasks: sampling.tasks must be at "
            "least 2; or set inner.rewards=controlled.",
        ),
        (
            inner.dependence < 1.0 and not estimator.damped,
            f"{inner.estimator} has no dependence to damp: set inner.dependence=1, or take loaded_dice or taypo2.",
        ),
        (
            inner.average != "orders" and estimator.orders is None,
            f"{inner.estimator} has no orders, so both averages are one: set inner.average=orders, or take an "
            f"expansion, {', '.join(name for name, each in ESTIMATORS.items() if each.orders)}.",
        ),
    ]


def _outer_rules(config: RunConfig) -> list[tuple[bool, str]]:
    inner, outer, sampling = config.inner, config.outer, config.sampling
    data_reuse = outer.gradient_steps > 1 and outer.optimizer != "trpo"
    return [
        (
            inner.rewards != "controlled" and not sees_rewards(inner.estimator, outer.objective),
            f"{inner.estimator} sees advantages, and inner.rewards={inner.rewards} scales rewards: set "
            "inner.rewards=controlled, or take an estimator that sees rewards, for instance dice.",
        ),
        (
            CONTROL_VARIATES[config.inner.control_variate].per_action and outer.objective == "dice",
            "The dice objective needs log-probabilities of whole actions, and 'per-task' gives them "
            "per action dimension: take another objective or inner.control_variate=meta.",
        ),
        (
            outer.optimizer == "trpo" and outer.objective not in ("ratio", "dice"),
            f"trpo needs an objective whose value tells an improvement, ratio or dice; {outer.objective} has "
            + ("a constraint of its own." if outer.objective == "clipped" else "none."),
        ),
        (
            outer.objective == "vpg" and data_reuse,
            f"vpg has no importance ratio, so its data is good for one gradient step, not {outer.gradient_steps}: set "
            "outer.gradient_steps=1, or take ratio or clipped.",
        ),
        (
            outer.kl_target > 0 and outer.objective != "clipped",
            f"outer.kl_target adapts the penalty of the clipped objective; {outer.objective} has none.",
        ),
        (
            outer.exploration == "sgmrl_loo" and sampling.tasks < 2,
            "sgmrl_loo compares each task with the others: sampling.tasks must be at least 2.",
        ),
    ]
