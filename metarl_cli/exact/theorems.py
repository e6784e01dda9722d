"""The papers' theorems on small MDPs: numbers without Monte-Carlo error, computed when they are asked for.

All trajectories of `problem.EXAMPLE` are enumerated, for SG-MRL all batches of an even smaller MDP. One MDP refutes a
theorem; it does not prove one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import cast

import numpy as np
import torch
from torch import Tensor

from metarl_cli.estimators.reinforce import reinforce
from metarl_cli.exact.derivatives import derivatives
from metarl_cli.exact.enumeration import action_logp, enumerate_trajectories, probabilities, tabular_sample
from metarl_cli.exact.estimates import exact_rows
from metarl_cli.exact.meta_oracles import InnerLoop, sgmrl_gradient, sgmrl_value
from metarl_cli.exact.oracles import TabularMDP, gradient, random_mdp, state_values
from metarl_cli.exact.problem import EXAMPLE, parse_problem

__all__ = ["CHECKS"]

_GRADIENT, _HESSIAN = (1,), (2,)
_ORDERS = (1, 2)
_STEP_SIZE = 0.5


def _bias(estimator: str, orders: tuple[int, ...], policies: tuple[str, ...] = ("on",)) -> Callable[[], float]:
    """The largest ‖E[X] − truth‖ / ‖truth‖ of an estimator, over orders of the derivative and behaviour policies."""

    def number() -> float:
        rows = [row for row in _rows(estimator) if row["order"] in orders and row["policy"] in policies]
        return max(cast(float, row["bias_relative_frobenius"]) for row in rows)

    return number


def _sgmrl_bias(steps: int) -> Callable[[], float]:
    """‖E[estimate] − ∇V_ζ(θ)‖ / ‖∇V_ζ(θ)‖ of SG-MRL with ζ steps on batches of one trajectory."""

    def number() -> float:
        rng = np.random.default_rng(0)
        mdp = random_mdp(rng, states=2, actions=2, horizon=2, discount=0.9)
        logits = torch.from_numpy(rng.standard_normal((2, 2)))
        truth = sgmrl_gradient(logits, mdp, _loop(steps)).flatten()
        distance = (_expected_sgmrl(logits, mdp, steps) - truth).norm()
        return float(distance / truth.norm())

    return number


def _expected_sgmrl(logits: Tensor, mdp: TabularMDP, steps: int) -> Tensor:
    """The expectation of Eq. 39 term by term, [D]: each batch with its weight, Hessian and score.

    E_ζ(θ) = Σ_D P(D; θ) [(I + α ∇²J̃(θ, D)) E_{ζ−1}(θ_D) + V_{ζ−1}(θ_D) ∇ log P(D; θ)],  θ_D = θ + α ∇J̃(θ, D)
    """
    if steps == 0:
        return gradient(logits, mdp).flatten()
    states, actions = enumerate_trajectories(mdp)
    data = states[:, None], actions[:, None]
    logp = action_logp(logits, *data)
    gradients, hessians = derivatives(reinforce, logits, *data, tabular_sample(mdp, *data, logp, None))
    scores, _ = derivatives(lambda at, _: at.sum((-2, -1)), logits, *data, tabular_sample(mdp, *data, logp, None))
    estimate = torch.zeros_like(gradients[0])
    for weight, first, second, score in zip(
        probabilities(logits, mdp, states, actions), gradients, hessians, scores, strict=True
    ):
        adapted = logits + _STEP_SIZE * first.view_as(logits)
        following = _expected_sgmrl(adapted, mdp, steps - 1)
        credit = sgmrl_value(adapted, mdp, _loop(steps - 1)) * score
        estimate = estimate + weight * (following + _STEP_SIZE * second @ following + credit)
    return estimate


def _loop(steps: int) -> InnerLoop:
    return InnerLoop(surrogate=reinforce, step_size=_STEP_SIZE, trajectories=1, steps=steps)


CHECKS: Mapping[str, Callable[[], float]] = MappingProxyType(
    {
        "dice": _bias("dice", _ORDERS, ("on", "off")),
        "doubly-robust": _bias("doubly_robust", _ORDERS, ("on", "off")),
        "dice-hessian": _bias("dice", _HESSIAN),
        "reinforce-hessian": _bias("reinforce", _HESSIAN),
        "lvc-hessian": _bias("lvc", _HESSIAN),
        "taypo-1-gradient": _bias("lvc", _GRADIENT),
        "taypo-2-gradient": _bias("taypo2", _GRADIENT),
        "taypo-2-hessian": _bias("taypo2", _HESSIAN),
        "tmaml-printed-hessian": _bias("tmaml_printed", _HESSIAN),
        "tmaml-variance": lambda: _hessian_variance("tmaml_printed") / _hessian_variance("dice"),
        "sgmrl-one-step": _sgmrl_bias(1),
        "sgmrl-two-steps": _sgmrl_bias(2),
    }
)
"""`tmaml_printed` is J_DiCE + J_TMAML, and J_DiCE is unbiased: its bias is the expectation of ∇²J_TMAML."""


@cache
def _rows(estimator: str) -> tuple[Mapping[str, object], ...]:
    """With b(s) = V_0(s), the control variate that a critic would learn."""
    problem = parse_problem(EXAMPLE)
    values = state_values(problem.policy_logits, problem.mdp)[0]
    return tuple(exact_rows(replace(problem, baseline=values), [estimator]))


def _hessian_variance(estimator: str) -> float:
    """On-policy, of one trajectory's."""
    row = next(row for row in _rows(estimator) if row["policy"] == "on" and row["order"] == 2)
    return cast(float, row["variance"])
