from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from metarl_cli.config import with_overrides
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.papers import FIGURES
from metarl_cli.papers.figure import planned_runs
from metarl_cli.params import flatten
from metarl_cli.profiles import PROFILES
from metarl_cli.store import runs_directory
from metarl_cli.studies.variance import COLUMNS, FIGURE_ESTIMATORS, SIZES, figures, home, settings_for, study
from metarl_cli.studies.variance import run as variance_run
from metarl_cli.studies.variance.estimators import (
    MEASURED,
    REFERENCE,
    build_bench,
    draw_batches,
    measured,
    resample,
    shares_carrier,
)
from metarl_cli.studies.variance.run import measure
from metarl_cli.studies.variance.statistics import spread, squared_bias
from metarl_cli.tables import write_table
from metarl_cli.training.build import build
from metarl_cli.training.objectives import Objective
from metarl_cli.training.returns import discounted_returns
from metarl_cli.types import each_tensor

HORIZON = 10
CHEAP = ("lvc", "reinforce", "loaded_dice", "dice")


def asked(*, estimators=CHEAP, checkpoints=(0, 2), seed=1, rounds=3, environment="Navigation"):
    settings = settings_for(
        environment, profile="smoke", seed=seed, estimators=estimators, rounds=rounds, checkpoints=checkpoints
    )
    short = replace(settings.config.sampling, horizon=HORIZON)
    return replace(settings, config=replace(settings.config, sampling=short))


def bench_of(*names, environment="Navigation"):
    return build_bench(asked(estimators=names, environment=environment).config, names)


def noise(rng, *shape):
    return rng.normal(size=shape)


# Statistics


def test_spread_in_closed_form():
    mean, deviation = np.array([2.0, -4.0, 0.5]), np.array([1.0, 3.0, 2.0])
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    found = spread(mean + deviation * signs)
    assert found.rstd == pytest.approx(np.mean(deviation / abs(mean)), rel=1e-7)
    assert found.relative_deviation == pytest.approx(np.linalg.norm(deviation) / np.linalg.norm(mean))
    assert found.variance == pytest.approx(4 / 3 * (deviation**2).sum())
    cosines = [(g @ mean) / np.linalg.norm(g) / np.linalg.norm(mean) for g in mean + deviation * signs]
    assert found.cosine == pytest.approx(np.mean(cosines))


def test_a_coordinate_whose_mean_is_zero_decides_rstd_alone():
    found = spread(np.array([[1.0, 5.0], [-1.0, 5.0]]))
    assert found.rstd == pytest.approx(0.5e8)
    assert found.relative_deviation == pytest.approx(0.2)


@pytest.mark.parametrize("rounds", [3, 10])
def test_what_pure_noise_gives(rounds):
    found = spread(noise(np.random.default_rng(0), rounds, 200_000))
    assert found.relative_deviation == pytest.approx((rounds - 1) ** 0.5, rel=0.02)
    assert found.cosine == pytest.approx(rounds**-0.5, rel=0.02)


def test_the_bias_is_exact_where_both_estimators_share_the_noise():
    reference = np.array([3.0, 4.0]) + np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    bias, _ = squared_bias(reference + np.array([0.0, 2.0]), reference)
    norms = [reference[r] @ reference[s] for r in range(4) for s in range(4) if r != s]
    assert bias == pytest.approx(4.0 / np.mean(norms))
    assert squared_bias(reference, reference) == (0.0, 0.0)


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 1.2, 1.6), (0.5, 0.85, 1.15)])
def test_noise_does_not_count_as_bias_and_the_jackknife_knows_its_size(shift, low, high):
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        reference = 1.0 + noise(rng, 12, 50)
        found.append(squared_bias(reference + shift + 0.5 * noise(rng, 12, 50), reference))
    values, errors = np.array(found).T
    assert abs(values.mean() - shift**2) < 4.0 * values.std() / np.sqrt(len(values))
    assert low < errors.mean() / values.std() < high


def test_bias_is_unknown_where_the_reference_is_noise():
    reference = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    assert np.isnan(squared_bias(reference, reference)).all()


def test_too_few_rounds_have_no_statistics():
    with pytest.raises(ValueError, match="at least 2 rounds, got 1"):
        spread(np.ones((1, 3)))
    with pytest.raises(ValueError, match="at least 3 rounds, got 2"):
        squared_bias(np.ones((2, 3)), np.ones((2, 3)))


# Batches


@pytest.mark.parametrize("environment", ["Navigation", "PointMomentum"])
def test_pre_update_batches_are_identical_bit_for_bit(environment):
    bench, state = bench_of("lvc", "dice", "dice-released", "tmaml", "tmaml-per-task", environment=environment)
    batches = draw_batches(bench, state, 0)
    assert len(batches) == 5
    first, *others = [rounds[0].trajectories for rounds in batches.values()]
    for other in others:
        for name in ("observations", "actions", "rewards", "behaviour_logp"):
            assert torch.equal(getattr(first, name), getattr(other, name)), name


def test_post_update_batches_have_common_noise_at_different_policies():
    bench, state = bench_of("lvc", "dice", "dice-released")
    drawn = [rounds[-1].trajectories for rounds in draw_batches(bench, state, 0).values()]
    noises = [(t.actions - t.behaviour.mean) / t.behaviour.log_std.exp() for t in drawn]
    assert len(drawn) == 3
    for other, noise_ in zip(drawn[1:], noises[1:], strict=True):
        torch.testing.assert_close(noise_, noises[0], rtol=0.0, atol=1e-4)
        assert not torch.equal(other.actions, drawn[0].actions)


SHARING = [name for name in MEASURED if shares_carrier(name)]


def test_who_shares_the_carriers_batches():
    damped = [name for name in MEASURED if name.startswith("loaded_dice-")]
    terms = [name for name in MEASURED if name.endswith("-term")]
    assert ["reinforce", "lvc", "taypo2", "taypo2-steps", "loaded_dice", *damped, *terms] == SHARING
    assert REFERENCE in SHARING


@pytest.mark.parametrize("name", MEASURED)
def test_an_estimator_shares_the_carriers_batches_exactly_if_its_inner_step_is_the_carriers(name):
    bench, state = bench_of(name)
    ((_, carriers), *_) = draw_batches(bench, state, 0).items()
    own = bench.trainers[name].sample(state, bench.carrier.draw_tasks(0), 0, 0, 0)
    close = torch.allclose(own[-1].trajectories.actions, carriers[-1].trajectories.actions, rtol=0.0, atol=1e-4)
    assert close == shares_carrier(name)


class Watched:
    """Workers that note which tasks they are given."""

    def __init__(self, workers, seen):
        self._workers, self._seen = workers, seen

    def __getattr__(self, name):
        return getattr(self._workers, name)

    def set_tasks(self, tasks):
        self._seen.append(tasks)
        self._workers.set_tasks(tasks)


def tensors(rounds):
    found = []
    for round_ in rounds:
        each_tensor(round_, lambda tensor: found.append(tensor) or tensor)
    return found


@pytest.mark.parametrize("name", [name for name in MEASURED if not shares_carrier(name)])
def test_a_batch_is_what_its_estimator_would_have_sampled_alone(name):
    bench, state = bench_of("lvc", name)
    drawn = tensors(draw_batches(bench, state, 3)[measured(name).adaptation])
    alone = tensors(bench.trainers[name].sample(state, bench.carrier.draw_tasks(0), 0, 0, 3))
    assert len(drawn) == len(alone) > 10
    assert all(map(torch.equal, drawn, alone))


def test_what_all_adapt_from_is_sampled_once():
    bench, state = bench_of("lvc", "dice", "dice-released", "loaded_dice")
    seen = []
    watched = Watched(bench.carrier.workers, seen)
    trainers = {name: replace(trainer, workers=watched) for name, trainer in bench.trainers.items()}
    draw_batches(replace(bench, carrier=replace(bench.carrier, workers=watched), trainers=trainers), state, 0)
    assert len(seen) == 1 + 3, "before adaptation, and after three adaptations"


def test_rounds_differ_and_tasks_do_not():
    bench, state = bench_of("lvc")
    seen = []
    watched = replace(bench.carrier, workers=Watched(bench.carrier.workers, seen))
    (first,), (second,) = (draw_batches(replace(bench, carrier=watched), state, n).values() for n in (0, 1))
    assert not torch.equal(first[0].trajectories.actions, second[0].trajectories.actions)
    assert len(seen) == 4
    assert all(np.array_equal(tasks, seen[0]) for tasks in seen)
    assert np.array_equal(seen[0][::4], bench.carrier.draw_tasks(state.iteration))


def test_gradients_are_the_trainers_own():
    bench, state = bench_of("lvc", "dice-full-released")
    found = resample(bench, state, 2).gradients
    for name, trainer in bench.trainers.items():
        rounds = trainer.sample(state, trainer.draw_tasks(0), 0, 0, 1)
        gradient = trainer.meta_gradient(state.theta, trainer.task_data(state, rounds))
        expected = torch.cat([part.flatten() for part in gradient.values()])
        np.testing.assert_array_equal(found[name][1], expected.numpy())


def test_the_carrier_is_lvc_vpg_and_teaches_the_control_variate():
    config = asked().config
    bench, state = build_bench(config, ("lvc", "tmaml"))
    plain, expected = build(config)
    for iteration in range(2):
        tasks = plain.draw_tasks(iteration)
        expected, _ = plain.step(expected, plain.sample(expected, tasks, iteration))
        state, _ = bench.carrier.step(state, bench.carrier.sample(state, tasks, iteration))
    assert all(torch.equal(state.theta[name], value) for name, value in expected.theta.items())
    tmaml, fresh = build(MEASURED["tmaml"].configured(config))
    taught = tmaml.processing.control_variate
    assert state.control_variate.keys() == fresh.control_variate.keys() != set()
    assert not all(torch.equal(state.control_variate[n], value) for n, value in fresh.control_variate.items())
    assert build_bench(config, ("lvc",))[0].carrier.processing.control_variate is not taught
    assert build_bench(config, ("lvc",))[1].control_variate == {}


# Measurements


def written(directory):
    return (directory / variance_run.TABLE).read_bytes()


def test_the_same_seed_gives_the_same_file_whatever_the_threads(tmp_path):
    tables = {}
    for name, seed, threads in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1)):
        tables[name] = measure(tmp_path / name, asked(seed=seed), threads=threads)
    assert written(tmp_path / "a") == written(tmp_path / "b") != written(tmp_path / "c")
    assert list(tables["a"]["iteration"]) == [0] * 4 + [2] * 4
    assert list(tables["a"]["estimator"]) == [*CHEAP] * 2
    assert list(tables["a"]["env_steps"].unique()) == [0, 2 * 2 * 4 * HORIZON * 2]
    pd.testing.assert_frame_equal(tables["a"], pd.read_csv(tmp_path / "a" / variance_run.TABLE))


def test_the_rows_are_the_statistics_of_the_gradients(tmp_path):
    table = measure(tmp_path, asked(checkpoints=(0,))).set_index("estimator")
    found = resample(*build_bench(asked().config, CHEAP), 3)
    for name in CHEAP:
        row = table.loc[name]
        for quantity, value in spread(found.gradients[name])._asdict().items():
            assert row[quantity] == pytest.approx(value, rel=1e-9), quantity
        assert row["return/post"] == pytest.approx(found.returns[1], rel=1e-9)
    expected = squared_bias(found.gradients["lvc"], found.gradients[REFERENCE])
    np.testing.assert_allclose(table.loc["lvc", ["squared_bias", "squared_bias_error"]].to_list(), expected, rtol=1e-8)
    assert table.loc[["dice", REFERENCE], "squared_bias"].isna().all()


def test_the_explained_variance_is_that_of_the_control_variate_that_was_subtracted(tmp_path):
    names = ("lvc", "tmaml", "tmaml-per-task")
    table = measure(tmp_path, asked(estimators=names, checkpoints=(1,))).set_index("estimator")
    bench, state = build_bench(asked().config, names)
    state, _ = bench.carrier.step(state, bench.carrier.sample(state, bench.carrier.draw_tasks(0), 0))
    for name in names[1:]:
        trainer, found = bench.trainers[name], []
        for number in range(3):
            first, _ = trainer.sample(state, trainer.draw_tasks(1), 0, 1, number)
            returns = discounted_returns(first.trajectories.rewards, trainer.processing.discount)
            # Both are in the sample in one unit per task, γᵗ / s, which the rewards tell.
            scale = first.trajectories.rewards[:, :1, :1] / first.sample.rewards[:, :1, :1]
            gammas = trainer.processing.discount ** torch.arange(HORIZON)
            b = first.sample.control_variate.reshape(*returns.shape, -1) * (scale / gammas).unsqueeze(-1)
            errors = ((returns.unsqueeze(-1) - b) ** 2).mean()
            found.append(1.0 - (errors / returns.var((1, 2), correction=0).mean()).item())
        assert table.loc[name, "explained_variance"] == pytest.approx(np.mean(found), abs=1e-3)
    assert np.isnan(table.loc["lvc", "explained_variance"])


def test_a_table_of_before_a_column_existed_is_still_read(tmp_path):
    first = measure(tmp_path, asked(checkpoints=(0,)))
    path = tmp_path / variance_run.TABLE
    pd.read_csv(path).drop(columns="explained_variance").to_csv(path, index=False)
    again = measure(tmp_path, asked(checkpoints=(0,)))
    assert again["explained_variance"].isna().all()
    pd.testing.assert_frame_equal(again, first)


def test_an_estimator_that_is_named_twice_is_measured_once():
    assert asked(estimators=("lvc", "dice", "lvc")).estimators == ("lvc", "dice")


def test_gradients_that_do_not_differ_have_no_signal_to_noise_and_the_table_is_read_again(tmp_path, monkeypatch):
    """As where no reward is ever paid."""

    def nothing(bench, state, rounds):
        found = resample(bench, state, rounds)
        return replace(found, gradients={name: 0.0 * rows for name, rows in found.gradients.items()})

    monkeypatch.setattr(variance_run, "resample", nothing)
    first = measure(tmp_path, asked(estimators=("lvc", "dice"), checkpoints=(0,)))
    assert first["signal_to_noise"].isna().all() and (first["variance"] == 0.0).all()
    pd.testing.assert_frame_equal(measure(tmp_path, asked(estimators=("lvc", "dice"), checkpoints=(0,))), first)


class Killed(Exception):
    pass


def kill(*_, **__):
    raise Killed


def killed_while_measuring(directory, settings, monkeypatch):
    """Killed in the second checkpoint, before its rows are written."""
    calls = []

    def once(*arguments):
        calls.append(arguments)
        return resample(*arguments) if len(calls) == 1 else kill()

    monkeypatch.setattr(variance_run, "resample", once)
    with pytest.raises(Killed):
        measure(directory, settings)


def killed_while_training(directory, settings, monkeypatch):
    """Killed after an iteration, before its checkpoint is written."""
    monkeypatch.setattr(variance_run.checkpoints, "save", kill)
    with pytest.raises(Killed):
        measure(directory, settings)


def killed_between(directory, settings, monkeypatch):
    """Killed when the rows of a checkpoint have been written."""
    with pytest.raises(Killed):
        measure(directory, settings, on_checkpoint=kill)


def stopped_on_request(directory, settings, monkeypatch):
    table = measure(directory, settings, should_stop=iter([False, False, False, True, True]).__next__)
    assert list(table["iteration"].unique()) == [0]


@pytest.mark.parametrize(
    "interrupted", [killed_while_measuring, killed_while_training, killed_between, stopped_on_request]
)
def test_a_resumed_measurement_writes_the_same_file(tmp_path, monkeypatch, interrupted):
    settings = asked(estimators=("lvc", "tmaml"))
    measure(tmp_path / "whole", settings)
    with monkeypatch.context() as patch:
        interrupted(tmp_path / "resumed", settings, patch)
    assert list(pd.read_csv(tmp_path / "resumed" / variance_run.TABLE)["iteration"].unique()) == [0]
    measured = []
    measure(tmp_path / "resumed", settings, on_checkpoint=lambda rows: measured.extend(rows["iteration"]))
    assert set(measured) == {2}
    assert written(tmp_path / "resumed") == written(tmp_path / "whole")


def test_a_finished_measurement_is_not_done_again(tmp_path, monkeypatch):
    first = measure(tmp_path, asked())
    monkeypatch.setattr(variance_run, "build_bench", kill)
    pd.testing.assert_frame_equal(measure(tmp_path, asked()), first)
    with pytest.raises(Killed):
        measure(tmp_path, asked(), overwrite=True)


def test_a_directory_of_other_settings_is_refused(tmp_path):
    measure(tmp_path, asked(checkpoints=(0,)))
    with pytest.raises(UserError, match=r"settings.json is of other settings: --overwrite"):
        measure(tmp_path, asked(checkpoints=(0, 2)))


@pytest.mark.parametrize(
    ("lost", "again"),
    [
        (lambda table: table["iteration"] == 0, {0}),
        (lambda table: table["iteration"] == 2, {2}),
        (lambda table: (table["iteration"] == 0) & (table["estimator"] == "dice"), {0}),
        (lambda table: (table["iteration"] == 2) & (table["estimator"] == "lvc"), {2}),
        (lambda table: table["estimator"] == "dice", {0, 2}),
        (lambda table: table["iteration"] >= 0, {0, 2}),
    ],
    ids=["a checkpoint", "the last", "an estimator's", "an estimator's last", "an estimator", "all"],
)
def test_lost_rows_are_measured_again(tmp_path, lost, again):
    first = measure(tmp_path, asked(checkpoints=(0, 2)))
    before = written(tmp_path)
    write_table(first[~lost(first)], tmp_path / variance_run.TABLE)
    measured = []
    measure(tmp_path, asked(checkpoints=(0, 2)), on_checkpoint=lambda rows: measured.extend(rows["iteration"]))
    assert set(measured) == again
    assert written(tmp_path) == before


def test_a_damaged_carrier_is_taken_from_the_checkpoint_before(tmp_path):
    measure(tmp_path / "whole", asked(checkpoints=(0, 3)))
    measure(tmp_path / "run", asked(checkpoints=(0, 3)), should_stop=iter([False] * 4 + [True] * 9).__next__)
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-1])
    said = []
    measure(tmp_path / "run", asked(checkpoints=(0, 3)), tell=said.append)
    assert "Going on from checkpoint.previous.pt, after 2 iterations" in said[0]
    assert written(tmp_path / "run") == written(tmp_path / "whole")


def test_a_gradient_that_is_not_finite_ends_the_measurement():
    bench, state = bench_of("lvc", "dice")
    lvc = bench.trainers["lvc"]
    nowhere = Objective(value=lambda stage, round_: stage.logp.sum() * float("nan"))
    broken = replace(lvc, parts=replace(lvc.parts, objective=nowhere))
    bench = replace(bench, trainers={**bench.trainers, "lvc": broken})
    with pytest.raises(RunFailedError, match="iteration 0: the gradient of lvc is not finite"):
        resample(bench, state, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 2}, "2 rounds.*at least 3"),
        ({"checkpoints": (3, 1)}, "checkpoints 3,1: expected rising iterations"),
        ({"checkpoints": (-1, 1)}, "checkpoints -1,1: expected rising"),
        ({"estimators": ("lcv",)}, "meta-gradient estimator 'lcv'. Did you mean 'lvc'"),
        ({"environment": "Navigaton"}, "environment 'Navigaton'. Did you mean 'Navigation'"),
    ],
)
def test_measurements_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        asked(**changes)


# Figures


def test_every_profile_has_a_size_and_every_estimator_of_a_figure_can_be_measured():
    assert list(SIZES) == list(PROFILES)
    for profile in SIZES:
        assert settings_for("HalfCheetahFwdBack", profile=profile, seed=1).rounds >= 3
    for figure, names in FIGURE_ESTIMATORS.items():
        assert FIGURES[figure].source == "study"
        assert set(names) <= set(MEASURED)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Both figures' tables, smoke size, the second while nothing may be measured any more."""
    directory = tmp_path_factory.mktemp("results")
    run = next(run for run in planned_runs(FIGURES["promp-fig3"], "smoke") if run.config.label == "dice")
    progress = runs_directory(directory, "smoke") / run.path / "progress.csv"
    progress.parent.mkdir(parents=True)
    header = "iteration,env_steps,return/pre,return/post,time/sampling,time/update\n"
    progress.write_text(f"{header}0,160,-2.0,-1.5,0.1,0.1\n1,320,-1.0,0.5,0.1,0.1\n")
    tables = {"promp-fig3": study(FIGURES["promp-fig3"], "smoke", directory)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variance_run, "build_bench", kill)
        tables["tmaml-fig2"] = study(FIGURES["tmaml-fig2"], "smoke", directory)
    return directory, tables


@pytest.mark.parametrize("figure", FIGURE_ESTIMATORS)
def test_a_figures_table_has_its_estimators_and_the_carrier(results, figure):
    _, tables = results
    table = tables[figure]
    assert list(table.columns) == list(COLUMNS)
    estimators = table[table["quantity"] == "rstd"]
    assert set(estimators["curve"]) == set(FIGURE_ESTIMATORS[figure])
    assert sorted(estimators["iteration"].unique()) == [0, 1]
    assert set(estimators["rounds"]) == {3} and set(estimators["seed"]) == {1}
    carrier = table[(table["curve"] == "carrier") & (table["quantity"] == "return/post")]
    assert len(carrier) == 2
    assert table["value"].notna().all()
    keys = ["curve", "seed", "iteration", "quantity"]
    assert not table.duplicated(keys).any()


def test_the_returns_of_trained_runs_stand_beside(results):
    _, tables = results
    runs = tables["promp-fig3"].query("rounds == 0 and curve == 'dice' and quantity == 'return/post'")
    assert list(runs["value"]) == [-1.5, 0.5]
    assert list(runs["env_steps"]) == [160, 320]
    assert not (tables["tmaml-fig2"]["rounds"] == 0).any()


@pytest.mark.parametrize("damaged", ["iteration,env_steps\n0,160\n", "\x00\xff"])
def test_a_damaged_run_is_named(tmp_path, damaged):
    run = next(planned_runs(FIGURES["promp-fig3"], "smoke"))
    progress = runs_directory(tmp_path, "smoke") / run.path / "progress.csv"
    progress.parent.mkdir(parents=True)
    progress.write_text(damaged, encoding="latin-1")
    with pytest.raises(UserError, match=re.escape(str(progress))):
        study(FIGURES["promp-fig3"], "smoke", tmp_path)


def test_both_figures_show_the_same_measurements(results):
    directory, tables = results
    lvc = [table[table["curve"] == "lvc"].reset_index(drop=True) for table in tables.values()]
    pd.testing.assert_frame_equal(*lvc)
    settings = settings_for("HalfCheetahFwdBack", profile="smoke", seed=1)
    measured = pd.read_csv(home(settings, directory) / variance_run.TABLE)
    expected = measured[measured["estimator"] == "lvc"]["rstd"].to_list()
    assert list(lvc[0].query("quantity == 'rstd'")["value"]) == expected


def test_a_figure_refuses_measurements_of_other_settings(tmp_path, monkeypatch):
    """They may be the user's: `reproduce` moves them aside before."""
    monkeypatch.setattr(figures, "planned_runs", lambda *_: iter(()))
    figure = replace(FIGURES["promp-fig3"], environments=("Navigation",))
    before = study(figure, "smoke", tmp_path)
    fewer = replace(SIZES["smoke"], checkpoints=(0,))
    monkeypatch.setattr(figures, "SIZES", {**SIZES, "smoke": fewer})
    with pytest.raises(UserError, match="is of other settings"):
        study(figure, "smoke", tmp_path)
    monkeypatch.setattr(figures, "SIZES", SIZES)
    pd.testing.assert_frame_equal(study(figure, "smoke", tmp_path), before)


def test_what_decides_a_table_is_the_same_text_each_time():
    assert repr(figures.settings("smoke")) == repr(figures.settings("smoke")) != repr(figures.settings("quick"))
    assert " at 0x" not in repr(figures.settings("quick"))


# The command


COMMAND = ("variance", "--env", "Navigation", "--profile", "smoke", "--estimators", "lvc,dice", "--checkpoints", "0,1")


def test_the_command_measures_and_prints(metarl, tmp_path):
    ended = metarl(*COMMAND, "--out", tmp_path / "run", "--rounds", 4)
    assert ended.code == 0
    header, *lines = ended.out.splitlines()
    assert header.split() == [
        "iteration",
        "estimator",
        "return",
        "rstd",
        "deviation",
        "signal/noise",
        "variance",
        "bias²",
        "±",
        "‖θ′−θ‖",
        "R²",
    ]
    assert [line.split()[:2] for line in lines] == [["0", "lvc"], ["0", "dice"], ["1", "lvc"], ["1", "dice"]]
    assert ended.err.splitlines()[0].startswith("iteration 0  return ")
    again = metarl(*COMMAND, "--out", tmp_path / "run", "--rounds", 4, "--json")
    rows = json.loads(again.out)
    assert again.err == ""
    assert [row["rounds"] for row in rows] == [4] * 4
    assert rows[1]["squared_bias"] is None
    assert f"{rows[0]['rstd']:.3g}" in lines[0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--estimators", "lcv"), "Did you mean 'lvc'"),
        (("--checkpoints", "0,x"), "--checkpoints 0,x: expected iterations with commas between"),
        (("--profile", "quik"), "Did you mean 'quick'"),
    ],
)
def test_mistakes_are_one_message_and_code_two(metarl, tmp_path, flags, message):
    ended = metarl(*COMMAND, *flags, "--out", tmp_path / "run")
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "run").exists()


def test_signal_to_noise_is_that_of_one_batch():
    """Of gradients with a known mean and covariance; and of pure noise, where a naive ratio would give 1/√(R − 1)."""
    rng = np.random.default_rng(0)
    signal, noise = np.full(400, 0.05), rng.standard_normal((2000, 400))
    assert spread(signal + noise).signal_to_noise == pytest.approx(0.05, rel=0.05)
    assert spread(0.0 * signal + noise[:10]).signal_to_noise < 0.1


def test_an_exploration_term_is_what_it_adds_to_the_gradient_without_it():
    bench, state = bench_of("reinforce", "emaml_sum-term")
    config = asked(estimators=["reinforce"], environment="Navigation").config
    whole, _ = build(with_overrides(config, ["inner.estimator=reinforce", "outer.exploration=emaml_sum"]))
    batch = bench.carrier.sample(state, bench.carrier.draw_tasks(0), 0, 0, 0)
    both = [
        flatten(trainer.meta_gradient(state.theta, trainer.task_data(state, batch)))
        for trainer in (*bench.trainers.values(), whole)
    ]
    assert both[1].norm() > 1e-3
    torch.testing.assert_close(both[0] + both[1], both[2], rtol=1e-4, atol=1e-6)


def test_the_inner_loop_is_reported_as_it_was_taken():
    bench, state = bench_of("lvc", "dice-released")
    inner = resample(bench, state, 3).inner
    batches = [draw_batches(bench, state, number) for number in range(3)]
    for name in inner:
        steps = [batch[MEASURED[name].adaptation][0].step for batch in batches]
        assert inner[name].step_norm == pytest.approx(np.mean([step.norm.mean().item() for step in steps]), rel=1e-5)
        assert inner[name].inner_kl == pytest.approx(np.mean([step.kl.mean().item() for step in steps]), rel=1e-5)
    assert inner["dice-released"].step_norm > inner["lvc"].step_norm
