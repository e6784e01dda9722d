"""The `metarl` command: parse, call one function, print. No maths, and nothing heavy at import."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metarl_cli import __version__
from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.store import LOCAL, PUBLISHED, table_path

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["app", "main"]

OK, FAILED, USAGE, PARTIAL, CLAIM_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130

app = typer.Typer(
    name="metarl",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A laboratory for gradient-based meta-reinforcement learning.",
    epilog="Exit codes: 0 ok, 1 run failed, 2 usage, 3 finished in part, 4 a claim check failed, 130 interrupted.",
)


def main() -> None:
    """Run the command; a mistake of the user's is one message and exit code 2, never a traceback."""
    try:
        app()
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(USAGE)
    except RunFailedError as error:
        print(f"Error: the run failed: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"Error: {error.filename}: {error.strerror}.", file=sys.stderr)
        sys.exit(USAGE)


def _version(value: bool) -> None:
    if value:
        print(f"metarl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def train(
    algo: Annotated[str | None, typer.Option(help="Algorithm; see `metarl list algorithms`. [default: promp]")] = None,
    env: Annotated[
        str | None, typer.Option(help="Task distribution; see `metarl list envs`. [default: HalfCheetahFwdBack]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random stream. [default: 1]")] = None,
    iterations: Annotated[int | None, typer.Option(help="Meta-iterations. [default: the profile's]")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Size of the run: smoke, quick, overnight or paper. [default: paper]")
    ] = None,
    inner: Annotated[str | None, typer.Option(help="Inner estimator instead of the algorithm's.")] = None,
    exploration: Annotated[str | None, typer.Option(help="Exploration term instead of the algorithm's.")] = None,
    outer: Annotated[str | None, typer.Option(help="Outer objective instead of the algorithm's.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="Outer optimiser instead of the algorithm's.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting: --set inner.lr=0.05.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory. [default: results/local/PROFILE/train/ALGO/ENV/seedN]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one run; no number depends on them.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the directory.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again over a run in the directory.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Train an algorithm on a task distribution, at the paper's settings unless told otherwise.

    Example: metarl train --algo promp --env HalfCheetahFwdBack --iterations 150 --threads 2
    """
    from metarl_cli.studies.launch import Request, launch

    parts = {
        "seed": seed,
        "iterations": iterations,
        "inner.estimator": inner,
        "outer.exploration": exploration,
        "outer.objective": outer,
        "outer.optimizer": optimizer,
    }
    flags = [f"{key}={value}" for key, value in parts.items() if value is not None]
    request = Request(algorithm=algo, environment=env, profile=profile, overrides=(*flags, *(set_ or ())))
    outcome = launch(request, out=out, threads=threads, resume=resume, overwrite=overwrite, quiet=quiet)
    print(outcome.message)
    raise typer.Exit(OK if outcome.finished else INTERRUPTED)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Directory of a trained run.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Adaptation steps. [default: the run's]")] = None,
    tasks: Annotated[int, typer.Option(min=2, help="Held-out tasks.")] = 40,
    trajectories: Annotated[
        int | None, typer.Option(min=1, help="Trajectories per task and step. [default: the run's]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the held-out tasks and of all that is drawn.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads; no number depends on them.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Adapt a trained policy to held-out tasks, with its training-time inner step, and print the returns.

    Example: metarl evaluate results/local/quickstart/promp --steps 3
    """
    from metarl_cli.studies.evaluate import evaluate as measure
    from metarl_cli.terminal import print_table

    table = measure(run, steps=steps, tasks=tasks, trajectories=trajectories, seed=seed, threads=threads)
    print_table(table.round(3).to_dict("records"), as_json=as_json)


@app.command()
def variance(
    env: Annotated[str, typer.Option(help="Task distribution; see `metarl list envs`.")] = "HalfCheetahFwdBack",
    estimators: Annotated[
        str | None, typer.Option(help="Meta-gradient estimators, as in lvc,dice. [default: those of the figures]")
    ] = None,
    profile: Annotated[str, typer.Option(help="Size: smoke, quick, overnight or paper.")] = "quick",
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random stream.")] = 1,
    rounds: Annotated[int | None, typer.Option(help="Batches at each checkpoint. [default: the profile's]")] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="Iterations to measure at, as in 0,20,40. [default: the profile's]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory. [default: results/local/PROFILE/variance/ENV/seedN]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads; no number depends on them.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew instead of continuing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure, along the training of LVC-VPG, how much meta-gradients change when the batch is drawn again.

    Example: metarl variance --env Navigation --estimators lvc,dice,loaded_dice
    """
    from metarl_cli.studies.variance_launch import launch
    from metarl_cli.terminal import print_table

    outcome = launch(
        env,
        profile=profile,
        seed=seed,
        estimators=estimators,
        rounds=rounds,
        checkpoints=checkpoints,
        out=out,
        threads=threads,
        overwrite=overwrite,
        quiet=quiet,
    )
    if rows := outcome.rows() if as_json else outcome.brief():
        print_table(rows, as_json=as_json)
    raise typer.Exit(OK if outcome.finished else INTERRUPTED)


correlate = typer.Typer(no_args_is_help=True, help="Compare estimates with the truth: exactly, or by correlation.")
app.add_typer(correlate, name="correlate")


@correlate.command()
def exact(
    mdp: Annotated[Path | None, typer.Option(help="JSON file of a small MDP; --example prints one.")] = None,
    estimators: Annotated[
        str | None, typer.Option(help="Names, separated by commas; see `metarl list estimators`. [default: all]")
    ] = None,
    estimator: Annotated[
        list[str] | None, typer.Option(metavar="MODULE:FUNCTION", help="A surrogate of your own, in addition.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print an example file and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bias and variance of every estimator's gradient and Hessian, by enumerating all trajectories of a small MDP.

    Example: metarl correlate exact --example > mdp.json && metarl correlate exact --mdp mdp.json
    """
    from metarl_cli.estimators import ESTIMATORS
    from metarl_cli.studies import exact as study
    from metarl_cli.terminal import print_table

    if example:
        print(json.dumps(dict(study.EXAMPLE), indent=2))
        return
    if mdp is None:
        raise UserError("Which MDP? Give --mdp FILE.json; --example prints such a file.")
    names = [*(estimators.split(",") if estimators else () if estimator else list(ESTIMATORS)), *(estimator or ())]
    problem = study.load_problem(mdp)
    for name, reason in study.left_out(problem, names).items():
        print(f"{name} is left out: {reason}.", file=sys.stderr)
    print_table(study.exact_rows(problem, names), as_json=as_json)


@correlate.command()
def tabular(
    profile: Annotated[str, typer.Option(help="smoke, quick, overnight or paper.")] = "quick",
    variant: Annotated[str, typer.Option(help="released (20 states) or paper (10 states).")] = "released",
    out: Annotated[
        Path | None, typer.Option(help="The CSV file. [default: results/local/PROFILE/taypo-fig1/taypo-fig1.csv]")
    ] = None,
) -> None:
    """TayPO Fig. 1a-c: accuracy on random MDPs against off-policyness and sample size.

    Example: metarl correlate tabular --profile paper
    """
    from metarl_cli.studies.tabular import run, settings

    _write_study("taypo-fig1", profile, out, lambda progress: run(settings(profile, variant), progress))


@correlate.command()
def toy1d(
    profile: Annotated[str, typer.Option(help="smoke, quick, overnight or paper.")] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="The CSV file. [default: results/local/PROFILE/tmaml-fig4/tmaml-fig4.csv]")
    ] = None,
) -> None:
    """TMAML Fig. 4: correlation with the true Hessian and meta-gradient on a 1-D task, against sample size.

    Example: metarl correlate toy1d --profile quick
    """
    from metarl_cli.studies.toy1d import run, settings

    _write_study("tmaml-fig4", profile, out, lambda progress: run(settings(profile), progress))


def _write_study(
    figure: str, profile: str, out: Path | None, study: Callable[[Callable[[int, int], None]], DataFrame]
) -> None:
    from metarl_cli.reporting.frames import write_table
    from metarl_cli.terminal import counted

    path = out or table_path(LOCAL, profile, figure)
    with counted(figure) as progress:
        frame = study(progress)
    write_table(frame, path)
    print(path)


@app.command()
def plot(
    figure: Annotated[
        str | None, typer.Argument(help="Figure; see `metarl list figures`. fig2, fig3, fig4 are ProMP's.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there are results of, and a page of them.")] = False,
    results: Annotated[Path, typer.Option(help="Where the CSV files are.")] = PUBLISHED,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the results. [default: the one that has most of the figure]")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where PNG and PDF go.")] = Path("figures"),
) -> None:
    """Draw a figure from CSV files; never trains.

    Example: metarl plot fig2
    """
    from metarl_cli.papers import find_figure
    from metarl_cli.reporting.draw import plot as draw
    from metarl_cli.reporting.gallery import write_gallery

    if (figure is None) != everything:
        raise UserError("Plot what? Give one figure, see `metarl list figures`, or --all.")
    if figure is None:
        files = write_gallery(results, out, profile)
    else:
        files = draw(find_figure(figure), results=results, out=out, profile=profile)
    for path in files:
        print(path)


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Where the CSV files are.")] = PUBLISHED,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
) -> None:
    """Write the papers' claims with their verdicts, figures, tables and provenance as one self-contained HTML page.

    Example: metarl report --results results/local
    """
    from metarl_cli.reporting.html import write_report
    from metarl_cli.reporting.wording import tally
    from metarl_cli.studies.exact_claims import exact_number

    print(f"{tally(write_report(results, out, exact_number))}. Open {out} in a browser.")


@app.command()
def reproduce(
    figure: Annotated[str | None, typer.Argument(help="Figure; see `metarl list figures`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All twelve figures.")] = False,
    profile: Annotated[str, typer.Option(help="Size: smoke, quick, overnight or paper.")] = "quick",
    results: Annotated[Path, typer.Option(help="Where everything is made and continued.")] = LOCAL,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Child processes at a time, one thread each. [default: one per core]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is missing, in seconds of one core.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Run what a figure still lacks, draw it, and compare it with the published one. Ctrl-C stops, a rerun goes on.

    Example: metarl reproduce promp-fig4 --profile quick
    """
    from metarl_cli.studies.reproduce import Request, what_is_missing
    from metarl_cli.studies.reproduce import reproduce as run
    from metarl_cli.terminal import print_table

    if (figure is None) != everything:
        raise UserError("Reproduce what? Give one figure, see `metarl list figures`, or --all.")
    request = Request(figure=figure, profile=profile, results=results, jobs=jobs, quiet=quiet)
    if dry_run:
        print_table(what_is_missing(request), as_json=False)
        return
    outcome = run(request)
    if outcome.rows:
        print_table(outcome.rows, as_json=False)
    for message in outcome.messages:
        print(message, file=sys.stderr)
    raise typer.Exit({"complete": OK, "partial": PARTIAL, "stopped": INTERRUPTED}[outcome.status])


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="algorithms, claims, envs, estimators or figures.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what there is.

    Example: metarl list estimators
    """
    from metarl_cli.listing import listing
    from metarl_cli.terminal import print_table

    print_table(listing(what, brief=not as_json), as_json=as_json)


if __name__ == "__main__":
    main()
