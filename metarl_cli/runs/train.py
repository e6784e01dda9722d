"""One training run in its directory: iterate the trainer, write a row and a checkpoint each time, stop when asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from metarl_cli.config import RunConfig
from metarl_cli.errors import RunFailedError
from metarl_cli.runs import checkpoints, progress
from metarl_cli.runs import directory as runs
from metarl_cli.runs.record import Row, iterate, progress_columns
from metarl_cli.training.build import build

__all__ = ["train"]


def train(
    directory: Path,
    config: RunConfig,
    *,
    threads: int,
    device: str,
    on_row: Callable[[Row], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Run, or go on with, the training in a directory that was made ready for it.

    Args:
        directory: holds `config.json`, and a checkpoint if the run was begun before.
        config: the settings, as in `config.json`.
        threads: of the simulation and of the meta-update; no number depends on it.
        device: of the meta-update; numbers depend on it by their rounding.
        on_row: told of every row as it is written.
        should_stop: asked after every iteration.

    Returns:
        Whether the run is finished; it is not if it was asked to stop before.

    Raises:
        UserError: if what the directory holds is damaged, or is no run with these settings.
        RunFailedError: if a number stops being finite, or the directory cannot be written any more. What was reached
            before stays.
    """
    torch.set_num_threads(1)  # products of one task are small; and the sums keep one order, whatever the machine
    trainer, fresh = build(config, threads=threads, device=device)
    state, columns = checkpoints.load(directory, config, fresh) or fresh, progress_columns(config)
    rows = progress.truncate(directory, columns, state.iteration)
    previous = {name: float(value) for name, value in rows[-1].items()} if rows else {}
    runs.write_meta(directory, threads=threads, device=device, status="running")
    status = "failed"
    try:
        with progress.writer(directory, columns) as write:  # ignores what has no column
            while state.iteration < config.iterations and not should_stop():
                state, previous = iterate(trainer, state, previous)
                write(previous)
                checkpoints.save(directory, config, state)
                with suppress(OSError):  # a terminal that is gone or full costs no run
                    on_row(previous)
        status = "finished" if state.iteration == config.iterations else "interrupted"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except (RunFailedError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]  # public, not exported
        last = "There is no checkpoint yet."
        if state.iteration:
            place = directory / checkpoints.CHECKPOINT
            last = f"The last good checkpoint, after {state.iteration} iterations, is {place}."
        raise RunFailedError(f"iteration {state.iteration}: {error} {last}") from None
    finally:
        diverged = trainer.workers.divergences
        with suppress(*([OSError] if status == "failed" else [])):  # it would hide why
            runs.write_meta(directory, threads=threads, device=device, status=status, diverged=diverged)
    if status == "finished":
        runs.finish(directory)
    return status == "finished"
