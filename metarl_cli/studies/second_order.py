"""Is the second order on? The meta-gradient of a run, with and without it, and what a derivative without autograd says.

    ∇J = Π_k (I + α ∇²J̄(θᵏ)) ∇_θᴷ J + …,   ∇J₁ the same with every Jacobian I,   d = (∇J − ∇J₁) / ‖∇J − ∇J₁‖

Along d, the direction of all that the second order contributes, the slope of J is ⟨∇J, d⟩ with it and ⟨∇J₁, d⟩ without.
Central differences of J on the same stored batch, in float64, take no side. Whether this second order is that of the
return is another question, of the inner estimator alone: `metarl correlate exact` answers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from metarl_cli.params import flatten, unflatten
from metarl_cli.runs.evaluate import load_start
from metarl_cli.training.build import build
from metarl_cli.training.meta_gradient import TaskData
from metarl_cli.types import each_tensor

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
    config, state = load_start(source, tell)
    trainer, fresh = build(config)
    state = state or fresh
    rounds = trainer.sample(state, trainer.draw_tasks(state.iteration), state.iteration)
    data = [
        TaskData(
            [each_tensor(round_, Tensor.double) for round_ in group.rounds],
            group.credit.double(),
            each_tensor(group.penalty, Tensor.double),
        )
        for group in trainer.task_data(state, rounds)
    ]
    theta = each_tensor(state.theta, Tensor.double)
    # A magic box is one whatever θ is, so differences see none; at the θ that sampled the ratio has its derivatives.
    inner = replace(trainer.parts.inner, magic_box=False)
    with_it, without = (
        replace(trainer, parts=replace(trainer.parts, inner=replace(inner, first_order=first)))
        for first in (False, True)
    )
    own, full, first = (flatten(each.meta_gradient(theta, data)) for each in (trainer, with_it, without))
    direction = torch.nn.functional.normalize(full - first, dim=0)
    own_slope, full_slope, first_slope = ((gradient @ direction).item() for gradient in (own, full, first))

    def objective(step: float) -> float:
        return with_it.diagnose(unflatten(flatten(theta) + step * direction, theta), data).objective

    differences = (objective(_STEP) - objective(-_STEP)) / (2 * _STEP)
    contribution = abs(differences - first_slope)
    if abs(own_slope - first_slope) <= _ROUNDING * contribution:
        verdict = OFF
    else:
        verdict = ON if abs(own_slope - differences) <= _AGREES * contribution else WRONG
    return {
        "second order": verdict,
        "‖∇J‖": full.norm().item(),
        "‖∇J₁‖": first.norm().item(),
        "‖∇J − ∇J₁‖": (full - first).norm().item(),
        "slope by the run's own": own_slope,
        "slope with second order": full_slope,
        "slope without": first_slope,
        "slope by central differences": differences,
    }
