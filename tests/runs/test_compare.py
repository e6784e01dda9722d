"""`metarl compare`: what differs, the curves, and the paired difference, on runs in which every number is known."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic_results import write_run

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.config import EnvironmentConfig, with_overrides
from metarl_cli.papers.settings import run_config
from metarl_cli.schema import TABLES
from metarl_cli.tables import read_table

BASE = run_config("promp", "Navigation", profile="smoke")
LENGTH = 20
RNG = np.random.default_rng(0)
FIRST = {seed: RNG.normal(size=LENGTH).round(6) for seed in (1, 2, 3)}
SECOND = {seed: RNG.normal(1.0, size=LENGTH).round(6) for seed in (2, 3, 4)}


def write(home, posts, *overrides, iterations=LENGTH):
    for seed, post in posts.items():
        config = with_overrides(BASE, [*overrides, f"seed={seed}", f"iterations={iterations}"])
        write_run(home / f"seed{seed}", config, post)
    return home


@pytest.fixture
def two(tmp_path):
    """Two curves that share two seeds, and differ in one setting."""
    return write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND, "inner.lr=0.05")


def compared(metarl, *arguments):
    done = metarl("compare", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_an_environment_of_ones_own_is_named_with_its_variant(metarl, tmp_path):
    own = replace(BASE, environment=EnvironmentConfig(name="mine.py:Maze@0123456789ab", variant="near"))
    for name, lr in (("a", 0.1), ("b", 0.05)):
        write_run(tmp_path / name, replace(own, inner=replace(own.inner, lr=lr)), FIRST[1])
    found = compared(metarl, tmp_path / "a", tmp_path / "b")
    assert {row["environment"] for row in found["curves"]} == {"mine.py:Maze (near)"}


def test_a_curve_is_named_by_as_few_settings_as_tell_it_apart(metarl, tmp_path):
    alike = ["label=mine", "sampling.tasks=7"]
    for name, overrides in {
        "a": [],
        "b": [*alike, "inner.lr=0.05"],
        "c": [*alike, "inner.lr=0.05", "inner.steps=2"],
    }.items():
        write(tmp_path / name, {1: FIRST[1]}, "label=promp", *overrides)
    found = compared(metarl, *(tmp_path / name for name in "abc"))
    assert [row["curve"] for row in found["curves"]] == [
        "promp inner.steps=1",
        "mine inner.steps=1",
        "mine inner.steps=2",
    ]
    assert {row["setting"] for row in found["settings"]} >= {"sampling.tasks", "inner.lr", "inner.steps"}


def test_the_difference_is_paired_by_the_seeds_that_both_have(metarl, two):
    found = compared(metarl, *two)
    assert found["settings"] == [{"setting": "inner.lr", "promp inner.lr=0.1": 0.1, "promp inner.lr=0.05": 0.05}]
    last, area = found["differences"]
    for row, of in ((last, lambda post: post[-2:].mean()), (area, np.mean)):
        expected = mean_interval([of(SECOND[seed]) - of(FIRST[seed]) for seed in (2, 3)])
        assert [row["mean"], row["low"], row["high"]] == pytest.approx([float(limit) for limit in expected])
        assert row["n"] == 2 and row["difference"] == "promp inner.lr=0.05 − promp inner.lr=0.1"
    one, _ = found["curves"]
    assert one["seeds"] == "1 2 3" and one["environment"] == "Navigation"
    means = {"first": lambda post: post[:2].mean(), "last": lambda post: post[-2:].mean(), "area": np.mean}
    assert {k: one[k] for k in means} == pytest.approx(
        {k: np.mean([of(p) for p in FIRST.values()]) for k, of in means.items()}
    )
    assert found["notes"] == [] and found["column"].startswith("return/post: ") and "figures plot" in found["column"]


def test_every_run_by_itself_is_the_same_comparison(metarl, two):
    one, other = ([home / f"seed{seed}" for seed in posts] for home, posts in zip(two, (FIRST, SECOND), strict=True))
    assert compared(metarl, *one, *other) == compared(metarl, *two) == compared(metarl, *two, *other)


def test_swapping_the_two_turns_the_sign(metarl, two):
    there, back = (compared(metarl, *order)["differences"] for order in (two, two[::-1]))
    for one, other in zip(there, back, strict=True):
        assert [one["mean"], one["low"], one["high"]] == pytest.approx([-other["mean"], -other["high"], -other["low"]])


def test_a_constant_offset_is_found_without_spread(metarl, tmp_path):
    homes = write(tmp_path / "a", FIRST), write(tmp_path / "b", {s: p + 3.0 for s, p in FIRST.items()}, "label=moved")
    for row in compared(metarl, *homes)["differences"]:
        assert [row["mean"], row["low"], row["high"]] == pytest.approx([3.0] * 3)


def test_runs_that_are_not_finished_are_compared_as_far_as_all_are(metarl, two, tmp_path):
    short = write(tmp_path / "c", {2: SECOND[2][:5], 3: SECOND[3]}, "inner.lr=0.2")
    found = compared(metarl, two[0], short)
    (note,) = found["notes"]
    assert note == (
        "Compared over the first 5 iterations, which all runs have: by seed, promp inner.lr=0.1 20 20 20 of 20; "
        "promp inner.lr=0.2 5 20 of 20."
    )
    assert found["curves"][0]["area"] == pytest.approx(np.mean([post[:5].mean() for post in FIRST.values()]))
    area = found["differences"][1]
    assert area["mean"] == pytest.approx(np.mean([SECOND[s][:5].mean() - FIRST[s][:5].mean() for s in (2, 3)]))


def test_why_nothing_is_paired_is_said(metarl, tmp_path, two):
    apart = write(tmp_path / "c", {8: FIRST[1], 9: FIRST[2]}, "inner.lr=0.2")
    found = compared(metarl, two[0], apart)
    assert found["differences"] == [] and len(found["curves"]) == 2
    assert found["notes"][0].endswith("is not taken: no seed is in both, 8 9 and 1 2 3.")
    single = write(tmp_path / "d", {1: FIRST[1] + 1.0}, "inner.lr=0.3")
    found = compared(metarl, two[0], single)
    assert found["notes"][0].endswith("one common seed, 1, has no interval.")
    assert [(row["low"], row["high"], row["n"]) for row in found["differences"]] == [(None, None, 1)] * 2
    assert found["differences"][0]["mean"] == pytest.approx(1.0) and found["curves"][1]["low"] is None
    elsewhere = write(tmp_path / "e", FIRST, "environment.name=Toy1D")
    found = compared(metarl, two[0], elsewhere)
    assert found["differences"] == []
    assert found["notes"][0].endswith("is not taken: the environments are Toy1D and Navigation.")
    assert [row["environment"] for row in found["curves"]] == ["Navigation", "Toy1D"]


def test_two_runs_of_the_same_settings_and_seed_are_two_curves(metarl, tmp_path):
    homes = write(tmp_path / "a", FIRST), write(tmp_path / "b", FIRST)
    found = compared(metarl, *homes)
    assert [row["curve"] for row in found["curves"]] == ["promp 1", "promp 2"] and found["settings"] == []
    assert [row["mean"] for row in found["differences"]] == [0.0, 0.0]
    assert found["notes"] == ["No setting differs: these are runs of the same seeds."]


def test_a_run_in_its_first_iteration_is_left_out(metarl, two):
    write_run(two[0] / "seed7", with_overrides(BASE, ["seed=7"]), [1.0])
    (two[0] / "seed7" / "progress.csv").write_text("")
    found = compared(metarl, *two)
    assert found["notes"] == [f"{two[0]}/seed7 has no iteration yet, and is left out."]
    assert found["curves"][0]["seeds"] == "1 2 3"


def test_runs_that_lie_below_a_run_are_curves_of_their_own(metarl, two):
    one, other = two
    expected = compared(metarl, one / "seed1", other / "seed2")
    (one / "seed2").rename(one / "seed1" / "seed2")
    assert compared(metarl, one / "seed1", other / "seed2") == expected


def test_another_column_and_files(metarl, two, tmp_path):
    done = metarl("compare", *two, "--metric", "return/pre", "--out", tmp_path / "out")
    assert done.code == 0 and done.out.startswith("return/pre: ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"compare.png", "compare.pdf", "compare.csv"}
    table = read_table(tmp_path / "out" / "compare.csv", TABLES["learning_curves"])
    assert set(table["quantity"]) == {"return/pre"} and set(table["mean"]) == {-1.0}
    assert table["curve"].nunique() == 2 and len(table) == 2 * LENGTH


def test_a_column_of_another_version_is_compared_without_words_for_it(metarl, two):
    for path in [path for home in two for path in home.rglob("progress.csv")]:
        pd.read_csv(path).assign(**{"inner/other": 2.0}).to_csv(path, index=False)
    found = compared(metarl, *two, "--metric", "inner/other")
    assert found["column"] == "inner/other" and {row["last"] for row in found["curves"]} == {2.0}


def test_mistakes_are_messages(metarl, two, tmp_path):
    one, other = two
    pd.read_csv(other / "seed2" / "progress.csv").assign(**{"kl/pre": 0.0}).to_csv(
        other / "seed2" / "progress.csv", index=False
    )
    (tmp_path / "empty").mkdir()
    shutil.copytree(other / "seed2", tmp_path / "begun")
    (tmp_path / "begun" / "progress.csv").write_text("")
    for arguments, message in (
        ((one, tmp_path / "bb"), "There is no "),
        ((one, tmp_path / "empty"), "holds no run: expected a run directory"),
        ((one,), "nothing to compare. The runs there differ in nothing but the seed"),
        ((one, one), "nothing to compare"),
        ((one / "seed1", tmp_path / "begun"), "begun has no iteration yet"),
        ((*two, "--metric", "return/pots"), "Unknown column 'return/pots'. Did you mean 'return/post'?"),
        ((*two, "--metric", "kl/pre"), "--metric kl/pre: it is not in every run of"),
        ((*two, "--metric", "curve"), "Unknown column 'curve'"),
        ((*two, "--metric", "iteration"), "Unknown column 'iteration'"),
    ):
        done = metarl("compare", *arguments)
        assert done.code == 2 and message in done.err, done.err
    assert "Did you mean 'empty'?" in metarl("compare", one, tmp_path / "emty").err
    (one / "seed1" / "progress.csv").write_text("iteration\n0\n")
    damaged = metarl("compare", *two)
    assert damaged.code == 2 and "seed1/progress.csv has no column" in damaged.err


def test_it_needs_no_torch_and_a_pipe_gets_plain_text(two):
    script = "import sys\nfrom metarl_cli.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, "compare", *map(str, two)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("return/post: ") and lines[-1] == "False"
    assert "\x1b" not in done.stdout and any(line.split()[:2] == ["setting", "promp"] for line in lines)
