"""Environment steps per second of every body: MuJoCo alone, metarl, and Gymnasium's two vector environments.

    python benchmarks/environments.py [--quick]

MuJoCo alone is one `mjData` whose `mj_step` is called in a loop with new controls: the cost of the physics itself.
All run the same model file, timestep and frame skip on one thread; `AsyncVectorEnv` has a process per environment. Each
figure is the best of three rounds, taken in turn. Episodes are short and controls small, so that hardly anything falls.
The last three columns are the speed of metarl divided by that of the others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import mujoco
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import metarl_cli.envs  # noqa: F401 (registers)
from metarl_cli.envs.assets import load_model

ROUNDS = 3
EPISODE = 20
CONTROL = 0.1  # standard deviation in units of the control range: an untrained policy's


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One body: our environment, Gymnasium's, and what makes the two the same physics."""

    ours: str
    theirs: str
    model_file: str
    timestep: float
    frame_skip: int


CONTESTS = (
    Contest(
        ours="HalfCheetahFwdBack", theirs="HalfCheetah-v5", model_file="half_cheetah.xml", timestep=0.01, frame_skip=5
    ),
    Contest(ours="AntFwdBack", theirs="Ant-v5", model_file="ant.xml", timestep=0.01, frame_skip=5),
    Contest(ours="HumanoidFwdBack", theirs="Humanoid-v5", model_file="humanoid.xml", timestep=0.003, frame_skip=5),
    Contest(ours="WalkerFwdBack", theirs="Walker2d-v5", model_file="walker2d.xml", timestep=0.002, frame_skip=8),
    Contest(ours="HopperRandParams", theirs="Hopper-v5", model_file="hopper.xml", timestep=0.004, frame_skip=4),
    Contest(ours="SwimmerRandVel", theirs="Swimmer-v5", model_file="swimmer.xml", timestep=0.01, frame_skip=4),
)


def controls(space: gymnasium.spaces.Box) -> list[np.ndarray]:
    """One episode of small random controls."""
    rng = np.random.default_rng(0)
    return [CONTROL * space.high * rng.standard_normal(space.shape) for _ in range(EPISODE)]


def mujoco_alone(contest: Contest, steps: int) -> Callable[[], int]:
    """`mj_step` on one simulation, as many episodes as make up the steps."""
    model = load_model(contest.model_file, contest.timestep)
    data = mujoco.MjData(model)
    limit = model.actuator_ctrlrange[:, 1]
    actions = controls(gymnasium.spaces.Box(-limit, limit, dtype=np.float64))

    def run() -> int:
        for _ in range(steps // EPISODE):
            mujoco.mj_resetData(model, data)
            for action in actions:
                data.ctrl[:] = action
                mujoco.mj_step(model, data, nstep=contest.frame_skip)
        return steps // EPISODE * EPISODE

    return run


def vector(envs: gymnasium.vector.VectorEnv) -> Callable[[], int]:
    """One episode of all sub-environments, counting those that had not terminated."""
    actions = controls(envs.action_space)

    def run() -> int:
        envs.reset(seed=0)
        fallen, taken = np.zeros(envs.num_envs, bool), 0
        for action in actions:
            taken += int(np.sum(~fallen))
            fallen |= envs.step(action)[2]
        return taken

    return run


def single(contest: Contest) -> gymnasium.Env:
    """Gymnasium's environment of the body, with our clock."""
    env = gymnasium.make(contest.theirs, frame_skip=contest.frame_skip, xml_file=contest.model_file)
    env.unwrapped.model.opt.timestep = contest.timestep
    return env


def rates(contest: Contest, sizes: tuple[int, int, int]) -> list[float]:
    """Environment steps per second of the four, in the order of the table."""
    ours, sync, background = sizes
    vectors = [
        gymnasium.make_vec(f"metarl/{contest.ours}-v0", num_envs=ours, threads=1),
        SyncVectorEnv([lambda: single(contest)] * sync),
        AsyncVectorEnv([lambda: single(contest)] * background),
    ]
    runs = [mujoco_alone(contest, ours * EPISODE), *(vector(envs) for envs in vectors)]
    rounds = [[timed(run) for run in runs] for _ in range(ROUNDS)]
    for envs in vectors:
        envs.close()
    return [max(column) for column in zip(*rounds, strict=True)]


def timed(run: Callable[[], int]) -> float:
    """Steps per second of one run."""
    start = time.perf_counter()
    return run() / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer simulations; a few seconds")
    sizes = (80, 8, 4) if parser.parse_args().quick else (800, 40, 8)
    mujoco.set_mju_user_warning(lambda message: None)  # Gymnasium loads half_cheetah.xml with a deprecated attribute
    title = f"Environment steps per second ({sizes[0]}, {sizes[1]}, {sizes[2]} sub-environments)"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("environment", no_wrap=True)
    for column in ("mj_step", "metarl", "sync", "async", "÷ mj_step", "÷ sync", "÷ async"):
        table.add_column(column, justify="right", no_wrap=True)
    for contest in CONTESTS:
        alone, ours, sync, background = rates(contest, sizes)
        speeds = [f"{rate:,.0f}" for rate in (alone, ours, sync, background)]
        table.add_row(contest.ours, *speeds, *(f"{ours / rate:.2f}" for rate in (alone, sync, background)))
    Console().print(table)


if __name__ == "__main__":
    main()
