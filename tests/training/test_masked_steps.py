"""Whatever stands after the end of an episode reaches no number and no derivative, in every registry.

Log-ratios of ±120 overflow float32 as ratios, and 1e30 overflows it when squared: a weight of zero is not enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from metarl_cli.config import OuterConfig
from metarl_cli.estimators import ESTIMATORS, per_step, per_subset
from metarl_cli.training.adaptation import Stage
from metarl_cli.training.build import OBJECTIVES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.objectives import stage_kl
from metarl_cli.types import Gaussian, Round, Sample, Trajectories

N, T, A = 4, 5, 2
MASK = (torch.arange(T) < torch.tensor([5, 3, 1, 2])[:, None]).float()
HUGE = 1e30
RATIOS = pytest.mark.parametrize("log_ratio", [120.0, -120.0])


def normal(seed: int, *axes: int) -> Tensor:
    return torch.randn((N, T, *axes), generator=torch.Generator().manual_seed(seed))


def ended(tensor: Tensor, garbage: float) -> Tensor:
    """The tensor [N, T, …] with this in every cell after the end."""
    cells = MASK.reshape(N, T, *[1] * (tensor.dim() - 2)).expand_as(tensor)
    return torch.where(cells > 0, tensor, garbage)


def sample_with(garbage: float, *axes: int) -> Sample:
    return Sample(
        behaviour_logp=ended(0.3 * normal(1, *axes), 0.0),
        rewards=ended(normal(2), garbage),
        advantages=ended(normal(3), garbage),
        control_variate=ended(normal(4, *axes), garbage),
        mask=MASK,
    )


def round_with(garbage: float) -> Round:
    sample = sample_with(garbage)
    trajectories = Trajectories(
        observations=ended(normal(5, 3), garbage),
        actions=ended(normal(6, A), garbage),
        rewards=sample.rewards,
        mask=MASK,
        behaviour=Gaussian(ended(normal(7, A), garbage), torch.tensor([0.1, -0.2])),
        behaviour_logp=sample.behaviour_logp,
    )
    return Round(trajectories=trajectories, sample=sample, returns=sample.rewards, scale=torch.ones(()))


def jets(function: Callable[[Tensor], Tensor], at: Tensor) -> list[Tensor]:
    """Value, gradient and Hessian."""
    first = torch.func.jacrev(function)
    return [function(at), first(at), torch.func.jacrev(first)(at)]


def check(function: Callable[[Tensor], Tensor], clean: Callable[[Tensor], Tensor], at: Tensor, garbage: float) -> None:
    """The function with garbage in its data and in its argument is the clean one, and is not constant."""
    dirty, expected = jets(function, ended(at, garbage)), jets(clean, ended(at, 0.0))
    for order, (one, other) in enumerate(zip(dirty, expected, strict=True)):
        assert torch.isfinite(one).all(), f"derivative {order}"
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
    assert not dirty[1][MASK == 0].any()
    assert dirty[1].any()


def averaged(name: str) -> list[Callable[[Tensor, Sample], Tensor]]:
    """The estimator as a sum, as a mean over steps, and order by order if it has orders."""
    estimator = ESTIMATORS[name]
    forms = [estimator.surrogate, per_step(estimator.surrogate)]
    return forms + ([per_subset(estimator.orders)] if estimator.orders else [])


@RATIOS
@pytest.mark.parametrize("name", ESTIMATORS)
def test_inner_surrogates(name, log_ratio):
    axes = (A,) if ESTIMATORS[name].per_action else ()
    garbage, clean = sample_with(HUGE, *axes), sample_with(0.0, *axes)
    for surrogate in averaged(name):
        check(lambda logp, s=surrogate: s(logp, garbage), lambda logp, s=surrogate: s(logp, clean), normal(8, *axes),
              log_ratio)  # fmt: skip


def stage_of(logp_per_action: Tensor) -> Stage:
    return Stage(Gaussian(torch.empty(0), torch.empty(0)), logp_per_action)


@RATIOS
@pytest.mark.parametrize("name", OBJECTIVES)
def test_outer_objectives(name, log_ratio):
    value = OBJECTIVES[name](OuterConfig(clip=0.2)).value
    garbage, clean = round_with(HUGE), round_with(0.0)
    check(lambda x: value(stage_of(x), garbage), lambda x: value(stage_of(x), clean), 0.5 * normal(8, A), log_ratio)


@pytest.mark.parametrize("argument", ["mean", "log_std"])
def test_divergences(argument):
    def kl(garbage):
        def of(x):
            mean, log_std = (x, torch.tensor([0.3, 0.0])) if argument == "mean" else (normal(9, A), x)
            stage = replace(stage_of(torch.empty(0)), policy=Gaussian(mean, log_std))
            return stage_kl([stage], [round_with(garbage)])[0]

        return of

    if argument == "mean":
        check(kl(HUGE), kl(0.0), normal(8, A), -HUGE)
    else:
        for one, other in zip(*(jets(kl(garbage), torch.tensor([0.2, -0.1])) for garbage in (HUGE, 0.0)), strict=True):
            torch.testing.assert_close(one, other)


@RATIOS
@pytest.mark.parametrize("name", [name for name in EXPLORATIONS if name != "none"])
def test_exploration_scores(name, log_ratio):
    def score(garbage):
        rounds = [round_with(garbage), round_with(garbage)]
        return lambda x: EXPLORATIONS[name].score([stage_of(x), stage_of(x)], rounds)

    check(score(HUGE), score(0.0), normal(8, A), log_ratio * HUGE)


@pytest.mark.parametrize("name", EXPLORATIONS)
def test_exploration_credits(name):
    def credit(garbage):
        one, other = sample_with(garbage), round_with(garbage)
        sample = replace(one, **{key: torch.stack([value, -value]) for key, value in tensors(one).items()})
        sample = replace(sample, mask=torch.stack([MASK, MASK]))
        trajectories = replace(other.trajectories, rewards=sample.rewards)
        both = replace(other, trajectories=trajectories, sample=sample, scale=torch.tensor([1.0, 2.0]))
        return EXPLORATIONS[name].credit([both], 0.9)

    torch.testing.assert_close(credit(HUGE), credit(0.0), rtol=1e-6, atol=1e-7)
    assert torch.isfinite(credit(HUGE)).all()
    assert credit(0.0).any() == (name != "none")


def tensors(sample: Sample) -> dict[str, Tensor]:
    return {name: getattr(sample, name) for name in ("behaviour_logp", "rewards", "advantages", "control_variate")}
