"""From files to tidy frames: the runs of a figure, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from metarl_cli.config import load_config
from metarl_cli.errors import UserError
from metarl_cli.packing import META, packed_below
from metarl_cli.reporting.statistics import mean_interval
from metarl_cli.store import write_whole

__all__ = ["CURVE_COLUMNS", "curves", "load_runs", "read_table", "require", "write_table"]

KEYS = ("curve", "environment", "profile", "seed")
CURVE_COLUMNS = ("curve", "environment", "profile", "seeds", "quantity", "iteration", "env_steps")


def load_runs(directory: Path) -> pd.DataFrame:
    """Every `progress.csv` below a directory, or packed by `packing`, as one frame, settings joined on.

    They are curve, environment, profile, seed, tasks and trajectories, and come from each run's `config.json`, never
    from a path; the curve is the run's label, or its algorithm if it has none. `directory` is where the run lies below
    the one that is read. No run gives an empty frame.

    Raises:
        UserError: if two runs have the same four keys, so that one seed would count twice; or a file is damaged.
    """
    frames = [read_table(path).drop(columns=META) for path in packed_below(directory)]
    homes = dict[tuple[object, ...], Path]()
    for path in sorted(directory.rglob("progress.csv")):
        if not path.stat().st_size:
            continue  # a run in its first iteration
        config, frame = load_config(path.with_name("config.json")), read_table(path)
        if frame.empty:
            continue  # one that failed there: a header alone would turn every column of numbers into objects
        curve = config.label or config.algorithm
        run = (curve, config.environment.name, config.profile, config.seed)
        if run in homes:
            raise UserError(f"{homes[run]} and {path.parent} are both {' '.join(map(str, run))}: move one elsewhere.")
        homes[run] = path.parent
        frames.append(
            frame.assign(
                curve=curve,
                environment=config.environment.name,
                profile=config.profile,
                seed=config.seed,
                directory=path.parent.relative_to(directory).as_posix(),
                tasks=config.sampling.tasks,
                trajectories=config.sampling.trajectories,
            )
        )
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*KEYS, "iteration", "env_steps"])


def curves(runs: pd.DataFrame, quantities: Sequence[str]) -> pd.DataFrame:
    """Mean and 95 % Student t band over seeds, at the iterations that all seeds of a group have.

    Args:
        runs: as `load_runs` gives them.
        quantities: columns to summarise, for instance `return/post`.

    Returns:
        One row per curve, environment, profile, quantity and iteration: `mean`, `low`, `high`, the `least` and the
        `greatest` of the seeds, and `seeds`, those that went in.
    """
    rows = []
    for (curve, environment, profile), frame in runs.groupby(list(KEYS[:-1]), sort=True):
        seeds = sorted(frame["seed"].unique())
        common = frame.groupby("iteration").filter(lambda at: len(at) == len(seeds))  # noqa: B023  used at once
        for quantity in quantities:
            table = common.pivot(index="iteration", columns="seed", values=quantity)
            band = mean_interval(table.to_numpy().T)
            steps = common.groupby("iteration")["env_steps"].first()
            summary = pd.DataFrame({"iteration": table.index, "env_steps": steps.to_numpy(), **band._asdict()})
            rows.append(
                summary.assign(
                    least=table.min(axis=1).to_numpy(),
                    greatest=table.max(axis=1).to_numpy(),
                    curve=str(curve),
                    environment=str(environment),
                    profile=str(profile),
                    seeds=" ".join(map(str, seeds)),
                    quantity=quantity,
                )
            )
    columns = [*CURVE_COLUMNS, "mean", "low", "high", "least", "greatest"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def read_table(path: Path) -> pd.DataFrame:
    """A study's table.

    Raises:
        UserError: if there is none, or it is no table.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise UserError(f"There is no {path}. A study writes it; --results DIR reads another place.") from None
    except (OSError, UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is no CSV table: {error}.") from None


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, whole; the same frame gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, frame.to_csv(index=False, lineterminator="\n", float_format="%.10g"))


def require(frame: pd.DataFrame, columns: Iterable[str], table: str = "") -> None:
    """Check that a table, of that name, has the columns that are read.

    Raises:
        UserError: if one is missing.
    """
    if missing := sorted(set(columns) - set(frame.columns)):
        name = f" of {table}" if table else ""
        raise UserError(f"The table{name} has no column {', '.join(missing)}: another version wrote it. Run it again.")
