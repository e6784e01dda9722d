"""Task distributions over MuJoCo bodies, simulated many at a time.

A `Body` says how a model is stepped and observed, a `Locomotion` problem what is rewarded. `BatchSimulator` runs them:
every simulation is one row of `mujoco.batch.Batch`, whose results equal a loop over `mj_step` to the last bit at any
number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from threading import Lock
from typing import NamedTuple, TypeAlias

import mujoco
import numpy as np
from gymnasium.spaces import Box
from mujoco.batch import Batch

from metarl_cli.envs.assets import load_model
from metarl_cli.envs.vector import BoolArray, FloatArray, Outcome

__all__ = ["BatchSimulator", "Body", "Fields", "Locomotion", "ModelField", "Motion"]

Fields: TypeAlias = Mapping[str, FloatArray]
"""Arrays of `mjData` by name, [num_envs, ...]; live: the next step overwrites them."""


class Motion(NamedTuple):
    """What a step did to the point of the body that a task looks at; [num_envs, 1 or 2] each."""

    position: FloatArray
    velocity: FloatArray


class ModelField(NamedTuple):
    """A field of `mjModel` that tasks multiply, element by element."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A model, its clock and its senses.

    Attributes:
        model_file: File in Gymnasium's assets.
        timestep: Seconds of one `mj_step`.
        frame_skip: `mj_step` calls per environment step; dt = timestep · frame_skip.
        outputs: Derived fields of `mjData` that the functions below read, beside qpos and qvel.
        contact_forces: Whether they read `cfrc_ext` too, which costs an extra computation.
        observe: The pieces of the observation, each [num_envs, size].
        position: Coordinates whose change is the velocity, a new array [num_envs, 1 or 2].
        noise: Offsets of qpos and qvel at a reset, `noise(rng, (n, nq), (n, nv))`.
    """

    model_file: str
    timestep: float
    frame_skip: int
    outputs: tuple[str, ...] = ()
    contact_forces: bool = False
    observe: Callable[[Fields], tuple[FloatArray, ...]]
    position: Callable[[Fields], FloatArray]
    noise: Callable[[np.random.Generator, tuple[int, int], tuple[int, int]], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locomotion:
    """A task distribution over one body.

        r = weight · progress(motion, task) + alive_bonus − control_cost · ‖u‖² − contact_cost(forces)

    where u is the control in the actuators' units.

    Attributes:
        body: What moves.
        draw: n independent tasks, `draw(n, rng)`, [n, ...].
        progress: The part of the reward that depends on the motion, and on the tasks unless `physics` does.
        weight: Of the progress.
        control_cost: Weight of the squared control.
        contact_cost: Of `cfrc_ext`, [num_envs]; None for a body without contact forces.
        alive_bonus: Reward of every step.
        healthy: Sub-environments whose episode goes on; None if it always does.
        physics: The model's fields that a task multiplies, in the order of its entries; empty if it leaves them alone.
    """

    body: Body
    draw: Callable[[int, np.random.Generator], FloatArray]
    progress: Callable[[Motion, FloatArray], FloatArray]
    weight: float = 1.0
    control_cost: float
    contact_cost: Callable[[Fields], FloatArray] | None = None
    alive_bonus: float = 0.0
    healthy: Callable[[Fields], BoolArray] | None = None
    physics: tuple[ModelField, ...] = ()

    def simulator(self, num_envs: int, threads: int) -> BatchSimulator:
        """The simulation of `num_envs` such bodies on that many threads."""
        return BatchSimulator(self, num_envs, threads)


class BatchSimulator:
    """The states of `num_envs` bodies: a `Simulator`."""

    def __init__(self, problem: Locomotion, num_envs: int, threads: int) -> None:
        self._problem, self._body = problem, problem.body
        self._model = load_model(self._body.model_file, self._body.timestep)
        self._dt = self._body.timestep * self._body.frame_skip
        self._batch = Batch(self._model, num_envs, threads, persistent=self._body.contact_forces)
        self._fields = {name: self._batch.bind(name) for name in ("qpos", "qvel", "ctrl", "ncon", *self._body.outputs)}
        if self._body.contact_forces:
            self._fields["cfrc_ext"] = np.zeros((num_envs, self._model.nbody, 6))
            self._scratch = mujoco.MjData(self._model)
        # The warnings after which MuJoCo has reset a simulation instead of raising, counted since its last reset.
        unstable = slice(mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQACC + 1)
        self._unstable = self._batch.warning[:, unstable, 1]
        self._batch.reset()
        self._position = self._body.position(self._fields)
        self.observation_space = Box(-np.inf, np.inf, self.observe().shape[1:], np.float64)
        self.action_space = Box(*self._model.actuator_ctrlrange.T, dtype=np.float64)

    def assign(self, tasks: FloatArray) -> None:
        """Let each body follow its task, or obey its own physics.

        Constants that MuJoCo derives from the multiplied fields (inverse weights, subtree masses) keep their nominal
        values, as they did in the papers: `mj_setConst` is not called.
        """
        self._tasks, start = tasks, 0
        for name, shape in self._problem.physics:
            stop = start + prod(shape)
            self._batch.expand(name)[...] = getattr(self._model, name) * tasks[:, start:stop].reshape(-1, *shape)
            start = stop

    def draw_starts(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw the noise on the initial states of n bodies, [n, nq + nv]."""
        return np.concatenate(self._body.noise(rng, (n, self._model.nq), (n, self._model.nv)), axis=1)

    def restart(self, mask: BoolArray, starts: FloatArray) -> None:
        """Put the masked bodies at the model's initial state plus noise; clears their warm starts and warnings."""
        self._batch.reset(mask, stage=mujoco.mjtStage.mjSTAGE_NONE.value)
        self._fields["qpos"][mask] += starts[:, : self._model.nq]
        self._fields["qvel"][mask] += starts[:, self._model.nq :]
        with QUIET:
            self._batch.forward(mask)
        self._sense_contacts(mask)
        self._position = self._body.position(self._fields)

    def advance(self, live: BoolArray, actions: FloatArray) -> Outcome:
        """Hold the actions for `frame_skip` physics steps."""
        self._fields["ctrl"][...] = actions
        with QUIET:
            self._batch.step(live, nstep=self._body.frame_skip)
        # MuJoCo has reset the simulations that it warned of; those that are not finite it would reset at its next step.
        finite = np.isfinite(self._fields["qpos"]).all(axis=1) & np.isfinite(self._fields["qvel"]).all(axis=1)
        diverged = self._unstable.any(axis=1) | ~finite
        if not finite.all():
            self._batch.reset(~finite)
        self._sense_contacts(live)
        before, self._position = self._position, self._body.position(self._fields)
        motion = Motion(self._position, (self._position - before) / self._dt)
        problem = self._problem
        terminated = np.zeros_like(live) if problem.healthy is None else ~problem.healthy(self._fields)
        rewards = problem.weight * problem.progress(motion, self._tasks) + problem.alive_bonus
        rewards -= problem.control_cost * np.square(actions).sum(axis=1)
        if problem.contact_cost is not None:
            rewards -= problem.contact_cost(self._fields)
        return Outcome(rewards, terminated, diverged)

    def observe(self) -> FloatArray:
        """The observations, a new array [num_envs, S]."""
        return np.concatenate(self._body.observe(self._fields), axis=1)

    def positions(self) -> FloatArray:
        """`qpos` of all bodies, a new array [num_envs, nq]."""
        return np.array(self._fields["qpos"])

    def _sense_contacts(self, mask: BoolArray) -> None:
        """Compute the contact forces of the masked bodies from the contacts of their last physics stage.

        MuJoCo computes `cfrc_ext` on demand only, and its sensors look at the first of the four stages of RK4.
        """
        if not self._body.contact_forces:
            return
        forces, contacts = self._fields["cfrc_ext"], self._fields["ncon"]
        forces[mask] = 0.0
        for i in np.flatnonzero(mask & (contacts > 0)):
            self._batch.get_data(i, self._scratch)
            mujoco.mj_rnePostConstraint(self._model, self._scratch)
            forces[i] = self._scratch.cfrc_ext


class _Quiet:
    """Keeps MuJoCo from printing and logging every divergence to a file in the working directory: they are counted.

    MuJoCo has one handler for all threads: the first that enters replaces it, the last that leaves puts it back.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._previous = mujoco.get_mju_user_warning()
                mujoco.set_mju_user_warning(lambda message: None)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                mujoco.set_mju_user_warning(self._previous)


QUIET = _Quiet()
