"""What a checkpoint is worth when it, or what lies beside it, is not what was written."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace
from hashlib import sha256
from io import BytesIO

import pytest
import torch
from run_cases import assert_same_run, begin, go, iterations_done, numbers, resume

from metarl_cli.config import load_config, with_overrides
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.runs import checkpoints
from metarl_cli.runs.evaluate import load_run
from metarl_cli.training.build import build

PLACES = 500


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    go(directory, iterations=4)
    return directory


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("unfinished") / "run"
    begin(directory, 3, of=4)
    return directory


@pytest.fixture
def run(tmp_path, unfinished):
    """A run that was stopped after 3 of 4 iterations, with the checkpoints of 3 and of 2."""
    for path in unfinished.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def damages(content):
    """Bit flips and truncations at places of which each part of the file has its share."""
    draw, header = random.Random(0), content.index(b"\n", 100) + 1
    flips = [*range(0, 8 * 90, 5), *(draw.randrange(8 * header) for _ in range(56))]
    flips += [draw.randrange(8 * header, 8 * len(content)) for _ in range(PLACES // 2 - len(flips) + 50)]
    cuts = [*range(100), *(len(content) - n for n in range(1, 50)), *(draw.randrange(len(content)) for _ in range(51))]
    yield from (flipped(content, bit) for bit in flips)
    yield from (content[:cut] for cut in cuts)


def test_every_flipped_bit_and_every_cut_is_noticed(run):
    """Where there is a checkpoint before, it is used; where there is none, that is said."""
    path, older = run / checkpoints.CHECKPOINT, run / checkpoints.PREVIOUS
    content, before = path.read_bytes(), older.read_bytes()
    tried = list(damages(content))
    assert len(tried) >= PLACES
    for damaged in tried:
        path.write_bytes(damaged)
        found = checkpoints.latest(run)
        assert (found.path, found.state.iteration) == (older, 2)
        assert found.damage.startswith(f"{path} is damaged")
    older.unlink()
    for damaged in tried:
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"checkpoint\.pt is damaged.*--overwrite starts the run again"):
            checkpoints.latest(run)
    older.write_bytes(before)
    path.write_bytes(content)
    assert iterations_done(run) == 3


@pytest.mark.parametrize("damage", [b"", b"PK", b"nonsense" * 100, None, "cut", "flipped"])
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(run, whole, damage):
    path = run / checkpoints.CHECKPOINT
    content = path.read_bytes()
    if damage is None:
        path.unlink()  # killed between the two renames
    else:
        path.write_bytes({"cut": content[:-1], "flipped": flipped(content, 80_000)}.get(damage, damage))
    said = []
    assert resume(run, tell=said.append).finished
    assert_same_run(run, whole)
    told = [message.endswith("Going on from checkpoint.previous.pt, after 2 iterations.") for message in said]
    assert told == [True] * (damage is not None)


def test_a_finished_run_with_a_damaged_checkpoint_is_finished_again(tmp_path, whole):
    go(tmp_path / "run", iterations=4)
    (tmp_path / "run" / checkpoints.CHECKPOINT).write_bytes(b"")
    assert resume(tmp_path / "run", "iterations=4").finished
    assert_same_run(tmp_path / "run", whole)


def test_two_damaged_checkpoints_are_both_named(run):
    for name in (checkpoints.CHECKPOINT, checkpoints.PREVIOUS):
        (run / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"checkpoint\.pt is damaged: .*checkpoint\.previous\.pt is damaged: .*"):
        resume(run)


def test_a_damaged_checkpoint_is_evaluated_from_the_one_before_and_stays(run):
    (run / checkpoints.CHECKPOINT).write_bytes(b"")
    said = []
    assert load_run(run, said.append)[1].iteration == 2
    assert "checkpoint.previous.pt is used, after 2 iterations" in said[0]
    assert (run / checkpoints.CHECKPOINT).read_bytes() == b""


# Another run


def edit(run, key, value):
    path = run / "config.json"
    document = json.loads(path.read_text())
    *section, name = key.split(".")
    (document[section[0]] if section else document)[name] = value
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("key", "value", "then"),
    [
        ("inner.lr", 0.05, 0.1),
        ("seed", 7, 1),
        ("inner.steps", 2, 1),
        ("outer.optimizer", "sgd", "'adam'"),
        ("inner.control_variate", "linear", "'none'"),
        ("environment.name", "PointMomentum", "'Navigation'"),
        ("algorithm", "lvc-vpg", "'promp'"),
        ("policy.hidden", [9], r"\[100, 100\]"),
    ],
)
def test_settings_that_were_edited_after_the_start_are_refused(run, whole, tmp_path, key, value, then, finished):
    if finished:
        for path in whole.iterdir():
            (run / path.name).write_bytes(path.read_bytes())
    edit(run, key, value)
    before = {path: path.read_bytes() for path in run.iterdir() if path.name != ".lock"}
    with pytest.raises(UserError, match=rf"{key} is .* there and {then} in checkpoint\.pt\. Put it back.*--overwrite"):
        resume(run)
    assert {path: path.read_bytes() for path in run.iterdir() if path.name != ".lock"} == before


def test_a_run_with_edited_settings_is_not_evaluated(run):
    edit(run, "inner.lr", 0.05)
    with pytest.raises(UserError, match=r"inner\.lr is 0\.05 there and 0\.1 in checkpoint\.pt"):
        load_run(run)


@pytest.mark.parametrize(("key", "value"), [("iterations", 4), ("iterations", 3), ("label", "mine")])
def test_settings_that_decide_no_number_may_be_edited(run, whole, key, value):
    edit(run, key, value)
    assert resume(run).finished
    assert numbers(run) == numbers(whole)[: load_config(run / "config.json").iterations]


def test_iterations_that_were_edited_after_the_end_are_done(tmp_path, whole):
    go(tmp_path / "run", iterations=2)
    edit(tmp_path / "run", "iterations", 4)
    assert resume(tmp_path / "run").message.startswith("Finished")
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.parametrize(
    ("algorithm", "environment", "overrides", "named"),
    [
        ("dice", "Navigation", (), "algorithm is 'promp' there and 'dice'"),
        (None, "HalfCheetahFwdBack", (), "environment.name is 'Navigation' there and 'HalfCheetahFwdBack'"),
        (None, "Navigation", ("seed=4",), "seed is 1 there and 4"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(run, tmp_path, algorithm, environment, overrides, named):
    other = tmp_path / "other"
    go(other, *overrides, iterations=1, algorithm=algorithm, environment=environment)
    (run / checkpoints.CHECKPOINT).write_bytes((other / checkpoints.CHECKPOINT).read_bytes())
    with pytest.raises(UserError) as refused:
        resume(run)
    assert named in str(refused.value)


def sealed(header, payload):
    body = json.dumps(header).encode() + b"\n" + payload
    return checkpoints.SEAL + sha256(body).hexdigest().encode() + b"\n" + body


def test_a_checkpoint_of_a_later_version_is_left_alone(run):
    path = run / checkpoints.CHECKPOINT
    path.write_bytes(sealed({"schema": checkpoints.SCHEMA + 1}, b""))
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"has schema 2, and this version of metarl reads 1"):
        resume(run)
    assert path.read_bytes() == before


def test_a_setting_that_was_added_since_had_its_default(run, whole):
    path = run / checkpoints.CHECKPOINT
    text, _, payload = path.read_bytes().partition(b"\n")[2].partition(b"\n")
    header = json.loads(text)
    del header["settings"]["outer.kl_target"]
    path.write_bytes(sealed(header, payload))
    assert resume(run).finished
    assert_same_run(run, whole)


# A seal says that a file is what was written, not that it fits


def resealed(run, state):
    """The last checkpoint with another state, and no other beside it."""
    path, file = run / checkpoints.CHECKPOINT, BytesIO()
    torch.save(state, file)
    text = path.read_bytes().split(b"\n", 2)[1]
    path.write_bytes(sealed(json.loads(text), file.getvalue()))
    (run / checkpoints.PREVIOUS).unlink()


@pytest.mark.parametrize(
    ("entry", "value", "named"),
    [
        ("iteration", "3", "iteration is '3'"),
        ("iteration", 3.0, r"iteration is 3\.0"),
        ("iteration", True, "iteration is True"),
        ("iteration", -1, "iteration is -1"),
        ("iteration", 10**9, r"has 3 of the 1000000000 rows|has done 1000000000 already"),
        ("theta", torch.zeros(3), r"theta is float32 \[3\]"),
        ("theta", {}, r"parameter .* is missing there, float32"),
        ("theta", {"hidden0.weight": [1.0]}, "theta is "),
        (
            "penalty",
            {"coefficient": torch.zeros(5)},
            r"penalty's coefficient is float32 \[5\] there, float32 \[1\] with",
        ),
        ("penalty", 0.1, r"penalty is 0\.1"),
        ("optimizer_state", {"t": torch.zeros(())}, r"optimiser's t is float32 \[\] there, int64 \[\]"),
        ("optimizer_state", {}, "optimiser's t is missing there"),
        ("control_variate", {"w": torch.zeros(1)}, r"control variate's w is float32 \[1\] there, missing"),
        ("moments", {}, "expected theta, optimizer_state"),
    ],
)
def test_wrong_types_and_shapes_are_named(run, entry, value, named):
    resealed(run, asdict(checkpoints.latest(run).state) | {entry: value})
    with pytest.raises(UserError, match=named):
        resume(run)


@pytest.mark.parametrize("document", [None, [], 3, {"theta": {}}, torch.zeros(2)])
def test_a_file_with_something_else_is_no_checkpoint(run, document):
    resealed(run, document)
    with pytest.raises(UserError, match=r"checkpoint\.pt is damaged: expected theta"):
        resume(run)


def test_a_checkpoint_of_an_earlier_version_is_named(run):
    torch.save(asdict(checkpoints.latest(run).state), run / checkpoints.CHECKPOINT)
    (run / checkpoints.PREVIOUS).unlink()
    with pytest.raises(UserError, match="does not begin as the checkpoints of this version of metarl do"):
        resume(run)


# What is written


def test_a_checkpoint_says_what_it_is(whole):
    seal, header, _ = (whole / checkpoints.CHECKPOINT).read_bytes().split(b"\n", 2)
    assert seal.startswith(b"metarl checkpoint ")
    document = json.loads(header)
    assert (document["schema"], document["iteration"]) == (1, 4)
    assert document["settings"]["inner.lr"] == 0.1
    assert {"iterations", "label"}.isdisjoint(document["settings"])


def test_a_checkpoint_that_cannot_be_written_leaves_both_others(run, monkeypatch):
    config = load_config(run / "config.json")
    state = checkpoints.latest(run).state
    before = {path: path.read_bytes() for path in run.iterdir()}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*checkpoint\.pt"):
        checkpoints.save(run, config, replace(state, iteration=4))
    assert {path: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize("entry", ["theta", "optimizer_state", "control_variate", "penalty"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nothing_that_is_not_finite_reaches_a_checkpoint(tmp_path, monkeypatch, entry, value):
    """Whatever part of the state it is in: the run stops before its row and its checkpoint are written."""
    directory = tmp_path / "run"
    settings = ("inner.estimator=tmaml", "inner.control_variate=meta", "inner.magic_box=true", "outer.kl_target=0.01")
    go(directory, *settings, iterations=1)
    trainer = type(build(with_overrides(load_config(directory / "config.json"), ()))[0])
    step = trainer.step

    def poisoned(self, state, rounds):
        following, after = step(self, state, rounds)
        held = getattr(following, entry)
        name = list(held)[-1]
        return replace(following, **{entry: held | {name: torch.full_like(held[name], value)}}), after

    monkeypatch.setattr(trainer, "step", poisoned)
    before = (directory / checkpoints.CHECKPOINT).read_bytes()
    with pytest.raises(
        RunFailedError, match=r"iteration 1: not finite: (?!.* more).+\. The last good checkpoint, after 1 iter"
    ):
        resume(directory, "iterations=2")
    assert (directory / checkpoints.CHECKPOINT).read_bytes() == before
    assert len(numbers(directory)) == 1
    assert json.loads((directory / "meta.json").read_text())["status"] == "failed"
    assert not (directory / "DONE").exists()
