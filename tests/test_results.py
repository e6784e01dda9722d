from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metarl_cli.claims.statistics import mean_interval
from metarl_cli.config import save_config
from metarl_cli.errors import UserError
from metarl_cli.figures.curves import curves
from metarl_cli.papers.settings import run_config
from metarl_cli.results import load_runs
from metarl_cli.schema import CURVES, Count, Name, Number, Table
from metarl_cli.tables import read_table, write_table


def write_run(
    directory: Path, *, curve="promp", label="", environment="Navigation", profile="quick", seed=1, post=(1.0, 2.0)
):
    directory.mkdir(parents=True)
    config = replace(run_config(curve, environment, profile=profile), seed=seed, label=label)
    save_config(config, directory / "config.json")
    steps = range(len(post))
    frame = pd.DataFrame({"iteration": steps, "env_steps": [100 * (i + 1) for i in steps]})
    numbers = {"return/pre": -1.0, "return/post": post, "time/sampling": 0.2, "time/update": 0.1}
    frame.assign(**numbers).to_csv(directory / "progress.csv", index=False)


def test_settings_come_from_the_run_and_never_from_its_path(tmp_path):
    write_run(tmp_path / "lvc-vpg" / "HalfCheetahFwdBack" / "seed9", seed=3)
    write_run(tmp_path / "anywhere", seed=4, curve="vpg-maml", post=(5.0,))
    runs = load_runs(tmp_path)
    assert runs["seed"].tolist() == [4, 3, 3]
    assert runs["curve"].tolist() == ["vpg-maml", "promp", "promp"]
    assert set(runs["environment"]) == {"Navigation"}
    assert set(runs["profile"]) == {"quick"}
    assert runs["return/post"].tolist() == [5.0, 1.0, 2.0]


def test_a_label_names_a_curve_and_keeps_it_apart_from_its_algorithm(tmp_path):
    write_run(tmp_path / "a", label="promp, another α", post=(4.0,))
    write_run(tmp_path / "b", post=(6.0,))
    runs = load_runs(tmp_path)
    assert runs["curve"].tolist() == ["promp, another α", "promp"]
    assert curves(runs, ("return/post",))["mean"].tolist() == [6.0, 4.0]


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_no_runs_give_an_empty_frame(tmp_path, name):
    assert load_runs(tmp_path / name).empty
    assert curves(load_runs(tmp_path / name), ("return/post",)).empty


def test_a_run_in_its_first_iteration_is_no_run_yet(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", seed=2)
    (tmp_path / "b" / "progress.csv").write_bytes(b"")
    assert set(load_runs(tmp_path)["seed"]) == {1}


def test_a_run_that_failed_in_its_first_iteration_leaves_numbers_numbers(tmp_path):
    write_run(tmp_path / "good", seed=1)
    write_run(tmp_path / "failed", seed=2, post=())
    runs = load_runs(tmp_path)
    assert runs["seed"].tolist() == [1, 1]
    assert all(runs[name].dtype.kind in "if" for name in ("iteration", "env_steps", "return/post"))


def test_one_seed_never_counts_twice(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    with pytest.raises(UserError, match=r"a and .*b are both promp Navigation quick 1: .* another label in its config"):
        load_runs(tmp_path)
    settings = tmp_path / "b" / "config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"label": "longer steps"}))
    assert load_runs(tmp_path)["curve"].unique().tolist() == ["promp", "longer steps"]


@pytest.mark.parametrize(
    ("file", "content"), [("config.json", b"{"), ("progress.csv", b"\xff\xfe\x00\n\x80"), ("config.json", None)]
)
def test_a_damaged_run_is_named(tmp_path, file, content):
    write_run(tmp_path / "a")
    path = tmp_path / "a" / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=file):
        load_runs(tmp_path)


def test_results_that_change_are_read_again_however_much_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr("metarl_cli.results.MUCH", 0)
    write_run(tmp_path / "a", post=(1.0, 2.0))
    progress = tmp_path / "a" / "progress.csv"
    assert load_runs(tmp_path)["return/post"].tolist() == [1.0, 2.0]
    monkeypatch.setattr("metarl_cli.results.read_columns", lambda *_: pytest.fail("read again"))
    assert load_runs(tmp_path)["return/post"].tolist() == [1.0, 2.0]
    monkeypatch.undo()
    monkeypatch.setattr("metarl_cli.results.MUCH", 0)
    progress.write_text(progress.read_text().replace("2.0", "3.0"))
    assert load_runs(tmp_path)["return/post"].tolist() == [1.0, 3.0]
    write_run(tmp_path / "b", seed=2)
    assert set(load_runs(tmp_path)["seed"]) == {1, 2}
    (tmp_path / "b" / "config.json").write_text("{")
    for _ in range(2):  # what is damaged is told as often as it is asked for
        with pytest.raises(UserError, match=r"config\.json"):
            load_runs(tmp_path)


def test_curves_are_means_over_seeds_at_the_iterations_that_all_have(tmp_path):
    values = {1: (1.0, 2.0, 9.0), 2: (3.0, 5.0), 7: (8.0, 2.0, 9.0, 9.0)}
    for seed, post in values.items():
        write_run(tmp_path / str(seed), seed=seed, post=post)
    table = curves(load_runs(tmp_path), ("return/post", "return/pre"))
    assert list(table.columns) == list(CURVES.columns)
    assert set(table["seeds"]) == {"1 2 7"}
    post = table[table["quantity"] == "return/post"]
    expected = mean_interval(np.array([row[:2] for row in values.values()]))
    assert post["iteration"].tolist() == [0, 1]
    assert post["env_steps"].tolist() == [100, 200]
    np.testing.assert_allclose(post[["mean", "low", "high"]].to_numpy().T, np.array(expected), rtol=1e-12)
    assert post[["least", "greatest"]].to_numpy().tolist() == [[1.0, 8.0], [2.0, 5.0]]
    assert table[table["quantity"] == "return/pre"]["mean"].tolist() == [-1.0, -1.0]


def test_curves_keep_labels_environments_and_profiles_apart(tmp_path):
    for n, changes in enumerate([{}, {"curve": "lvc-vpg"}, {"environment": "PointMomentum"}, {"profile": "smoke"}]):
        write_run(tmp_path / str(n), **changes, post=(float(n),))
    table = curves(load_runs(tmp_path), ("return/post",))
    assert sorted(table["mean"]) == [0.0, 1.0, 2.0, 3.0]
    assert table["low"].isna().all()


def test_the_same_frame_gives_the_same_bytes_and_comes_back(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": [0.1, np.nan], "c": ["x", "y, z"]})
    for name in ("one/table.csv", "two/table.csv"):
        write_table(frame, tmp_path / name)
    text = (tmp_path / "one" / "table.csv").read_bytes()
    assert text == (tmp_path / "two" / "table.csv").read_bytes() == b'a,b,c\n1,0.1,x\n2,,"y, z"\n'
    table = Table(columns={"a": Count, "b": Number | None, "c": Name}, keys=("a",))
    pd.testing.assert_frame_equal(read_table(tmp_path / "one" / "table.csv", table), frame)


@pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2,3,4\n1\n1,2,3,4,5\n", b"\xff\xfe\x00\n", "directory"])
def test_what_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "table.csv"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"table\.csv"):
        read_table(path, Table(columns={"a": Number}, keys=("a",)))


def test_what_is_published_names_no_place_of_a_machine():
    """A run's command is in its `meta.json`, with whatever directory it was given."""
    published = Path(__file__).parents[1] / "results" / "published"
    named = {path: json.loads(path.read_text()).get("argv", []) for path in published.rglob("*meta.json")}
    assert len(named) > 400
    assert not [path for path, words in named.items() if any(word.startswith(("/", "~")) for word in words)]
