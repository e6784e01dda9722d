"""Fig. 1a–c of Tang et al. (2021): accuracy of gradient and Hessian estimates of V^π(s₀) from trajectories of μ ≠ π.

Random MDPs with nearly deterministic transitions, a uniform behaviour policy μ, and π = (1 − ε) μ + ε π_d for a
deterministic π_d. Each seed draws MDP, π_d, critic noise and trajectories once: all estimators, all ε and all sample
sizes N (the first N trajectories) see the same data. The truth is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from metarl_cli.errors import UserError, check_known
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.exact.derivatives import logp_derivatives, mean_derivatives, policy_derivatives
from metarl_cli.exact.enumeration import action_logp, tabular_sample
from metarl_cli.exact.oracles import TabularMDP, gradient, hessian, state_values
from metarl_cli.schema import MDPS
from metarl_cli.seeding import numpy_generator
from metarl_cli.studies.accuracy import accuracy
from metarl_cli.types import Sample

__all__ = [
    "COLUMNS",
    "MEASURED",
    "PROFILES",
    "STATES",
    "Problem",
    "TabularSettings",
    "draw_problem",
    "run",
    "settings",
]

Array: TypeAlias = NDArray[np.float64]
Row: TypeAlias = dict[str, str | int | float]
Point: TypeAlias = tuple[str, float, int]
"""A sweep, its ε and its N."""

MEASURED = ("dice", "doubly_robust", "truncated_dr", "lvc", "taypo2")
"""The keys of `ESTIMATORS` whose accuracy the figure shows."""

COLUMNS = tuple(MDPS.columns)

STATES: Mapping[str, int] = MappingProxyType({"released": 20, "paper": 10})
"""Where the two differ: the released code has 20 states, the paper's text says 10. Both are written 5 actions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularSettings:
    """Settings of the study; the defaults are those of the released code, at the paper's sizes.

    Attributes:
        profile: the name under which the table and the figure show these settings.
        variant: a key of `STATES`.
        seeds: how many seeds, 0 … seeds − 1.
        epsilons: the off-policyness of Fig. 1a and 1b, each in [0, 1); ‖π − μ‖₁ is 2 (1 − 1/|A|) times that.
        epsilon_samples: N of Fig. 1a and 1b.
        samples: the N of Fig. 1c.
        samples_epsilon: ε of Fig. 1c.
        actions: |A|.
        concentration: Dirichlet parameter of each row P(·|s, a).
        discount: γ.
        horizon: steps per trajectory.
        critic_noise: Ṽ(s) = V^μ(s) + 𝒩(0, 1) · critic_noise · ‖V^μ‖₂ / |S|.
    """

    profile: str = "custom"
    variant: str = "released"
    seeds: int = 10
    epsilons: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    epsilon_samples: int = 1000
    samples: tuple[int, ...] = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
    samples_epsilon: float = 0.5
    actions: int = 5
    concentration: float = 0.001
    discount: float = 0.8
    horizon: int = 20
    critic_noise: float = 1.0

    def __post_init__(self) -> None:
        check_known("variant", self.variant, STATES)
        outside = [epsilon for epsilon in (*self.epsilons, self.samples_epsilon) if not 0.0 <= epsilon < 1.0]
        if outside:
            raise UserError(
                f"epsilon {outside[0]} is outside [0, 1): at 1 the softmax logits are infinite. Choose less."
            )

    @property
    def states(self) -> int:
        """|S| of the variant."""
        return STATES[self.variant]

    @property
    def points(self) -> tuple[Point, ...]:
        """Every (sweep, ε, N) of the study."""
        by_epsilon = (("epsilon", epsilon, self.epsilon_samples) for epsilon in self.epsilons)
        by_samples = (("samples", self.samples_epsilon, samples) for samples in self.samples)
        return (*by_epsilon, *by_samples)


PROFILES: Mapping[str, TabularSettings] = MappingProxyType(
    {
        "smoke": TabularSettings(profile="smoke", seeds=2, epsilons=(0.0, 0.5), epsilon_samples=100, samples=(10, 100)),
        "quick": TabularSettings(profile="quick"),
        "overnight": TabularSettings(profile="overnight"),
        "standard": TabularSettings(profile="standard", seeds=100),
        "paper": TabularSettings(profile="paper", seeds=100),
    }
)
"""The paper's size takes seconds, so only `smoke` is smaller. A hundred MDPs decide what its ten leave open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What one seed draws: an MDP, a deterministic policy, a critic and trajectories of the uniform policy μ.

    Attributes:
        mdp: the MDP, with infinite horizon.
        targets: the action of π_d in each state, [S].
        critic: Ṽ, [S].
        states: sₜ, [N, T + 1].
        actions: aₜ, [N, T].
    """

    mdp: TabularMDP
    targets: NDArray[np.int64]
    critic: Array
    states: NDArray[np.int64]
    actions: NDArray[np.int64]


def settings(profile: str, variant: str = "released") -> TabularSettings:
    """The settings of a profile and a variant.

    Raises:
        UserError: if there is no such profile or variant.
    """
    check_known("profile", profile, PROFILES)
    return replace(PROFILES[profile], variant=variant)


def run(settings: TabularSettings, progress: Callable[[int, int], None] = lambda done, total: None) -> pd.DataFrame:
    """One row per seed, point of the two sweeps, estimator and order of the derivative, with the columns `COLUMNS`.

    Args:
        settings: of the study.
        progress: told (done, total) after each seed.
    """
    rows = list[Row]()
    for seed in range(settings.seeds):
        problem = draw_problem(settings, seed)
        scores: dict[Point, list[Row]] = {}
        for epsilon in dict.fromkeys(epsilon for _, epsilon, _ in settings.points):
            scores |= accuracy_rows(problem, epsilon, [point for point in settings.points if point[1] == epsilon])
        fixed: Row = {"profile": settings.profile, "variant": settings.variant, "seed": seed}
        for point in settings.points:
            place: Row = dict(zip(("sweep", "epsilon", "samples"), point, strict=True))
            rows += [{**fixed, **place, **row} for row in scores[point]]
        progress(seed + 1, settings.seeds)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def accuracy_rows(problem: Problem, epsilon: float, points: Sequence[Point]) -> dict[Point, list[Row]]:
    """Accuracy of every estimator in both orders at the points of one ε, each with the first trajectories of the same.

    The derivatives of a trajectory do not depend on how many there are, so those of the largest N serve all points.
    """
    logits = torch.from_numpy(np.log(mixed_policy(problem.targets, problem.mdp.actions, epsilon)))
    truths = (gradient(logits, problem.mdp).flatten(), hessian(logits, problem.mdp).flatten())
    policy, most = policy_derivatives(logits), max(samples for _, _, samples in points)
    states, actions = (torch.from_numpy(of)[:most] for of in (problem.states[:, :-1], problem.actions))
    logp = action_logp(logits, states, actions)[:, None]
    scores: dict[Point, list[Row]] = {point: [] for point in points}
    for name in MEASURED:
        with_critic = bool(ESTIMATORS[name].needs & {"advantages", "control_variate"})
        sample = off_policy_sample(problem, most, with_critic=with_critic)
        parts = (states * problem.mdp.actions + actions, *logp_derivatives(ESTIMATORS[name].surrogate, logp, sample))
        for point in points:
            estimates = mean_derivatives(policy, *(part[: point[2]] for part in parts))
            for order, (estimate, truth) in enumerate(zip(estimates, truths, strict=True), start=1):
                scores[point].append({"estimator": name, "order": order, **accuracy(estimate.flatten(), truth)})
    return scores


def mixed_policy(targets: NDArray[np.int64], actions: int, epsilon: float) -> Array:
    """π = (1 − ε) μ + ε π_d with the uniform μ, [S, A]."""
    mixed: Array = (1.0 - epsilon) / actions + epsilon * np.eye(actions)[targets]
    return mixed


def off_policy_sample(problem: Problem, samples: int, *, with_critic: bool) -> Sample:
    """The first trajectories of the problem as batches of one, [N, 1, T].

    A critic is the baseline of every state, and stands for what follows the last step: its Ṽ(s_T) is part of the last
    reward.
    """
    states, actions = (torch.from_numpy(of[:samples, None]) for of in (problem.states, problem.actions))
    critic = torch.from_numpy(problem.critic)
    behaviour_logp = torch.full(actions.shape, -math.log(problem.mdp.actions), dtype=critic.dtype)
    baseline = critic if with_critic else None
    sample = tabular_sample(problem.mdp, states[..., :-1], actions, behaviour_logp, baseline)
    if not with_critic:
        return sample
    discount, end = problem.mdp.discount, critic[states[..., -1:]]
    steps_to_end = torch.arange(actions.shape[-1], 0, -1, dtype=critic.dtype)
    last = sample.rewards[..., -1:] + discount * end
    return replace(
        sample,
        rewards=torch.cat([sample.rewards[..., :-1], last], dim=-1),
        advantages=sample.advantages + discount**steps_to_end * end,
    )


def draw_problem(settings: TabularSettings, seed: int) -> Problem:
    """Everything random of one seed, in float64; more trajectories extend the same ones."""
    for_mdp, for_policy, for_critic, for_data = (
        numpy_generator(seed, f"tabular/{name}") for name in ("mdp", "policy", "critic", "trajectories")
    )
    size = (settings.states, settings.actions)
    transitions = for_mdp.dirichlet(np.full(settings.states, settings.concentration), size)
    transitions /= transitions.sum(-1, keepdims=True)
    mdp = TabularMDP(
        transitions=torch.from_numpy(transitions),
        rewards=torch.from_numpy(for_mdp.random(size)),
        horizon=None,
        discount=settings.discount,
    )
    exact: Array = state_values(torch.zeros_like(mdp.rewards), mdp)[0].numpy()
    noise = settings.critic_noise * for_critic.standard_normal(settings.states)
    # trajectories of the uniform policy from s₀ = 0, by inverse transform
    samples = max((settings.epsilon_samples, *settings.samples))
    uniforms = for_data.random((samples, settings.horizon, 2))
    actions = (uniforms[..., 0] * settings.actions).astype(np.int64)
    states = np.zeros((samples, settings.horizon + 1), dtype=np.int64)
    cumulative = transitions.cumsum(-1)
    for t in range(settings.horizon):
        rows = cumulative[states[:, t], actions[:, t]]
        # the last cumulative probability may be rounded to just below one
        states[:, t + 1] = np.minimum((rows <= uniforms[:, t, 1:]).sum(-1), settings.states - 1)
    return Problem(
        mdp=mdp,
        targets=for_policy.integers(settings.actions, size=settings.states),
        critic=exact + noise * np.linalg.norm(exact) / len(exact),
        states=states,
        actions=actions,
    )
