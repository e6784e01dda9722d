"""An estimator of the user's own: a function with the signature of `Surrogate`, named where it can be imported.

    module:function   package.module:function   path/to/file.py:function        def f(logp: Tensor, sample: Sample)

What the registry says of its own estimators is found out by trying: which fields of the sample change the value, and
whether trajectories are coupled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from metarl_cli.errors import RunFailedError, UserError, unknown_name
from metarl_cli.estimators import ESTIMATORS, Estimator
from metarl_cli.references import is_reference, load_reference, unpinned
from metarl_cli.types import Sample, Surrogate, for_task

__all__ = ["OWN_ESTIMATOR", "find_estimator", "tried"]

OWN_ESTIMATOR = "Yours is module:function or path/file.py:function."
"""How one that is in no registry is named, for messages."""

_FIELDS = ("behaviour_logp", "rewards", "advantages", "control_variate")
_EXPECTED = "expected a tensor of shape [...] for logp [..., N, T]: sum over steps, mean over trajectories"


def find_estimator(name: str) -> Estimator:
    """The estimator of a name in `ESTIMATORS`, or of a reference to a function.

    Raises:
        UserError: if there is no such name or function, see `load_reference`, or the function fails on a small sample,
            mixes leading dimensions, returns anything but a finite tensor of shape [...] that has first and second
            derivatives in logp, or does not return the same twice.
    """
    if not is_reference(name):
        if name not in ESTIMATORS:
            raise UserError(f"{unknown_name('estimator', name, ESTIMATORS)} {OWN_ESTIMATOR}")
        return ESTIMATORS[name]
    function, plain = load_reference(name, "function"), unpinned(name)
    if not callable(function):
        raise UserError(f"{plain} is a {type(function).__name__}; expected a function (logp, sample) -> Tensor.")
    return _tried(plain, function)


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
        _check(reference, surrogate, logp, sample)
        value = surrogate(logp, sample)
        others = {name: replace(sample, **{name: 0.7 * getattr(sample, name) - 0.3}) for name in _FIELDS}
        needs = frozenset(name for name, other in others.items() if not torch.equal(value, surrogate(logp, other)))
        # Each trajectory as a batch of its own: the mean of their values is that of all unless they are coupled.
        single = {name: getattr(sample, name).unsqueeze(-2) for name in (*_FIELDS, "mask")}
        alone = surrogate(logp.unsqueeze(-2), replace(sample, **single)).mean(dim=-1)
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
        pairs=not torch.allclose(value, alone),
    )


_tried = cache(tried)
"""Once for each: what was imported stays what it is."""


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


def _check(reference: str, surrogate: Surrogate, logp: Tensor, sample: Sample) -> None:
    """Raise `UserError` for values or derivatives that no estimator has."""
    value, alone = surrogate(logp, sample), surrogate(logp[0], for_task(sample, 0))
    if not value.isfinite().all():
        raise UserError(f"{reference} returned {value.tolist()} for finite numbers; {_EXPECTED}.")
    if not torch.allclose(value[0], alone):
        raise UserError(f"{reference} mixes the batches along the leading dimensions; each must be on its own.")
    if not torch.equal(value, surrogate(logp, sample)):
        raise UserError(f"{reference} returned two values for the same sample; it must not draw random numbers.")
    total = surrogate(logp.requires_grad_(), sample).sum()
    try:
        (first,) = torch.autograd.grad(total, logp, create_graph=True)
        second = torch.zeros_like(logp)
        if first.requires_grad:  # perhaps in parameters of the function's own, and not in logp
            (second,) = torch.autograd.grad(first.square().sum(), logp, materialize_grads=True)
    except Exception as error:  # derivatives, too, may be the user's own code
        raise UserError(f"{reference} cannot be differentiated: {_told(error)}.") from error
    if not (first.isfinite().all() and second.isfinite().all()):
        raise UserError(f"{reference} has a derivative that is not finite, for finite numbers.")
    if not first.any():
        raise UserError(f"{reference} does not depend on logp: its gradient is zero.")


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
