"""From what was asked on the command line to a measurement of variance: begun, continued, or refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from metarl_cli.errors import UserError
from metarl_cli.stopping import graceful_stop
from metarl_cli.studies.variance.figures import home, settings_for
from metarl_cli.studies.variance.run import measure

__all__ = ["Outcome", "launch"]


@dataclass(frozen=True, slots=True)
class Outcome:
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
        return [_brief(row) for row in self.rows()]


def launch(
    environment: str,
    *,
    profile: str,
    seed: int,
    estimators: str | None,
    rounds: int | None,
    checkpoints: str | None,
    out: Path | None,
    threads: int,
    overwrite: bool,
    quiet: bool,
) -> Outcome:
    """Measure as requested; what the directory holds of the same measurement is kept.

    Args:
        environment: the task distribution.
        profile: size of carrier and measurement.
        seed: of every random stream.
        estimators: names with commas between; None for those of the figures.
        rounds: R; None for the profile's.
        checkpoints: iterations with commas between; None for the profile's.
        out: the directory; None for one named after the settings.
        threads: of the simulation and of the gradients.
        overwrite: begin anew.
        quiet: say nothing on the way.

    Raises:
        UserError: for names and numbers that do not exist, and for a directory that must not be written.
        RunFailedError: if a gradient stops being finite.
    """
    asked = settings_for(
        environment,
        profile=profile,
        seed=seed,
        estimators=_words(estimators),
        rounds=rounds,
        checkpoints=_numbers(checkpoints),
    )
    directory = out or home(asked)
    with graceful_stop() as should_stop:
        table = measure(
            directory,
            asked,
            threads=threads,
            overwrite=overwrite,
            on_checkpoint=_ignore if quiet else _tell,
            should_stop=should_stop,
        )
    finished = table["iteration"].nunique() == len(asked.checkpoints)
    if not finished:
        print(f"Stopped. The same command continues in {directory}.", file=sys.stderr)
    return Outcome(table, finished)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _numbers(text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in _words(text))
    except ValueError:
        raise UserError(
            f"--checkpoints {text}: expected iterations with commas between, for instance 0,20,40."
        ) from None


def _tell(rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    returns = f"return {first['return/pre']:.1f} -> {first['return/post']:.1f}"
    print(f"iteration {first['iteration']}  {returns}  {len(rows)} estimators measured", file=sys.stderr, flush=True)


def _ignore(rows: pd.DataFrame) -> None:
    pass


def _brief(row: Mapping[object, object]) -> dict[str, object]:
    numbers = {
        "return": row["return/post"],
        "rstd": row["rstd"],
        "deviation": row["relative_deviation"],
        "signal/noise": row["signal_to_noise"],
        "variance": row["variance"],
        "bias²": row["squared_bias"],
        "±": row["squared_bias_error"],
        "‖θ′−θ‖": row["step_norm"],
        "R²": row["explained_variance"],
    }
    named = {name: row[name] for name in ("iteration", "estimator")}
    return named | {name: "" if value is None else f"{value:.3g}" for name, value in numbers.items()}
