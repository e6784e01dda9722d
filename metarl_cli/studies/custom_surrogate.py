"""A user's own surrogate, named on the command line as "package.module:function"."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

import torch

from metarl_cli.errors import UserError, unknown_name
from metarl_cli.types import Sample, Surrogate

__all__ = ["load_surrogate"]


def load_surrogate(reference: str) -> Surrogate:
    """Import a function with the signature of `Surrogate` and try it once on a small sample.

        def my_surrogate(logp: Tensor, sample: Sample) -> Tensor: ...    # [..., N, T] to [...], a value to ascend

    Modules are also looked for in the working directory.

    Raises:
        UserError: if the reference has another form, the module cannot be imported, it has no such function, or the
            function fails or returns anything but a tensor of shape [...] that depends on logp.
    """
    module_name, _, function_name = reference.partition(":")
    if not (module_name and function_name):
        raise UserError(f"{reference!r} names no function; write it as package.module:function.")
    module = _import(module_name)
    known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    if not hasattr(module, function_name):
        raise unknown_name(f"function of {module_name}", function_name, known)
    surrogate = getattr(module, function_name)
    if not callable(surrogate):
        raise UserError(f"{reference} is a {type(surrogate).__name__}; expected a function (logp, sample) -> Tensor.")
    _try(reference, surrogate)
    checked: Surrogate = surrogate
    return checked


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # an installed command does not have it, unlike `python -m`
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UserError(f"Cannot import {name}: {type(error).__name__}: {error}.") from error


def _try(reference: str, surrogate: Surrogate) -> None:
    """Two batches of three trajectories of four steps: the answer must be two numbers with a graph."""
    logp = torch.full((2, 3, 4), -1.0, dtype=torch.float64, requires_grad=True)
    data = torch.ones_like(logp, requires_grad=False)
    sample = Sample(behaviour_logp=-data, rewards=data, advantages=data, control_variate=data, mask=data, discount=0.9)
    expected = "expected a tensor of shape [2] for logp of shape [2, 3, 4]: sum over steps, mean over trajectories"
    try:
        result = surrogate(logp, sample)
    except Exception as error:
        raise UserError(f"{reference} raised {type(error).__name__}: {error}; {expected}.") from error
    if not isinstance(result, torch.Tensor):
        raise UserError(f"{reference} returned a {type(result).__name__}; {expected}.")
    if result.shape != (2,):
        raise UserError(f"{reference} returned a tensor of shape {list(result.shape)}; {expected}.")
    if not result.requires_grad:
        raise UserError(f"{reference} returned a tensor that does not depend on logp: it has no derivatives.")
