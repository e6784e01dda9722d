"""The papers' task distributions as Gymnasium vector environments.

Importing this package registers `metarl/<name>-v0` for every entry of `ENVIRONMENTS`; it imports neither MuJoCo nor
torch. Everything else is Gymnasium:

    envs = gymnasium.make_vec("metarl/HalfCheetahFwdBack-v0", num_envs=800, threads=1)
    envs.set_tasks(envs.sample_tasks(800, rng))
    observations, _ = envs.reset(seed=1)
"""

from __future__ import annotations

import gymnasium

from metarl_cli.envs.registry import ENVIRONMENTS

__all__ = ["ENVIRONMENTS"]

for spec in ENVIRONMENTS.values():
    gymnasium.register(
        spec.id,
        entry_point="metarl_cli.envs.single:TaskEnv",  # loaded only when an environment is made
        vector_entry_point="metarl_cli.envs.vector:make_vec",
        max_episode_steps=spec.horizon,
        kwargs={"name": spec.name},
    )
