"""Rollouts of every body against the physics itself: `mj_step` of one simulation in a loop, with new controls.

Both run the same model file, timestep and frame skip on one thread. Episodes are short and controls small, so that
hardly anything falls.
"""

from __future__ import annotations

from collections.abc import Callable

import gymnasium
import mujoco
import numpy as np

import metarl_cli.envs  # noqa: F401 (registers)
from benchmarks.measuring import Row, in_turn, ratios
from metarl_cli.envs.assets import load_model

BODIES = {
    "HalfCheetahFwdBack": ("half_cheetah.xml", 0.01, 5),
    "AntFwdBack": ("ant.xml", 0.01, 5),
    "HumanoidFwdBack": ("humanoid.xml", 0.003, 5),
    "WalkerFwdBack": ("walker2d.xml", 0.002, 8),
    "HopperRandParams": ("hopper.xml", 0.004, 4),
    "SwimmerRandVel": ("swimmer.xml", 0.01, 4),
}
"""Model file, timestep and frame skip."""

EPISODE = 20
CONTROL = 0.1  # standard deviation in units of the control range: an untrained policy's


def rollouts(*, quick: bool, rounds: int) -> list[Row]:
    """Of each body, the CPU time of the physics divided by that of our environments for as many steps."""
    mujoco.set_mju_user_warning(lambda message: None)  # half_cheetah.xml has a deprecated attribute
    size, rows = 80 if quick else 800, list[Row]()
    for name, (model_file, timestep, frame_skip) in BODIES.items():
        envs = gymnasium.make_vec(f"metarl/{name}-v0", num_envs=size, threads=1)
        rng = np.random.default_rng(0)
        actions = CONTROL * rng.standard_normal((EPISODE, *envs.action_space.shape)) * envs.action_space.high
        alone = _physics_alone(load_model(model_file, timestep), actions, frame_skip)
        physics, ours = in_turn(rounds, alone, _vector(envs, actions))
        rows.append(Row(f"rollouts, {name}: mj_step / ours", "×", ratios(physics, ours)))
        envs.close()
    return rows


def _physics_alone(model: mujoco.MjModel, actions: np.ndarray, frame_skip: int) -> Callable[[], None]:
    data = mujoco.MjData(model)

    def run() -> None:
        for episode in range(actions.shape[1]):
            mujoco.mj_resetData(model, data)
            for control in actions[:, episode]:
                data.ctrl[:] = control
                mujoco.mj_step(model, data, nstep=frame_skip)

    return run


def _vector(envs: gymnasium.vector.VectorEnv, actions: np.ndarray) -> Callable[[], None]:
    def run() -> None:
        envs.reset(seed=0)
        for action in actions:
            envs.step(action)

    return run
