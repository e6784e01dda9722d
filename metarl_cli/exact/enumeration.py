"""Every trajectory of a small MDP: expectations as finite sums, and samples that the surrogates understand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metarl_cli.estimators.ratios import decay_matrix
from metarl_cli.exact.oracles import TabularMDP
from metarl_cli.types import Sample

__all__ = ["action_logp", "count_trajectories", "enumerate_trajectories", "probabilities", "tabular_sample"]


def count_trajectories(mdp: TabularMDP) -> int:
    """How many trajectories `enumerate_trajectories` would return; cheap, so that a caller can refuse too many."""
    # States with the same successors are one product: where all can be reached from each, it is a single one.
    successors, row = np.unique((mdp.transitions > 0).sum(dim=1).numpy(), axis=0, return_inverse=True)
    counts = np.full(mdp.states, mdp.actions, dtype=object)  # object: Python integers do not overflow
    for _ in range(_horizon(mdp) - 1):
        counts = (successors.astype(object) @ counts)[row]
    return int(counts[mdp.start_state])


def enumerate_trajectories(mdp: TabularMDP) -> tuple[Tensor, Tensor]:
    """All state-action sequences from s₀ whose transitions have nonzero probability, each once.

    Returns:
        states sₜ and actions aₜ, integers, both [P, H]. Every action counts as possible. The state after the last
        step is left out: no reward depends on it.
    """
    first = torch.tensor([[mdp.start_state]])
    states, actions = _each_action(first, first[:, :0], mdp.actions)
    for _ in range(_horizon(mdp) - 1):
        parent, reached = mdp.transitions[states[:, -1], actions[:, -1]].nonzero(as_tuple=True)
        states = torch.cat([states[parent], reached[:, None]], dim=-1)
        states, actions = _each_action(states, actions[parent], mdp.actions)
    return states, actions


def action_logp(logits: Tensor, states: Tensor, actions: Tensor) -> Tensor:
    """log π_θ(aₜ|sₜ), [..., P, T] for logits [..., S, A] and trajectories [P, T]."""
    return logits.log_softmax(dim=-1)[..., states, actions]


def probabilities(logits: Tensor, mdp: TabularMDP, states: Tensor, actions: Tensor) -> Tensor:
    """Πₜ π_θ(aₜ|sₜ) P(sₜ₊₁|sₜ, aₜ), differentiable, [..., P]; they sum to 1 over an enumeration."""
    environment = mdp.transitions[states[..., :-1], actions[..., :-1], states[..., 1:]].prod(dim=-1)
    return action_logp(logits, states, actions).sum(dim=-1).exp() * environment


def tabular_sample(
    mdp: TabularMDP, states: Tensor, actions: Tensor, behaviour_logp: Tensor, baseline: Tensor | None = None
) -> Sample:
    """The sample of given trajectories: rewards, bₜ = b(sₜ), Aₜ = Gₜ − bₜ and no early end.

    Args:
        mdp: the MDP, which supplies the rewards and γ.
        states: sₜ, [..., T].
        actions: aₜ, [..., T].
        behaviour_logp: log μ(aₜ|sₜ), [..., T].
        baseline: b(s), [S]; zero if None.

    Returns:
        A sample whose tensors have the shape of states.
    """
    rewards = mdp.rewards[states, actions]
    baseline = torch.zeros_like(mdp.rewards[:, 0]) if baseline is None else baseline
    returns = rewards @ decay_matrix(rewards, mdp.discount)
    return Sample(
        behaviour_logp=behaviour_logp,
        rewards=rewards,
        advantages=returns - baseline[states],
        control_variate=baseline[states],
        mask=torch.ones_like(rewards),
        discount=mdp.discount,
    )


def _horizon(mdp: TabularMDP) -> int:
    if mdp.horizon is None:
        raise ValueError("horizon: expected a number of steps, got None: there is no end to enumerate to.")
    return mdp.horizon


def _each_action(states: Tensor, actions: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Each trajectory so far, continued by every action."""
    chosen = torch.arange(count).repeat(states.shape[0])[:, None]
    repeated = actions.repeat_interleave(count, dim=0)
    return states.repeat_interleave(count, dim=0), torch.cat([repeated, chosen], dim=-1)
