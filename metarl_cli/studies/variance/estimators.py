"""Which meta-gradient estimators are compared, and their gradients on resampled batches of one set of tasks.

All use one θ, one set of tasks, one set of random streams. Two estimators see *identical* batches as far as one batch
can serve both:

    pre-update   drawn from θ with the same action noise and reset noise for everybody: identical bit for bit.
    post-update  drawn from the estimator's own θ′, since a gradient at θ′ of data from elsewhere would be off-policy,
                 which no algorithm here is. On-policy the inner gradient of every estimator that sees advantages alone
                 is Σₜ ∇log πₜ Aₜ (MAML, LVC, TayPO-2, Loaded DiCE): they share θ′ and the carrier's post-update batch.
                 Reward-based estimators (DiCE, doubly robust, TMAML) step elsewhere, also by the scaling of their
                 rewards: each such inner step has its own post-update batch, with common random numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
import torch

from metarl_cli.config import RunConfig
from metarl_cli.errors import RunFailedError, check_known
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.estimators.own import find_estimator
from metarl_cli.params import flatten
from metarl_cli.references import is_reference
from metarl_cli.studies.variance.statistics import Array
from metarl_cli.training.build import build
from metarl_cli.training.composition import sees_rewards
from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.objectives import Objective
from metarl_cli.training.processing import prediction_quality
from metarl_cli.training.step_lengths import mean_step
from metarl_cli.training.trainer import Trainer, TrainState
from metarl_cli.types import Round

__all__ = [
    "MEASURED",
    "REFERENCE",
    "Bench",
    "InnerLoop",
    "Measured",
    "Resampled",
    "build_bench",
    "draw_batches",
    "measured",
    "resample",
    "shares_carrier",
]

Batches: TypeAlias = dict[tuple[str, ...], list[Round]]

STREAM = 0
"""First index of the random streams of the measurements: training has one index, an evaluation two, these three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A meta-gradient estimator: inner surrogate with what it sees and its own settings, and outer objective.

    `exploration` names a term whose gradient is measured alone, without that of an outer objective.
    """

    inner: str
    outer: str = "vpg"
    rewards: str = "matched"
    control_variate: str = "none"
    average: str = "orders"
    dependence: float = 1.0
    exploration: str = "none"

    @property
    def adaptation(self) -> tuple[str, ...]:
        """What decides its inner steps on-policy: estimators that agree in it have the same θ′ on the same data."""
        if not is_reference(self.inner) and "rewards" not in find_estimator(self.inner).needs:
            return ("advantages",)  # nobody knows the gradient of a user's own
        return (self.inner, self.rewards, self.control_variate)

    def configured(self, carrier: RunConfig) -> RunConfig:
        """The carrier's settings with this estimator."""
        inner = replace(
            carrier.inner,
            estimator=self.inner,
            rewards=self.rewards if sees_rewards(self.inner, self.outer) else "controlled",
            control_variate=self.control_variate,
            average=self.average,
            dependence=self.dependence,
        )
        outer = replace(carrier.outer, objective=self.outer, exploration=self.exploration)
        return replace(carrier, inner=inner, outer=outer)


MEASURED: Mapping[str, Measured] = MappingProxyType(
    {
        "reinforce": Measured(inner="reinforce"),
        "lvc": Measured(inner="lvc"),
        "taypo2": Measured(inner="taypo2"),
        "taypo2-steps": Measured(inner="taypo2", average="steps"),
        "loaded_dice": Measured(inner="loaded_dice"),
        **{f"loaded_dice-{lam}": Measured(inner="loaded_dice", dependence=lam) for lam in (0.5, 0.8, 0.9, 0.95, 0.99)},
        "dice": Measured(inner="dice"),
        "dice-released": Measured(inner="dice", rewards="released"),
        "dice-full": Measured(inner="dice", outer="dice"),
        "dice-full-released": Measured(inner="dice", outer="dice", rewards="released"),
        "doubly_robust": Measured(inner="doubly_robust", control_variate="linear"),
        "tmaml": Measured(inner="tmaml", control_variate="meta"),
        "tmaml-per-task": Measured(inner="tmaml", control_variate="per-task"),
        "tmaml_printed": Measured(inner="tmaml_printed", control_variate="meta"),
        "tmaml_released": Measured(inner="tmaml_released", control_variate="meta"),
        **{f"{name}-term": Measured(inner="reinforce", exploration=name) for name in EXPLORATIONS if name != "none"},
    }
)
"""`full`: DiCE also as outer objective, as in Fig. 3 of Rothfuss et al. (2019). `released`: the reward scaling of the
released code, whose inner steps are several times longer; without it they are as long as LVC's, see
`training.step_lengths`. `steps`: with the exact sum over pairs. A number: λ between LVC (0) and Loaded DiCE (1).
`term`: what an exploration term adds to the meta-gradient of `reinforce`."""


def measured(name: str) -> Measured:
    """The entry of `MEASURED`, or one for any other estimator; a control variate that it reads is linear.

    Raises:
        UserError: if there is no such estimator.
    """
    if name in MEASURED:
        return MEASURED[name]
    if not is_reference(name):
        check_known("meta-gradient estimator", name, {**MEASURED, **ESTIMATORS})
    reads_variate = "control_variate" in find_estimator(name).needs
    return Measured(inner=name, control_variate="linear" if reads_variate else "none")


CARRIER = "lvc"
"""The inner estimator of the training that is watched: LVC-VPG."""

REFERENCE = "loaded_dice"
"""On-policy its Hessian is exact and its θ′ is the carrier's: what the others with that θ′ are judged against."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The trainer whose training is watched, and one trainer per estimator that is measured on its way."""

    carrier: Trainer
    trainers: Mapping[str, Trainer]


class InnerLoop(NamedTuple):
    """Of an estimator's adaptation, means over rounds, stages and tasks.

    Attributes:
        step_norm: ‖θ′ − θ‖.
        inner_kl: D_KL(π_θ ‖ π_θ′) on what θ sampled.
        explained_variance: R² of the control variate; NaN where there is none.
    """

    step_norm: float
    inner_kl: float
    explained_variance: float


@dataclass(frozen=True, slots=True)
class Resampled:
    """R rounds: gradients [R, P] and inner loop of each estimator, mean returns of the carrier before and after it."""

    gradients: Mapping[str, Array]
    returns: tuple[float, float]
    inner: Mapping[str, InnerLoop]


def shares_carrier(name: str) -> bool:
    """Whether an estimator is measured on the carrier's own batches."""
    return measured(name).adaptation == measured(CARRIER).adaptation


def build_bench(config: RunConfig, names: Sequence[str], *, threads: int = 1) -> tuple[Bench, TrainState]:
    """The carrier and the trainers of the estimators, and the carrier's state before the first iteration.

    Where an estimator has a control variate that is learned over the iterations, the carrier's rounds teach it, as an
    algorithm's own rounds would.

    Raises:
        UserError: for an environment that does not exist, or parts that do not go together.
    """
    carrier, fresh = build(config, threads=threads)
    learned = "meta" if "meta" in {measured(name).control_variate for name in names} else "none"
    processing = replace(carrier.processing, control_variate=CONTROL_VARIATES[learned])
    carrier = replace(carrier, processing=processing)
    trainers = {}
    for name in names:
        trainer, _ = build(measured(name).configured(config), threads=threads)
        if measured(name).exploration != "none":  # the term is measured alone
            nothing = Objective(value=lambda stage, round_: torch.zeros(()))
            trainer = replace(trainer, parts=replace(trainer.parts, objective=nothing))
        trainers[name] = replace(trainer, workers=carrier.workers)
    return Bench(carrier, MappingProxyType(trainers)), carrier.init(fresh.theta)


def draw_batches(bench: Bench, state: TrainState, number: int) -> Batches:
    """One round of the tasks that the next iteration trains on, for each adaptation; the carrier's is the first."""
    tasks, stream = bench.carrier.draw_tasks(state.iteration), (STREAM, state.iteration, number)
    carrier = bench.carrier.sample(state, tasks, *stream)
    batches: Batches = {measured(CARRIER).adaptation: carrier}
    for name, trainer in bench.trainers.items():
        if measured(name).adaptation not in batches:
            shared = carrier[0].trajectories  # of θ, with the same noise for everybody
            batches[measured(name).adaptation] = trainer.sample(state, tasks, *stream, first=shared)
    return batches


def resample(bench: Bench, state: TrainState, rounds: int) -> Resampled:
    """The gradients of R rounds at one θ.

    Raises:
        RunFailedError: if a gradient is not finite.
    """
    gradients: dict[str, list[Array]] = {name: [] for name in bench.trainers}
    inner: dict[str, list[InnerLoop]] = {name: [] for name in bench.trainers}
    returns = []
    for number in range(rounds):
        batches = draw_batches(bench, state, number)
        carrier = batches[measured(CARRIER).adaptation]
        returns.append([stage.trajectories.undiscounted_returns.mean().item() for stage in carrier])
        for name, trainer in bench.trainers.items():
            batch = batches[measured(name).adaptation]
            data = trainer.task_data(state, batch)
            gradients[name].append(flatten(trainer.meta_gradient(state.theta, data)).double().numpy())
            explained = float("nan")
            if measured(name).control_variate != "none":
                explained = fmean(stage.explained_variance for stage in prediction_quality(batch))
            inner[name].append(InnerLoop(*mean_step(batch), explained))
    bad = [name for name, rows in gradients.items() if not np.isfinite(rows).all()]
    if bad:
        raise RunFailedError(f"iteration {state.iteration}: the gradient of {', '.join(bad)} is not finite.")
    before, *_, after = np.mean(returns, axis=0)
    return Resampled(
        gradients={name: np.stack(rows) for name, rows in gradients.items()},
        returns=(float(before), float(after)),
        inner={name: InnerLoop(*map(fmean, zip(*loops, strict=True))) for name, loops in inner.items()},
    )
