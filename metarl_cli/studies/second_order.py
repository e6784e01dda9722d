"""Is the second order on? The meta-gradient of a run, with and without it, and what a derivative without autograd says.

    ∇J = Π_k (I + α ∇²J̄(θᵏ)) ∇_θᴷ J + …,   ∇J₁ the same with every Jacobian I,   d = (∇J − ∇J₁) / ‖∇J − ∇J₁‖

Along d, the direction of all that the second order contributes, the slope of J is ⟨∇J, d⟩ with it and ⟨∇J₁, d⟩ without.
Central differences of J on the same stored batch, in float64, take no side. Whether this second order is that of the
return is another question, of the inner estimator alone: `metarl correlate exact` answers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from metarl_cli.params import flatten, unflatten
from metarl_cli.runs.evaluate import load_run
from metarl_cli.runs.settings_file import read_settings
from metarl_cli.training.build import build
from metarl_cli.training.meta_gradient import Parts, TaskData
from metarl_cli.training.trainer import Trainer
from metarl_cli.types import Params, each_tensor

__all__ = ["OFF", "ON", "WRONG", "second_order"]

ON, OFF, WRONG = "on", "off", "wrong"

_STEP = 1e-4  # of the central differences, in units of θ: truncation about 1e-8 of the slope, rounding less
_ROUNDING = 1e-4  # of what the second order contributes to the slope; recorded log-probabilities are float32
_AGREES = 1e-2  # of the same


def second_order(source: Path, tell: Callable[[str], None] = lambda message: None) -> dict[str, float | str]:
    """What the second order contributes to one meta-gradient.

    Args:
        source: a run's directory, whose θ after the last completed iteration is taken; or a file of settings, for θ
            before the first.
        tell: told in words of a damaged checkpoint.

    Returns:
        Whether it is `on` in the run's own meta-gradient, `off`, or `wrong`, which agrees with neither; the norms ‖∇J‖,
        ‖∇J₁‖ and ‖∇J − ∇J₁‖; and the slopes along d. A step that moves nothing has no second order: it is off.

    Raises:
        UserError: if there is neither a run with a completed iteration nor a file of settings there.
    """
    config, state = load_run(source, tell) if source.is_dir() else (read_settings(source), None)
    trainer, fresh = build(config)
    state = state or fresh
    rounds = trainer.sample(state, trainer.draw_tasks(state.iteration), state.iteration)
    data = [_double(group) for group in trainer.task_data(state, rounds)]
    theta = each_tensor(state.theta, Tensor.double)
    versions = [replace(trainer, parts=parts) for parts in _versions(trainer.parts)]
    own, full, first = (flatten(version.meta_gradient(theta, data)) for version in versions)
    direction = torch.nn.functional.normalize(full - first, dim=0)
    slope, with_it, without = ((gradient @ direction).item() for gradient in (own, full, first))
    differences = _difference(theta, data, versions[1], direction)
    return {
        "second order": _verdict(slope, differences, without),
        "‖∇J‖": full.norm().item(),
        "‖∇J₁‖": first.norm().item(),
        "‖∇J − ∇J₁‖": (full - first).norm().item(),
        "slope by the run's own": slope,
        "slope with second order": with_it,
        "slope without": without,
        "slope by central differences": differences,
    }


def _verdict(own: float, differences: float, without: float) -> str:
    contribution = abs(differences - without)
    if abs(own - without) <= _ROUNDING * contribution:
        return OFF
    return ON if abs(own - differences) <= _AGREES * contribution else WRONG


def _versions(parts: Parts) -> list[Parts]:
    """The run's own, and with and without second order; a magic box is one whatever θ is, so differences see none."""
    inner = replace(parts.inner, magic_box=False)  # at the θ that sampled the ratio has the same derivatives
    return [parts, *(replace(parts, inner=replace(inner, first_order=first)) for first in (False, True))]


def _double(group: TaskData) -> TaskData:
    rounds = [each_tensor(round_, Tensor.double) for round_ in group.rounds]
    return TaskData(rounds, group.credit.double(), each_tensor(group.penalty, Tensor.double))


def _difference(theta: Params, data: Sequence[TaskData], trainer: Trainer, direction: Tensor) -> float:
    """(J(θ + εd) − J(θ − εd)) / 2ε on the stored batches."""

    def value(step: float) -> float:
        return trainer.diagnose(unflatten(flatten(theta) + step * direction, theta), data).objective

    return (value(_STEP) - value(-_STEP)) / (2 * _STEP)
