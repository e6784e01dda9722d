"""The user's own environments, by reference, as the trainer sees environments.

A class, or a function that makes an environment, with Gymnasium's interface and a task distribution:

    sample_tasks(n, rng)          n tasks: an array [n, …], or a list of anything
    set_task(task)                of a `gymnasium.Env`; from the next reset on
    set_tasks(tasks)              of a `gymnasium.vector.VectorEnv` that is made with `num_envs`; one each
    sample_test_tasks(n, rng)     optional: tasks that are kept for testing
    max_episode_steps             optional: the horizon of one episode, otherwise 100
    variant                       optional argument of the class: `environment.variant`
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv

from metarl_cli.envs.episodes import SUCCESS, OwnWorkers, SideBySide, attribute, blaming
from metarl_cli.envs.registry import find_environment, find_variant
from metarl_cli.errors import UserError
from metarl_cli.references import is_reference, load_reference

__all__ = [
    "OwnEnvironment",
    "check_environment",
    "faults",
    "horizon_of",
    "inspected",
    "make_one",
    "make_own",
    "reports_success",
]

DEFAULT_HORIZON = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEnvironment:
    """What is known of an environment once it was made and stepped.

    Attributes:
        horizon: H.
        success: Whether `info["success"]` says at every step if the task is accomplished.
    """

    horizon: int
    success: bool


def is_vector(maker: Any) -> bool:
    """Whether a class or function makes a vector environment: it asks for the number of environments."""
    vector_class = inspect.isclass(maker) and issubclass(maker, VectorEnv)
    return vector_class or "num_envs" in inspect.signature(maker).parameters


def find_maker(reference: str) -> Callable[..., Any]:
    """The class or function of that name.

    Raises:
        UserError: If there is no such thing, or it makes nothing.
    """
    maker: Callable[..., Any] = load_reference(reference, "environment")
    if not callable(maker):
        raise UserError(f"{reference} is a {type(maker).__name__}; expected a class, or a function that makes one.")
    return maker


def make_one(reference: str, variant: str = "", render_mode: str = "") -> Any:
    """One environment of a reference, or a vector environment of one.

    Raises:
        UserError: If there is no such thing, or it makes no environment.
    """
    maker = find_maker(reference)
    with blaming(reference, "making one"):
        taken = inspect.signature(maker).parameters
        if variant and "variant" not in taken and not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
            raise UserError(f"{reference} has no variant {variant!r}: it takes no argument `variant`.")
        options = {"variant": variant, "render_mode": render_mode, "num_envs": 1 if is_vector(maker) else None}
        env = maker(**{name: value for name, value in options.items() if value})  # a class need not take the others
    if not isinstance(env, gymnasium.Env | VectorEnv):
        expected = "expected a gymnasium.Env or a gymnasium.vector.VectorEnv"
        raise UserError(f"{reference} makes a {type(env).__name__}; {expected}.")
    return env


def faults(env: Any) -> dict[str, tuple[str, str]]:
    """What the trainer needs and an environment lacks, and the remedy, by the name of the check; empty if nothing."""
    vector = isinstance(env, VectorEnv)
    observations = getattr(env, "single_observation_space" if vector else "observation_space", None)
    actions = getattr(env, "single_action_space" if vector else "action_space", None)
    wanted = "set_tasks" if vector else "set_task"
    tests = {
        "sample_tasks": (
            callable(attribute(env, "sample_tasks")),
            "there is no sample_tasks(n, rng)",
            "add one that draws n tasks from the generator rng",
        ),
        wanted: (
            callable(attribute(env, wanted)),
            f"there is no {wanted}",
            f"add one that takes {'a task for each environment' if vector else 'a task'}",
        ),
        "observation space": (
            isinstance(observations, Box) and len(observations.shape) == 1,
            f"the observation space is {observations}, expected a Box of one dimension",
            "wrap the environment in gymnasium.wrappers.FlattenObservation",
        ),
        "action space": (
            isinstance(actions, Box)
            and len(actions.shape) == 1
            and bool(np.isfinite([actions.low, actions.high]).all()),
            f"the action space is {actions}, expected a Box of one dimension with finite bounds",
            "the policy is Gaussian, and scaled to them",
        ),
    }
    return {name: (fault, remedy) for name, (passed, fault, remedy) in tests.items() if not passed}


@cache
def inspected(reference: str, variant: str = "") -> OwnEnvironment:
    """Make one environment, check its interface, and take a step.

    Raises:
        UserError: If there is none, or it lacks what the trainer needs.
    """
    env = make_one(reference, variant)
    if missing := faults(env):
        told = "; ".join(f"{fault}: {remedy}" for fault, remedy in missing.values())
        raise UserError(f"{reference}: {told}. `metarl check env {reference}` tells all.")
    horizon = attribute(env, "max_episode_steps")
    if horizon is None:
        horizon = (env.spec.max_episode_steps if env.spec else None) or DEFAULT_HORIZON
    if not isinstance(horizon, int | np.integer) or horizon < 1:
        raise UserError(f"{reference}: max_episode_steps is {horizon!r}, expected a positive integer.")
    workers = OwnWorkers(reference, env if isinstance(env, VectorEnv) else SideBySide(lambda: env, 1))
    workers.set_tasks(workers.sample_tasks(1, np.random.default_rng(0)))
    workers.reset(seed=0)
    low, high = workers.single_action_space.low, workers.single_action_space.high
    *_, info = workers.step((low.astype(np.float64) + high)[None] / 2.0)
    env.close()
    return OwnEnvironment(horizon=int(horizon), success=SUCCESS in info)


def make_own(reference: str, *, num_envs: int, variant: str = "") -> OwnWorkers:
    """The environments of a reference, one per trajectory that is sampled at once.

    Raises:
        UserError: If there is no such environment, or it lacks what the trainer needs.
    """
    inspected(reference, variant)
    maker, options = find_maker(reference), {"variant": variant} if variant else {}
    with blaming(reference, "making one"):
        if is_vector(maker):
            return OwnWorkers(reference, maker(num_envs=num_envs, **options))
        return OwnWorkers(reference, SideBySide(lambda: maker(**options), num_envs))


def check_environment(name: str, variant: str) -> None:
    """Raise `UserError` unless there is an environment of that name, built in or the user's own, and variant."""
    if is_reference(name):
        inspected(name, variant)
    else:
        find_variant(find_environment(name), variant or None)


def horizon_of(name: str, variant: str = "") -> int:
    """The steps of one episode of an environment, built in or the user's own.

    Raises:
        UserError: If there is no such environment.
    """
    return inspected(name, variant).horizon if is_reference(name) else find_environment(name).horizon


def reports_success(name: str, variant: str) -> bool:
    """Whether an environment says at every step if its task is accomplished; none of the built-in ones does."""
    return is_reference(name) and inspected(name, variant).success
