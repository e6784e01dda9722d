"""Environments of the user's own: what the trainer gets from them, and what it says of those that it cannot use."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from metarl_cli.envs.own import horizon_of, inspected, make_own
from metarl_cli.envs.replay import pictures
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.params import stack
from metarl_cli.references import directory_name, load_reference
from metarl_cli.seeding import torch_generator
from metarl_cli.training import policies
from metarl_cli.training.rollouts import collect, make_workers

HERE = Path(__file__).parent
CASES = str(HERE / "own_cases.py")
M, N, T = 2, 3, 8


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    inspected.cache_clear()


def gathered(reference, *, tasks=None, seed=3, std=3.0, variant=""):
    workers = make_workers(reference, num_envs=M * N, env_options={"variant": variant, "threads": 1})
    drawn = workers.sample_tasks(M, np.random.default_rng(0)) if tasks is None else tasks
    params = stack([policies.init(torch_generator(0, "init"), (1, 4, 1))] * M)
    params["log_std"] = torch.full((M, 1), float(np.log(std)))
    noise = torch_generator(1, "actions")
    return collect(workers, drawn, params, horizon=T, action_scale=10.0, generator=noise, seed=seed)


def in_float64(data):
    return data.rewards.double(), data.observations[..., 0].double(), data.mask.double()


@pytest.mark.parametrize("name", ["Line", "Lines", "FloatEnds", "OwnEnded", "InfiniteEnds", "Rows", "wrapped_lines"])
def test_rewards_and_states_are_those_of_the_equation(name):
    """s' = s + u with u = clip(−0.5 + (a + 10)·2/20, −0.5, 1.5), r = −|s' − g|, masked from the step after |s'| > 1."""
    goals = np.array([-0.5, 0.5])
    data = gathered(f"{CASES}:{name}", tasks=goals)
    rewards, states, mask = in_float64(data)
    moved = states + (-0.5 + (data.actions[..., 0].double() + 10.0) / 10.0).clip(-0.5, 1.5)
    expected = -(moved - torch.from_numpy(goals)[:, None, None]).abs() * mask
    torch.testing.assert_close(rewards, expected, atol=1e-6, rtol=0.0)
    alive = torch.cumprod((moved.abs() <= 1.0).double(), dim=-1)
    torch.testing.assert_close(mask[..., 1:], alive[..., :-1])
    assert 0.1 < mask.mean() < 0.9
    torch.testing.assert_close(states[..., 1:] * mask[..., 1:], moved[..., :-1] * mask[..., 1:], atol=1e-6, rtol=0.0)


def test_the_seed_decides_and_trajectories_of_a_task_differ():
    first, again, other = (gathered(f"{CASES}:Line", seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.rewards, again.rewards) and not torch.equal(first.observations, other.observations)
    assert len(first.observations[:, :, 0].unique()) == M * N


def test_tasks_may_be_anything():
    workers = make_own(f"{CASES}:Objects", num_envs=M * N)
    tasks = workers.sample_tasks(M, np.random.default_rng(0))
    assert tasks.shape == (M,) and all(isinstance(task, dict) for task in tasks)
    expected = np.random.default_rng(0).uniform(-1.0, 1.0, M)
    np.testing.assert_array_equal([task["goal"] for task in tasks], expected)
    workers.set_tasks(np.repeat(tasks, N, axis=0))
    workers.reset(seed=0)
    observations, rewards, *_ = workers.step(np.full((M * N, 1), 0.25))
    np.testing.assert_allclose(rewards, -abs(observations[:, 0] - np.repeat(expected, N)), atol=1e-6)


def test_an_episode_that_is_cut_short_is_masked():
    data = gathered(f"{CASES}:Objects", std=1e-6)
    assert data.mask.sum(-1).max() <= 6 and data.mask[..., 6:].sum() == 0.0
    assert horizon_of(f"{CASES}:Objects") == 6 and horizon_of(f"{CASES}:Line") == 100
    assert horizon_of("Toy1D") == 10
    with pytest.raises(UserError, match="Did you mean 'Toy1D'"):
        horizon_of("Toy1")


def test_a_function_may_make_the_environment_behind_wrappers():
    assert gathered(f"{CASES}:wrapped", std=1e-6).mask.sum(-1).unique().tolist() == [1.0]


def test_success_at_any_step_is_success():
    """It is reported at the second step alone, and only for tasks with a positive goal."""
    tasks = np.array([{"goal": -1.0}, {"goal": 1.0}], object)
    data = gathered(f"{CASES}:Objects", tasks=tasks, std=1e-6)
    assert data.mask[..., 1].all() and data.success.tolist() == [[0.0] * N, [1.0] * N]
    assert gathered(f"{CASES}:Line").success is None


def test_success_after_the_end_does_not_count():
    tasks = np.array([{"goal": 1.0}] * M, object)
    data = gathered(f"{CASES}:Objects", tasks=tasks, std=60.0)
    assert 0.0 < data.success.mean() < 1.0
    assert torch.equal(data.success, data.mask[..., 1])


def test_a_variant_is_an_argument_of_the_class():
    near, far = (make_own(f"{CASES}:Objects", num_envs=1, variant=v) for v in ("near", ""))
    goals = [w.sample_tasks(1, np.random.default_rng(0))[0]["goal"] for w in (near, far)]
    assert goals[0] == pytest.approx(0.1 * goals[1])


def test_tasks_for_testing_are_kept_apart():
    rng = np.random.default_rng(0)
    assert make_own(f"{CASES}:Objects", num_envs=1).sample_test_tasks(2, rng).tolist() == [{"goal": 5.0}] * 2
    fresh = make_own(f"{CASES}:Line", num_envs=1).sample_test_tasks(2, np.random.default_rng(0))
    np.testing.assert_array_equal(fresh, np.random.default_rng(0).uniform(-1.0, 1.0, 2))


def drawn(name, variant=""):
    actions = [np.zeros(1)] * 3
    return pictures(f"{CASES}:{name}", variant, task=0.0, seed=0, actions=actions, steps=[0, 3])


def test_an_environment_may_draw_on_one_array_again_and_again():
    assert drawn("Canvas").tolist() == [np.full((1, 2, 3), step).tolist() for step in (0, 3)]


@pytest.mark.parametrize(
    ("name", "variant", "message"),
    [
        ("Blind", "", r"Blind: render\(\) gives no picture, uint8 \[height, width, 3\]"),
        ("Canvas", "grows", r"Canvas: render\(\) gives pictures of different sizes"),
    ],
)
def test_pictures_that_cannot_be_drawn_are_refused_with_the_reason(name, variant, message):
    with pytest.raises(UserError, match=message):
        drawn(name, variant)


WRONG = {
    "Lime": r"Unknown environment of .*own_cases.py 'Lime'\. Did you mean 'Line'\? Known: (?!.*Box)",
    "NOTHING": r"own_cases.py:NOTHING is a int; expected a class, or a function that makes one",
    "load_nothing": r"Unknown environment",
    "Box": r"making one raised TypeError",
    "batch_space": r"making one raised TypeError",
    "NoTasks": r"there is no sample_tasks\(n, rng\).*; there is no set_task",
    "NoSetTasks": r"there is no set_tasks: add one that takes a task for each environment",
    "Buttons": r"the action space is Discrete\(2\), expected a Box of one dimension",
    "Unbounded": r"the action space is .*finite bounds",
    "Image": r"the observation space is .*wrap the environment in gymnasium.wrappers.FlattenObservation",
    "Breaks": r"step raised ZeroDivisionError: .* \(.*own_cases\.py, line \d+\)",
    "WideEnds": r"WideEnds: the ends are of shape \[1, 2\], expected \[1\]",
    "NoInfo": r"step raised TypeError: 'NoneType' object is not iterable",
    "Dictionary": r"the observation space is Dict.*: wrap the environment",
    "Forever": r"Forever: max_episode_steps is inf, expected a positive integer",
    "Never": r"Never: max_episode_steps is 0, expected a positive integer",
    "NoArray": r"sample_tasks raised TypeError: len\(\) of unsized object",
    "TooFew": r"sample_tasks\(1, rng\) drew 0 tasks, expected 1",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_refused_with_the_reason(name):
    with pytest.raises(UserError, match=WRONG[name]):
        make_own(f"{CASES}:{name}", num_envs=2)


def test_what_has_no_signature_is_refused():
    with pytest.raises(UserError, match="builtins:int: making one raised ValueError: no signature found"):
        make_own("builtins:int", num_envs=2)


def test_what_is_not_finite_is_named_with_its_step_and_task():
    with pytest.raises(UserError, match=r"NanReward: the reward of step 3 is nan, with the task -0\.5; exp"):
        gathered(f"{CASES}:NanReward", tasks=np.array([-0.5, 0.5]), std=1e-6)
    with pytest.raises(UserError, match=r"the observation of step 2 is \[inf\]"):
        gathered(f"{CASES}:InfiniteObservation", std=1e-6)
    with pytest.raises(RunFailedError, match=r"the environment's observations are not finite\."):
        gathered(f"{CASES}:HugeObservation", std=1e-6)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (":Line", "names no environment; write it as package.module:Name or path/file.py:Name"),
        ("own_cases:", "names no environment"),
        (f"{HERE}/own_case.py:Line", r"There is no file .*Did you mean 'own_cases.py'\?"),
        ("own_case:Line", r"There is no module own_case, neither installed nor in .*Did you mean 'own_cases'\?"),
        ("needs_more:Env", "Cannot import needs_more: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("needs_more.py:Env", "Cannot import needs_more: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("broken:Env", "Cannot import broken: SyntaxError"),
        ("exits:Env", "Cannot import exits: SystemExit: 3"),
        ("random.py:Env", "the name random belongs to .*rename the file"),
    ],
)
def test_a_reference_to_nothing(reference, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_cases.py").write_text("")
    (tmp_path / "needs_more.py").write_text("import nowhere_to_be_found")
    (tmp_path / "broken.py").write_text("class")
    (tmp_path / "exits.py").write_text("raise SystemExit(3)")
    (tmp_path / "random.py").write_text("")
    with pytest.raises(UserError, match=message):
        load_reference(reference, "environment")


def test_a_module_of_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "plane.py").write_text("class Plane: pass")
    assert load_reference("mine.plane:Plane", "environment").__module__ == "mine.plane"


def test_the_directory_of_a_reference_is_one_component():
    assert directory_name("../my envs/plane.py:Plane") == "my-envs-plane.py-Plane"
    assert directory_name("HalfCheetahFwdBack") == "HalfCheetahFwdBack"
