"""Commands that compare estimates: their variance, and how near they come to the truth."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metarl_cli.cli.exits import INTERRUPTED, OK
from metarl_cli.cli.options import AsJson, Quiet, Threads, listed, path_option
from metarl_cli.errors import UserError
from metarl_cli.profiles import PROFILE_HELP
from metarl_cli.store import OWN_STUDIES, table_path

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["audit", "exact", "tabular", "toy1d", "variance"]


def variance(
    env: Annotated[str, typer.Option(help="One of `metarl list envs`, or your MODULE:NAME.")] = "HalfCheetahFwdBack",
    estimators: Annotated[
        str | None, typer.Option(help="Meta-gradient estimators, as in lvc,dice. Default: those of the figures.")
    ] = None,
    profile: Annotated[str, typer.Option(help=PROFILE_HELP)] = "quick",
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random stream.")] = 1,
    rounds: Annotated[int | None, typer.Option(help="Batches at each checkpoint. Default: the profile's.")] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Iterations to measure at, as in 0,20,40. Default: the profile's.")
    ] = None,
    out: Annotated[
        Path | None, path_option("DIR", "Directory. Default: results/local/studies/PROFILE/variance/ENV/seedN.")
    ] = None,
    threads: Threads = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew instead of continuing.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure, along the training of LVC-VPG, how much meta-gradients change when the batch is drawn again.

    Example: metarl variance --env Navigation --estimators lvc,dice,loaded_dice
    """
    from metarl_cli.studies.variance.launch import launch
    from metarl_cli.terminal import print_table, results_alone, say, show_measured

    with results_alone():
        outcome = launch(
            env,
            profile=profile,
            seed=seed,
            estimators=listed(estimators),
            rounds=rounds,
            checkpoints=listed(checkpoints),
            out=out,
            threads=threads,
            overwrite=overwrite,
            on_checkpoint=(lambda rows: None) if quiet else show_measured,
            tell=say,
        )
    print_table(outcome.rows() if as_json else outcome.brief(), as_json=as_json)
    raise typer.Exit(OK if outcome.finished else INTERRUPTED)


def exact(
    mdp: Annotated[Path | None, path_option("FILE", "JSON file of a small MDP; --example prints one.")] = None,
    estimators: Annotated[
        str | None, typer.Option(help="Names, separated by commas; see `metarl list estimators`. Default: all.")
    ] = None,
    estimator: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:FUNCTION", help="A surrogate of your own, in addition.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print an example file and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bias and variance of every estimator's gradient and Hessian, by enumerating all trajectories of a small MDP.

    Example: metarl correlate exact --example > mdp.json && metarl correlate exact --mdp mdp.json
    """
    from metarl_cli.estimators import ESTIMATORS
    from metarl_cli.exact.estimates import exact_rows, left_out
    from metarl_cli.exact.problem import EXAMPLE, load_problem
    from metarl_cli.terminal import print_table, results_alone

    if example:
        print(json.dumps(dict(EXAMPLE), indent=2))
        return
    if mdp is None:
        raise UserError("Which MDP? Give --mdp FILE.json; --example prints such a file.")
    names = [*listed(estimators), *(estimator or ())] or list(ESTIMATORS)
    problem = load_problem(mdp)
    with results_alone():
        for name, reason in left_out(problem, names).items():
            print(f"{name} is left out: {reason}.", file=sys.stderr)
        rows = exact_rows(problem, names)
    print_table(rows, as_json=as_json)


def audit(
    estimator: Annotated[str, typer.Argument(metavar="ESTIMATOR", help="A name, or your own: FILE.py:FUNCTION.")],
    mdp: Annotated[
        Path | None, path_option("FILE", "JSON file of a small MDP. Default: correlate exact --example.")
    ] = None,
    env: Annotated[str, typer.Option(help="Task distribution; see `metarl list envs`.")] = "Navigation",
    rounds: Annotated[int, typer.Option(min=3, help="How often a batch of the environment is drawn.")] = 10,
    as_json: AsJson = False,
) -> None:
    """What decides whether to use an inner estimator: bias, variance, cost and signal, beside LVC, DiCE and TayPO-2.

    Example: metarl audit mine.py:surrogate --env Navigation
    """
    from metarl_cli.exact.problem import EXAMPLE, load_problem, parse_problem
    from metarl_cli.studies.audit import audit as study
    from metarl_cli.terminal import print_table, results_alone

    with results_alone():
        rows = study(estimator, load_problem(mdp) if mdp else parse_problem(EXAMPLE), env, rounds=rounds)
    if as_json:
        print_table(rows, as_json=True)
        return
    named = {str(row["estimator"]): row for row in rows}
    quantities = [name for name in rows[-1] if name != "estimator"]
    shown = []
    for name in quantities:
        cells = {who: row.get(name) for who, row in named.items()}
        shown.append({"": name} | {who: f"{v:.3g}" if isinstance(v, float) else "–" for who, v in cells.items()})
    print_table(shown, as_json=False)


def tabular(
    profile: Annotated[str, typer.Option(help=PROFILE_HELP)] = "quick",
    variant: Annotated[str, typer.Option(help="released (20 states) or paper (10 states).")] = "released",
    out: Annotated[
        Path | None,
        path_option("FILE", "The CSV file. Default: results/local/studies/PROFILE/taypo-fig1/taypo-fig1.csv."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """TayPO Fig. 1a-c: accuracy on random MDPs against off-policyness and sample size.

    Example: metarl correlate tabular --profile paper
    """
    from metarl_cli.studies.tabular import run, settings

    _write_study("taypo-fig1", profile, out, overwrite, partial(run, settings(profile, variant)))


def toy1d(
    profile: Annotated[str, typer.Option(help=PROFILE_HELP)] = "quick",
    out: Annotated[
        Path | None,
        path_option("FILE", "The CSV file. Default: results/local/studies/PROFILE/tmaml-fig4/tmaml-fig4.csv."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """TMAML Fig. 4: correlation with the true Hessian and meta-gradient on a 1-D task, against sample size.

    Example: metarl correlate toy1d --profile quick
    """
    from metarl_cli.studies.toy1d import run, settings

    _write_study("tmaml-fig4", profile, out, overwrite, partial(run, settings(profile)))


def _write_study(
    figure: str,
    profile: str,
    out: Path | None,
    overwrite: bool,
    study: Callable[[Callable[[int, int], None]], DataFrame],
) -> None:
    from metarl_cli.reproduction.tables import check_writable, write_study_table
    from metarl_cli.terminal import counted

    path = out or table_path(OWN_STUDIES, profile, figure)
    check_writable(path, overwrite=overwrite)
    with counted(figure) as progress:
        write_study_table(partial(study, progress), path)
    print(path)
