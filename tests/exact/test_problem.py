"""Problem files: every mistake has a message of its own."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from metarl_cli.errors import UserError
from metarl_cli.exact.problem import EXAMPLE, load_problem, parse_problem


def write(tmp_path, text):
    path = tmp_path / "problem.json"
    path.write_text(text, encoding="utf-8")
    return path


def without(*keys):
    return {key: value for key, value in EXAMPLE.items() if key not in keys}


def test_the_example_survives_the_file(tmp_path):
    problem = load_problem(write(tmp_path, json.dumps(dict(EXAMPLE))))
    assert problem.mdp.horizon == 3 and problem.mdp.discount == 0.9 and problem.mdp.start_state == 0
    assert problem.mdp.transitions.dtype == torch.float64
    for key, tensor in (
        ("transitions", problem.mdp.transitions),
        ("rewards", problem.mdp.rewards),
        ("policy_logits", problem.policy_logits),
        ("behaviour_logits", problem.behaviour_logits),
        ("baseline", problem.baseline),
    ):
        torch.testing.assert_close(tensor, torch.tensor(EXAMPLE[key], dtype=torch.float64))


def test_behaviour_and_baseline_are_optional():
    problem = parse_problem(without("behaviour_logits", "baseline"))
    assert problem.behaviour_logits is None
    assert torch.equal(problem.baseline, torch.zeros(2, dtype=torch.float64))


def test_rows_rounded_by_hand_are_made_to_sum_to_one():
    row = [0.3333333, 0.6666666]
    problem = parse_problem({**EXAMPLE, "transitions": [[row, row], [row, row]]})
    torch.testing.assert_close(problem.mdp.transitions.sum(-1), torch.ones(2, 2).double(), rtol=0, atol=1e-15)


def test_integers_and_bounds_are_accepted():
    problem = parse_problem({**EXAMPLE, "discount": 1, "start_state": 1, "horizon": 1, "rewards": [[1, 0], [0, 1]]})
    assert (problem.mdp.discount, problem.mdp.start_state, problem.mdp.horizon) == (1.0, 1, 1)
    assert parse_problem({**EXAMPLE, "discount": 0}).mdp.discount == 0.0


NEGATIVE = [[[1.1, -0.1], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.9]]]
SHORT = [[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.4], [0.1, 0.9]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizn": 3}, "Unknown key 'horizn'. Did you mean 'horizon'?"),
        ({"transitions": NEGATIVE}, "transitions[0][0][1]: Input should be greater than or equal to 0; got -0.1"),
        ({"transitions": SHORT}, "transitions[1][0] sums to 0.9; each row must sum to 1"),
        (
            {"transitions": [[[1.0]]]},
            "transitions: expected shape [S][A][S] = [2, 2, 2], with S and A from rewards; got",
        ),
        ({"transitions": 1}, "transitions: Input should be a valid array; got 1"),
        ({"rewards": [1.0, 2.0]}, "rewards[0]: Input should be a valid array; got 1.0"),
        ({"rewards": []}, "rewards: expected a row for each state and a number for each action; got [0, 0]"),
        ({"rewards": [[], []]}, "rewards: expected a row for each state and a number for each action; got [2, 0]"),
        (
            {"rewards": [[1.0, 2.0], [3.0]]},
            "rewards: expected shape [S][A] = [2, 2], with S and A from rewards; got lists of different lengths",
        ),
        ({"rewards": [[1.0, "2"], [3.0, 4.0]]}, 'rewards[0][1]: Input should be a valid number; got "2"'),
        ({"rewards": [[1.0, True], [3.0, 4.0]]}, "rewards[0][1]: Input should be a valid number; got true"),
        ({"rewards": [[1.0, None], [3.0, 4.0]]}, "rewards[0][1]: Input should be a valid number; got null"),
        ({"rewards": [[[1.0], 2.0], [3.0, 4.0]]}, "rewards[0][0]: Input should be a valid number; got an array"),
        ({"rewards": {"a": 1}}, "rewards: Input should be a valid array; got an object"),
        ({"rewards": [[1.0, math.nan], [3.0, 4.0]]}, "rewards[0][1]: Input should be a finite number; got NaN"),
        ({"policy_logits": [[math.inf, 0.0], [0.0, 0.0]]}, "policy_logits[0][0]: Input should be a finite number"),
        ({"policy_logits": [[10**400, 0.0], [0.0, 0.0]]}, "policy_logits[0][0]: Input should be a finite number"),
        (
            {"rewards": [[1e308, 0.0], [0.0, 0.0]]},
            "rewards[0][0] is 1e+308; above 1e+100 the squares of returns overflow",
        ),
        ({"rewards": [[0.0, -2e100], [0.0, 0.0]]}, "rewards[0][1] is -2e+100; above 1e+100"),
        ({"baseline": [1e200, 0.0]}, "baseline[0] is 1e+200; above 1e+100"),
        ({"behaviour_logits": [[1e200, 0], [0, 0]]}, "behaviour_logits[0][0] is 1e+200; above 1e+100"),
        (
            {"policy_logits": [[0.0, 0.0]]},
            "policy_logits: expected shape [S][A] = [2, 2], with S and A from rewards; got",
        ),
        ({"behaviour_logits": [0.0, 0.0]}, "behaviour_logits[0]: Input should be a valid array; got 0.0"),
        ({"baseline": [0.0]}, "baseline: expected shape [S] = [2], with S and A from rewards; got [1]"),
        ({"horizon": 0}, "horizon: Input should be greater than or equal to 1; got 0"),
        ({"horizon": 2.5}, "horizon: Input should be a valid integer; got 2.5"),
        ({"horizon": True}, "horizon: Input should be a valid integer; got true"),
        ({"horizon": "3"}, 'horizon: Input should be a valid integer; got "3"'),
        ({"horizon": 10**9}, "horizon: Input should be less than or equal to 1000; got 1000000000"),
        ({"horizon": 10**3000}, "horizon: Input should be less than or equal to 1000; got 1000000000"),
        ({"horizon": None}, "horizon: Input should be a valid integer; got null"),
        ({"discount": 1.01}, "discount: Input should be less than or equal to 1; got 1.01"),
        ({"discount": -0.1}, "discount: Input should be greater than or equal to 0; got -0.1"),
        ({"discount": math.nan}, "discount: Input should be a finite number; got NaN"),
        ({"discount": None}, "discount: Input should be a valid number; got null"),
        ({"start_state": 2}, "start_state: expected 0 to 1, for 2 states; got 2"),
        ({"start_state": -1}, "start_state: Input should be greater than or equal to 0; got -1"),
        ({"horizon": 9}, "The problem has 131,072 trajectories; at most 100,000 are enumerated"),
        ({"horizon": 500}, "The problem has about 10^300 trajectories; at most 100,000 are enumerated"),
    ],
)
def test_mistakes_are_explained(tmp_path, change, message):
    with pytest.raises(UserError) as error:
        load_problem(write(tmp_path, json.dumps({**EXAMPLE, **change})))
    assert message in str(error.value)


def test_missing_keys_are_named():
    with pytest.raises(UserError, match=r"Missing key.*: horizon, discount\. Only baseline and behaviour_logits are"):
        parse_problem(without("horizon", "discount"))


@pytest.mark.parametrize(
    ("value", "shown"), [([], "an array"), ("x", '"x"'), (3, "3"), (None, "null"), ("x" * 99, '"xxx')]
)
def test_other_values_than_objects_are_refused(tmp_path, value, shown):
    message = f"is {shown}.*; expected an object with keys transitions"
    with pytest.raises(UserError, match=message):
        parse_problem(value)
    with pytest.raises(UserError, match=message):
        load_problem(write(tmp_path, json.dumps(value)))


@pytest.mark.parametrize(("value", "shown"), [(((0.0, 1.0), (2.0, -1.0)), "a tuple"), (np.zeros((2, 2)), "a ndarray")])
def test_what_is_no_list_is_named_by_its_kind(value, shown):
    with pytest.raises(UserError, match=f"rewards: Input should be a valid list; got {shown}"):
        parse_problem({**EXAMPLE, "rewards": value})


def deterministic(states, actions):
    """Every action leads back to the start: `actions` trajectories of one step."""
    return {
        "transitions": [[[1.0] + [0.0] * (states - 1)] * actions] * states,
        "rewards": [[1.0] * actions] * states,
        "policy_logits": [[0.0] * actions] * states,
        "start_state": 0,
        "horizon": 1,
        "discount": 0.9,
    }


def test_a_policy_of_too_many_logits_is_refused_with_what_it_would_need():
    assert parse_problem(deterministic(500, 2)).mdp.states == 500
    with pytest.raises(UserError, match=r"300 states × 4 actions = 1,200 logits; at most 1,000 .* 11 MiB"):
        parse_problem(deterministic(300, 4))


def test_null_is_as_good_as_nothing():
    problem = parse_problem({**EXAMPLE, "behaviour_logits": None, "baseline": None})
    assert problem.behaviour_logits is None and not problem.baseline.any()


def test_the_limit_is_a_parameter():
    assert parse_problem(dict(EXAMPLE), max_trajectories=32)
    with pytest.raises(UserError, match="has 32 trajectories; at most 31 are"):
        parse_problem(dict(EXAMPLE), max_trajectories=31)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match=r"Cannot read .*nowhere.json: No such file"):
        load_problem(tmp_path / "nowhere.json")
    with pytest.raises(UserError, match=r"Cannot read .*: Is a directory"):
        load_problem(tmp_path)
    with pytest.raises(UserError, match=r"problem.json is not valid JSON: .* at line 1 column 2"):
        load_problem(write(tmp_path, "{horizon: 3}"))
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary.json is not valid JSON"):
        load_problem(tmp_path / "binary.json")


@pytest.mark.parametrize("depth", [90, 190, 450, 900, 100_000])
def test_deep_json_is_refused(tmp_path, depth):
    fields = json.dumps({**EXAMPLE, "transitions": 7}).replace("7", "[" * depth + "]" * depth, 1)
    with pytest.raises(UserError, match=r"not valid JSON|transitions\[0\]\[0\]\[0\]: .* valid number; got an array"):
        load_problem(write(tmp_path, fields))
