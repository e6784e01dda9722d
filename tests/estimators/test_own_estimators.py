"""Estimators of the user's own: what is found out about them, and every way in which they can be unusable."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest
import torch

from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.estimators import ESTIMATORS, own
from metarl_cli.estimators.own import find_estimator
from metarl_cli.exact.estimates import COLUMNS, exact_rows
from metarl_cli.exact.problem import EXAMPLE, parse_problem
from metarl_cli.references import pinned

PROBLEM = parse_problem(EXAMPLE)

OWN = """
import sys
import torch

def good(logp, sample):
    steps = torch.arange(logp.shape[-1], dtype=logp.dtype)
    ratio = (logp - sample.behaviour_logp).exp()
    return (sample.discount**steps * (ratio - 1) * sample.advantages).sum(-1).mean(-1)

def leave_one_out(logp, sample):
    steps = torch.arange(logp.shape[-1], dtype=logp.dtype)
    totals = (sample.discount**steps * sample.rewards).sum(-1)
    others = (totals.sum(-1, keepdim=True) - totals) / max(totals.shape[-1] - 1, 1)
    return (logp.sum(-1) * (totals - others)).mean(-1)

def total(logp, sample):
    return logp.sum()

def number(logp, sample):
    return 1.0

def constant(logp, sample):
    return sample.rewards.sum((-1, -2))

def detached(logp, sample):
    return logp.detach().sum((-1, -2))

def outside(logp, sample):
    return torch.from_numpy(logp.numpy()).sum((-1, -2))

def coupled(logp, sample):
    return (logp * (sample.advantages - sample.advantages.mean())).sum(-1).mean(-1)

def failing(logp, sample):
    return sample.reward

def too_few(logp):
    return logp

def leaving(logp, sample):
    sys.exit(0)

def undefined(logp, sample):
    return (logp * float("nan")).sum((-1, -2))

def steep(logp, sample):
    return (logp - logp.detach()).abs().sqrt().sum((-1, -2))

class BrokenBackwards(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, signal):
        raise ValueError("half done")

def broken_backwards(logp, sample):
    return BrokenBackwards.apply(logp).sum((-1, -2))

weight = torch.nn.Parameter(torch.tensor(2.0))

def weighted(logp, sample):
    return weight * (logp * sample.advantages).sum(-1).mean(-1)

def noisy(logp, sample):
    return (logp * torch.rand(())).sum((-1, -2))

def late(logp, sample):
    if logp.shape[-1] > 3:
        sys.exit(0)
    return good(logp, sample)

value = 3
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_surrogates.py").write_text(OWN)
    (tmp_path / "own_broken.py").write_text("import nothing_of_that_name")
    (tmp_path / "own_syntax.py").write_text("def f(:")
    (tmp_path / "own_exit.py").write_text("raise SystemExit(0)")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions of a file may have one size and one second
    for name in [name for name in sys.modules if name.startswith("own_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(own_module, text):
    """Another version of the file, in a process that has not read the first one."""
    (own_module / "own_surrogates.py").write_text(text)
    del sys.modules["own_surrogates"]


@pytest.mark.parametrize("reference", ["own_surrogates:good", "own_surrogates.py:good", "./own_surrogates.py:good"])
@pytest.mark.usefixtures("own_module")
def test_it_stands_beside_the_others(reference):
    ours, lvc = exact_rows(PROBLEM, [reference]), exact_rows(PROBLEM, ["lvc"])
    assert [row["estimator"] for row in ours] == [reference] * 4
    for a, b in zip(ours, lvc, strict=True):
        assert all(math.isclose(a[key], b[key], abs_tol=1e-12) for key in COLUMNS[3:])


@pytest.mark.usefixtures("own_module")
def test_what_it_reads_and_couples_is_found_out():
    good, coupled = find_estimator("own_surrogates:good"), find_estimator("own_surrogates:leave_one_out")
    assert (good.needs, good.pairs) == (frozenset({"behaviour_logp", "advantages"}), False)
    assert (coupled.needs, coupled.pairs) == (frozenset({"rewards"}), True)
    assert exact_rows(PROBLEM, ["own_surrogates:leave_one_out"])[0]["bias_max_abs"] < 1e-12


@pytest.mark.usefixtures("own_module")
def test_parameters_of_its_own_do_not_forbid_that_it_is_linear_in_logp():
    assert find_estimator("own_surrogates:weighted").needs == frozenset({"advantages"})


@pytest.mark.parametrize("name", [name for name, estimator in ESTIMATORS.items() if not estimator.per_action])
def test_trying_finds_what_the_registry_says_of_its_own(name):
    tried = own.tried(name, ESTIMATORS[name].surrogate)
    assert (tried.needs, tried.pairs) == (ESTIMATORS[name].needs, ESTIMATORS[name].pairs)


def test_changed_code_is_not_the_code_of_before(own_module):
    name = pinned("own_surrogates.py:good", "function")
    assert name.startswith("own_surrogates.py:good@") and pinned(name, "function") == name
    assert find_estimator(name) is find_estimator("own_surrogates.py:good")
    edit(own_module, OWN + "# another comment")
    with pytest.raises(UserError, match=r"The code of own_surrogates.py:good is not what it was: .* begin anew"):
        find_estimator(name)


def test_names_of_the_registry_need_no_hash():
    assert pinned("lvc", "function") == "lvc"
    assert find_estimator("lvc") is ESTIMATORS["lvc"]


@pytest.mark.usefixtures("own_module")
def test_what_fails_only_later_is_a_failed_run():
    sample = replace(own._example()[1], **{name: torch.ones(2, 4, 5) for name in (*own._FIELDS, "mask")})
    with pytest.raises(RunFailedError, match=r"own_surrogates:late raised SystemExit: 0"):
        find_estimator("own_surrogates:late").surrogate(torch.ones(2, 4, 5), sample)


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("own", "Unknown estimator 'own'"),
        ("mine.py", "Yours is module:function or path/file.py:function"),
        (":good", "':good' names no function; write it as package.module:Name or path/file.py:Name"),
        ("own_surrogates:", "'own_surrogates:' names no function"),
        ("own_missing:f", "There is no module own_missing, neither installed nor in"),
        ("own_missing.py:f", "There is no file own_missing.py"),
        ("own_broken:f", "Cannot import own_broken: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("own_syntax.py:f", "Cannot import own_syntax: SyntaxError"),
        ("own_exit:f", "Cannot import own_exit: SystemExit: 0"),
        ("math:sin", "math"),
        ("sys:exit", "sys"),
        ("own_surrogates:god", "Unknown function of own_surrogates 'god'. Did you mean 'good'?"),
        ("own_surrogates:value", "own_surrogates:value is a int; expected a function (logp, sample) -> Tensor"),
        ("own_surrogates:total", "returned a tensor of shape []; expected a tensor of shape [...]"),
        ("own_surrogates:number", "returned a float; expected a tensor of shape [...]"),
        ("own_surrogates:constant", "own_surrogates:constant cannot be differentiated"),
        ("own_surrogates:detached", "own_surrogates:detached cannot be differentiated"),
        ("own_surrogates:outside", "own_surrogates:outside"),
        ("own_surrogates:coupled", "own_surrogates:coupled mixes the batches along the leading dimensions"),
        ("own_surrogates:failing", "raised AttributeError: 'Sample' object has no attribute 'reward'"),
        ("own_surrogates:too_few", "raised TypeError"),
        ("own_surrogates:leaving", "own_surrogates:leaving raised SystemExit: 0"),
        ("own_surrogates:undefined", "own_surrogates:undefined returned [nan, nan] for finite numbers"),
        ("own_surrogates:steep", "own_surrogates:steep has a derivative that is not finite"),
        ("own_surrogates:broken_backwards", "cannot be differentiated: ValueError: half done"),
        ("own_surrogates:noisy", "own_surrogates:noisy"),
    ],
)
def test_functions_that_cannot_be_used_are_refused(reference, message):
    with pytest.raises(UserError) as error:
        find_estimator(reference)
    assert message in str(error.value)


def test_a_run_with_it_resumes_only_with_the_same_code(metarl, own_module):
    size = ("--set", "sampling.tasks=2", "--set", "sampling.trajectories=2", "--quiet", "--out", own_module / "run")
    begin = ("train", "--env", "Navigation", "--profile", "smoke", "--inner", "own_surrogates.py:good", *size)
    assert metarl(*begin, "--iterations", 1).code == 0
    assert "own_surrogates.py:good@" in (own_module / "run" / "config.json").read_text()
    more = ("train", "--resume", "--out", own_module / "run", "--quiet", "--iterations")
    assert metarl(*more, 2, "--inner", "own_surrogates.py:good").code == 0
    edit(own_module, OWN.replace("ratio - 1", "ratio - 2"))
    refused = metarl(*more, 3)
    assert refused.code == 2 and "is not what it was" in refused.err and "--overwrite" in refused.err
    assert "inner.estimator is own_surrogates.py:good@" in metarl(*more, 3, "--inner", "own_surrogates.py:good").err


def test_its_variance_is_measured_beside_the_others(metarl, own_module):
    size = ("--rounds", 3, "--checkpoints", 0, "--profile", "smoke", "--quiet", "--out", own_module / "out")
    done = metarl("variance", "--env", "Navigation", "--estimators", "lvc,own_surrogates.py:good", *size)
    assert done.code == 0, done.err
    lvc, good = ((own_module / "out" / "variance.csv").read_text().splitlines())[1:]
    assert good.split(",")[2].startswith("own_surrogates.py:good@")
    assert good.split(",")[6:11] == lvc.split(",")[6:11]  # it is LVC
