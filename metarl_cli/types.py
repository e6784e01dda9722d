"""The vocabulary of the project: parameters, trajectories, samples, and the letters of their shapes.

    M  tasks                 S  observation size
    N  trajectories per task A  action size
    T  steps                 K  adaptation steps

A shape is written `[M, N, T]`; `[..., N, T]` means any leading dimensions. Parameters are dicts of tensors; adapted
ones carry a leading M. `mask[..., N, T]` is 1 until the episode has ended and 0 after: a trajectory always has T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeAlias, TypeVar, cast

import torch
from torch import Tensor

__all__ = [
    "Gaussian",
    "Params",
    "Round",
    "Sample",
    "Step",
    "Surrogate",
    "Trajectories",
    "check_shape",
    "each_tensor",
    "for_task",
    "joined",
    "on_device",
]

Params: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What an inner surrogate may see besides log π_θ: data, never part of the graph of θ.

    Attributes:
        behaviour_logp: log μ(aₜ|sₜ) of the policy that acted, [..., N, T].
        rewards: rₜ, zero after the end of an episode, [..., N, T].
        advantages: Aₜ = Gₜ − bₜ or an estimate of it, zero after the end, [..., N, T].
        control_variate: bₜ, a baseline that does not depend on aₜ, zero after the end, [..., N, T]; estimators that
            work per action dimension take [..., N, T, A].
        mask: 1 until the episode has ended, [..., N, T].
        discount: γ in the weights γᵗ. Training with the released normalisation sets 1: the discount is then already
            in the advantages or in the rewards.
        action_values: Q(sₜ, aₜ) of a critic, [..., N, T]; only `doubly_robust` and its truncated form look at it.
        policy_values: Q(sₜ, π_θ) = Σₐ π_θ(a|sₜ) Q(sₜ, a), [..., N, T]; the one entry that carries the graph of θ.
    """

    behaviour_logp: Tensor
    rewards: Tensor
    advantages: Tensor
    control_variate: Tensor
    mask: Tensor
    discount: float = 1.0
    action_values: Tensor | None = None
    policy_values: Tensor | None = None


Surrogate: TypeAlias = Callable[[Tensor, Sample], Tensor]
"""`surrogate(logp, sample)`: a value to ascend, [...], whose derivatives in θ are the estimates; `logp[..., N, T]`."""


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A diagonal Gaussian: `mean[..., A]` and `log_std`, which broadcasts against it."""

    mean: Tensor
    log_std: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectories:
    """What `collect` returns, before any return or advantage is computed.

    Attributes:
        observations: sₜ, [M, N, T, S].
        actions: aₜ as the policy drew them, before scaling to the environment's range, [M, N, T, A].
        rewards: rₜ, zero after the end, [M, N, T].
        mask: 1 until the episode has ended, [M, N, T].
        behaviour: the policy that acted at each step, mean [M, N, T, A] and log_std [M, 1, 1, A].
        behaviour_logp: log μ(aₜ|sₜ), [M, N, T].
        success: 1 where the task was accomplished at some step, [M, N]; None if the environment does not say.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    mask: Tensor
    behaviour: Gaussian
    behaviour_logp: Tensor
    success: Tensor | None = None

    @property
    def undiscounted_returns(self) -> Tensor:
        """Σₜ rₜ, in double precision, [M, N]."""
        return self.rewards.double().sum(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far an adaptation step went, per task.

    Attributes:
        norm: ‖θ′ − θ‖, [M].
        kl: D_KL(π_θ ‖ π_θ′), the mean over the steps that θ sampled, [M].
    """

    norm: Tensor
    kl: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One adaptation stage: the trajectories of all tasks and what the objectives see of them.

    Attributes:
        trajectories: what was sampled.
        sample: what the surrogates see of it.
        returns: Gₜ, the discounted rewards from t on, [M, N, T].
        scale: σ, the deviation of the advantages of each task before they were normalised, [M].
        predicted: b, what the control variate predicts of the returns, [M, N, T] or [M, N, T, A]; zeros without one,
            and None in studies that do not record it.
        step: the adaptation step that was taken on it; None for the last round, which none follows.
    """

    trajectories: Trajectories
    sample: Sample
    returns: Tensor
    scale: Tensor
    predicted: Tensor | None = None
    step: Step | None = None


Record = TypeVar("Record")


def for_task(record: Record, task: int | slice) -> Record:
    """The record of one task or several: every tensor indexed along its leading M."""
    return each_tensor(record, lambda tensor: tensor[task])


def joined(records: Sequence[Record]) -> Record:
    """Records of some tasks each as one of all: tensors concatenated along their leading M; other entries as in all."""
    parts: Sequence[Any] = records
    whole: Any = parts[0]
    if isinstance(whole, Tensor):
        whole = torch.cat([*parts])
    elif is_dataclass(whole) and not isinstance(whole, type):
        whole = replace(whole, **{f.name: joined([getattr(part, f.name) for part in parts]) for f in fields(whole)})
    return cast(Record, whole)


def on_device(record: Record, device: torch.device | str) -> Record:
    """The record, or a dict of tensors, on a device; tensors that are there already are not copied."""
    return each_tensor(record, lambda tensor: tensor.to(device))


def each_tensor(record: Record, function: Callable[[Tensor], Tensor]) -> Record:
    """A record, or a dict, with the function of every tensor in it, recursively; other entries as they are."""
    value: Any = record
    if isinstance(value, Tensor):
        value = function(value)
    elif isinstance(value, dict):
        value = {name: each_tensor(entry, function) for name, entry in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        value = replace(value, **{f.name: each_tensor(getattr(value, f.name), function) for f in fields(value)})
    return cast(Record, value)


def check_shape(name: str, tensor: Tensor, expected: tuple[int, ...] | torch.Size) -> None:
    """Raise `ValueError` unless the tensor has exactly the expected shape."""
    if tuple(tensor.shape) != tuple(expected):
        raise ValueError(f"{name}: expected shape {list(expected)}, got {list(tensor.shape)}.")
