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
from metarl_cli.errors import UserError, unknown_name
from metarl_cli.reporting.frames import read_table, require, write_table
from metarl_cli.runs import checkpoints
from metarl_cli.runs import directory as runs
from metarl_cli.store import write_whole
from metarl_cli.studies.variance.estimators import (
    MEASURED,
    REFERENCE,
    Bench,
    InnerLoop,
    Resampled,
    build_bench,
    resample,
    shares_carrier,
)
from metarl_cli.studies.variance.statistics import Spread, spread, squared_bias
from metarl_cli.training.trainer import TrainState

__all__ = ["STATISTICS", "VarianceSettings", "has_other_settings", "measure"]

SETTINGS, TABLE = "settings.json", "variance.csv"

STATISTICS = (*Spread._fields, "squared_bias", "squared_bias_error", *InnerLoop._fields)
ROW = ("iteration", "env_steps", "estimator", "rounds", "return/pre", "return/post", *STATISTICS)
LATER = frozenset({"signal_to_noise", *InnerLoop._fields})
"""Columns that came later: a table of before has no numbers there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceSettings:
    """One measurement: the carrier's settings, the estimators, R, and the iterations at which, in rising order."""

    config: RunConfig
    estimators: tuple[str, ...]
    rounds: int
    checkpoints: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in self.estimators:
            if name not in MEASURED:
                raise unknown_name("meta-gradient estimator", name, MEASURED)
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
) -> pd.DataFrame:
    """Train the carrier and measure at its checkpoints; what is in the directory already is not done again.

    Args:
        directory: where it is written, one seed.
        settings: what; a directory with other settings is refused.
        threads: of the simulation and of the gradients; no number depends on it.
        overwrite: begin anew.
        on_checkpoint: told the rows of each checkpoint that was measured.
        should_stop: asked after every iteration and every checkpoint.

    Returns:
        One row per checkpoint and estimator; not all of them if it was asked to stop.

    Raises:
        UserError: if the directory belongs to another measurement, or is in use.
        RunFailedError: if a gradient stops being finite.
    """
    torch.set_num_threads(1)  # as in training: one order of every sum, whatever the machine
    with runs.exclusive(directory):
        _claim(directory, settings, overwrite=overwrite)
        table = _complete(_read(directory), settings)
        pending = [checkpoint for checkpoint in settings.checkpoints if checkpoint not in set(table["iteration"])]
        if not pending:
            return table
        bench, fresh = build_bench(settings.config, settings.estimators, threads=threads)
        state = _carrier(directory, settings.config, fresh, pending[0])
        for checkpoint in pending:
            while state.iteration < checkpoint and not should_stop():
                state = _train(directory, bench, settings.config, state)
            if should_stop():
                break
            measured = _rows(resample(bench, state, settings.rounds), state, settings)
            rows = pd.concat([table, measured]) if len(table) else measured
            write_table(rows.sort_values("iteration", kind="stable"), directory / TABLE)
            table = _read(directory)  # a resumed measurement begins with these digits
            on_checkpoint(measured)
    return table


def has_other_settings(directory: Path, settings: VarianceSettings) -> bool:
    """Whether a measurement is there that is not this one."""
    path = directory / SETTINGS
    return path.exists() and path.read_text(encoding="utf-8") != _text(settings)


def _text(settings: VarianceSettings) -> str:
    return json.dumps(asdict(settings), indent=2) + "\n"


def _claim(directory: Path, settings: VarianceSettings, *, overwrite: bool) -> None:
    if overwrite:
        for name in (TABLE, checkpoints.CHECKPOINT, checkpoints.PREVIOUS, SETTINGS):
            (directory / name).unlink(missing_ok=True)
    if has_other_settings(directory, settings):
        raise UserError(f"{directory / SETTINGS} is of other settings: --overwrite begins anew, --out goes elsewhere.")
    write_whole(directory / SETTINGS, _text(settings))


def _complete(table: pd.DataFrame, settings: VarianceSettings) -> pd.DataFrame:
    """The rows of those checkpoints that have one of every estimator, and no other."""
    wanted = sorted(settings.estimators)
    whole = [it for it, rows in table.groupby("iteration") if sorted(map(str, rows["estimator"])) == wanted]
    return table[table["iteration"].isin(whole)]


def _carrier(directory: Path, config: RunConfig, fresh: TrainState, checkpoint: int) -> TrainState:
    """The carrier where it was left; from the start, if rows that it had passed are to be measured again."""
    checkpoints.restore(directory)
    state = checkpoints.load(directory, config, fresh)
    return state if state and state.iteration <= checkpoint else fresh


def _train(directory: Path, bench: Bench, config: RunConfig, state: TrainState) -> TrainState:
    rounds = bench.carrier.sample(state, bench.carrier.draw_tasks(state.iteration), state.iteration)
    following, _ = bench.carrier.step(state, rounds)
    checkpoints.save(directory, config, following)
    return following


def _rows(resampled: Resampled, state: TrainState, settings: VarianceSettings) -> pd.DataFrame:
    sampling, stages = settings.config.sampling, settings.config.inner.steps + 1
    steps = state.iteration * sampling.tasks * sampling.trajectories * sampling.horizon * stages
    rows = [
        (state.iteration, steps, name, settings.rounds, *resampled.returns, *_statistics(resampled, name))
        for name in settings.estimators
    ]
    return pd.DataFrame(rows, columns=list(ROW))


def _statistics(resampled: Resampled, name: str) -> tuple[float, ...]:
    gradients, bias = resampled.gradients, (float("nan"), float("nan"))
    if REFERENCE in gradients and shares_carrier(name) and name != REFERENCE:
        bias = squared_bias(gradients[name], gradients[REFERENCE])
    return (*spread(gradients[name]), *bias, *resampled.inner[name])


def _read(directory: Path) -> pd.DataFrame:
    path = directory / TABLE
    if not path.exists():
        return pd.DataFrame(columns=list(ROW))
    table = read_table(path)
    require(table, [name for name in ROW if name not in LATER], str(path))
    return table.reindex(columns=list(ROW))
