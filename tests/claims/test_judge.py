from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic_results import returns_on_new_tasks, write_figure_runs, write_study

from metarl_cli.claims.exact import exact_number
from metarl_cli.claims.judge import Finding, Verdict, judge, judge_all, load_tables
from metarl_cli.claims.measures import Effect, Grouped, effects
from metarl_cli.claims.statistics import mean_interval
from metarl_cli.claims.wording import (
    chance_text,
    claim_row,
    conclusion_text,
    counts_text,
    evidence_text,
    interval_text,
    number,
    range_text,
    scope_text,
    steps_text,
    tally,
    verdict_text,
)
from metarl_cli.errors import UserError
from metarl_cli.exact.theorems import CHECKS
from metarl_cli.papers import CLAIMS, FIGURES, PAPERS
from metarl_cli.papers.claim import Claim, Comparison, ExactCheck, Measure, Range, beats, exact, order
from metarl_cli.reproduction.run import contradictions
from metarl_cli.results import Results
from metarl_cli.studies import meta_test, tabular, toy1d, trajectories, variance
from metarl_cli.studies.variance.run import STATISTICS

ABOVE = Range(low=0.0)


def table(numbers, **fixed):
    """A tidy table from {(curve, seed, iteration): value}, or with keys (curve, seed)."""
    names = ("curve", "seed", "iteration")
    rows = [{**dict(zip(names, key, strict=False)), "return/post": value, **fixed} for key, value in numbers.items()]
    return pd.DataFrame(rows)


def measure(curve, **where):
    return Measure(column="return/post", where=(("curve", curve), *where.items()))


def comparison(statistic="difference", *, wanted=ABOVE, **changes):
    against = None if statistic == "value" else measure("b")
    return Comparison(
        label="a and b", statistic=statistic, measure=measure("a"), against=against, wanted=wanted, **changes
    )


def only_effect(comparison, frame):
    (effect,) = effects(comparison, Grouped(frame))
    return effect


def never(check):
    raise AssertionError(check)


def claim_of(*comparisons, reads="runs", figure="promp-fig2"):
    return Claim(name="promp-x", statement="S.", source="T.", figure=figure, reads=reads, comparisons=comparisons)


def judged(claim, **tables):
    """The judgement on tables of runs, by profile."""
    return judge(claim, {(profile, "runs"): Grouped(frame) for profile, frame in tables.items()})


# The claims as data


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_speaks_only_of_what_exists(name):
    claim = CLAIMS[name]
    assert name == claim.name and claim.name.startswith(f"{claim.paper}-") and claim.paper in PAPERS
    assert claim.statement.endswith(".") and claim.source and claim.comparisons
    assert len({comparison.label for comparison in claim.comparisons}) == len(claim.comparisons)
    assert (claim.reads == "exact") == (claim.figure == "")
    for comparison in claim.comparisons:
        assert isinstance(comparison, ExactCheck) == (claim.reads == "exact")
        assert comparison.wanted.low < comparison.wanted.high
        if isinstance(comparison, ExactCheck):
            assert comparison.check in CHECKS
        else:
            assert (comparison.against is None) == (comparison.statistic == "value")


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.reads == "runs"])
def test_claims_on_runs_read_the_curves_of_their_figure(name):
    figure = FIGURES[CLAIMS[name].figure]
    for comparison in CLAIMS[name].comparisons:
        for read in (comparison.measure, comparison.against):
            where = dict(read.where)
            assert where["curve"] in {curve.label for curve in figure.curves}
            assert where["environment"] in figure.environments


STUDIES = {
    "promp-fig3": variance.COLUMNS,
    "promp-fig4": trajectories.COLUMNS,
    "tmaml-fig2": variance.COLUMNS,
    "tmaml-fig4": toy1d.COLUMNS,
    "sgmrl-table1": meta_test.COLUMNS,
    "sgmrl-table2": meta_test.COLUMNS,
    "taypo-fig1": tabular.COLUMNS,
}


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.reads == "study"])
def test_claims_on_studies_read_what_the_studies_write(name):
    figure = FIGURES[CLAIMS[name].figure]
    values = {
        "curve": {curve.label for curve in figure.curves} | set(variance.FIGURE_ESTIMATORS.get(figure.name, ())),
        "quantity": {*STATISTICS, "inner_hessian", "meta_gradient"},
        "estimator": set(tabular.MEASURED) | {method.estimator for method in toy1d.METHODS},
        "control_variate": {method.control_variate for method in toy1d.METHODS},
        "environment": set(figure.environments),
    }
    for comparison in CLAIMS[name].comparisons:
        for read in filter(None, (comparison.measure, comparison.against)):
            assert {read.column, *dict(read.where), *([comparison.sweep] * bool(comparison.sweep))} <= {
                *STUDIES[figure.name]
            }
            for column, value in read.where:
                assert column not in values or value in values[column]


def test_every_check_belongs_to_a_claim():
    used = {c.check for claim in CLAIMS.values() for c in claim.comparisons if isinstance(c, ExactCheck)}
    assert used == set(CHECKS)


def test_builders():
    assert [c.label for c in order(["x", "y", "z"], "E")] == ["x − y, E, final return", "y − z, E, final return"]
    assert beats("x", "y", "E").wanted == Range(low=0.0)
    assert exact("l", "dice").wanted.high == 1e-10
    assert exact("l", "dice", low=1.0).wanted == Range(low=1.0)


# Verdicts


@pytest.mark.parametrize(
    ("numbers", "wanted", "verdict"),
    [
        ((1.0, 1.2, 1.4), ABOVE, "holds"),
        ((0.0, 0.0, 0.0), ABOVE, "holds"),
        ((-1.0, -1.2, -1.4), ABOVE, "fails"),
        ((-1.0, 1.0, 0.5), ABOVE, "undecided"),
        ((0.1, 1.0, 2.0), ABOVE, "undecided"),
        ((5.0,), ABOVE, "undecided"),
        ((5.0, math.nan), ABOVE, "undecided"),
        ((1.0, 1.01, 1.02), Range(high=1.05), "holds"),
        ((1.9, 2.0, 2.1), Range(1.4, 2.8), "holds"),
        ((1.9, 2.0, 2.6), Range(1.4, 2.8), "undecided"),
        ((3.9, 4.0, 4.1), Range(1.4, 2.8), "fails"),
    ],
)
def test_the_interval_decides(numbers, wanted, verdict):
    frame = table({("a", seed): value for seed, value in enumerate(numbers)})
    assert judged(claim_of(comparison("value", wanted=wanted)), quick=frame).verdict == verdict


MISSING = Comparison(label="c", statistic="value", measure=measure("c"), wanted=ABOVE)


@pytest.mark.parametrize(
    ("needs", "comparisons", "missing", "holds_at", "fails_at"),
    [
        ("all", 1, 0, 0.05, 0.05),
        ("all", 4, 0, 0.05, 0.05 / 4),
        ("all", 3, 1, 0.05, 0.05 / 3),
        ("most", 4, 0, 0.05 / 2, 0.05 / 3),
        ("most", 20, 0, 0.05 / 10, 0.05 / 11),
        ("most", 3, 1, 0.05, 0.05 / 2),
        ("most", 1, 3, 0.05, 0.05),  # too few of four to decide anything
    ],
)
def test_the_more_comparisons_there_are_the_less_one_may_owe_to_chance(needs, comparisons, missing, holds_at, fails_at):
    claim = replace(claim_of(*[comparison()] * comparisons, *[MISSING] * missing), needs=needs)
    findings = judged(claim, quick=differences(4.0, 4.1)).findings
    assert {(finding.holds_at, finding.fails_at) for finding in findings} == {(holds_at, fails_at)}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_chance_seldom_decides_what_is_so_generally(sign):
    """Ten of twenty hold beyond doubt where eleven must, or nine fail of ten; each other does in one case of forty."""
    names, rng = [f"c{number}" for number in range(20)], np.random.default_rng(0)
    parts = [Comparison(label=n, statistic="value", measure=measure(n), wanted=Range(low=0.0)) for n in names]
    claim, repeats, decided = replace(claim_of(*parts), needs="most"), 200, 0
    certain = 10 if sign > 0 else 9
    for _ in range(repeats):
        draws = rng.normal(size=(20, 3)) + 1000.0 * sign * (np.arange(20) < certain)[:, None]
        values = {(name, seed): draws[i, seed] for i, name in enumerate(names) for seed in range(3)}
        decided += judged(claim, quick=table(values)).verdict == ("holds" if sign > 0 else "fails")
    assert decided <= 0.05 * repeats


@pytest.mark.parametrize("statistic", ["value", "difference", "ratio"])
@pytest.mark.parametrize(
    ("wanted", "edge"),
    [(Range(low=1.9), 1.9), (Range(high=0.9), 0.9), (Range(1.9, 3.0), 1.9), (Range(-1.0, 0.9), 0.9)],
)
def test_a_p_value_is_the_level_at_which_the_interval_meets_the_range(statistic, wanted, edge):
    numbers, neutral = [1.0, 1.1, 1.6], float(statistic == "ratio")
    frame = table({(curve, seed): v if curve == "a" else neutral for seed, v in enumerate(numbers) for curve in "ab"})
    scale = np.log if statistic == "ratio" else np.asarray

    def meets(wanted, which, edge):
        p_value = getattr(only_effect(comparison(statistic, wanted=wanted), frame).test, which)
        limits = mean_interval(scale(numbers), 1.0 - p_value)[1:]
        return min(abs(limit - scale(edge)) for limit in limits) < 1e-9

    assert meets(wanted, "inside", edge) and meets(Range(1.0, 9.0), "outside", 1.0)
    assert only_effect(comparison(statistic, wanted=wanted), frame).test.outside == 1.0
    assert only_effect(comparison(statistic, wanted=Range(1.0, 1.3)), frame).test.inside == 1.0


def test_a_profile_that_is_too_small_decides_nothing():
    frame = differences(-5.0, -5.1)
    claim = replace(claim_of(comparison()), decided_at="overnight")
    small, large = judged(claim, quick=frame), judged(claim, overnight=frame)
    assert (small.verdict, large.verdict) == ("undecided", "fails")
    assert evidence_text(small.findings) == "quick, n = 2, too small to decide as printed"
    assert evidence_text(large.findings) == "overnight, n = 2"
    assert (small.scoped, large.scoped) == ("fails", "fails")
    assert verdict_text(small) == "as printed: undecided · at n = 2: fails"
    assert verdict_text(large) == "fails at n = 2"
    assert small.findings[0].effect == large.findings[0].effect
    assert judged(claim).verdict == "not yet run"


def test_a_training_that_is_too_short_decides_nothing():
    frame = table(
        {
            (curve, seed, i): -5.0 * (curve == "a") - 0.1 * seed
            for i in range(20)
            for seed in (1, 2, 3)
            for curve in "ab"
        }
    )
    for needed, verdict in ((20, "fails"), (21, "undecided")):
        judgement = judged(replace(claim_of(comparison()), iterations=needed), quick=frame)
        assert (judgement.verdict, judgement.scoped) == (verdict, "fails")
    assert evidence_text(judgement.findings) == "quick, n = 3 over 20 iterations, too small to decide as printed"


def test_a_scope_has_the_steps_of_the_run_that_was_trained_least():
    """Until the last iteration that both have: b goes on to the fourth, and its steps are half as long."""
    frame = table(
        {("a", s, i): 5 + 0.1 * s + i for s in (1, 2) for i in range(3)}
        | {("b", s, i): 0 for s in (1, 2) for i in range(4)}
    )
    steps = 1_000_000 * (frame["iteration"] + 1) * frame["curve"].map({"a": 2.0, "b": 1.0})
    claim = replace(claim_of(comparison()), decided_at="paper")
    judgement = judged(claim, standard=frame.assign(env_steps=steps))
    assert verdict_text(judgement) == "as printed: undecided · at 3.0M steps, n = 2: holds"
    assert judgement.findings[0].effect.env_steps == 3_000_000
    other = replace(claim, comparisons=(comparison(), comparison(wanted=Range(low=-1.0))))
    assert scope_text(judged(other, standard=frame.assign(env_steps=steps))) == "3.0M steps, n = 2"
    assert [steps_text(count) for count in (28_000, 800_000, 2_000_000, 12_000_000)] == ["0.03M", "0.8M", "2.0M", "12M"]


@pytest.mark.parametrize("lost", ["a", "b"])
def test_a_run_whose_steps_are_lost_leaves_the_scope_to_the_others(lost):
    """The table of a study outlives the runs that it tested."""
    frame = differences(5.0, 5.1)
    steps = np.where((frame["curve"] == lost) & (frame["seed"] == 0), np.nan, 2e6)
    assert scope_text(judged(claim_of(comparison()), quick=frame.assign(env_steps=steps))) == "2.0M steps, n = 2"


def test_of_profiles_that_cannot_decide_the_one_with_most_training_counts():
    def trained(values, millions):
        return differences(*values).assign(iteration=0, env_steps=millions * 1e6)

    claim = replace(claim_of(comparison()), iterations=100)
    short, long = trained((5.0, 5.1), 2), trained((-5.0, -5.1, -4.9), 12)
    assert verdict_text(judged(claim, quick=short, standard=long)).endswith("at 12M steps, n = 3: fails")
    assert verdict_text(judged(claim, standard=long, paper=short)).endswith("at 12M steps, n = 3: fails")
    enough = replace(claim, iterations=0, decided_at="paper")
    assert verdict_text(judged(enough, standard=long, paper=short)) == "holds at 2.0M steps, n = 2"


def test_more_seeds_count_where_nothing_is_trained():
    few, many = differences(5.0, 5.1), differences(-5.0, -5.1, -5.2)
    assert verdict_text(judged(claim_of(comparison()), standard=many, paper=few)) == "fails at n = 3"


def test_the_scope_of_tested_policies_is_that_of_their_runs(tmp_path):
    rows = returns_on_new_tasks("sgmrl-table1", {1: 0.0, 2: 3.0})
    write_study(tmp_path, "sgmrl-table1", "quick", rows)
    posts = {curve.label: dict.fromkeys((1, 2), [0.0] * 7) for curve in FIGURES["sgmrl-table1"].curves}
    write_figure_runs(tmp_path, "sgmrl-table1", "quick", posts)
    judgement = judge(CLAIMS["sgmrl-table-1"], load_tables(Results(tmp_path)))
    assert {finding.effect.env_steps for finding in judgement.findings} == {700}
    assert (judgement.verdict, judgement.scoped) == ("undecided", "holds")


def test_effects_are_paired_by_seed():
    frame = table({("a", 1): 3.0, ("a", 2): 15.0, ("a", 9): 77.0, ("b", 2): 10.0, ("b", 1): 1.0, ("b", 3): 0.0})
    effect = only_effect(comparison(), frame)
    assert effect.seeds == (1, 2) and effect.iterations == 0
    assert effect[1:4] == pytest.approx(mean_interval([2.0, 5.0]))
    ratio = only_effect(comparison("ratio"), frame)
    assert ratio[1:4] == pytest.approx(np.exp(mean_interval(np.log([3.0, 1.5]))))
    assert only_effect(comparison("value"), frame)[1:4] == pytest.approx(mean_interval([3.0, 15.0, 77.0]))


@pytest.mark.parametrize(("summary", "expected"), [("mean", 9.5), ("median", 9.5), ("final", 18.5)])
def test_training_is_summarised_over_the_iterations_that_all_seeds_have(summary, expected):
    a = {("a", seed, i): i + seed for seed in (1, 2) for i in range(20)}
    b = {("b", seed, i): seed for seed in (1, 2) for i in range(30)}
    effect = only_effect(comparison(summary=summary), table(a | b))
    assert effect.mean == pytest.approx(expected)
    assert effect.iterations == 20
    shorter = {key: value for key, value in (a | b).items() if key[1] == 1 or key[2] < 5}
    assert only_effect(comparison(summary="mean"), table(shorter)).mean == pytest.approx(2.0)


def test_the_median_is_not_the_mean():
    frame = table({("a", seed, i): float(i == 2) * 90 for seed in (1, 2) for i in range(3)})
    assert only_effect(comparison("value", summary="median"), frame).mean == 0.0
    assert only_effect(comparison("value", summary="mean"), frame).mean == 30.0


def test_a_sweep_takes_its_values_one_by_one():
    frame = pd.concat(
        [table({("a", 1): 1.0 + n, ("a", 2): 1.0 + n, ("b", 1): 10.0, ("b", 2): 10.0}, samples=n) for n in (30, 5, 7)]
    )
    every = list(effects(comparison(sweep="samples"), Grouped(frame)))
    assert [effect.mean for effect in every] == [-4.0, -2.0, 21.0]
    assert [effect.label for effect in every] == [f"a and b, samples = {n}" for n in (5, 7, 30)]
    (first,), (last,) = (list(effects(comparison(sweep="samples", at=at), Grouped(frame))) for at in ("first", "last"))
    assert (first.mean, last.mean) == (-4.0, 21.0)


def test_a_condition_may_ask_for_a_column_without_a_value():
    frame = table({("a", 1): 1.0, ("a", 2): 3.0}).assign(task=[np.nan, 4.0])
    without = Comparison(label="l", statistic="value", measure=measure("a", task=None), wanted=ABOVE)
    assert only_effect(without, frame).seeds == (1,)


def test_rows_of_training_among_those_of_a_study_change_nothing():
    study = table({("a", 1): 1.0, ("a", 2): 3.0, ("b", 1): 0.0, ("b", 2): 1.0})
    both = pd.concat([study, table({("c", 1, 0): 9.0})])
    assert only_effect(comparison(), both) == only_effect(comparison(), study)


def test_a_missing_number_is_not_passed_over():
    frame = pd.concat([differences(1.0, 1.1), differences(math.nan)])
    assert math.isnan(only_effect(comparison(), frame).mean)
    assert judged(claim_of(comparison()), quick=frame).verdict == "undecided"


def differences(*values):
    return table({(curve, seed): v * (curve == "a") for seed, v in enumerate(values) for curve in "ab"})


def test_one_seed_is_undecided_and_none_not_yet_run():
    claim = claim_of(comparison())
    assert judged(claim, quick=differences(5.0)).verdict == "undecided"
    assert judged(claim, quick=differences(5.0, 5.1)).verdict == "holds"
    assert judged(claim, quick=differences(-5.0, -5.1)).verdict == "fails"
    assert judged(claim).verdict == "not yet run"
    assert judged(claim, quick=table({("a", 1): 1.0, ("b", 2): 1.0})).verdict == "not yet run"
    assert judged(claim, quick=table({("a", 1, 0): 1.0, ("b", 2, 0): 1.0})).verdict == "not yet run"


def test_the_largest_profile_with_an_interval_counts():
    claim = claim_of(comparison())
    small, large, single = differences(5.0, 5.1), differences(-5.0, -5.1), differences(1.0)
    assert evidence_text(judged(claim, quick=small, paper=large).findings) == "paper, n = 2"
    assert judged(claim, quick=small, paper=large).verdict == "fails"
    assert evidence_text(judged(claim, quick=small, paper=single).findings) == "quick, n = 2"
    assert evidence_text(judged(claim, smoke=single, quick=single).findings) == "quick, n = 1"


def test_the_evidence_of_many_comparisons_is_told_a_profile_at_a_time():
    def finding(profile, seeds, iterations=0, decisive=True):
        effect = Effect("a", seeds=tuple(range(seeds)), iterations=iterations)
        return Finding(effect=effect, part=comparison(), profile=profile, decisive=decisive)

    small = [finding("quick", 2, 7, decisive=False)]
    large = [finding("standard", 3, 10), finding("standard", 8, 30), finding("standard", 5, 10)]
    assert evidence_text([large[0], *small, *large[1:]]) == (
        "standard, n = 3 to 8 over 10 to 30 iterations; quick, n = 2 over 7 iterations, too small to decide as printed"
    )
    assert evidence_text([finding("paper", 10), finding("", 0)]) == "paper, n = 10"
    assert evidence_text([finding("", 0)]) == "no data"


def test_a_claim_is_the_conjunction_of_its_comparisons():
    frame = differences(4.0, 4.1)
    holds, fails = comparison(), comparison(wanted=Range(high=0.0))
    undecided, missing = (
        comparison(wanted=Range(low=4.05)),
        Comparison(label="c", statistic="value", measure=measure("c"), wanted=ABOVE),
    )
    cases = {
        (holds, holds): ("holds", "holds on 2"),
        (holds, undecided): ("undecided", "holds on 1, undecided on 1"),
        (holds, missing): ("undecided", "holds on 1, not yet run on 1"),
        (fails, holds, missing): ("fails", "holds on 1, fails on 1, not yet run on 1"),
        (missing,): ("not yet run", "not yet run"),
    }
    for comparisons, (verdict, counts) in cases.items():
        judgement = judged(claim_of(*comparisons), quick=frame)
        assert (judgement.verdict, counts_text(judgement)) == (verdict, counts)


def test_what_is_so_generally_needs_more_than_half_of_its_comparisons():
    frame = differences(4.0, 4.1)
    holds, fails, undecided = comparison(), comparison(wanted=Range(high=0.0)), comparison(wanted=Range(low=4.05))
    cases = {
        (holds, holds, fails): "holds",
        (holds, holds, undecided): "holds",
        (holds, holds, undecided, fails): "undecided",
        (holds, holds, fails, fails): "fails",
        (holds, undecided, fails): "undecided",
        (undecided, fails, fails): "fails",
    }
    for comparisons, verdict in cases.items():
        assert judged(replace(claim_of(*comparisons), needs="most"), quick=frame).verdict == verdict
    missing = Comparison(label="c", statistic="value", measure=measure("c"), wanted=ABOVE)
    assert judged(replace(claim_of(missing), needs="most"), quick=frame).verdict == "not yet run"


def test_a_claim_says_generally_where_it_needs_but_most_of_its_comparisons():
    for claim in CLAIMS.values():
        hedged = any(word in claim.statement for word in ("generally", "typically"))
        assert hedged == (claim.needs == "most"), claim.name


def test_a_verdict_hangs_on_the_worst_comparison():
    frame = differences(4.0, 4.1)
    near, far = (comparison(wanted=Range(high=limit)) for limit in (3.0, -3.0))
    judgement = judged(claim_of(comparison(), near, far), quick=frame)
    assert judgement.deciding is judgement.findings[2]
    wide = judged(claim_of(comparison(wanted=Range(low=-9.0)), comparison()), quick=frame)
    assert wide.deciding is wide.findings[1]
    most = judged(
        replace(claim_of(comparison(), far, comparison(wanted=Range(low=-9.0)), MISSING), needs="most"), quick=frame
    )
    assert most.deciding is most.findings[1]  # three of four must hold
    most = judged(replace(claim_of(comparison(), far, comparison(wanted=Range(low=-9.0))), needs="most"), quick=frame)
    assert (most.scoped, most.deciding) == ("holds", most.findings[0])  # two of three


def test_a_number_that_chance_may_explain_says_so():
    numbers = table({("a", seed): value for seed, value in enumerate((1.0, 1.2, 2.0))})  # p = .045
    enough, claim = comparison("value"), claim_of(comparison("value"))
    assert chance_text(judged(claim, quick=numbers).deciding) == ""
    many = replace(
        claim, comparisons=(enough, enough, enough, comparison("value", wanted=Range(high=9.0))), needs="most"
    )
    judgement = judged(many, quick=numbers)
    assert counts_text(judgement) == "holds on 1, undecided on 3"
    assert conclusion_text(judgement).endswith("wanted ≥ 0, enough for a single comparison and not for one of so many.")
    assert chance_text(judgement.findings[3]) == ""


# Results on disk decide


def flip(path, sign):
    frame = pd.read_csv(path)
    frame["return/post"] *= sign
    frame.to_csv(path, index=False)


def verdicts(results):
    return {judgement.claim.name: judgement.verdict for judgement in judge_all(Results(results))}


def test_without_results_nothing_was_run(tmp_path):
    found = verdicts(tmp_path)
    assert set(found) == set(CLAIMS)
    assert {found[name] for name, claim in CLAIMS.items() if claim.reads != "exact"} == {Verdict.NOT_RUN}


def test_a_verdict_changes_when_a_run_changes(tmp_path):
    long = 250  # pairs of iterations
    posts = {"lvc-vpg": {1: (5.0, 9.0) * long, 2: (5.0, 9.5) * long, 3: (5.0, 9.2) * long}}
    posts["vpg-emaml"] = dict.fromkeys((1, 2, 3), (0.0, 1.0) * long)
    write_figure_runs(tmp_path, "promp-fig2", "paper", posts)
    assert verdicts(tmp_path)["promp-lvc-beats-emaml"] == "holds"
    for path in tmp_path.rglob("lvc-vpg/HopperRandParams/*/progress.csv"):
        flip(path, -1.0)
    assert verdicts(tmp_path)["promp-lvc-beats-emaml"] == "fails"
    judgement = judge(CLAIMS["promp-lvc-beats-emaml"], load_tables(Results(tmp_path)))
    assert counts_text(judgement) == "holds on 5, fails on 1"
    assert judgement.deciding.effect.label == "lvc-vpg − vpg-emaml, HopperRandParams, final return"


def accuracies(lead, seeds=4):
    """Rows of Fig. 1a and 1b in which TayPO-2 leads every rival at ε = 0, and by as much as is said at 0.1."""
    rivals = {name: 0.5 for name in ("lvc", "dice", "doubly_robust", "truncated_dr")}
    return [
        {
            **{"profile": "quick", "variant": "released", "sweep": "epsilon", "samples": 1000},
            "relative_error": 0.1,
            **{"seed": seed, "order": order, "epsilon": epsilon, "estimator": name, "pearson": level + 0.001 * seed},
        }
        for seed in range(seeds)
        for order in (1, 2)
        for epsilon, taypo2 in ((0.0, 0.6), (0.1, 0.5 + lead))
        for name, level in {**rivals, "taypo2": taypo2}.items()
    ]


@pytest.mark.parametrize(("lead", "verdict"), [(0.0, "holds"), (-0.009, "holds"), (-0.011, "fails")])
def test_the_best_at_every_point_may_be_equalled_at_one(tmp_path, lead, verdict):
    write_study(tmp_path, "taypo-fig1", "quick", accuracies(lead))
    judgement = judge(CLAIMS["taypo-best-at-every-epsilon"], load_tables(Results(tmp_path)))
    assert (judgement.verdict, judgement.deciding.effect.label[-13:]) == (verdict, "epsilon = 0.1")
    assert "0.01" in judgement.claim.statement


def test_a_verdict_changes_when_a_table_changes(tmp_path):
    rows = returns_on_new_tasks("sgmrl-table2", {1: 0.0, 2: 3.0, 3: -1.0})
    path = write_study(tmp_path, "sgmrl-table2", "paper", rows)
    assert verdicts(tmp_path)["sgmrl-table-2"] == "holds"
    frame = pd.read_csv(path)
    frame.loc[(frame["curve"] == "vpg-maml-k3") & (frame["environment"] == "SwimmerRandVel"), "return"] += 100.0
    frame.to_csv(path, index=False)
    assert verdicts(tmp_path)["sgmrl-table-2"] == "fails"


def test_time_is_the_median_of_sampling_and_update(tmp_path):
    posts = {"sgmrl": {1: [0.0] * 3, 2: [0.0] * 3}, "vpg-maml": {1: [0.0] * 3, 2: [0.0] * 3}}
    write_figure_runs(tmp_path, "sgmrl-table1", "quick", posts)
    for path in tmp_path.rglob("sgmrl/*/*/progress.csv"):
        frame = pd.read_csv(path)
        frame["time/update"] = [0.77, 100.0, 0.77]
        frame.to_csv(path, index=False)
    judgement = judge(CLAIMS["sgmrl-time"], load_tables(Results(tmp_path)))
    assert judgement.findings[0].effect.mean == pytest.approx(1.02)
    assert judgement.verdict == "holds"


def test_a_verdict_against_the_published_one_is_named(tmp_path):
    here, published = tmp_path / "here", tmp_path / "published"
    rows = returns_on_new_tasks("sgmrl-table1", {1: 0.0, 2: 3.0, 3: -1.0})
    worse = [row | {"return": row["return"] - 9.0 * (row["curve"] == "sgmrl")} for row in rows]
    table1 = [FIGURES["sgmrl-table1"]]
    write_study(published, "sgmrl-table1", "paper", rows)
    write_study(here, "sgmrl-table1", "overnight", rows)
    assert contradictions(table1, Results(here), "overnight", Results(published)) == []
    write_study(here, "sgmrl-table1", "overnight", worse)
    assert contradictions(table1, Results(here), "overnight", Results(published)) == [
        f"sgmrl-table-1 fails here, and holds in {published}."
    ]
    assert contradictions(table1, Results(here), "quick", Results(published)) == []
    write_study(here, "sgmrl-table1", "quick", worse)
    assert contradictions(table1, Results(here), "quick", Results(published)) == []
    write_study(published, "sgmrl-table1", "quick", rows)
    assert contradictions(table1, Results(here), "quick", Results(published)) == [
        f"sgmrl-table-1 fails at quick here, and holds in {published}."
    ]
    assert contradictions([FIGURES["sgmrl-table2"]], Results(here), "overnight", Results(published)) == []
    assert contradictions(table1, Results(here), "overnight", Results(tmp_path / "nothing")) == []


# Theorems


@pytest.mark.parametrize("name", [name for name, claim in CLAIMS.items() if claim.reads == "exact"])
def test_theorems_are_decided_by_computation(name, monkeypatch):
    judgement = judge(CLAIMS[name], {})
    assert judgement.verdict == ("fails" if name.startswith("tmaml-theorem") else "holds")
    assert evidence_text(judgement.findings) == "exact"
    wrong = {"holds": "fails", "fails": "holds"}[judgement.verdict]
    monkeypatch.setattr("metarl_cli.claims.judge.exact_number", lambda check: 1.0 - (exact_number(check) > 1e-3))
    assert judge(CLAIMS[name], {}).verdict == wrong


def test_the_two_papers_contradict_each_other_on_one_number(monkeypatch):
    claims = [CLAIMS["tmaml-theorem-1"], CLAIMS["taypo-tmaml-biased"]]
    assert len({claim.comparisons[0].check for claim in claims}) == 1
    for value, expected in ((0.0, ("holds", "fails")), (2.57, ("fails", "holds"))):
        monkeypatch.setattr("metarl_cli.claims.judge.exact_number", lambda check, value=value: value)
        assert tuple(judge(claim, {}).verdict for claim in claims) == expected


def test_an_unknown_check_is_named():
    with pytest.raises(UserError, match="Did you mean 'dice'"):
        exact_number("dic")


# In words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "1.235"),
        (-513.0, "−513"),
        (2.5e-7, "2.5e−07"),
        (4.3e-16, "< 1e−12"),
        (-4.3e-16, "> −1e−12"),
        (0.0, "0"),
        (123456.7, "123457"),
        (9999.7, "10000"),
        (math.nan, "–"),
    ],
)
def test_numbers_as_text(value, text):
    assert number(value) == text


def test_intervals_and_ranges_as_text():
    frame = differences(1.0, 3.0)
    effect = only_effect(comparison(), frame)
    assert interval_text(effect) == "2 [−10.71, 14.71]"
    assert interval_text(effect._replace(low=math.nan, high=math.nan)) == "2"
    assert interval_text(Effect("exact", 2.5, 2.5, 2.5)) == "2.5"
    assert [range_text(r) for r in (ABOVE, Range(high=1.05), Range(1.5, 3.0))] == ["≥ 0", "≤ 1.05", "1.5 to 3"]


def test_a_tally_counts_both_verdicts():
    scoped = replace(claim_of(comparison()), decided_at="paper")
    judgements = [judged(claim, quick=differences(1.0, 1.1)) for claim in (claim_of(comparison()), scoped)]
    assert tally([*judgements, judged(scoped)]) == (
        "3 claims as printed: 1 holds, 1 undecided, 1 not yet run. "
        "At the size that their scope names 2 of 3 are decided: 2 hold, 1 not yet run"
    )


def test_a_row_has_every_number_behind_a_claim():
    row = claim_row(judged(claim_of(comparison(), comparison(wanted=Range(high=9.0))), quick=differences(1.0, 3.0)))
    assert {key: row[key] for key in ("verdict", "found", "effect", "profile", "n", "wanted", "statistic")} == {
        "verdict": "undecided",
        "found": "undecided on 2",
        "effect": 2.0,
        "profile": "quick",
        "n": 2,
        "wanted": "≥ 0",
        "statistic": "difference of return/post, mean per seed",
    }
    assert [finding["wanted"] for finding in row["findings"]] == ["≥ 0", "≤ 9"]


def test_the_command_lists_every_claim(metarl, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    completed = metarl("list", "claims", "--json")
    rows = json.loads(completed.out, parse_constant=never)
    assert completed.code == 0
    assert [row["claim"] for row in rows] == list(CLAIMS)
    assert {row["verdict"] for row in rows} == {"holds", "fails", "not yet run"}
    shown = metarl("list", "claims").out
    assert "tmaml-theorem-1" in shown and "findings" not in shown


def test_a_table_that_lacks_a_column_has_no_matching_rows():
    table = Grouped(pd.DataFrame({"seed": [1, 2], "curve": ["a", "b"]}))
    assert table.rows((("curve", "a"),)).tolist() == [0]
    assert table.rows((("curve", "a"), ("variant", "released"))).tolist() == []


@pytest.mark.parametrize("column", ["seed", "return/post", "samples", "iteration", "curve"])
def test_a_table_without_rows_may_lack_any_column(column):
    """So do those of a study that has several kinds of rows, and wrote none yet."""
    columns = {"seed", "return/post", "samples", "iteration", "curve"} - {column}
    table = Grouped(pd.DataFrame(columns=sorted(columns)))
    assert list(effects(comparison(sweep="samples"), table)) == []
    (effect,) = effects(comparison(), table)
    assert effect.seeds == ()
