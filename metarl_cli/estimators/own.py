"""A user's own surrogate, named on the command line as "package.module:function"."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

import torch
from torch import Tensor

from metarl_cli.errors import UserError, unknown_name
from metarl_cli.types import Sample, Surrogate, for_task

__all__ = ["load_surrogate"]

_EXPECTED = "expected a tensor of shape [...] for logp [..., N, T]: sum over steps, mean over trajectories"


def load_surrogate(reference: str) -> Surrogate:
    """Import a function with the signature of `Surrogate` and try it once on a small sample.

        def my_surrogate(logp: Tensor, sample: Sample) -> Tensor: ...    # [..., N, T] to [...], a value to ascend

    Modules are also looked for in the working directory.

    Raises:
        UserError: if the reference has another form, the module cannot be imported, it has no such function, or the
            function fails or returns anything but a tensor of shape [...] with a gradient in logp.
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
    """Two batches of three trajectories of four steps: the answer must be two numbers, each from its own batch."""
    logp = -torch.linspace(0.5, 1.5, 24, dtype=torch.float64).reshape(2, 3, 4)
    data = logp.exp()
    mask = torch.ones_like(data)
    sample = Sample(behaviour_logp=logp, rewards=data, advantages=data, control_variate=data, mask=mask, discount=0.9)
    try:
        result, alone = surrogate(logp, sample), surrogate(logp[0], for_task(sample, 0))
    except Exception as error:
        raise UserError(f"{reference} raised {type(error).__name__}: {error}; {_EXPECTED}.") from error
    if not (isinstance(result, torch.Tensor) and isinstance(alone, torch.Tensor)):
        raise UserError(f"{reference} returned a {type(result).__name__}; {_EXPECTED}.")
    if result.shape != (2,) or alone.shape != ():
        raise UserError(f"{reference} returned a tensor of shape {list(result.shape)}; {_EXPECTED}.")
    if not torch.allclose(result[0], alone):
        raise UserError(f"{reference} mixes the batches along the leading dimensions; each must be on its own.")
    _try_derivatives(reference, surrogate, logp, sample)


def _try_derivatives(reference: str, surrogate: Surrogate, logp: Tensor, sample: Sample) -> None:
    try:
        first = torch.func.grad(lambda at: surrogate(at, sample).sum())(logp)
    except Exception as error:
        raise UserError(f"{reference} cannot be differentiated: {type(error).__name__}: {error}.") from error
    if not first.any():
        raise UserError(f"{reference} does not depend on logp where π = μ: its gradient is zero.")
