"""The problem file of `metarl correlate exact`: a small MDP and the policies, as JSON, checked entry by entry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from metarl_cli.errors import UserError, unknown_name
from metarl_cli.estimators.enumeration import count_trajectories
from metarl_cli.estimators.oracles import TabularMDP

__all__ = ["EXAMPLE", "MAX_HORIZON", "MAX_TRAJECTORIES", "Problem", "load_problem", "parse_problem"]

MAX_TRAJECTORIES = 100_000
MAX_HORIZON = 1000

EXAMPLE: Mapping[str, Any] = MappingProxyType(
    {
        "transitions": [[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.9]]],
        "rewards": [[0.0, 1.0], [2.0, -1.0]],
        "start_state": 0,
        "horizon": 3,
        "discount": 0.9,
        "policy_logits": [[0.3, -0.2], [0.0, 0.5]],
        "behaviour_logits": [[0.0, 0.0], [0.0, 0.0]],
        "baseline": [1.0, 0.5],
    }
)
"""A problem of two states and two actions; the last two entries may be left out."""

_OPTIONAL = frozenset({"behaviour_logits", "baseline"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A small MDP with finite horizon and what is asked of it.

    Attributes:
        mdp: the MDP, float64.
        policy_logits: θ of π_θ, where the derivatives are taken, [S, A].
        behaviour_logits: those of μ for the off-policy rows, [S, A]; None for no such rows.
        baseline: b(s), [S].
    """

    mdp: TabularMDP
    policy_logits: Tensor
    behaviour_logits: Tensor | None
    baseline: Tensor


def load_problem(path: Path | str, *, max_trajectories: int = MAX_TRAJECTORIES) -> Problem:
    """Read a problem file.

    Raises:
        UserError: if the file cannot be read or is not JSON, and as `parse_problem`.
    """
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8; expected JSON.") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from None
    return parse_problem(fields, max_trajectories=max_trajectories)


def parse_problem(fields: object, *, max_trajectories: int = MAX_TRAJECTORIES) -> Problem:
    """Check the fields of a problem, of which `EXAMPLE` is one, and make tensors of them.

    Raises:
        UserError: if a key is unknown or missing, a value has the wrong type, shape or range, or the problem has more
            trajectories than may be enumerated.
    """
    checked = _check_keys(fields)
    rewards = _array(checked, "rewards", None, "[S][A]")
    states, actions = rewards.shape
    mdp = TabularMDP(
        transitions=_transitions(checked, states, actions),
        rewards=rewards,
        start_state=_integer(checked, "start_state", 0, states - 1),
        horizon=_integer(checked, "horizon", 1, MAX_HORIZON),
        discount=_unit_number(checked, "discount"),
    )
    _check_count(mdp, max_trajectories)
    has_behaviour, has_baseline = "behaviour_logits" in checked, "baseline" in checked
    return Problem(
        mdp=mdp,
        policy_logits=_array(checked, "policy_logits", (states, actions), "[S][A]"),
        behaviour_logits=_array(checked, "behaviour_logits", (states, actions), "[S][A]") if has_behaviour else None,
        baseline=_array(checked, "baseline", (states,), "[S]") if has_baseline else torch.zeros_like(rewards[:, 0]),
    )


def _check_keys(fields: object) -> Mapping[str, Any]:
    if not isinstance(fields, Mapping):
        raise UserError(f"The problem is a JSON {_kind(fields)}; expected an object with keys {', '.join(EXAMPLE)}.")
    for key in fields:
        if key not in EXAMPLE:
            raise unknown_name("key", key, EXAMPLE)
    missing = [key for key in EXAMPLE if key not in fields and key not in _OPTIONAL]
    if missing:
        raise UserError(f"Missing key(s): {', '.join(missing)}. Only {' and '.join(sorted(_OPTIONAL))} are optional.")
    return fields


def _array(fields: Mapping[str, Any], key: str, shape: tuple[int, ...] | None, letters: str) -> Tensor:
    """A tensor of finite numbers; without an expected shape any that has as many dimensions as letters, none empty."""
    dimensions = letters.count("[")
    found = _shape(fields[key])
    if found is None:
        raise UserError(f"{key}: expected numbers in lists {letters}, all lists of one level equally long.")
    if len(found) != dimensions or 0 in found or (shape is not None and found != shape):
        expected = f"{letters} = {list(shape)}, with S and A from rewards" if shape else f"{letters}, not empty"
        raise UserError(f"{key}: expected shape {expected}; got {list(found)}.")
    values = _tensor(key, fields[key])
    if not values.isfinite().all():
        raise UserError(f"{key}: every number must be finite; got NaN or infinity.")
    return values


def _tensor(key: str, value: Any) -> Tensor:
    try:
        return torch.tensor(value, dtype=torch.float64)
    except (OverflowError, RuntimeError):
        raise UserError(f"{key}: a number is too large for float64.") from None


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists of numbers, or None where they are ragged or hold something else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ()
    if not isinstance(value, list):
        return None
    shapes = {_shape(entry) for entry in value}
    if not shapes:
        return (0,)
    inner = shapes.pop()
    return None if shapes or inner is None else (len(value), *inner)


def _transitions(fields: Mapping[str, Any], states: int, actions: int) -> Tensor:
    transitions = _array(fields, "transitions", (states, actions, states), "[S][A][S]")
    if (transitions < 0).any():
        state, action, following = (transitions < 0).nonzero()[0].tolist()
        raise UserError(f"transitions[{state}][{action}][{following}] is negative; expected a probability.")
    sums = transitions.sum(dim=-1)
    wrong = ((sums - 1).abs() > 1e-6).nonzero().tolist()
    if wrong:
        state, action = wrong[0]
        raise UserError(f"transitions[{state}][{action}] sums to {sums[state, action]:.6g}; each row must sum to 1.")
    return transitions / sums[..., None]  # rows written with a few decimals sum to 1 only nearly


def _integer(fields: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = fields[key]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UserError(f"{key}: expected an integer from {low} to {high}; got {json.dumps(value)}.")
    return value


def _unit_number(fields: Mapping[str, Any], key: str) -> float:
    value = fields[key]
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise UserError(f"{key}: expected a number from 0 to 1; got {json.dumps(value)}.")
    return float(value)


def _check_count(mdp: TabularMDP, limit: int) -> None:
    count = count_trajectories(mdp)
    if count > limit:
        written = f"{count:,}" if count < 10**15 else f"about 10^{len(str(count)) - 1}"
        raise UserError(
            f"The problem has {written} trajectories; at most {limit:,} are enumerated. "
            "Choose a shorter horizon, fewer states or actions, or transitions with more zeros."
        )


def _kind(value: object) -> str:
    return {list: "array", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")
