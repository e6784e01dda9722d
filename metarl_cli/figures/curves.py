"""Learning curves: from the rows of runs to a mean over seeds with its band."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from metarl_cli.claims.statistics import mean_interval

__all__ = ["CURVE_COLUMNS", "curves"]

CURVE_COLUMNS = ("curve", "environment", "profile", "seeds", "quantity", "iteration", "env_steps")


def curves(runs: pd.DataFrame, quantities: Sequence[str]) -> pd.DataFrame:
    """Mean and 95 % Student t band over seeds, at the iterations that all seeds of a group have.

    Args:
        runs: as `results.load_runs` gives them.
        quantities: columns to summarise, for instance `return/post`.

    Returns:
        One row per curve, environment, profile, quantity and iteration: `mean`, `low`, `high`, the `least` and the
        `greatest` of the seeds, and `seeds`, those that went in.
    """
    rows = []
    for (curve, environment, profile), frame in runs.groupby(["curve", "environment", "profile"], sort=True):
        seeds = sorted(frame["seed"].unique())
        counts = frame["iteration"].value_counts()
        common = frame[frame["iteration"].isin(counts.index[counts == len(seeds)])]
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
