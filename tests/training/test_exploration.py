"""Exploration terms against exact meta-gradients: every batch of a tiny MDP is enumerated, nothing is sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from tabular_cases import maml_gradient
from torch import Tensor
from training_cases import step_by_autograd

from metarl_cli.estimators import per_step, reinforce
from metarl_cli.exact.enumeration import action_logp, enumerate_trajectories, probabilities, tabular_sample
from metarl_cli.exact.meta_oracles import InnerLoop, sgmrl_gradient
from metarl_cli.exact.oracles import TabularMDP, random_mdp
from metarl_cli.training.adaptation import Inner, Stage
from metarl_cli.training.exploration import EXPLORATIONS, Exploration
from metarl_cli.training.objectives import vpg
from metarl_cli.types import Gaussian, Round, Trajectories

ALPHA, HORIZON, GAMMA = 0.7, 2, 0.9
NOTHING = torch.zeros(0, dtype=torch.float64)
NO_POLICY = Gaussian(NOTHING, NOTHING)


def tiny_mdp(seed: int) -> TabularMDP:
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, states=2, actions=2, horizon=HORIZON, discount=GAMMA)
    nearest = torch.nn.functional.one_hot(mdp.transitions.argmax(-1), 2).double()  # deterministic: 4 trajectories
    return TabularMDP(transitions=nearest, rewards=mdp.rewards, start_state=0, horizon=HORIZON, discount=GAMMA)


def logits(seed: int) -> Tensor:
    return torch.randn((2, 2), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stage(theta: Tensor, states: Tensor, actions: Tensor) -> Stage:
    logp = action_logp(theta, states, actions)
    return Stage(NO_POLICY, logp.unsqueeze(-1))


def round_of(mdp: TabularMDP, theta: Tensor, states: Tensor, actions: Tensor) -> Round:
    """One task's batch [N, T]; the outer advantages are the returns from time 0, as in the gradient of J."""
    logp = action_logp(theta, states, actions).detach()  # what was recorded when the batch was drawn
    sample = tabular_sample(mdp, states, actions, logp)
    trajectories = Trajectories(
        observations=states.unsqueeze(-1).double(),
        actions=actions.unsqueeze(-1).double(),
        rewards=sample.rewards,
        mask=sample.mask,
        behaviour=NO_POLICY,
        behaviour_logp=logp,
    )
    return Round(trajectories=trajectories, sample=sample, returns=sample.advantages, scale=torch.ones(()).double())


def outer_round(mdp: TabularMDP, theta: Tensor, states: Tensor, actions: Tensor) -> Round:
    round_ = round_of(mdp, theta, states, actions)
    gammas = GAMMA ** torch.arange(HORIZON, dtype=torch.float64)
    weighted = {name: getattr(round_.sample, name) for name in ("behaviour_logp", "rewards", "control_variate", "mask")}
    sample = type(round_.sample)(**weighted, advantages=round_.sample.advantages * gammas)
    return replace(round_, sample=sample)


Branch = tuple[Tensor, list[Stage], list[Round], Tensor]


def branches(mdp: TabularMDP, theta: Tensor, steps: int) -> Iterator[Branch]:
    """Every history of single-trajectory batches D⁰ … D^K: its probability, its stages and rounds."""
    states, actions = enumerate_trajectories(mdp)
    inner = Inner(surrogate=per_step(reinforce), lr=ALPHA * HORIZON)  # the step is on the mean over steps

    def extend(
        current: Tensor, probability: Tensor, stages: list[Stage], rounds: list[Round]
    ) -> Iterator[tuple[Tensor, list[Stage], list[Round]]]:
        chances = probabilities(current, mdp, states, actions).detach()  # the weight of a branch, not its derivative
        for chance, s, a in zip(chances, states, actions, strict=True):
            here = stage(current, s[None], a[None])
            weight = probability * chance
            if len(rounds) == steps:
                yield weight, [*stages, here], [*rounds, outer_round(mdp, current, s[None], a[None])]
                continue
            data = round_of(mdp, current, s[None], a[None])
            adapted = step_by_autograd({"logits": current}, here, data, inner)["logits"]
            yield from extend(adapted, weight, [*stages, here], [*rounds, data])

    for weight, stages, rounds in extend(theta, torch.ones((), dtype=torch.float64), [], []):
        yield weight, stages, rounds, theta


def estimate(branch: Branch, score: Callable[..., Tensor] | None) -> Tensor:
    """H × the trainer's gradient on one history: the outer objective, and the return times the score."""
    _, stages, rounds, theta = branch
    objective = vpg(stages[-1], rounds[-1])
    if score is not None:
        gammas = GAMMA ** torch.arange(HORIZON, dtype=torch.float64)
        credit = (rounds[-1].trajectories.rewards * gammas).sum(-1).mean()
        objective = objective + credit * score(stages, rounds)
    (gradient,) = torch.autograd.grad(objective, theta, retain_graph=True)
    return HORIZON * gradient


def expected(mdp: TabularMDP, theta: Tensor, steps: int, score: Callable[..., Tensor] | None) -> Tensor:
    leaf = theta.clone().requires_grad_()
    return sum(b[0] * estimate(b, score) for b in branches(mdp, leaf, steps))


def truth(mdp: TabularMDP, theta: Tensor, steps: int) -> Tensor:
    return sgmrl_gradient(theta, mdp, InnerLoop(surrogate=reinforce, step_size=ALPHA, trajectories=1, steps=steps))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["sgmrl_paper", "sgmrl_loo", "emaml_sum"])
def test_one_step_scores_make_the_gradient_of_v1_exact(name: str, seed: int) -> None:
    mdp, theta = tiny_mdp(seed), logits(seed)
    gradient = expected(mdp, theta, 1, EXPLORATIONS[name].score)
    torch.testing.assert_close(gradient, truth(mdp, theta, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_two_step_sgmrl_is_exact_and_the_first_stage_alone_is_not(seed: int) -> None:
    mdp, theta = tiny_mdp(seed), logits(seed)
    exact = truth(mdp, theta, 2)
    gradient = expected(mdp, theta, 2, EXPLORATIONS["sgmrl_paper"].score)
    torch.testing.assert_close(gradient, exact, rtol=0, atol=1e-12)
    only_first = expected(mdp, theta, 2, EXPLORATIONS["emaml_sum"].score)
    assert (only_first - exact).abs().max() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_the_plug_in_estimate_of_maml_is_biased_for_both_formulations(seed: int) -> None:
    mdp, theta = tiny_mdp(seed), logits(seed)
    plug_in = expected(mdp, theta, 1, None)
    assert (plug_in - truth(mdp, theta, 1)).abs().max() > 1e-3
    assert (plug_in - maml_gradient(theta, mdp, step_size=ALPHA)).abs().max() > 1e-3


def joined(first: Round, second: Round) -> Round:
    """The rounds of two tasks as one round with a leading M."""
    rewards = torch.stack([first.trajectories.rewards, second.trajectories.rewards])
    mask = torch.ones_like(rewards)
    sample = type(first.sample)(behaviour_logp=mask, rewards=rewards, advantages=mask, control_variate=mask, mask=mask)
    data = Trajectories(
        observations=mask, actions=mask, rewards=rewards, mask=mask, behaviour=NO_POLICY, behaviour_logp=mask
    )
    return Round(trajectories=data, sample=sample, returns=rewards, scale=torch.ones(2, dtype=torch.float64))


def two_task_gradient(exploration: Exploration) -> Tensor:
    """H × the expected gradient of the first task, whose credit is made from the data of both."""
    theta = logits(5).requires_grad_()
    first, second = ([*branches(tiny_mdp(seed), theta, 1)] for seed in (0, 1))
    total = torch.zeros_like(theta)
    for weight, stages, rounds, _ in first:
        for other_weight, _, other, _ in second:
            credit = exploration.credit([joined(rounds[-1], other[-1])], GAMMA)[0]
            objective = vpg(stages[-1], rounds[-1]) + credit * exploration.score(stages, rounds)
            (gradient,) = torch.autograd.grad(objective, theta, retain_graph=True)
            total = total + weight * other_weight * HORIZON * gradient
    return total.detach()


@pytest.mark.parametrize("name", ["sgmrl_paper", "sgmrl_loo"])
def test_credit_made_from_both_tasks_keeps_the_gradient_exact(name: str) -> None:
    exact = truth(tiny_mdp(0), logits(5), 1)
    torch.testing.assert_close(two_task_gradient(EXPLORATIONS[name]), exact, rtol=0, atol=1e-12)


def random_round(seed: int, tasks: int = 3) -> Round:
    generator = torch.Generator().manual_seed(seed)
    rewards = torch.randn((tasks, 4, 5), generator=generator)
    mask = torch.ones_like(rewards)
    mask[0, 1, 3:] = 0.0
    advantages = torch.randn(rewards.shape, generator=generator)
    count = mask.sum((-2, -1), keepdim=True)
    advantages = (advantages - (advantages * mask).sum((-2, -1), keepdim=True) / count) * mask
    data = Trajectories(
        observations=rewards, actions=rewards, rewards=rewards * mask, mask=mask, behaviour=NO_POLICY,
        behaviour_logp=rewards,
    )  # fmt: skip
    sample = tabular_sample_like(rewards, advantages, mask)
    return Round(trajectories=data, sample=sample, returns=rewards, scale=torch.full((tasks,), 2.0))


def tabular_sample_like(rewards: Tensor, advantages: Tensor, mask: Tensor) -> object:
    from metarl_cli.types import Sample

    return Sample(behaviour_logp=rewards, rewards=rewards, advantages=advantages, control_variate=rewards, mask=mask)


@pytest.mark.parametrize("name", ["sgmrl_loo", "emaml_sum"])
def test_episodes_that_end_early_leave_the_sum_in_the_units_of_the_last_round(name: str) -> None:
    whole = random_round(3)
    mask = whole.sample.mask.clone()
    mask[..., 2:] = 0.0
    early = replace(whole, sample=replace(whole.sample, mask=mask))
    logp = torch.randn(mask.shape, generator=torch.Generator().manual_seed(1))
    at = Stage(whole.trajectories.behaviour, logp.unsqueeze(-1))
    score = EXPLORATIONS[name].score([at, at], [early, whole])
    length = whole.sample.mask.sum(-1).mean(-1)
    torch.testing.assert_close(score, (logp * mask).sum((-2, -1)) / length)


def test_released_sgmrl_credit_is_zero_but_for_rounding() -> None:
    credit = EXPLORATIONS["sgmrl_released"].credit([random_round(1)], GAMMA)
    assert credit.abs().max() < 1e-7
    assert EXPLORATIONS["sgmrl_paper"].credit([random_round(1)], GAMMA).abs().max() > 1e-2


def test_leave_one_out_credit_is_the_return_less_the_mean_of_the_others() -> None:
    round_ = random_round(2)
    returns = EXPLORATIONS["sgmrl_paper"].credit([round_], GAMMA)
    by_hand = (round_.trajectories.rewards * GAMMA ** torch.arange(5)).sum(-1).mean(-1) / 2.0
    torch.testing.assert_close(returns, by_hand)
    centred = EXPLORATIONS["sgmrl_loo"].credit([round_], GAMMA)
    torch.testing.assert_close(centred[0], returns[0] - (returns[1] + returns[2]) / 2)


def test_emaml_credit_standardises_rewards_over_all_tasks() -> None:
    round_ = random_round(3)
    rewards, mask = round_.trajectories.rewards.double(), round_.sample.mask.bool()
    valid = rewards[mask]
    standardised = (rewards - valid.mean()) / valid.std(correction=0)
    expected_credit = [standardised[task][mask[task]].mean().item() for task in range(3)]
    credit = EXPLORATIONS["emaml"].credit([round_], GAMMA)
    np.testing.assert_allclose(credit.numpy(), expected_credit, rtol=1e-5, atol=1e-6)


def test_mean_and_sum_forms_differ_by_the_number_of_trajectories() -> None:
    generator = torch.Generator().manual_seed(4)
    logp = torch.randn((4, 5, 2), generator=generator)
    round_ = random_round(4)
    sample = tabular_sample_like(*[torch.ones((4, 5))] * 3)
    one = replace(round_, sample=sample)
    here = Stage(NO_POLICY, logp)
    mean = EXPLORATIONS["emaml"].score([here, here], [one, one])
    total = EXPLORATIONS["sgmrl_released"].score([here, here], [one, one])
    summed = EXPLORATIONS["emaml_sum"].score([here, here], [one, one])
    torch.testing.assert_close(summed, 4 * mean)
    torch.testing.assert_close(total, 20 * mean)
    torch.testing.assert_close(EXPLORATIONS["sgmrl_loo"].score([here, here], [one, one]), summed)
