"""A run's rows in the tools that people watch runs with: `metarl train --log tensorboard`, or `wandb`.

They are copies of `progress.csv`, which stays the truth: each number under its column's name, at its iteration. What a
tool writes lies in the run directory, in a folder of its name; wandb stays offline unless `WANDB_MODE` says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from metarl_cli.config import RunConfig
from metarl_cli.errors import UserError, check_known

__all__ = ["LIVE_LOGS", "check_live_log", "live_log"]

Write: TypeAlias = Callable[[Mapping[str, float]], None]
Open: TypeAlias = Callable[[Path, RunConfig, int], AbstractContextManager[Write]]


@contextmanager
def _tensorboard(directory: Path, config: RunConfig, done: int) -> Iterator[Write]:
    from torch.utils.tensorboard import SummaryWriter

    # What a killed run had written past its last checkpoint is written again: `purge_step` hides the first copy.
    with SummaryWriter(str(directory), purge_step=done) as writer:

        def write(row: Mapping[str, float]) -> None:
            for name, value in row.items():
                writer.add_scalar(name, value, int(row["iteration"]))
            writer.flush()  # a live log is read while it is written

        yield write


@contextmanager
def _wandb(directory: Path, config: RunConfig, done: int) -> Iterator[Write]:
    import wandb

    directory.mkdir(exist_ok=True)
    name = f"{config.curve} {config.environment.name} seed {config.seed}"
    with wandb.init(
        project="metarl",
        name=name,
        config=asdict(config),
        dir=str(directory),
        mode=os.environ.get("WANDB_MODE", "offline"),
    ) as run:
        yield lambda row: run.log(dict(row), step=int(row["iteration"]))


LIVE_LOGS: Mapping[str, Open] = MappingProxyType({"tensorboard": _tensorboard, "wandb": _wandb})


def check_live_log(name: str | None) -> None:
    """Raise unless there is a log of that name, and its package is installed; None is no log.

    Raises:
        UserError: with the nearest name, or the command that installs it.
    """
    if name is None:
        return
    check_known("live log", name, LIVE_LOGS)
    found = find_spec(name)
    if found is None or found.origin is None:  # a folder without code, such as the one that wandb itself leaves behind
        raise UserError(f"--log {name} needs the package {name}: pip install 'metarl-lab[{name}]'.")


@contextmanager
def live_log(name: str | None, directory: Path, config: RunConfig, *, done: int) -> Iterator[Write]:
    """A function to call with each row of `progress.csv`.

    Args:
        name: a key of `LIVE_LOGS` that passed `check_live_log`; None for no log.
        directory: of the run.
        config: of the run.
        done: iterations that were completed before, when a run is resumed.
    """
    if name is None:
        yield lambda row: None
        return
    with LIVE_LOGS[name](directory / name, config, done) as write:
        yield write
