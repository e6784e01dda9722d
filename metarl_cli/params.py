"""Parameters as one thing: cut off, made a vector and back, stacked over tasks, moved along a direction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from metarl_cli.types import Params

__all__ = ["ascend", "flatten", "join", "leaves", "mean", "stack", "unflatten"]


def leaves(params: Params) -> Params:
    """The same numbers, cut from whatever made them: a gradient with respect to exactly these tensors can be taken."""
    return {name: value.detach().requires_grad_() for name, value in params.items()}  # see above


def flatten(params: Params) -> Tensor:
    """All numbers as one vector [D], parameter by parameter in the order of the dict."""
    return torch.cat([value.flatten() for value in params.values()])


def unflatten(vector: Tensor, like: Params) -> Params:
    """The parameters whose `flatten` the vector is, with the names and shapes of others."""
    parts = torch.split(vector, [value.numel() for value in like.values()])
    return {name: part.reshape(value.shape) for (name, value), part in zip(like.items(), parts, strict=True)}


def stack(several: Sequence[Params]) -> Params:
    """One set of parameters per task as one with a leading M."""
    return {name: torch.stack([params[name] for params in several]) for name in several[0]}


def join(groups: Sequence[Params]) -> Params:
    """The parameters of several groups of tasks, each with a leading number of tasks, as those of one."""
    return {name: torch.cat([params[name] for params in groups]) for name in groups[0]}


def mean(several: Params) -> Params:
    """The mean over the tasks of a leading M."""
    return {name: value.mean(0) for name, value in several.items()}


def ascend(params: Params, direction: Params, rate: float) -> Params:
    """θ + rate · d."""
    return {name: value + rate * direction[name] for name, value in params.items()}
