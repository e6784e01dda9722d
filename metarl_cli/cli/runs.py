"""Commands about runs: train, evaluate, render, compare."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from metarl_cli.cli.exits import INTERRUPTED, OK
from metarl_cli.cli.options import AsJson, Quiet, Threads, check_directory, given_path, path_option
from metarl_cli.profiles import PROFILE_HELP

__all__ = ["compare", "evaluate", "render", "train"]

Environment = Annotated[
    str | None, typer.Option(help="One of `metarl list envs`, or your MODULE:NAME. Default: HalfCheetahFwdBack.")
]
LiveLog = Annotated[str | None, typer.Option(help="A live log besides progress.csv, in RUN_DIR: tensorboard or wandb.")]
SettingsFile = Annotated[
    Path | None, path_option("FILE", "Settings from a .json or .toml file, as a run's config.json; - for stdin.")
]
RunDirectory = Annotated[
    Path | None, path_option("DIR", "Run directory. Default: results/local/PROFILE/train/ALGO/ENV/seedN.")
]
TrainedRun = Annotated[Path, typer.Argument(metavar="RUN_DIR", parser=given_path, help="Directory of a trained run.")]
HeldOutSeed = Annotated[int, typer.Option(min=0, help="Seed of the held-out tasks and of all that is drawn.")]
Device = Annotated[str, typer.Option(help="Of the meta-updates: cpu or cuda. Numbers depend on it by their rounding.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run in the directory; with --config, also begin it.")
]


def train(
    algo: Annotated[
        str | None, typer.Option(help="Algorithm; see `metarl list algorithms`; or a TOML file. Default: promp.")
    ] = None,
    env: Environment = None,
    config: SettingsFile = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random stream. Default: 1.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Meta-iterations. Default: the profile's.")] = None,
    profile: Annotated[str | None, typer.Option(help=f"{PROFILE_HELP} Default: paper.")] = None,
    inner: Annotated[
        str | None, typer.Option(help="Inner estimator instead of the algorithm's, also your own: FILE.py:FUNCTION.")
    ] = None,
    exploration: Annotated[str | None, typer.Option(help="Exploration term instead of the algorithm's.")] = None,
    outer: Annotated[str | None, typer.Option(help="Outer objective instead of the algorithm's.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="Outer optimiser instead of the algorithm's.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting: --set inner.lr=0.05.")
    ] = None,
    out: RunDirectory = None,
    threads: Threads = 1,
    device: Device = "cpu",
    resume: Resume = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again over a run in the directory.")] = False,
    log: LiveLog = None,
    quiet: Quiet = False,
) -> None:
    """Train an algorithm on a task distribution, at the paper's settings unless told otherwise.

    Example: metarl train --algo promp --env HalfCheetahFwdBack --iterations 150 --threads 2
    """
    from metarl_cli.runs.launch import RunRequest, launch
    from metarl_cli.terminal import say, training_display

    parts = {
        "seed": seed,
        "iterations": iterations,
        "inner.estimator": inner,
        "outer.exploration": exploration,
        "outer.objective": outer,
        "outer.optimizer": optimizer,
    }
    given = (f"{key}={value}" for key, value in parts.items() if value is not None)
    overrides = (*given, *(set_ or ()))  # --set has the last word
    request = RunRequest(algorithm=algo, environment=env, profile=profile, file=config, overrides=overrides)
    with nullcontext(lambda config, row: None) if quiet else training_display() as show:
        outcome = launch(
            request,
            out=out,
            threads=threads,
            device=device,
            resume=resume,
            overwrite=overwrite,
            log=log,
            on_row=show,
            tell=say,
        )
    print(outcome.message)
    raise typer.Exit(OK if outcome.finished else INTERRUPTED)


def evaluate(
    run: TrainedRun,
    steps: Annotated[int | None, typer.Option(min=1, help="Adaptation steps. Default: the run's.")] = None,
    tasks: Annotated[int, typer.Option(min=2, help="Held-out tasks.")] = 40,
    trajectories: Annotated[
        int | None, typer.Option(min=1, help="Trajectories per task and step. Default: the run's.")
    ] = None,
    seed: HeldOutSeed = 0,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Adapt a trained policy to held-out tasks, with its training-time inner step, and print the returns.

    Example: metarl evaluate results/local/quickstart/promp --steps 3
    """
    from metarl_cli.runs.evaluate import evaluate as measure
    from metarl_cli.terminal import print_table, results_alone, say

    with results_alone():
        table = measure(run, steps=steps, tasks=tasks, trajectories=trajectories, seed=seed, threads=threads, tell=say)
    print_table(table.round(3).to_dict("records"), as_json=as_json)


def render(
    run: TrainedRun,
    tasks: Annotated[int, typer.Option(min=1, help="Held-out tasks.")] = 2,
    seed: HeldOutSeed = 0,
    format_: Annotated[str, typer.Option("--format", help="png, a filmstrip; or gif, an animation.")] = "png",
    out: Annotated[Path | None, path_option("FILE", "The file. Default: RUN_DIR/render.FORMAT.")] = None,
    threads: Threads = 1,
) -> None:
    """Draw a trained policy on held-out tasks before and after adaptation; needs no display.

    Example: metarl render results/local/quickstart/promp --format gif
    """
    from metarl_cli.studies.render import render as draw
    from metarl_cli.terminal import results_alone, say

    with results_alone():
        path = draw(run, tasks=tasks, seed=seed, threads=threads, format=format_, out=out, tell=say)
    print(path)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", parser=given_path, help="Run directories, or directories with the seeds of a curve."
        ),
    ],
    metric: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of progress.csv. Default: the one that the figures plot.")
    ] = "return/post",
    out: Annotated[
        Path | None, path_option("DIR", "Write the curves there: compare.png, compare.pdf, compare.csv.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: the settings that differ, their curves, and the differences from the first, seed by seed.

    Example: metarl compare runs/promp runs/taypo2 --out figures
    """
    from metarl_cli.runs.compare import compare as beside
    from metarl_cli.runs.compare import draw
    from metarl_cli.terminal import print_json, print_table, say

    if out:
        check_directory(out)
    found = beside(runs, metric)
    parts = {"settings": found.settings, "curves": found.curves, "differences": found.differences}
    if as_json:
        print_json({"column": found.column, **parts, "notes": found.notes})
    else:
        print(found.column)
        for rows in filter(None, parts.values()):
            print()
            shown = [{key: "–" if cell is None else cell for key, cell in row.items()} for row in rows]
            print_table(shown, as_json=False)
        print("".join(f"\n{note}" for note in found.notes))
    for path in draw(found, out) if out else ():
        say(str(path))
