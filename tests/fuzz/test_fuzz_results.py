"""Results of any content: tables and runs that are read, judged and drawn, and runs that go on."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from fuzzing import damaged, files_below, fuzzed, json_texts, metarl, put, restored, tables
from hypothesis import strategies as st

from metarl_cli.claims.judge import judge, load_tables
from metarl_cli.config import RunConfig
from metarl_cli.errors import UserError
from metarl_cli.figures.provenance import run_rows
from metarl_cli.pages.shown import conclusions
from metarl_cli.papers import CLAIMS, FIGURES
from metarl_cli.reproduction.plan import run_state
from metarl_cli.results import Results
from metarl_cli.runs.checkpoints import CHECKPOINT, PREVIOUS
from metarl_cli.store import META_SUFFIX, table_path

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "quick"
STUDIES = [name for name, figure in FIGURES.items() if figure.source == "study"]
LINES = 25
DEEP = b"[" * 900


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Of every study the beginning of its published table, as the only one of its results: whole ones cost time."""
    home = tmp_path_factory.mktemp("studies")
    for name in STUDIES:
        path = table_path(home / name, "quick", name)
        path.parent.mkdir(parents=True)
        path.write_bytes(table_of(name).encode())
        path.with_suffix(META_SUFFIX).write_bytes((PUBLISHED / name / f"{name}{META_SUFFIX}").read_bytes())
    return home


@pytest.fixture(scope="module")
def results(tmp_path_factory, small_run):
    """A run."""
    home = tmp_path_factory.mktemp("results")
    run = home / "smoke/runs/promp/Navigation/seed1"
    put(run, {run / path.name: content for path, content in files_below(small_run).items()})
    return home


def table_of(name):
    return "".join((PUBLISHED / name / f"{name}.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:LINES])


@st.composite
def study_files(draw):
    name = draw(st.sampled_from(STUDIES))
    if draw(st.integers(0, 4)):
        return f"{name}/quick/{name}/{name}.csv", draw(tables(table_of(name)))
    meta = json.loads((PUBLISHED / name / f"{name}{META_SUFFIX}").read_text())
    return f"{name}/quick/{name}/{name}{META_SUFFIX}", draw(json_texts(meta))


@fuzzed(percent=22, file=study_files())
def test_any_table_is_judged_or_named(studies, file):
    """What is refused costs nothing more; of what is accepted the claims are judged."""
    path = studies / file[0]
    figure = FIGURES[path.parent.name]
    results = studies / figure.name
    with restored(results):
        path.write_bytes(file[1])
        found = Results(results)
        with suppress(UserError):
            found.table(figure, "quick")
            tables = load_tables(found)
            conclusions(figure, [judge(claim, tables) for claim in CLAIMS.values() if claim.figure == figure.name])
        found.table_meta(figure, "quick")
    assert all(str(results) in reason for reason in found.damage.values())


@fuzzed(percent=1, name=st.sampled_from(STUDIES), data=st.data())
def test_any_table_is_drawn(studies, tmp_path_factory, name, data):
    """Up to the bytes of the picture."""
    results = studies / name
    before = files_below(results)
    table_path(results, "quick", name).write_bytes(data.draw(tables(table_of(name))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "matplotlib.figure.Figure.savefig", lambda drawing, *place, **how: drawing.draw_without_rendering()
        )
        ended = metarl("plot", name, "--results", results, "--out", tmp_path_factory.getbasetemp() / "drawn")
    assert ended.code in (0, 2)
    assert files_below(results).keys() == before.keys()
    put(results, before)


@st.composite
def run_files(draw, run):
    """A file of a run, and what becomes of it: other bytes, a directory, or nothing."""
    name = draw(st.sampled_from(sorted(path.name for path in run.iterdir() if path.name != ".lock")))
    content = (run / name).read_bytes()
    kinds = [st.sampled_from((None, Path)), damaged(content, (DEEP, b"", b"[]", b"3", *OTHERS))]
    if name.endswith(".json"):
        kinds += [json_texts(json.loads(content))] * 3
    if name.endswith(".csv"):
        kinds += [tables(content.decode())] * 3
    return name, draw(st.one_of(kinds))


OTHERS = (b"metarl checkpoint " + b"0" * 64 + b"\n{}\n", b"PK\x03\x04", b"iteration\n0\n", b"\xff\xfe")


def damage(run, data):
    name, content = data.draw(run_files(run))
    (run / name).unlink()
    if content is Path:
        (run / name).mkdir()
    elif content is not None:
        (run / name).write_bytes(content)


@fuzzed(percent=10, data=st.data())
def test_any_run_is_read_or_named(results, data):
    run = results / "smoke/runs/promp/Navigation/seed1"
    with restored(results):
        damage(run, data)
        found = Results(results)
        run_rows(found)
        load_tables(found)
        run_state(run, RunConfig())
    assert all(str(results) in reason for reason in found.damage.values())


@pytest.fixture(scope="module")
def four(small_run, tmp_path_factory):
    """The checkpoint of the run after its fourth iteration."""
    run = copy_of(small_run, tmp_path_factory)
    assert metarl("train", "--resume", "--out", run, "--iterations", 4, "--quiet").code == 0
    return (run / CHECKPOINT).read_bytes()


def copy_of(small_run, tmp_path_factory):
    run = tmp_path_factory.getbasetemp() / "going-on"
    run.mkdir(exist_ok=True)
    put(run, {run / path.name: content for path, content in files_below(small_run).items()})
    return run


@fuzzed(percent=4, data=st.data())
def test_any_run_goes_on_to_its_own_numbers_or_says_why_not(small_run, four, tmp_path_factory, data):
    """Its checkpoint is that of a run of which nothing was damaged, or all it has stays as it is."""
    run = copy_of(small_run, tmp_path_factory)
    damage(run, data)
    before = files_below(run)
    ended = metarl("train", "--resume", "--out", run, "--iterations", 4, "--quiet")
    if ended.code == 0:
        assert (run / CHECKPOINT).read_bytes() == four
        return
    assert str(run) in ended.err or "iterations" in ended.err
    kept = (CHECKPOINT, PREVIOUS) if ended.code == 1 else (CHECKPOINT, PREVIOUS, "config.json", "progress.csv")
    after = files_below(run)
    assert [name for name in kept if before.get(run / name) != after.get(run / name)] == []
