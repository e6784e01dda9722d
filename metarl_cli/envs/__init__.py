"""The papers' task distributions as Gymnasium vector environments.

Importing this package registers `metarl/<name>-v0` for every entry of `ENVIRONMENTS`; it imports neither MuJoCo nor
torch. Everything else is Gymnasium:

    envs = gymnasium.make_vec("metarl/HalfCheetahFwdBack-v0", num_envs=800, threads=1)
    envs.set_tasks(envs.sample_tasks(800, rng))
    observations, _ = envs.reset(seed=1)
"""

from __future__ import annotations

import gymnasium

from metarl_cli.envs.registry import ENVIRONMENTS, EnvironmentSpec, find_environment, find_variant

__all__ = ["ENVIRONMENTS", "EnvironmentSpec", "find_environment", "find_variant", "register"]


def register() -> None:
    """Make every environment known to Gymnasium, which loads an entry point only when an environment is made."""
    for spec in ENVIRONMENTS.values():
        gymnasium.register(
            spec.id,
            entry_point="metarl_cli.envs.single:TaskEnv",
            vector_entry_point="metarl_cli.envs.vector:make_vec",
            max_episode_steps=spec.horizon,
            kwargs={"name": spec.name},
        )


register()
