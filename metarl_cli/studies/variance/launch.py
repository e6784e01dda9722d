"""From what was asked on the command line to a measurement of variance: begun, continued, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metarl_cli.errors import UserError
from metarl_cli.stopping import graceful_stop
from metarl_cli.store import OWN_STUDIES
from metarl_cli.studies.variance.figures import home, settings_for
from metarl_cli.studies.variance.run import measure

__all__ = ["Measurement", "launch"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured so far, and whether that is all.

    Attributes:
        table: one row per checkpoint and estimator.
        finished: False if it was stopped on request.
    """

    table: pd.DataFrame
    finished: bool

    def rows(self) -> list[dict[object, object]]:
        """Every number of every row, None where there is none."""
        return self.table.astype(object).where(self.table.notna(), None).to_dict("records")

    def brief(self) -> list[dict[str, object]]:
        """What fits a terminal."""
        columns = {
            "return": "return/post",
            "rstd": "rstd",
            "deviation": "relative_deviation",
            "signal/noise": "signal_to_noise",
            "variance": "variance",
            "bias²": "squared_bias",
            "±": "squared_bias_error",
            "‖θ′−θ‖": "step_norm",
            "R²": "explained_variance",
        }
        return [
            {
                **{name: row[name] for name in ("iteration", "estimator")},
                **{name: "" if row[column] is None else f"{row[column]:.3g}" for name, column in columns.items()},
            }
            for row in self.rows()
        ]


def launch(
    environment: str,
    *,
    profile: str,
    seed: int,
    estimators: tuple[str, ...],
    rounds: int | None,
    checkpoints: tuple[str, ...],
    out: Path | None,
    threads: int,
    overwrite: bool,
    on_checkpoint: Callable[[pd.DataFrame], None] = lambda rows: None,
    tell: Callable[[str], None] = lambda message: None,
) -> Measurement:
    """Measure as requested; what the directory holds of the same measurement is kept.

    Args:
        environment: the task distribution.
        profile: size of carrier and measurement.
        seed: of every random stream.
        estimators: names; none for those of the figures.
        rounds: R; None for the profile's.
        checkpoints: iterations; none for the profile's.
        out: the directory; None for one named after the settings.
        threads: of the simulation and of the gradients.
        overwrite: begin anew.
        on_checkpoint: told the rows of each checkpoint that was measured.
        tell: told in words what else a user should know.

    Raises:
        UserError: for names and numbers that do not exist, and for a directory that must not be written.
        RunFailedError: if a gradient stops being finite.
    """
    try:
        iterations = tuple(map(int, checkpoints))
    except ValueError:
        raise UserError(
            f"--checkpoints {','.join(checkpoints)}: expected iterations with commas between, for instance 0,20,40."
        ) from None
    asked = settings_for(
        environment,
        profile=profile,
        seed=seed,
        estimators=estimators,
        rounds=rounds,
        checkpoints=iterations,
    )
    directory = out or home(asked, OWN_STUDIES)
    with graceful_stop() as should_stop:
        table = measure(
            directory,
            asked,
            threads=threads,
            overwrite=overwrite,
            on_checkpoint=on_checkpoint,
            should_stop=should_stop,
            tell=tell,
        )
    finished = table["iteration"].nunique() == len(asked.checkpoints)
    if not finished:
        tell(f"Stopped. The same command continues in {directory}.")
    return Measurement(table, finished)
