"""The inner loop: K differentiable gradient-ascent steps on an inner surrogate, for one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from metarl_cli.params import ascend
from metarl_cli.training import policies
from metarl_cli.types import Gaussian, Params, Round, Surrogate

__all__ = ["Inner", "Stage", "adapt", "adapted", "inner_gradient", "inner_objective", "inner_step", "stage_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """How one adaptation step is taken: θ′ = θ + α ∇J̄(θ).

    Attributes:
        surrogate: the inner estimator as a mean over steps, a value to ascend: see `estimators.averages`.
        lr: α.
        first_order: replace the Jacobian I + α∇²J of the step by I (FMAML).
        per_action: the surrogate takes log-probabilities per action dimension, [N, T, A].
        magic_box: take ρ = π_θ / ⊥π_θ, one in value whatever θ is, as Foerster et al. (2018) write DiCE, instead of the
            ratio to the recorded policy. The two agree at the θ that sampled; further away, products of a hundred
            ratios explode.
        reference: while sampling, scale the rewards so that steps are as long as this surrogate's, see
            `step_lengths.matched`; None leaves them as they are.
    """

    surrogate: Surrogate
    lr: float
    first_order: bool = False
    per_action: bool = False
    magic_box: bool = False
    reference: Surrogate | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """θᵏ, the policy π_θᵏ at the observations of round k, and log π_θᵏ of the actions taken there, [N, T, A]."""

    params: Params
    policy: Gaussian
    logp_per_action: Tensor

    @property
    def logp(self) -> Tensor:
        """log π_θᵏ(aₜ|sₜ), [N, T]."""
        return self.logp_per_action.sum(-1)


def stage_at(params: Params, round_: Round) -> Stage:
    """Evaluate one task's policy on one task's round."""
    policy = policies.distribution(params, round_.trajectories.observations)
    return Stage(params, policy, policies.log_prob_per_action(policy, round_.trajectories.actions))


def inner_objective(stage: Stage, round_: Round, inner: Inner) -> Tensor:
    """J̄(θ) of one task."""
    logp = stage.logp_per_action if inner.per_action else stage.logp
    # ⊥π_θ: the box is one in value, only its derivatives depend on θ.
    sample = replace(round_.sample, behaviour_logp=logp.detach()) if inner.magic_box else round_.sample
    return inner.surrogate(logp, sample)


def inner_gradient(stage: Stage, round_: Round, inner: Inner, *, differentiable: bool) -> Params:
    """∇_θ J̄(θ).

    Args:
        stage: θ and its policy at the round's observations, with the graph that connects them.
        round_: the data of one task.
        inner: surrogate and step size.
        differentiable: keep the graph of the gradient, for the meta-gradient; sampling does without.
    """
    gradients = torch.autograd.grad(
        inner_objective(stage, round_, inner),
        list(stage.params.values()),
        create_graph=differentiable and not inner.first_order,
        retain_graph=differentiable,
    )
    return dict(zip(stage.params, gradients, strict=True))


def inner_step(stage: Stage, round_: Round, inner: Inner, *, differentiable: bool) -> Params:
    """θ′ = θ + α ∇_θ J̄(θ); arguments as for `inner_gradient`."""
    return ascend(stage.params, inner_gradient(stage, round_, inner, differentiable=differentiable), inner.lr)


def adapted(stage: Stage, round_: Round, inner: Inner) -> Params:
    """θ′ without a graph: what samples the next round, and what a diagnosis looks at."""
    following = inner_step(stage, round_, inner, differentiable=False)
    return {name: value.detach() for name, value in following.items()}  # the sampling policy is data


def adapt(theta: Params, rounds: Sequence[Round], inner: Inner, *, differentiable: bool = True) -> list[Stage]:
    """θ⁰ … θᴷ on the stored rounds of one task: K + 1 stages for K + 1 rounds."""
    stages = [stage_at(theta, rounds[0])]
    for previous, following in pairwise(rounds):
        params = inner_step(stages[-1], previous, inner, differentiable=differentiable)
        stages.append(stage_at(params, following))
    return stages
