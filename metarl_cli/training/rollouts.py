"""Sampling: the only module that steps an environment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TypeAlias, cast

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import metarl_cli.envs  # noqa: F401  registers the environments with Gymnasium
from metarl_cli.envs.episodes import SUCCESS
from metarl_cli.envs.halves import Halves
from metarl_cli.envs.own import make_own
from metarl_cli.envs.registry import find_environment
from metarl_cli.envs.vector import TaskVectorEnv
from metarl_cli.errors import RunFailedError
from metarl_cli.references import is_reference
from metarl_cli.training import policies
from metarl_cli.training.parallel import mapped
from metarl_cli.types import Gaussian, Params, Trajectories, for_task, joined

__all__ = ["Array", "Workers", "action_space", "collect", "make_workers", "scale_actions", "unscaled_actions"]

Array: TypeAlias = NDArray[np.float64]

FLOAT32_LIMIT = float(np.finfo(np.float32).max)
"""Greater rewards are infinite where they are summed up, and greater observations where the policy sees them."""


class Workers(Protocol):
    """A Gymnasium vector environment with a task distribution, as the trainer sees it."""

    num_envs: int
    divergences: int
    single_observation_space: gymnasium.spaces.Box
    single_action_space: gymnasium.spaces.Box

    def sample_tasks(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n tasks, [n, …]."""

    def sample_test_tasks(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n tasks that are kept for testing, or n of all if none are."""

    def set_tasks(self, tasks: Array) -> None:
        """Give each sub-environment its task, [num_envs, …]."""

    def reset(self, *, seed: int) -> tuple[Array, dict[str, Any]]:
        """Begin an episode in every sub-environment."""

    def step(self, actions: Array) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every sub-environment."""


def make_workers(
    env: str, *, num_envs: int, env_options: Mapping[str, Any], halves: tuple[int, int] | None = None
) -> Workers:
    """The vector environment `metarl/<env>-v0` with one sub-environment per trajectory that is sampled at once.

    Of the user's own environments, which a reference names, the number of threads and the horizon are their own.

    Args:
        env: its name.
        num_envs: how many sub-environments.
        env_options: what else `gymnasium.make_vec` is given.
        halves: their numbers, if it is to be made of `Halves`; no number depends on that.
    """
    if is_reference(env):
        return cast(Workers, make_own(env, num_envs=num_envs, variant=env_options.get("variant", "")))
    name = find_environment(env).id
    if halves is None:
        return cast(Workers, gymnasium.make_vec(name, num_envs=num_envs, **env_options))
    first, second = (cast(TaskVectorEnv, gymnasium.make_vec(name, num_envs=n, **env_options)) for n in halves)
    return cast(Workers, Halves((first, second)))


@cache
def action_space(env: str, variant: str) -> gymnasium.spaces.Box:
    """Of one environment of a name and variant, remembered: to make one takes far longer than to choose an action."""
    return make_workers(env, num_envs=1, env_options={"variant": variant} if variant else {}).single_action_space


def scale_actions(actions: Tensor, space: gymnasium.spaces.Box, scale: float) -> Array:
    """u = clip(low + (a + c)(high − low)/(2c), low, high) with c = `scale`.

    The released code of all four papers wraps every environment so, with c = 10: a policy of unit standard deviation
    begins with a tenth of the control range.

    Args:
        actions: the policy's own, [num_envs, A].
        space: one sub-environment's action space.
        scale: c.
    """
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    raw = actions.numpy().astype(np.float64)
    return np.clip(low + (raw + scale) * (high - low) / (2.0 * scale), low, high)


def unscaled_actions(actions: Tensor, space: gymnasium.spaces.Box, scale: float) -> Tensor:
    """The policy's own actions behind those that `scale_actions` gave; of what it cut off, the border."""
    low, high = (torch.from_numpy(border).to(actions.dtype) for border in (space.low, space.high))
    return (actions - low) * (2.0 * scale) / (high - low) - scale


def collect(
    workers: Workers,
    tasks: Array,
    params: Params,
    *,
    horizon: int,
    action_scale: float,
    generator: torch.Generator,
    seed: int,
) -> Trajectories:
    """N trajectories of each of M tasks, T steps each, with one policy call per step for all of them.

    Of `Halves`, each has a thread and its policy calls of its own: while one decides, the other simulates. The noise is
    drawn for both at once, and the products of some tasks have the bits that they have among others.

    Args:
        workers: M·N sub-environments; sub-environment m·N + n runs trajectory n of task m.
        tasks: [M, …].
        params: one policy per task, `[M, …]`.
        horizon: T. An episode that ends earlier is masked from there on.
        action_scale: see `scale_actions`.
        generator: the source of the action noise.
        seed: of the environments' reset noise.

    Raises:
        RunFailedError: if an action is not finite: the parameters are not, or are too large; or if what the environment
            returns is not.
    """
    each = workers.num_envs // len(tasks)
    noise = torch.randn((horizon, len(tasks), each, params["log_std"].shape[-1]), generator=generator)
    workers.set_tasks(np.repeat(tasks, each, axis=0))
    state, _ = workers.reset(seed=seed)
    if not isinstance(workers, Halves):
        return _rolled_out(workers, params, state, noise, action_scale)
    border = workers.pair[0].num_envs
    parts = (slice(border), slice(border, None)), (slice(border // each), slice(border // each, None))

    def of_half(half: Workers, rows: slice, own: slice) -> Trajectories:
        return _rolled_out(half, for_task(params, own), state[rows], noise[:, own], action_scale)

    return joined(mapped(of_half, workers.pair, *parts, threads=2))


def _rolled_out(workers: Workers, params: Params, state: Array, noise: Tensor, action_scale: float) -> Trajectories:
    """The trajectories from these first observations on, with this noise [T, M, N, A]."""
    shape, std = noise.shape[1:3], params["log_std"].exp().unsqueeze(1)
    observations, means, actions, rewards, mask = [], [], [], [], []
    successes = list[NDArray[np.bool_]]()
    alive = np.ones(workers.num_envs, dtype=bool)
    with torch.no_grad():
        for t in range(len(noise)):
            if not bool((np.abs(state) <= FLOAT32_LIMIT).all()):  # false for NaN
                raise RunFailedError("the environment's observations are not finite.")
            observation = torch.from_numpy(state.astype(np.float32)).reshape(*shape, -1)
            mean = policies.distribution(params, observation).mean
            action = mean + std * noise[t]
            if not bool(torch.isfinite(action).all()):
                raise RunFailedError("the policy's actions are not finite.")
            scaled = scale_actions(action.flatten(0, 1), workers.single_action_space, action_scale)
            state, reward, terminated, _, info = workers.step(scaled)
            observations.append(observation)
            means.append(mean)
            actions.append(action)
            rewards.append(np.where(alive, reward, 0.0))
            if not bool((np.abs(rewards[-1]) <= FLOAT32_LIMIT).all()):  # false for NaN
                raise RunFailedError(f"the environment's reward at step {t} is not finite.")
            mask.append(alive)
            if SUCCESS in info:
                successes.append(alive & (np.asarray(info[SUCCESS]) > 0))
            alive = alive & ~terminated
    # The policy that acted is data from here on: the ratios of every estimator are taken against it.
    behaviour = Gaussian(torch.stack(means, dim=2), params["log_std"].detach()[:, None, None, :].clone())
    drawn = torch.stack(actions, dim=2)
    ever = np.any(successes, axis=0).astype(np.float32) if successes else None  # at any of its steps
    return Trajectories(
        observations=torch.stack(observations, dim=2),
        actions=drawn,
        rewards=torch.from_numpy(np.stack(rewards, axis=1).astype(np.float32)).reshape(drawn.shape[:3]),
        mask=torch.from_numpy(np.stack(mask, axis=1).astype(np.float32)).reshape(drawn.shape[:3]),
        behaviour=behaviour,
        behaviour_logp=policies.log_prob(behaviour, drawn),
        success=None if ever is None else torch.from_numpy(ever).reshape(shape),
    )
