"""Is the outer step short enough? One meta-update of a run, made again at its own length and at shorter ones.

    loss = −J on the stored batch,   before at θ_old and after at θ;   kl_k = D_KL(π_old^k ‖ π_{θ^k})

with J the objective of the run, for ProMP that of Rothfuss et al. 2019, Eq. 7 (https://arxiv.org/abs/1810.06784).
The objective that an update ascends is known on the data that it is made from: an update that ends lower than it began
has gone too far, whatever the return does. Of the divergences D_KL(π_old^k ‖ π_{θ^k}) neither clipping nor a penalty
before adaptation bounds the last: an adaptation step that is long by itself makes of a small change of θ a large one of
θ′ (docs/findings.md, "ProMP can lose what it has learned").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch

from metarl_cli.config import OuterConfig
from metarl_cli.runs.evaluate import load_start
from metarl_cli.training.build import OPTIMIZERS, build

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
        rows: of its gradient steps one after the other, `own` the last of them, and then of shorter ones.
    """

    own: Row
    rows: list[Row]

    @property
    def ascends(self) -> bool:
        """Whether the run's own update improves the objective on the data that it is made from."""
        return self.own["loss/after"] < self.own["loss/before"]


def meta_update(source: Path, tell: Callable[[str], None] = lambda message: None) -> Found:
    """The next meta-update of a run, and what it would be with fewer or shorter steps, on one batch.

    Args:
        source: a run's directory, for the update after its last completed iteration; or a file of settings, for the
            first.
        tell: told in words of a damaged checkpoint.

    Raises:
        UserError: if there is neither a run with a completed iteration nor a file of settings there.
    """
    torch.set_num_threads(1)  # as in training: one order of every sum
    config, state = load_start(source, tell)
    trainer, fresh = build(config)
    state, outer = state or fresh, config.outer
    rounds = trainer.sample(state, trainer.draw_tasks(state.iteration), state.iteration)
    length = LENGTHS[outer.optimizer]

    def row(tried: OuterConfig) -> Row:
        _, (before, after) = replace(trainer, optimizer=OPTIMIZERS[tried.optimizer](tried)).step(state, rounds)
        return {
            f"outer.{length}": getattr(tried, length),
            **({"outer.gradient_steps": tried.gradient_steps} if length == "lr" else {}),
            "loss/before": -before.objective,
            "loss/after": -after.objective,
            "kl/pre": after.kl[0],
            "kl/post": after.kl[-1],
        }

    counts = range(1, outer.gradient_steps + 1) if length == "lr" else [outer.gradient_steps]
    steps = [row(replace(outer, gradient_steps=count)) for count in counts]
    shorter = [row(replace(outer, **{length: share * getattr(outer, length)})) for share in SHORTER]
    return Found(own=steps[-1], rows=[*steps, *shorter])
