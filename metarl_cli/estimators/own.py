"""An estimator of the user's own: a function with the signature of `Surrogate`, named where it can be imported.

    module:function   package.module:function   path/to/file.py:function        def f(logp: Tensor, sample: Sample)

What the registry says of its own estimators is found out by trying: which fields of the sample change the value, and
whether trajectories are coupled. `pinned` adds the hash of the file, module:function@hash: a name that only this code
has, so that a run which was begun with it does not go on with another.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from metarl_cli.errors import RunFailedError, UserError, unknown_name
from metarl_cli.estimators import ESTIMATORS, Estimator
from metarl_cli.types import Sample, for_task

__all__ = ["find_estimator", "pinned", "tried"]

_EXPECTED = "expected a tensor of shape [...] for logp [..., N, T]: sum over steps, mean over trajectories"
_HASH_LENGTH = 12


def find_estimator(name: str) -> Estimator:
    """The estimator of a name in `ESTIMATORS`, or of a reference to a function.

    Raises:
        UserError: if there is no such name or function, its file is not the one whose hash the reference has, or the
            function fails on a small sample, mixes leading dimensions, returns anything but a finite tensor of shape
            [...] that has first and second derivatives in logp, or does not return the same twice.
    """
    if ":" not in name:
        if name not in ESTIMATORS:
            raise unknown_name("estimator", name, ESTIMATORS)
        return ESTIMATORS[name]
    reference, _, wanted = name.partition("@")
    estimator, found = _load(reference)
    if wanted not in ("", found):
        raise UserError(
            f"The code of {reference} is not what it was: its file has hash {found} now, and {wanted} is asked for. "
            "Put it back, or begin anew with the new code."
        )
    return estimator


def pinned(name: str) -> str:
    """The name of an estimator, a reference with the hash of its file."""
    if ":" not in name:
        return name
    reference = name.partition("@")[0]
    find_estimator(name)
    return f"{reference}@{_load(reference)[1]}"


@cache  # what was imported stays what it is, whatever becomes of the file
def _load(reference: str) -> tuple[Estimator, str]:
    """The estimator behind a reference without hash, and the hash of its file."""
    place, _, function_name = reference.rpartition(":")
    if not (place and function_name):
        raise UserError(f"{reference!r} names no function; write it as package.module:function or file.py:function.")
    module = _import(place)
    if not hasattr(module, function_name):
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise unknown_name(f"function of {place}", function_name, known)
    function = getattr(module, function_name)
    if not callable(function):
        raise UserError(f"{reference} is a {type(function).__name__}; expected a function (logp, sample) -> Tensor.")
    source = Path(getattr(module, "__file__", None) or "")
    if not source.is_file():
        raise UserError(f"{place} has no file whose code could be compared; expected a module written in Python.")
    return tried(reference, function), hashlib.sha256(source.read_bytes()).hexdigest()[:_HASH_LENGTH]


def _import(place: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # an installed command does not have it, unlike `python -m`
    try:
        return _run_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise UserError(f"Cannot import {place}: {_told(error)}.") from error


def _run_file(path: Path) -> ModuleType:
    name = f"metarl_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def tried(reference: str, function: Callable[..., object]) -> Estimator:
    """Tried on two batches of four trajectories of three steps, off-policy, and described by what it did."""

    def surrogate(logp: Tensor, sample: Sample) -> Tensor:
        try:
            value = function(logp, sample)
        except (Exception, SystemExit) as error:
            raise RunFailedError(f"{reference} raised {_told(error)}; {_EXPECTED}.") from error
        if not isinstance(value, Tensor):
            raise RunFailedError(f"{reference} returned a {type(value).__name__}; {_EXPECTED}.")
        if value.shape != logp.shape[:-2]:
            raise RunFailedError(f"{reference} returned a tensor of shape {list(value.shape)}; {_EXPECTED}.")
        return value

    logp, sample = _example()
    try:
        _check_values(reference, surrogate, logp, sample)
        _check_derivatives(reference, surrogate, logp, sample)
        needs = frozenset(name for name in _FIELDS if _reads(surrogate, name, logp, sample))
        couples = not torch.allclose(surrogate(logp, sample), _one_by_one(surrogate, logp, sample))
    except RunFailedError as error:
        raise UserError(str(error)) from error.__cause__
    return Estimator(
        surrogate=surrogate,
        title=reference,
        paper="your own",
        equation="",
        on_policy_hessian="unknown",
        off_policy_gradient="unknown",
        off_policy_hessian="unknown",
        needs=needs,
        pairs=couples,
    )


_FIELDS = ("behaviour_logp", "rewards", "advantages", "control_variate")


def _example() -> tuple[Tensor, Sample]:
    def numbers(phase: float) -> Tensor:
        return torch.sin(phase + 1.7 * torch.arange(24, dtype=torch.float64)).reshape(2, 4, 3)

    sample = Sample(
        behaviour_logp=numbers(0.5) - 1.5,
        rewards=numbers(1.0),
        advantages=numbers(1.5),
        control_variate=numbers(2.0),
        mask=torch.ones_like(numbers(0.0)),
        discount=0.9,
    )
    return numbers(0.0) - 1.5, sample


def _check_values(reference: str, surrogate: Callable[[Tensor, Sample], Tensor], logp: Tensor, sample: Sample) -> None:
    value, alone = surrogate(logp, sample), surrogate(logp[0], for_task(sample, 0))
    if not value.isfinite().all():
        raise UserError(f"{reference} returned {value.tolist()} for finite numbers; {_EXPECTED}.")
    if not torch.allclose(value[0], alone):
        raise UserError(f"{reference} mixes the batches along the leading dimensions; each must be on its own.")
    if not torch.equal(value, surrogate(logp, sample)):
        raise UserError(f"{reference} returned two values for the same sample; it must not draw random numbers.")


def _check_derivatives(
    reference: str, surrogate: Callable[[Tensor, Sample], Tensor], logp: Tensor, sample: Sample
) -> None:
    try:
        at = logp.requires_grad_()
        (first,) = torch.autograd.grad(surrogate(at, sample).sum(), at, create_graph=True)
        second = torch.autograd.grad(first.square().sum(), at)[0] if first.requires_grad else torch.zeros_like(at)
    except (RuntimeError, NotImplementedError) as error:
        raise UserError(f"{reference} cannot be differentiated: {_told(error)}.") from error
    if not (first.isfinite().all() and second.isfinite().all()):
        raise UserError(f"{reference} has a derivative that is not finite, for finite numbers.")
    if not first.any():
        raise UserError(f"{reference} does not depend on logp: its gradient is zero.")


def _reads(surrogate: Callable[[Tensor, Sample], Tensor], name: str, logp: Tensor, sample: Sample) -> bool:
    """Whether another content of a field changes the value."""
    other = replace(sample, **{name: 0.7 * getattr(sample, name) - 0.3})
    return not torch.equal(surrogate(logp, sample), surrogate(logp, other))


def _one_by_one(surrogate: Callable[[Tensor, Sample], Tensor], logp: Tensor, sample: Sample) -> Tensor:
    """The mean of the values of single trajectories, [...]."""
    single = {name: getattr(sample, name).unsqueeze(-2) for name in (*_FIELDS, "mask")}
    return surrogate(logp.unsqueeze(-2), replace(sample, **single)).mean(dim=-1)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
