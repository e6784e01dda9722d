"""Names, model files and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from types import MappingProxyType

import gymnasium
import mujoco
import numpy as np
import pytest

from metarl_cli.envs import ENVIRONMENTS, assets
from metarl_cli.envs.assets import SHA256, load_model
from metarl_cli.envs.locomotion import PROBLEMS

TIMESTEPS = {"ant.xml": 0.01, "half_cheetah.xml": 0.01, "humanoid.xml": 0.003, "swimmer.xml": 0.01}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_listed_environment_is_registered_and_defined(name):
    spec = ENVIRONMENTS[name]
    registered = gymnasium.spec(spec.id)
    assert spec.name == name and spec.id == f"metarl/{name}-v0"
    assert registered.max_episode_steps == spec.horizon
    assert tuple(import_module(spec.module).PROBLEMS[name]) == spec.variants
    assert set(spec.papers) <= {"promp", "tmaml", "sgmrl", "taypo"} and spec.papers
    assert spec.task_distribution


def test_horizons_are_the_papers():
    """Rothfuss et al., App. D; Liu et al., supplement (WalkerRandVel); Fallah et al., App. H (Swimmer, Navigation)."""
    short = {"HalfCheetahFwdBack", "HalfCheetahRandVel", "AntFwdBack", "AntRandDir", "WalkerRandVel"}
    short |= {"PointMomentum", "PointCorner", "PointWalls", "Navigation"}
    assert {name for name, spec in ENVIRONMENTS.items() if spec.horizon == 100} == short
    assert {name for name, spec in ENVIRONMENTS.items() if spec.horizon != 200} == short | {"Toy1D"}


def test_every_defined_environment_is_listed():
    defined = [
        name for module in {spec.module for spec in ENVIRONMENTS.values()} for name in import_module(module).PROBLEMS
    ]
    assert sorted(defined) == sorted(ENVIRONMENTS)


def test_the_registries_cannot_be_changed():
    for registry in (ENVIRONMENTS, SHA256, PROBLEMS):
        assert isinstance(registry, MappingProxyType)


def test_importing_the_package_loads_neither_torch_nor_mujoco():
    code = "import sys, metarl_cli.envs; assert not {'torch', 'mujoco', 'typer', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def arrays(model):
    names = [name for name in dir(model) if isinstance(getattr(model, name, None), np.ndarray)]
    options = [name for name in dir(model.opt) if not name.startswith("_")]
    return {name: getattr(model, name) for name in names} | {
        f"opt.{name}": getattr(model.opt, name) for name in options if not callable(getattr(model.opt, name))
    }


@pytest.mark.parametrize("name", TIMESTEPS)
def test_models_are_gymnasiums_array_by_array(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ours = arrays(load_model(name, TIMESTEPS[name]))
    theirs = arrays(mujoco.MjModel.from_xml_path(str(files("gymnasium") / "envs/mujoco/assets" / name)))
    assert len(ours) > 300 and ours.keys() == theirs.keys()
    for field, array in theirs.items():
        np.testing.assert_array_equal(ours[field], array, err_msg=field)


@pytest.mark.parametrize("name", SHA256)
def test_loading_a_model_prints_and_writes_nothing(name, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    model = load_model(name, 0.004)
    assert model.opt.timestep == 0.004
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())


def test_another_model_file_is_refused(monkeypatch):
    monkeypatch.setattr(assets, "SHA256", {"ant.xml": "0" * 64})
    with pytest.raises(RuntimeError, match=r"(?s)ant\.xml .*expected SHA-256 0{64}, got cd5f83ef"):
        load_model("ant.xml", 0.01)


@pytest.mark.parametrize("name", ["HopperRandParams", "WalkerRandParams"])
def test_the_tasks_of_random_physics_have_the_shapes_of_the_model(name):
    problem = PROBLEMS[name]["released"]
    model = load_model(problem.body.model_file, problem.body.timestep)
    assert {field.name: field.shape for field in problem.physics} == {
        field: getattr(model, field).shape for field in ("body_mass", "body_inertia", "dof_damping", "geom_friction")
    }
