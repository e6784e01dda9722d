"""Problem files: every mistake has a message of its own."""

from __future__ import annotations

import json
import math

import pytest
import torch

from metarl_cli.errors import UserError
from metarl_cli.studies.exact_problem import EXAMPLE, load_problem, parse_problem


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
        ({"transitions": NEGATIVE}, "transitions[0][0][1] is negative"),
        ({"transitions": SHORT}, "transitions[1][0] sums to 0.9; each row must sum to 1"),
        (
            {"transitions": [[[1.0]]]},
            "transitions: expected shape [S][A][S] = [2, 2, 2], with S and A from rewards; got",
        ),
        ({"transitions": 1}, "transitions: expected shape [S][A][S] = [2, 2, 2], with S and A from rewards; got []"),
        ({"rewards": [1.0, 2.0]}, "rewards: expected shape [S][A], not empty; got [2]"),
        ({"rewards": []}, "rewards: expected shape [S][A], not empty; got [0]"),
        ({"rewards": [[], []]}, "rewards: expected shape [S][A], not empty; got [2, 0]"),
        ({"rewards": [[1.0, 2.0], [3.0]]}, "rewards: expected numbers in lists [S][A], all lists of one level"),
        ({"rewards": [[1.0, "2"], [3.0, 4.0]]}, "rewards: expected numbers in lists"),
        ({"rewards": [[1.0, True], [3.0, 4.0]]}, "rewards: expected numbers in lists"),
        ({"rewards": [[1.0, None], [3.0, 4.0]]}, "rewards: expected numbers in lists"),
        ({"rewards": {"a": 1}}, "rewards: expected numbers in lists"),
        ({"rewards": [[1.0, math.nan], [3.0, 4.0]]}, "rewards: every number must be finite"),
        ({"policy_logits": [[math.inf, 0.0], [0.0, 0.0]]}, "policy_logits: every number must be finite"),
        ({"policy_logits": [[10**400, 0.0], [0.0, 0.0]]}, "policy_logits: a number is too large"),
        (
            {"policy_logits": [[0.0, 0.0]]},
            "policy_logits: expected shape [S][A] = [2, 2], with S and A from rewards; got",
        ),
        ({"behaviour_logits": [0.0, 0.0]}, "behaviour_logits: expected shape [S][A] = [2, 2]"),
        ({"behaviour_logits": None}, "behaviour_logits: expected numbers in lists [S][A]"),
        ({"baseline": [0.0]}, "baseline: expected shape [S] = [2], with S and A from rewards; got [1]"),
        ({"horizon": 0}, "horizon: expected an integer from 1 to 1000; got 0"),
        ({"horizon": 2.5}, "horizon: expected an integer from 1 to 1000; got 2.5"),
        ({"horizon": True}, "horizon: expected an integer from 1 to 1000; got true"),
        ({"horizon": "3"}, 'horizon: expected an integer from 1 to 1000; got "3"'),
        ({"horizon": 10**9}, "horizon: expected an integer from 1 to 1000; got 1000000000"),
        ({"discount": 1.01}, "discount: expected a number from 0 to 1; got 1.01"),
        ({"discount": -0.1}, "discount: expected a number from 0 to 1; got -0.1"),
        ({"discount": math.nan}, "discount: expected a number from 0 to 1; got NaN"),
        ({"discount": None}, "discount: expected a number from 0 to 1; got null"),
        ({"start_state": 2}, "start_state: expected an integer from 0 to 1; got 2"),
        ({"start_state": -1}, "start_state: expected an integer from 0 to 1; got -1"),
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


@pytest.mark.parametrize(("value", "kind"), [([], "array"), ("x", "string"), (3, "number"), (None, "null")])
def test_other_values_than_objects_are_refused(value, kind):
    with pytest.raises(UserError, match=f"The problem is a JSON {kind}; expected an object with keys transitions"):
        parse_problem(value)


def test_the_limit_is_a_parameter():
    assert parse_problem(dict(EXAMPLE), max_trajectories=32)
    with pytest.raises(UserError, match="has 32 trajectories; at most 31 are"):
        parse_problem(dict(EXAMPLE), max_trajectories=31)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match=r"Cannot read .*nowhere.json: No such file"):
        load_problem(tmp_path / "nowhere.json")
    with pytest.raises(UserError, match=r"Cannot read .*: Is a directory"):
        load_problem(tmp_path)
    with pytest.raises(UserError, match=r"problem.json is not valid JSON: .* line 1 column 2"):
        load_problem(write(tmp_path, "{horizon: 3}"))
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary.json is not a text file in UTF-8"):
        load_problem(tmp_path / "binary.json")


def test_very_deep_json_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not valid JSON"):
        load_problem(write(tmp_path, "[" * 100_000))
