"""Commands about figures, tables and claims: plot, reproduce, report, list."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from metarl_cli.algorithms import is_file
from metarl_cli.cli.exits import CLAIM_FAILED, INTERRUPTED, OK, PARTIAL
from metarl_cli.cli.options import AsJson, Quiet, check_directory, listed, path_option
from metarl_cli.cli.options import seeds as seeds_of
from metarl_cli.errors import UserError, check_known
from metarl_cli.profiles import PROFILE_HELP
from metarl_cli.store import LOCAL, OWN_FIGURES, PUBLISHED

if TYPE_CHECKING:
    from metarl_cli.papers.figure import Part

__all__ = ["list_", "plot", "report", "reproduce"]

EXIT_CODES: Mapping[str, int] = MappingProxyType(
    {"complete": OK, "partial": PARTIAL, "stopped": INTERRUPTED, "contradicted": CLAIM_FAILED}
)
"""Of a reproduction."""


def plot(
    figure: Annotated[
        str | None,
        typer.Argument(help="Figure; see `metarl list figures`, fig2, fig3, fig4 are ProMP's; or your FIGURE.toml."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there are results of, and a page of them.")] = False,
    results: Annotated[
        Path | None,
        path_option("DIR", "Where the CSV files are. Default: the published ones; those of your FIGURE.toml."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the results. Default: what shows most, panel by panel.")
    ] = None,
    out: Annotated[
        Path,
        path_option("DIR", "Where PNG and PDF go; a CSV of curves goes to the results."),
    ] = Path("figures"),
) -> None:
    """Draw a figure from CSV files; never trains.

    Example: metarl plot fig2
    """
    from metarl_cli.figures.draw import plot as draw
    from metarl_cli.papers import find_figure
    from metarl_cli.results import Results

    if (figure is None) != everything:
        raise typer.BadParameter("one figure, see `metarl list figures`, or --all, not both.", param_hint="[FIGURE]")
    check_directory(out)
    found = Results(results or _home(figure, PUBLISHED))
    if figure is None:
        from metarl_cli.pages.gallery import write_gallery

        files = write_gallery(found, out, profile)
    else:
        files = draw(find_figure(figure), found, out=out, profile=profile)
    for path in files:
        print(path)
    if figure is None:
        _tell(found.damage.values())


def reproduce(
    figure: Annotated[
        str | None, typer.Argument(help="Figure; see `metarl list figures`; or your own, FIGURE.toml.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All twelve figures.")] = False,
    profile: Annotated[str, typer.Option(help=PROFILE_HELP)] = "quick",
    results: Annotated[
        Path | None,
        path_option(
            "DIR", "Where everything is made and continued. Default: results/local, or results/local/own/FIGURE."
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option(help="Of its runs only those on these, as in AntRandDir,Navigation.")
    ] = None,
    curves: Annotated[str | None, typer.Option(help="Only those of these curves, as in promp,trpo-maml.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Only these, as in 1-5 or 4,7; also more than the profile has.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Child processes at a time, one thread each. Default: one per core.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or dask: on the workers of a scheduler.")] = "local",
    address: Annotated[str, typer.Option(help="Of the Dask scheduler.")] = "tcp://127.0.0.1:8786",
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only say what is missing, in core-hours, and when it ends on 2, 16, 64 cores."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run what a figure still lacks, draw it, and compare it with the published one. Ctrl-C stops, a rerun goes on.

    Example: metarl reproduce promp-fig4 --profile quick
    """
    from metarl_cli.cli.display import grid_display
    from metarl_cli.reproduction.run import Reproduction, planned
    from metarl_cli.reproduction.run import reproduce as run
    from metarl_cli.terminal import print_table

    if (figure is None) != everything:
        raise UserError("Reproduce what? Give one figure, see `metarl list figures`, or --all, not both.")
    check_known("engine", engine, ("local", "dask"))
    if jobs and engine == "dask":
        raise UserError("--jobs is for the local engine: a Dask worker does as many as the slots it was started with.")
    scheduler = address if engine == "dask" else None
    request = Reproduction(
        figure=figure,
        profile=profile,
        results=results or _home(figure, LOCAL),
        part=_part(env, curves, seeds),
        jobs=jobs,
        scheduler=scheduler,
    )
    if plan:
        print_table(planned(request), as_json=False)
        return
    outcome = run(request, (lambda shares, slots: nullcontext(lambda job, result: None)) if quiet else grid_display)
    print_table(outcome.rows, as_json=False)
    for message in outcome.messages:
        print(message, file=sys.stderr)
    raise typer.Exit(EXIT_CODES[outcome.status])


def _part(env: str | None, curves: str | None, seeds: str | None) -> Part:
    from metarl_cli.papers.figure import Part

    for option, given in (("--env", env), ("--curves", curves), ("--seeds", seeds)):
        if given is not None and not listed(given):  # a shell's variable that is not set means no more than it says
            raise UserError(f"{option} {given!r} names nothing. Without it all are meant.")
    return Part(environments=listed(env), curves=listed(curves), seeds=seeds_of(seeds))


def _home(figure: str | None, usual: Path) -> Path:
    """Where the results of a figure are, unless another place is named."""
    return OWN_FIGURES / Path(figure).stem if figure and is_file(figure) else usual


def report(
    results: Annotated[Path, path_option("DIR", "Where the CSV files are.")] = PUBLISHED,
    out: Annotated[Path, path_option("FILE", "The HTML file.")] = Path("report.html"),
) -> None:
    """Write the papers' claims with their verdicts, figures, tables and provenance as one self-contained HTML page.

    Example: metarl report --results results/local
    """
    from metarl_cli.claims.wording import tally
    from metarl_cli.pages.report import write_report
    from metarl_cli.results import Results

    if not results.is_dir():
        raise UserError(f"There is no directory {results}: --results names one that `metarl reproduce` wrote.")
    found = Results(results)
    print(f"{tally(write_report(found, out))}. Open {out} in a browser.")
    _tell(found.damage.values())


def list_(
    what: Annotated[str, typer.Argument(help="algorithms, claims, columns, envs, estimators, figures or profiles.")],
    as_json: AsJson = False,
) -> None:
    """Show what there is.

    Example: metarl list estimators
    """
    from metarl_cli.listing import listing
    from metarl_cli.terminal import print_table

    found = listing(what, brief=not as_json)
    print_table(found.rows, as_json=as_json)
    if found.words and not as_json:
        print(found.words)
    _tell(found.damage)


def _tell(damage: Collection[str]) -> None:
    """What could not be read, if anything: the rest is done, and the command ends as one that did a part."""
    for reason in damage:
        print(reason, file=sys.stderr)
    if damage:
        raise typer.Exit(PARTIAL)
