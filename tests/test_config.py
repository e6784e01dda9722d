from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.config import (
    SCHEMA,
    OuterConfig,
    PolicyConfig,
    RunConfig,
    load_config,
    save_config,
    settable_keys,
    with_overrides,
)
from metarl_cli.envs.registry import ENVIRONMENTS
from metarl_cli.errors import UserError
from metarl_cli.papers.settings import TRAINING, run_config
from metarl_cli.papers.sizes import size
from metarl_cli.profiles import PROFILES

EVERY_RUN = [(a, e, p) for a in ALGORITHMS for e in TRAINING for p in PROFILES]


def test_every_combination_survives_json(tmp_path):
    path = tmp_path / "config.json"
    for algorithm, environment, profile in EVERY_RUN:
        config = run_config(algorithm, environment, profile=profile)
        save_config(config, path)
        assert load_config(path) == config
        assert json.loads(path.read_text()) == {"schema": SCHEMA, **json.loads(json.dumps(asdict(config)))}


@pytest.mark.parametrize("environment", TRAINING)
def test_a_run_has_the_horizon_of_its_environment_and_the_names_of_its_algorithm(environment):
    for name, algorithm in ALGORITHMS.items():
        config = run_config(name, environment, profile="paper")
        assert config.sampling.horizon == ENVIRONMENTS[environment].horizon
        assert (config.algorithm, config.profile, config.environment.name) == (name, "paper", environment)
        assert config.inner.estimator == algorithm.inner
        assert (config.outer.objective, config.outer.optimizer) == (algorithm.outer, algorithm.optimizer)
        assert config.outer.exploration == algorithm.exploration
        assert config.policy.hidden == TRAINING[environment].hidden


@pytest.mark.parametrize(
    ("environment", "inner", "hidden", "outer"),
    [
        ("HalfCheetahFwdBack", (1, 0.1), (64, 64), (5, 5e-4, 0.0)),
        ("AntRandGoal", (2, 0.1), (64, 64), (5, 5e-4, 0.0)),
        ("HopperRandParams", (1, 0.05), (64, 64), (3, 1e-3, 1e-2)),
        ("WalkerRandParams", (1, 0.05), (64, 64), (3, 1e-3, 1e-2)),
        ("HumanoidRandDir", (1, 0.1), (128, 128), (5, 5e-4, 0.0)),
    ],
)
def test_the_papers_own_settings(environment, inner, hidden, outer):
    """Rothfuss et al. 2019, App. D, and the sweeps of the released code."""
    config = run_config("promp", environment, profile="paper")
    assert (config.inner.steps, config.inner.lr) == inner
    assert (config.outer.gradient_steps, config.outer.kl_coefficient, config.outer.kl_target) == outer
    assert (config.outer.lr, config.outer.clip, config.policy.hidden) == (1e-3, 0.3, hidden)
    assert (config.sampling.tasks, config.sampling.trajectories, config.sampling.action_scale) == (40, 20, 10.0)
    assert (config.returns.discount, config.returns.gae_lambda, config.iterations) == (0.99, 1.0, 1001)


@pytest.mark.parametrize("environment", TRAINING)
def test_smaller_profiles_are_smaller(environment):
    def work(profile):
        config = run_config("promp", environment, profile=profile)
        steps = config.sampling.tasks * config.sampling.trajectories * config.sampling.horizon * config.iterations
        return steps * size(environment, profile).seeds

    assert list(PROFILES) == ["smoke", "quick", "overnight", "standard", "paper"]
    works = [work(profile) for profile in PROFILES]
    same = environment == "Navigation"  # its standard size is the paper's
    assert works == sorted(works) and len(set(works)) == len(works) - same


@pytest.mark.parametrize(
    "unknown", [("prompt", "Navigation", "paper"), ("promp", "Navigatoin", "paper"), ("promp", "Navigation", "papper")]
)
def test_unknown_names_of_a_run(unknown):
    algorithm, environment, profile = unknown
    with pytest.raises(UserError, match=r"Did you mean '(promp|Navigation|paper)'"):
        run_config(algorithm, environment, profile=profile)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("inner.lr=0.05", "inner.lr", 0.05),
        (" inner.steps = 3 ", "inner.steps", 3),
        ("seed=0", "seed", 0),
        ("iterations=7", "iterations", 7),
        ("inner.first_order=true", "inner.first_order", True),
        ("policy.hidden=32,16", "policy.hidden", (32, 16)),
        ("policy.hidden= 32, 16 ", "policy.hidden", (32, 16)),
        ("policy.hidden=8", "policy.hidden", (8,)),
        ("outer.clip=inf", "outer.clip", math.inf),
        ("outer.kl_coefficient=0", "outer.kl_coefficient", 0.0),
        ("returns.discount=1", "returns.discount", 1.0),
        ("policy.hidden=[32, 16]", "policy.hidden", (32, 16)),
        ("policy.hidden=(32,)", "policy.hidden", (32,)),
        ("environment.variant=plain", "environment.variant", "plain"),
    ],
)
def test_an_override_changes_one_setting_and_the_given_ones_stay(override, key, value):
    config = RunConfig()
    before = settable_keys(config)
    after = settable_keys(with_overrides(config, [override]))
    assert after == before | {key: value}
    assert settable_keys(config) == before


def test_the_last_override_wins():
    assert with_overrides(RunConfig(), ["seed=3", "inner.lr=0.5", "seed=4"]).seed == 4


def test_every_setting_can_be_set_to_its_own_value():
    config = run_config("promp", "AntRandGoal", profile="quick")
    shown = {k: ",".join(map(str, v)) if isinstance(v, tuple) else v for k, v in settable_keys(config).items()}
    assert with_overrides(config, [f"{key}={value}" for key, value in shown.items()]) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inner.lr", "expected section.field=value"),
        ("=3", "expected section.field=value"),
        ("", "expected section.field=value"),
        ("inner.learning_rate=1", "Unknown setting 'inner.learning_rate'.*Known: .*inner.lr"),
        ("iner.lr=1", "Did you mean 'inner.lr'"),
        ("inner=1", "Unknown setting 'inner'"),
        ("inner.lr=abc", "inner.lr=abc: .*number.*Unless set it is 0.1"),
        ("inner.lr=", "inner.lr=: .*number"),
        ("inner.lr=0", "greater than 0"),
        ("inner.lr=-1", "greater than 0"),
        ("inner.lr=nan", "than (0|inf)"),
        ("inner.lr=inf", "less than inf"),
        ("outer.kl_coefficient=1e400", "less than inf"),
        ("inner.steps=0", "greater than or equal to 1"),
        ("inner.steps=1.5", "integer"),
        ("sampling.tasks=-3", "greater than or equal to 1"),
        ("sampling.horizon=0", "greater than or equal to 1"),
        ("seed=-1", "greater than or equal to 0"),
        ("returns.discount=1.1", "less than or equal to 1"),
        ("returns.gae_lambda=-0.1", "greater than or equal to 0"),
        ("inner.first_order=maybe", "boolean"),
        ("policy.hidden=64,x", "integer"),
        ("policy.hidden=64,0", "greater than or equal to 1"),
        ("policy.hidden=6 4", "integer"),
        ("policy.hidden=", "policy.hidden=: .*Unless set it is 64,64"),
        ("algorithm=prompp", "Did you mean 'promp'"),
    ],
)
def test_a_wrong_override_is_the_users_mistake(override, message):
    with pytest.raises(UserError, match=message) as raised:
        with_overrides(RunConfig(), [override])
    assert "\n" not in str(raised.value)


def document(**changes):
    return json.loads(json.dumps(asdict(RunConfig()))) | changes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[]", "table of settings"),
        ("3", "table of settings"),
        (json.dumps(document(iteration=3)), "Unknown setting in .*'iteration'.*Did you mean 'iterations'"),
        (json.dumps(document(inner={"lrr": 1})), "Did you mean 'inner.lr'"),
        (json.dumps(document(inner=3)), "Unknown setting"),
        (json.dumps(document(inner={"lr": -1})), "inner.lr: .*greater than 0"),
        (json.dumps(document(inner={"lr": "a"})), "inner.lr: .*number"),
        (json.dumps(document(seed=None)), "seed: .*integer"),
        (json.dumps(document(policy={"hidden": []})), "policy.hidden: .*at least 1"),
        (json.dumps(document(algorithm="prompp")), "Unknown algorithm"),
    ],
)
def test_a_damaged_file_of_settings_is_named_with_the_reason(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        load_config(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff\xfe{}")]
)
def test_an_unreadable_file_of_settings_is_named(tmp_path, make):
    path = tmp_path / "config.json"
    make(path)
    with pytest.raises(UserError, match=r"config\.json"):
        load_config(path)


def test_an_infinite_clip_survives_json(tmp_path):
    config = replace(RunConfig(), outer=OuterConfig(clip=math.inf), policy=PolicyConfig(hidden=(3,)))
    save_config(config, tmp_path / "config.json")
    assert load_config(tmp_path / "config.json") == config


@pytest.mark.parametrize(("algorithm", "average"), [("promp-taypo2", "steps"), ("promp", "orders"), ("dice", "orders")])
def test_settings_of_the_first_schema_mean_what_they_meant(tmp_path, algorithm, average):
    """It had no `inner.average`: expansions were averaged over steps as a whole; to the others both ways are one."""
    config = run_config(algorithm, "HalfCheetahFwdBack", profile="quick")
    document = json.loads(json.dumps(asdict(config)))
    del document["inner"]["average"], document["inner"]["dependence"]
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert load_config(tmp_path / "config.json") == replace(config, inner=replace(config.inner, average=average))
