"""MuJoCo models, compiled from the model files that Gymnasium installs.

Results belong to these very files, so each is checked against its SHA-256 sum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

import mujoco

__all__ = ["SHA256", "load_model"]

SHA256: Mapping[str, str] = MappingProxyType(
    {
        "ant.xml": "cd5f83ef0ea35b0969e65d360c5bacd5b74ccaef6b27e4433b5168c605e3e2be",
        "half_cheetah.xml": "11797a5d69e8ac955e89ca6fdd3a0087f1c990094fda401ac51420de1b6c5494",
        "hopper.xml": "3ce93a055ffdcd83c0c701d2400768e40d2cbb9532f3c4ae33377c27f8b39f9e",
        "humanoid.xml": "85816f372c826d2094b4a598918233bd9c5843b2439119eece2733bdc2e0d073",
        "swimmer.xml": "25b0d46bf5522920fea6a579353aee39d391ad9e2a0574b53f83704c11b21b12",
        "walker2d.xml": "ac13373c7ac9003a5311c4704b314ed11149b3dd7600bbc02770487300f9ad2d",
    }
)

TOTAL_MASS = ' settotalmass="14"'


def load_model(name: str, timestep: float) -> mujoco.MjModel:
    """Compile a model file of Gymnasium's at the given timestep in seconds.

    Raises:
        RuntimeError: If the installed file is not the one that results were obtained with.
    """
    content = (files("gymnasium") / "envs/mujoco/assets" / name).read_bytes()
    got = hashlib.sha256(content).hexdigest()
    if got != SHA256[name]:
        raise RuntimeError(
            f"{name} of the installed Gymnasium differs from the file that metarl was tested with: "
            f"expected SHA-256 {SHA256[name]}, got {got}. Install the versions in constraints.txt."
        )
    text = content.decode()
    # MuJoCo warns on stderr of the attribute that it deprecates; the two calls below do the same to the last bit.
    model = mujoco.MjModel.from_xml_string(text.replace(TOTAL_MASS, ""))
    if TOTAL_MASS in text:
        mujoco.mj_setTotalmass(model, 14)
        mujoco.mj_setConst(model, mujoco.MjData(model))
    model.opt.timestep = timestep
    return model
