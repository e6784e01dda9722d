"""The adapter of Meta-World's benchmarks, against a stand-in with Meta-World's interface: it is not installed here."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import gymnasium
import mujoco
import numpy as np
import pytest

from metarl_cli.envs import metaworld
from metarl_cli.envs.checks import FAILS, check
from metarl_cli.envs.own import horizon_of, inspected, make_one, make_own
from metarl_cli.errors import UserError

KINDS = [f"kind{i}-v3" for i in range(15)]


class Task(NamedTuple):
    env_name: str
    data: bytes


class Sawyer(gymnasium.Env):
    """Refuses tasks of another kind, as Meta-World's environments do."""

    made = 0
    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (39,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32)

    def __init__(self, render_mode=None):
        type(self).made += 1
        self.render_mode = render_mode

    def render(self):
        return np.full((4, 4, 3), len(self.kind), np.uint8) if self.render_mode == "rgb_array" else None

    def set_task(self, task):
        assert task.env_name == self.kind
        self.goal = pickle.loads(task.data)

    def reset(self, *, seed=None, options=None):
        self.hand = np.zeros(4)
        return self.observe(), {}

    def step(self, action):
        self.hand = np.clip(self.hand + 0.1 * action, -1.0, 1.0)
        distance = float(abs(self.hand[0] - self.goal))
        return self.observe(), -distance, False, False, {"success": float(distance < 0.05), "other": None}

    def observe(self):
        return np.append(self.hand, np.zeros(35))


def classes(kinds):
    return {kind: type(kind, (Sawyer,), {"kind": kind, "made": 0}) for kind in kinds}


def tasks(kinds, seed):
    goals = np.random.default_rng(seed).uniform(-1.0, 1.0, (len(kinds), 50))
    return [Task(k, pickle.dumps(float(g))) for k, row in zip(kinds, goals, strict=True) for g in row]


class ML1:
    ENV_NAMES = KINDS

    def __init__(self, kind, seed):
        self.train_classes = self.test_classes = classes([kind])
        self.train_tasks, self.test_tasks = tasks([kind], seed), tasks([kind], seed + 1)


class ML10:
    def __init__(self, seed):
        self.train_classes, self.test_classes = classes(KINDS[:10]), classes(KINDS[10:])
        self.train_tasks, self.test_tasks = tasks(KINDS[:10], seed), tasks(KINDS[10:], seed)


class Mocap:
    """Welds as Meta-World sets them, in a model of the installed MuJoCo."""

    def __init__(self):
        body = '<body name="{}" mocap="{}"><geom size="1"/></body>'
        text = body.format("a", "true") + body.format("b", "false")
        xml = f'<mujoco><worldbody>{text}</worldbody><equality><weld body1="a" body2="b"/></equality></mujoco>'
        self.model = mujoco.MjModel.from_xml_string(xml)

    def reset_mocap_welds(self):
        self.model.eq_data[0] = np.arange(11.0)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    package, inner = ModuleType("metaworld"), ModuleType("metaworld.sawyer_xyz_env")
    package.ML1, package.ML10, inner.SawyerMocapBase = ML1, ML10, type("SawyerMocapBase", (Mocap,), {})
    monkeypatch.setitem(sys.modules, "metaworld", package)
    monkeypatch.setitem(sys.modules, "metaworld.sawyer_xyz_env", inner)
    for cached in (metaworld._benchmark, metaworld._idle, inspected):
        cached.cache_clear()
    yield SimpleNamespace(welds=inner.SawyerMocapBase)
    for cached in (metaworld._benchmark, metaworld._idle, inspected):
        cached.cache_clear()


def test_training_tasks_are_balanced_over_ten_kinds_and_test_tasks_over_five_others():
    workers = make_own("metaworld:ML10", num_envs=1)
    train = workers.sample_tasks(20, np.random.default_rng(0))
    test = workers.sample_test_tasks(10, np.random.default_rng(0))
    assert sorted(task.env_name for task in train) == sorted(KINDS[:10] * 2)
    assert sorted(task.env_name for task in test) == sorted(KINDS[10:] * 2)


def test_ml1_tests_other_goals_of_its_kind():
    workers = make_own("metaworld:ML1", num_envs=1, variant="kind3-v3")
    drawn = {task for seed in range(10) for task in workers.sample_tasks(50, np.random.default_rng(seed))}
    kept = {task for seed in range(10) for task in workers.sample_test_tasks(50, np.random.default_rng(seed))}
    assert {task.env_name for task in drawn | kept} == {"kind3-v3"} and not drawn & kept and len(drawn) == 50


def test_simulations_are_shared_when_tasks_change():
    workers = make_own("metaworld:ML10", num_envs=20)
    for seed in range(5):
        workers.set_tasks(workers.sample_tasks(20, np.random.default_rng(seed)))
        workers.reset(seed=0)
        *_, info = workers.step(np.zeros((20, 4)))
        assert set(info["success"]) <= {0.0, 1.0}
    made = [kind.made for kind in metaworld._benchmark("").train_classes.values()]
    assert sum(made[1:]) <= 9 * 4


def test_an_environment_that_draws_is_never_one_that_does_not():
    first, second = (make_one("metaworld:ML10", render_mode=mode) for mode in ("", "rgb_array"))
    for seed in range(3):
        for env in (first, second):
            env.set_task(env.sample_tasks(1, np.random.default_rng(seed))[0])
            env.reset()
        assert first.render() is None and second.render().shape == (4, 4, 3)


def test_the_checks_pass():
    assert FAILS not in {row["result"] for row in check("metaworld:ML1", "kind0-v3")}
    assert FAILS not in {row["result"] for row in check("metaworld:ML10")}
    assert horizon_of("metaworld:ML10") == 500


def test_welds_fit_the_models_of_the_installed_mujoco(stand_in):
    with pytest.raises(ValueError, match="could not broadcast"):
        stand_in.welds().reset_mocap_welds()
    make_own("metaworld:ML10", num_envs=1)
    welds = stand_in.welds()
    before = welds.model.eq_data[0, 11:].copy()
    welds.reset_mocap_welds()
    assert welds.model.eq_data[0, :11].tolist() == [0.0] * 6 + [-1.0, 0.0, 0.0, 0.0, 5.0]
    np.testing.assert_array_equal(welds.model.eq_data[0, 11:], before)


def test_a_kind_that_does_not_exist_and_a_package_that_is_missing(monkeypatch):
    with pytest.raises(UserError, match=r"Unknown Meta-World task 'kind33-v3'\. Did you mean 'kind3"):
        make_own("metaworld:ML1", num_envs=1, variant="kind33-v3")
    with pytest.raises(UserError, match="metaworld:ML10 has no variant 'kind3-v3': it takes no argument"):
        make_own("metaworld:ML10", num_envs=1, variant="kind3-v3")
    metaworld._benchmark.cache_clear()
    monkeypatch.setitem(sys.modules, "metaworld", None)
    with pytest.raises(UserError, match=r"pip install 'metarl-lab\[metaworld\]'"):
        make_own("metaworld:ML10", num_envs=1)
