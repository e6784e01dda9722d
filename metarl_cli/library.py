"""The stable face for programs, `import metarl_cli as metarl`.

Estimators are functions; `ESTIMATORS` says what is known of each, and `exact.bias` proves it on any small MDP:

    >>> import metarl_cli as metarl
    >>> metarl.ESTIMATORS["lvc"].on_policy_hessian, metarl.ESTIMATORS["dice"].on_policy_hessian
    ('biased', 'exact')
    >>> problem = metarl.exact.parse_problem(metarl.exact.EXAMPLE)
    >>> bool(metarl.exact.bias("lvc", problem).hessian.abs().max() > 0.1)
    True
    >>> bool(metarl.exact.bias(metarl.dice, problem).hessian.abs().max() < 1e-12)
    True

The papers' task distributions are Gymnasium vector environments:

    >>> import numpy
    >>> envs = metarl.make_vec("Navigation", num_envs=4)
    >>> envs.set_tasks(envs.sample_tasks(4, numpy.random.default_rng(0)))
    >>> observations, _ = envs.reset(seed=1)
    >>> observations.shape
    (4, 2)

A run that `metarl train` has made, `load_policy` brings back (`Policy` says how it acts and adapts), and `read_runs`
reads the `progress.csv` of any number of runs as one frame; `docs/tutorial.md` goes through all of it. The names that
are stable, and where each comes from, stand in `metarl_cli`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from metarl_cli.envs.registry import find_environment, find_variant
from metarl_cli.errors import check_there
from metarl_cli.results import load_runs
from metarl_cli.training.rollouts import Workers, make_workers

__all__ = ["make_vec", "read_runs"]


def make_vec(name: str, *, num_envs: int, variant: str | None = None, threads: int = 1) -> Workers:
    """A task distribution of the papers as a Gymnasium vector environment, with `sample_tasks` and `set_tasks`.

    Args:
        name: see `metarl list envs`.
        num_envs: sub-environments.
        variant: one of the environment's; None for its first.
        threads: of the simulation; no number depends on them.

    Raises:
        UserError: if there is no such environment or variant; the message has the nearest match.
    """
    chosen = find_variant(find_environment(name), variant)
    return make_workers(name, num_envs=num_envs, env_options={"variant": chosen, "threads": threads})


def read_runs(directory: Path | str) -> pd.DataFrame:
    """Every `progress.csv` below a directory as one tidy frame, with curve, environment, profile and seed of each run.

    Raises:
        UserError: if there is no such directory, a file is damaged, or two runs cannot be told apart.
    """
    check_there(Path(directory))
    return load_runs(Path(directory))
