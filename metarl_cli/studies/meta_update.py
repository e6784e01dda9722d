"""Is the outer step short enough? One meta-update of a run, made again at its own length and at shorter ones.

    loss = −J on the stored batch,   before at θ_old and after at θ;   kl_k = D_KL(π_old^k ‖ π_{θ^k})

with J the objective of the run, for ProMP that of Rothfuss et al. 2019, Eq. 7 (https://arxiv.org/abs/1810.06784).
The objective that an update ascends is known on the data that it is made from: an update that ends lower than it began
has gone too far, whatever the return does. Of the divergences D_KL(π_old^k ‖ π_{θ^k}) neither clipping nor a penalty
before adaptation bounds the last: an adaptation step that is long by itself makes of a small change of θ a large one of
θ′ (docs/findings.md, "ProMP can lose what it has learned").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch

from metarl_cli.config import OuterConfig, RunConfig, with_overrides
from metarl_cli.errors import UserError
from metarl_cli.runs.evaluate import load_start
from metarl_cli.training.build import OPTIMIZERS, build
from metarl_cli.training.trainer import TrainState

__all__ = ["Found", "meta_update"]

SHORTER = (0.5, 0.3, 0.1)
"""Of the run's own length."""

LENGTHS: Mapping[str, str] = MappingProxyType({"adam": "lr", "sgd": "lr", "trpo": "max_kl"})
"""By optimiser: the setting that is the length of its step."""

Row = dict[str, float]


class Found(NamedTuple):
    """What updates do to the objective and to the divergences, by the columns' names of `progress.csv`.

    Attributes:
        own: of the update that the run makes.
        rows: after each of its gradient steps, `own` the last of them, and then after all of them with shorter ones.
    """

    own: Row
    rows: list[Row]

    @property
    def ascends(self) -> bool:
        """Whether the run's own update improves the objective on the data that it is made from."""
        return self.own["loss/after"] < self.own["loss/before"]


def meta_update(source: Path, changes: Sequence[str] = (), tell: Callable[[str], None] = lambda message: None) -> Found:
    """The next meta-update of a run, and what it would be with fewer or shorter steps, on one batch.

    Args:
        source: a run's directory, for the update after its last completed iteration; or a file of settings, for the
            first.
        changes: as for `--set`, of `outer` alone: the update as it would be with these, from where the run is.
        tell: told in words of a damaged checkpoint.

    Raises:
        UserError: if there is neither a run with a completed iteration nor a file of settings there; or for a change of
            anything but the outer step.
    """
    torch.set_num_threads(1)  # as in training: one order of every sum
    config, reached = load_start(source, tell)
    asked = _with_outer(config, changes)
    trainer, fresh = build(asked)
    start = _going_on(reached, config.outer, fresh, asked.outer) if reached else fresh
    rounds = trainer.sample(start, trainer.draw_tasks(start.iteration), start.iteration)
    outer, length = asked.outer, LENGTHS[asked.outer.optimizer]
    before = trainer.diagnose(start.theta, trainer.task_data(start, rounds))

    def updated(tried: OuterConfig, state: TrainState) -> tuple[TrainState, Row]:
        following, (_, after) = replace(trainer, optimizer=OPTIMIZERS[tried.optimizer](tried)).step(state, rounds)
        return following, {
            f"outer.{length}": getattr(tried, length),
            "loss/before": -before.objective,
            "loss/after": -after.objective,
            "kl/pre": after.kl[0],
            "kl/post": after.kl[-1],
        }

    state, rows, steps = start, list[Row](), outer.gradient_steps if length == "lr" else 1
    for step in range(1, steps + 1):
        following, row = updated(replace(outer, gradient_steps=1), state)
        state = replace(start, theta=following.theta, optimizer_state=following.optimizer_state)
        rows.append({"step": step, **row})
    for share in SHORTER:
        _, row = updated(replace(outer, **{length: share * getattr(outer, length)}), start)
        rows.append({"step": steps, **row})
    return Found(own=rows[steps - 1], rows=rows)


def _with_outer(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """The settings with another outer step, on the batch of the run."""
    asked = with_overrides(config, changes)
    if replace(asked, outer=config.outer) != config:
        given = ", ".join(change for change in changes if not change.strip().startswith("outer."))
        raise UserError(f"--set {given} is not of the outer step, which alone is tried here. Allowed: outer.KEY=VALUE.")
    return asked


def _going_on(reached: TrainState, was: OuterConfig, fresh: TrainState, asked: OuterConfig) -> TrainState:
    """Where the run is, for the outer step that is asked: what another optimiser or penalty remembers begins anew."""
    same_penalty = (was.objective, was.kl_coefficient) == (asked.objective, asked.kl_coefficient)
    return replace(
        reached,
        optimizer_state=reached.optimizer_state if was.optimizer == asked.optimizer else fresh.optimizer_state,
        penalty=reached.penalty if same_penalty else fresh.penalty,
    )
