"""Checkpoints: what a run carries from one iteration to the next, in a file that says what it is and if it is whole.

    metarl checkpoint <SHA-256 of all that follows>
    {"schema": 1, "iteration": 7, "settings": {"inner.lr": 0.1, …}}
    <the state, as torch.save writes it>

The settings are all that decide the numbers, so that a checkpoint goes on under no others. The one before the last is
kept: where the last is damaged, a run goes on from there, and ends with the same numbers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metarl_cli.config import RunConfig, settable_keys
from metarl_cli.errors import UserError
from metarl_cli.store import write_whole
from metarl_cli.training.trainer import TrainState
from metarl_cli.types import on_device

__all__ = [
    "CHECKPOINT",
    "PREVIOUS",
    "Checkpoint",
    "check_settings",
    "latest",
    "load",
    "restore",
    "save",
    "tensors_of",
]

CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
SCHEMA = 1
SEAL = b"metarl checkpoint "
FREE = ("iterations", "label")
"""Settings that decide no number of an iteration: a run may be given more of them, or another name in figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One file.

    Attributes:
        path: where it is.
        state: what it holds.
        settings: under which that was reached.
        damage: what is wrong with the newer file, in the place of which this one is used.
    """

    path: Path
    state: TrainState
    settings: Mapping[str, Any]
    damage: str = ""


class DamagedError(Exception):
    """A file that is not what was written."""


def save(directory: Path, config: RunConfig, state: TrainState) -> None:
    """Write the state after an iteration; the one before it is kept.

    Raises:
        OSError: if it cannot be written. Those that are there stay.
    """
    payload = BytesIO()
    torch.save(asdict(on_device(state, "cpu")), payload)  # read wherever there is no other device
    header = {"schema": SCHEMA, "iteration": state.iteration, "settings": _deciding(config)}
    body = json.dumps(header).encode() + b"\n" + payload.getvalue()
    sealed = SEAL + sha256(body).hexdigest().encode() + b"\n" + body
    write_whole(directory / CHECKPOINT, sealed, keep=directory / PREVIOUS)


def load(
    directory: Path, config: RunConfig, like: TrainState, tell: Callable[[str], None] = lambda message: None
) -> TrainState | None:
    """The state after the last iteration that was completed, or None if there is none.

    Args:
        directory: of the run.
        config: its settings.
        like: a state of a run with these settings; every tensor must have the shape and type that it has there, and
            goes to the device where it is.
        tell: told in words if the one before the last is used, because the last is damaged.

    Raises:
        UserError: if no checkpoint is whole, or the whole one belongs to a run with other settings.
    """
    found = latest(directory)
    if found is None:
        return None
    if found.damage:
        tell(f"{found.damage}. {PREVIOUS} is used, after {found.state.iteration} iterations.")
    check_settings(found, config)
    expected, there = tensors_of(like), tensors_of(found.state)
    for name in {**expected, **there}:
        wanted, given = _shown(expected.get(name)), _shown(there.get(name))
        if wanted != given:
            raise UserError(f"{found.path} is of another run: {name} is {given} there, {wanted} with these settings.")
    return on_device(found.state, like.device)


def latest(directory: Path) -> Checkpoint | None:
    """The last checkpoint that is whole, or None if none was ever written.

    Raises:
        UserError: if there are some, and none is whole; or if a later version wrote it.
    """
    damage = list[str]()
    for path in (directory / CHECKPOINT, directory / PREVIOUS):
        try:
            return replace(_read(path), damage="; ".join(damage))
        except FileNotFoundError:
            continue
        except DamagedError as reason:
            damage.append(f"{path} is damaged: {reason}")
    if damage:
        raise UserError(f"{'; '.join(damage)}. --overwrite starts the run again.")
    return None


def restore(directory: Path, tell: Callable[[str], None]) -> Checkpoint | None:
    """`latest`, put in the place of a newer one that is damaged; only for who holds the directory's lock.

    Args:
        directory: of the run.
        tell: told in words of the damage.
    """
    found = latest(directory)
    if found is None or found.path.name == CHECKPOINT:
        return found
    if found.damage:
        tell(f"{found.damage}. Going on from {PREVIOUS}, after {found.state.iteration} iterations.")
    os.replace(found.path, directory / CHECKPOINT)
    return replace(found, path=directory / CHECKPOINT, damage="")


def check_settings(found: Checkpoint, config: RunConfig) -> None:
    """Refuse settings other than those under which a checkpoint was reached.

    Raises:
        UserError: naming each, with both values and the ways out.
    """
    now = _deciding(config)
    then = {**_deciding(RunConfig()), **found.settings}  # a setting that was added since had its default
    changed = [key for key in now if now[key] != then[key]]
    if changed:
        pairs = ", ".join(f"{key} is {now[key]!r} there and {then[key]!r} in {found.path.name}" for key in changed)
        raise UserError(
            f"{found.path.with_name('config.json')} is not what the run was begun with: {pairs}. "
            "Put it back to continue; --overwrite starts again, another --out leaves it alone."
        )


def _deciding(config: RunConfig) -> dict[str, Any]:
    """The settings that decide numbers, as they are after a round trip through JSON."""
    kept = {key: value for key, value in settable_keys(config).items() if key not in FREE}
    decoded: dict[str, Any] = json.loads(json.dumps(kept))
    return decoded


def _read(path: Path) -> Checkpoint:
    seal, _, body = path.read_bytes().partition(b"\n")
    if not seal.startswith(SEAL):
        raise DamagedError("it does not begin as the checkpoints of this version of metarl do")
    if seal != SEAL + sha256(body).hexdigest().encode():
        raise DamagedError("its content is not what its SHA-256 says")
    text, _, payload = body.partition(b"\n")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or "schema" not in header:
        raise DamagedError("its header does not say which schema it has")
    if header["schema"] != SCHEMA:
        raise UserError(f"{path} has schema {header['schema']}, and this version of metarl reads {SCHEMA}.")
    if not isinstance(header.get("settings"), dict):
        raise DamagedError("its header does not say under which settings it was reached")
    return Checkpoint(path=path, state=_state(payload), settings=header["settings"])


def _state(payload: bytes) -> TrainState:
    try:
        document = torch.load(BytesIO(payload), weights_only=True)
    except Exception as error:  # torch raises whatever the first wrong byte makes it meet
        raise DamagedError(f"no state can be read from it ({type(error).__name__})") from None
    names = [field.name for field in fields(TrainState)]
    if not isinstance(document, dict) or list(document) != names:
        raise DamagedError(f"expected {', '.join(names)}, as this version of metarl writes them")
    for name, value in document.items():
        if name == "iteration":
            good = isinstance(value, int) and not isinstance(value, bool) and value > 0
        else:
            good = isinstance(value, dict) and all(
                isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items()
            )
        if not good:
            raise DamagedError(f"{name} is {_shown(value)}")
    return TrainState(**document)


def tensors_of(state: TrainState) -> dict[str, Tensor]:
    """Every tensor of a state, by a name that a person understands."""
    groups = {
        "parameter": state.theta,
        "optimiser's": state.optimizer_state,
        "control variate's": state.control_variate,
        "penalty's": state.penalty,
    }
    return {f"{group} {name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()}


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return "missing" if value is None else repr(value)[:80]
