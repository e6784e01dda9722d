"""The problem file of `metarl correlate exact`: a small MDP and the policies, as JSON, checked entry by entry."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from metarl_cli.errors import UserError, unknown_name
from metarl_cli.exact.enumeration import count_trajectories
from metarl_cli.exact.oracles import TabularMDP

__all__ = ["EXAMPLE", "MAX_TRAJECTORIES", "Problem", "load_problem", "parse_problem"]

MAX_TRAJECTORIES = 100_000
MAX_HORIZON = 1000
MAX_LOGITS = 1000
MAX_SIZE = 1e100

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


class _File(BaseModel):
    """The types and ranges of a problem file; how its shapes go together `_problem` checks."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    transitions: list[list[list[Annotated[float, Ge(0)]]]]
    rewards: list[list[float]]
    start_state: Annotated[int, Ge(0)]
    horizon: Annotated[int, Ge(1), Le(MAX_HORIZON)]
    discount: Annotated[float, Ge(0), Le(1)]
    policy_logits: list[list[float]]
    behaviour_logits: list[list[float]] | None = None
    baseline: list[float] | None = None


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
        text = Path(path).read_bytes()
        return _problem(_File.model_validate_json(text), max_trajectories)
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from None
    except ValidationError as error:
        raise _explained(error, str(path)) from None


def parse_problem(fields: object, *, max_trajectories: int = MAX_TRAJECTORIES) -> Problem:
    """Check the fields of a problem, of which `EXAMPLE` is one, and make tensors of them.

    Raises:
        UserError: if a key is unknown or missing, a value has the wrong type, shape or range, or the problem has more
            logits or trajectories than may be enumerated.
    """
    try:
        return _problem(_File.model_validate(dict(fields) if isinstance(fields, Mapping) else fields), max_trajectories)
    except ValidationError as error:
        raise _explained(error, "The problem") from None


def _explained(failure: ValidationError, source: str) -> UserError:
    """What was given and what is allowed, of the first entry that is wrong; missing keys all at once."""
    errors = failure.errors(include_url=False)
    missing = [str(error["loc"][0]) for error in errors if error["type"] == "missing"]
    unknown = [str(error["loc"][0]) for error in errors if error["type"] == "extra_forbidden"]
    if unknown:
        return unknown_name("key", unknown[0], EXAMPLE)
    if missing:
        return UserError(f"Missing key(s): {', '.join(missing)}. Only baseline and behaviour_logits are optional.")
    first = errors[0]
    if first["type"] == "json_invalid":
        return UserError(f"{source} is not valid JSON: {first['ctx']['error']}.")
    if not first["loc"]:
        return UserError(f"{source} is {_shown(first['input'])}; expected an object with keys {', '.join(EXAMPLE)}.")
    key, *indices = first["loc"]
    place = f"{key}{''.join(f'[{index}]' for index in indices)}"
    return UserError(f"{place}: {first['msg']}; got {_shown(first['input'])}.")


def _shown(value: object) -> str:
    """A scalar as JSON has it, or the kind of what is none."""
    if not isinstance(value, str | int | float | None):
        kind = type(value).__name__
        return {"dict": "an object", "list": "an array"}.get(kind, f"a {kind}")
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:30]}… ({len(text):,} characters)"


def _problem(file: _File, max_trajectories: int) -> Problem:
    size = (len(file.rewards), len(file.rewards[0]) if file.rewards else 0)
    states, actions = size
    if 0 in size:
        raise UserError(f"rewards: expected a row for each state and a number for each action; got {list(size)}.")
    logits = states * actions
    if logits > MAX_LOGITS:
        raise UserError(
            f"The policy has {states:,} states × {actions:,} actions = {logits:,} logits; at most {MAX_LOGITS:,} are "
            f"allowed: every trajectory has a Hessian of {logits:,}² numbers, {8 * logits**2 / 2**20:,.0f} MiB. "
            "Choose fewer states or actions."
        )
    rewards = _tensor("rewards", file.rewards, size, "[S][A]")
    if file.start_state >= states:
        raise UserError(f"start_state: expected 0 to {states - 1}, for {states} states; got {file.start_state}.")
    transitions = _tensor("transitions", file.transitions, (*size, states), "[S][A][S]")
    sums = transitions.sum(dim=-1)
    for state, action in ((sums - 1).abs() > 1e-6).nonzero().tolist()[:1]:
        raise UserError(f"transitions[{state}][{action}] sums to {sums[state, action]:.6g}; each row must sum to 1.")
    mdp = TabularMDP(
        transitions=transitions / sums[..., None],  # rows written with a few decimals sum to 1 only nearly
        rewards=rewards,
        start_state=file.start_state,
        horizon=file.horizon,
        discount=file.discount,
    )
    count = count_trajectories(mdp)
    if count > max_trajectories:
        written = f"{count:,}" if count < 10**15 else f"about 10^{math.floor(math.log10(count))}"
        raise UserError(
            f"The problem has {written} trajectories; at most {max_trajectories:,} are enumerated. "
            "Choose a shorter horizon, fewer states or actions, or transitions with more zeros."
        )
    behaviour, baseline = file.behaviour_logits, file.baseline
    return Problem(
        mdp=mdp,
        policy_logits=_tensor("policy_logits", file.policy_logits, size, "[S][A]"),
        behaviour_logits=None if behaviour is None else _tensor("behaviour_logits", behaviour, size, "[S][A]"),
        baseline=rewards.new_zeros(states) if baseline is None else _tensor("baseline", baseline, size[:1], "[S]"),
    )


def _tensor(key: str, values: Sequence[Any], shape: tuple[int, ...], letters: str) -> Tensor:
    expected = f"{key}: expected shape {letters} = {list(shape)}, with S and A from rewards"
    try:
        tensor = torch.tensor(values, dtype=torch.float64)
    except ValueError:
        raise UserError(f"{expected}; got lists of different lengths.") from None
    if tensor.shape != shape:
        raise UserError(f"{expected}; got {list(tensor.shape)}.")
    for index in (tensor.abs() > MAX_SIZE).nonzero().tolist()[:1]:
        place = f"{key}{''.join(f'[{i}]' for i in index)}"
        raise UserError(f"{place} is {tensor[tuple(index)]:g}; above {MAX_SIZE:g} the squares of returns overflow.")
    return tensor
