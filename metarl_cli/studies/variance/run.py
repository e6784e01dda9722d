"""One measurement of meta-gradient variance, in its directory: train the carrier, measure at its checkpoints.

`settings.json` says what is measured, `checkpoint.pt` holds the carrier, and `variance.csv` grows by one checkpoint at
a time. The rows of a checkpoint are written before the carrier goes on, so that a killed measurement, continued,
writes the same file as one that was never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from metarl_cli.config import RunConfig
from metarl_cli.errors import UserError
from metarl_cli.runs import checkpoints
from metarl_cli.runs import directory as runs
from metarl_cli.schema import Count, Name, Number, Table
from metarl_cli.store import write_whole
from metarl_cli.studies.variance.estimators import (
    REFERENCE,
    InnerLoop,
    Resampled,
    build_bench,
    measured,
    resample,
    shares_carrier,
)
from metarl_cli.studies.variance.statistics import Spread, spread, squared_bias
from metarl_cli.tables import read_table, write_table
from metarl_cli.training.trainer import TrainState

__all__ = ["STATISTICS", "VarianceSettings", "has_other_settings", "measure"]

SETTINGS, TABLE = "settings.json", "variance.csv"

STATISTICS = (*Spread._fields, "squared_bias", "squared_bias_error", *InnerLoop._fields)
ROW = ("iteration", "env_steps", "estimator", "rounds", "return/pre", "return/post", *STATISTICS)
LATER = frozenset({"signal_to_noise", *InnerLoop._fields})
"""Columns that came later: a table of before has no numbers there."""

MEASUREMENTS = Table(
    columns={
        **{"iteration": Count, "env_steps": Count, "estimator": Name, "rounds": Count},
        **{name: Number | None for name in ROW[4:] if name not in LATER},
    },
    keys=("iteration", "estimator"),
    rest=Number | None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceSettings:
    """One measurement: the carrier's settings, the estimators, R, and the iterations at which, in rising order."""

    config: RunConfig
    estimators: tuple[str, ...]
    rounds: int
    checkpoints: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in self.estimators:
            measured(name)
        if self.rounds < 3:
            raise UserError(f"{self.rounds} rounds: the variance and its jackknife need at least 3.")
        if not self.checkpoints or list(self.checkpoints) != sorted(set(self.checkpoints)) or self.checkpoints[0] < 0:
            given = ",".join(map(str, self.checkpoints))
            raise UserError(f"checkpoints {given or 'none'}: expected rising iterations, for instance 0,20,40.")


def measure(
    directory: Path,
    settings: VarianceSettings,
    *,
    threads: int = 1,
    overwrite: bool = False,
    on_checkpoint: Callable[[pd.DataFrame], None] = lambda rows: None,
    should_stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda message: None,
) -> pd.DataFrame:
    """Train the carrier and measure at its checkpoints; what is in the directory already is not done again.

    Args:
        directory: where it is written, one seed.
        settings: what; a directory with other settings is refused.
        threads: of the simulation and of the gradients; no number depends on it.
        overwrite: begin anew.
        on_checkpoint: told the rows of each checkpoint that was measured.
        should_stop: asked after every iteration and every checkpoint.
        tell: told in words of a damaged checkpoint.

    Returns:
        One row per checkpoint and estimator; not all of them if it was asked to stop.

    Raises:
        UserError: if the directory belongs to another measurement, or is in use.
        RunFailedError: if a gradient stops being finite.
    """
    torch.set_num_threads(1)  # as in training: one order of every sum, whatever the machine
    with runs.exclusive(directory):
        if overwrite:
            for name in (TABLE, checkpoints.CHECKPOINT, checkpoints.PREVIOUS, SETTINGS):
                (directory / name).unlink(missing_ok=True)
        path = directory / SETTINGS
        if has_other_settings(directory, settings):
            raise UserError(f"{path} is of other settings: --overwrite begins anew, --out goes elsewhere.")
        if not path.exists():
            write_whole(path, _text(settings))
        table = _read(directory)
        # Those checkpoints count that have a row of every estimator, and no other.
        wanted, rows_at = sorted(settings.estimators), table.groupby("iteration")["estimator"]
        whole = [iteration for iteration, names in rows_at if sorted(map(str, names)) == wanted]
        table = table[table["iteration"].isin(whole)]
        pending = [checkpoint for checkpoint in settings.checkpoints if checkpoint not in set(table["iteration"])]
        if not pending:
            return table
        bench, fresh = build_bench(settings.config, settings.estimators, threads=threads)
        checkpoints.restore(directory, tell)
        left = checkpoints.load(directory, settings.config, fresh)
        # from the start, if rows that it had passed are to be measured again
        state = left if left and left.iteration <= pending[0] else fresh
        for checkpoint in pending:
            while state.iteration < checkpoint and not should_stop():
                rounds = bench.carrier.sample(state, bench.carrier.draw_tasks(state.iteration), state.iteration)
                state, _ = bench.carrier.step(state, rounds)
                checkpoints.save(directory, settings.config, state)
            if should_stop():
                break
            fresh_rows = _rows(resample(bench, state, settings.rounds), state, settings)
            rows = pd.concat([table, fresh_rows]) if len(table) else fresh_rows
            write_table(rows.sort_values("iteration", kind="stable"), directory / TABLE)
            table = _read(directory)  # a resumed measurement begins with these digits
            on_checkpoint(fresh_rows)
    return table


def has_other_settings(directory: Path, settings: VarianceSettings) -> bool:
    """Whether a measurement is there that is not this one."""
    path = directory / SETTINGS
    return path.exists() and path.read_bytes() != _text(settings).encode()


def _text(settings: VarianceSettings) -> str:
    return json.dumps(asdict(settings), indent=2) + "\n"


def _rows(resampled: Resampled, state: TrainState, settings: VarianceSettings) -> pd.DataFrame:
    sampling, stages = settings.config.sampling, settings.config.inner.steps + 1
    steps = state.iteration * sampling.tasks * sampling.trajectories * sampling.horizon * stages
    gradients, rows = resampled.gradients, []
    for name in settings.estimators:
        bias = (float("nan"), float("nan"))
        if REFERENCE in gradients and shares_carrier(name) and name != REFERENCE:
            bias = squared_bias(gradients[name], gradients[REFERENCE])
        statistics = (*spread(gradients[name]), *bias, *resampled.inner[name])
        rows.append((state.iteration, steps, name, settings.rounds, *resampled.returns, *statistics))
    return pd.DataFrame(rows, columns=list(ROW))


def _read(directory: Path) -> pd.DataFrame:
    path = directory / TABLE
    if not path.exists():
        return pd.DataFrame(columns=list(ROW))
    return read_table(path, MEASUREMENTS).reindex(columns=list(ROW))
