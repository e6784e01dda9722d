"""Pictures of MuJoCo bodies on a machine without a display, and a record of the positions that they show.

Drawing needs an OpenGL library, which nothing else of metarl does: EGL or OSMesa, both of which draw into memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

import mujoco
import numpy as np
from gymnasium.vector import VectorWrapper
from numpy.typing import NDArray

from metarl_cli.envs.assets import load_model
from metarl_cli.envs.physics import Locomotion
from metarl_cli.envs.vector import FloatArray, TaskVectorEnv, find_problem
from metarl_cli.errors import UserError

__all__ = ["Image", "PositionRecorder", "Shoot", "camera", "find_backend", "is_body"]

Image: TypeAlias = NDArray[np.uint8]
"""[HEIGHT, WIDTH, 3]."""

Shoot: TypeAlias = Callable[[FloatArray, FloatArray | None], Image]
"""`shoot(qpos, goal)`: a picture of the body, and of the goal in the plane, if there is one."""

HEIGHT, WIDTH = 240, 320

BACKENDS = {"linux": ("egl", "osmesa"), "darwin": ("cgl",)}.get(sys.platform, ("glfw",))
"""MuJoCo's ways to OpenGL that need no display; EGL, which can use a graphics card, before OSMesa."""

PROBE = """
import sys, importlib, mujoco
context = importlib.import_module(f"mujoco.{sys.argv[1]}").GLContext(8, 8)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), 100).free()
context.free()
"""

NO_OPENGL = (
    "Pictures of MuJoCo bodies need an OpenGL library that draws without a display, and neither EGL nor OSMesa works "
    "here. On Debian or Ubuntu: apt-get install libegl1 libgl1, or: apt-get install libosmesa6. Everything else of "
    "metarl works without."
)

TORSO = 1
"""The body that all others hang on; 0 is the world."""

MARKER_RADIUS, MARKER_COLOUR = 0.15, (0.84, 0.37, 0.0, 0.9)


class PositionRecorder(VectorWrapper[FloatArray, FloatArray, FloatArray, FloatArray, Any]):
    """A vector environment that remembers where everything was.

    Attributes:
        episodes: For each reset, the positions after it and after each step, [num_envs, Q] each.
    """

    def __init__(self, env: TaskVectorEnv) -> None:
        super().__init__(env)
        self.set_tasks = env.set_tasks
        self._positions = env.positions
        self.episodes: list[list[FloatArray]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start new episodes, and a new record."""
        started = self.env.reset(seed=seed, options=options)
        self.episodes.append([self._positions()])
        return started

    def step(self, actions: FloatArray) -> tuple[FloatArray, Any, Any, Any, dict[str, Any]]:
        """Advance, and note the positions."""
        outcome = self.env.step(actions)
        self.episodes[-1].append(self._positions())
        return outcome


def is_body(name: str, variant: str | None) -> bool:
    """Whether the environment moves a MuJoCo body, and not a point."""
    return isinstance(find_problem(name, variant), Locomotion)


@contextmanager
def camera(name: str, variant: str | None) -> Iterator[Shoot]:
    """A function that takes pictures of the environment's body.

    Raises:
        UserError: If no OpenGL library works; the message says what to install.
        ValueError: If the environment has no body.
    """
    problem = find_problem(name, variant)
    if not isinstance(problem, Locomotion):
        raise ValueError(f"{name}: expected a MuJoCo body, got a point.")
    model = load_model(problem.body.model_file, problem.body.timestep)
    # A pale floor without mirror images and shadows: the body stands out, and software draws it faster.
    model.mat_reflectance[:] = 0.0
    model.light_castshadow[:] = False
    model.tex_data[:] = 160 + model.tex_data // 4
    backend = find_backend()
    if backend is None:
        raise UserError(NO_OPENGL)
    context = import_module(f"mujoco.{backend}").GLContext(WIDTH, HEIGHT)
    context.make_current()
    target = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, target)
    try:
        yield _shoot_with(model, target)
    finally:
        target.free()
        context.free()


def find_backend() -> str | None:
    """The first way to OpenGL that works, the one that MUJOCO_GL names before others; None if none does."""
    preferred = os.environ.get("MUJOCO_GL")
    for backend in sorted(BACKENDS, key=lambda backend: backend != preferred):
        # Tried in a process of its own: the first attempt decides for the whole process, and may end it.
        command = [sys.executable, "-c", PROBE, backend]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return backend
    return None


def _shoot_with(model: Any, target: Any) -> Shoot:
    """With a camera that follows the body and always sees all of it, from higher up if the body moves in the plane."""
    data, scene = mujoco.MjData(model), mujoco.MjvScene(model, maxgeom=200)
    view, option, frame = mujoco.MjvCamera(), mujoco.MjvOption(), mujoco.MjrRect(0, 0, WIDTH, HEIGHT)
    mujoco.mj_fwdPosition(model, data)
    reach = np.linalg.norm(data.geom_xpos[1:] - data.subtree_com[TORSO], axis=1) + model.geom_rbound[1:]
    view.type, view.trackbodyid, view.azimuth = mujoco.mjtCamera.mjCAMERA_TRACKING.value, TORSO, 90.0
    # In the plane moves a root that is free, or slides along y as well as x.
    free, slide = mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_SLIDE
    in_the_plane = model.jnt_type[0] == free or (model.jnt_type[1] == slide and model.jnt_axis[1, 1] == 1.0)
    view.elevation, view.distance = (-35.0, 4.0 * reach.max()) if in_the_plane else (-15.0, 3.0 * reach.max())

    def shoot(qpos: FloatArray, goal: FloatArray | None) -> Image:
        data.qpos[:] = qpos
        mujoco.mj_fwdPosition(model, data)
        mujoco.mjv_updateScene(model, data, option, None, view, mujoco.mjtCatBit.mjCAT_ALL.value, scene)
        if goal is not None:  # a ball, half sunk into the floor
            mujoco.mjv_initGeom(
                scene.geoms[scene.ngeom],
                mujoco.mjtGeom.mjGEOM_SPHERE.value,
                np.full(3, MARKER_RADIUS),
                np.array([*goal, 0.0]),
                np.eye(3).ravel(),
                np.array(MARKER_COLOUR, np.float32),
            )
            scene.ngeom += 1
        mujoco.mjr_render(frame, scene, target)
        pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, frame, target)
        return np.flipud(pixels)  # OpenGL counts rows from below

    return shoot
