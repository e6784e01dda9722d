"""Commands about figures, tables and claims: plot, reproduce, report, list."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from metarl_cli.cli.exits import CLAIM_FAILED, INTERRUPTED, OK, PARTIAL
from metarl_cli.errors import UserError
from metarl_cli.profiles import PROFILE_HELP
from metarl_cli.store import LOCAL, PUBLISHED

__all__ = ["list_", "plot", "report", "reproduce"]

EXIT_CODES: Mapping[str, int] = MappingProxyType(
    {"complete": OK, "partial": PARTIAL, "stopped": INTERRUPTED, "contradicted": CLAIM_FAILED}
)
"""Of a reproduction."""


def plot(
    figure: Annotated[
        str | None, typer.Argument(help="Figure; see `metarl list figures`. fig2, fig3, fig4 are ProMP's.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there are results of, and a page of them.")] = False,
    results: Annotated[Path, typer.Option(help="Where the CSV files are.")] = PUBLISHED,
    profile: Annotated[
        str | None, typer.Option(help="Profile of the results. Default: the one that has most of the figure.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where PNG and PDF go.")] = Path("figures"),
) -> None:
    """Draw a figure from CSV files; never trains.

    Example: metarl plot fig2
    """
    from metarl_cli.pages.gallery import write_gallery
    from metarl_cli.papers import find_figure
    from metarl_cli.reporting.draw import plot as draw
    from metarl_cli.studies.exact_claims import exact_number

    if (figure is None) != everything:
        raise typer.BadParameter("one figure, see `metarl list figures`, or --all.", param_hint="[FIGURE]")
    if figure is None:
        files = write_gallery(results, out, exact_number, profile)
    else:
        files = draw(find_figure(figure), results=results, out=out, profile=profile)
    for path in files:
        print(path)


def reproduce(
    figure: Annotated[str | None, typer.Argument(help="Figure; see `metarl list figures`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All twelve figures.")] = False,
    profile: Annotated[str, typer.Option(help=PROFILE_HELP)] = "quick",
    results: Annotated[Path, typer.Option(help="Where everything is made and continued.")] = LOCAL,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Child processes at a time, one thread each. Default: one per core.")
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only say what is missing, in core-hours, and when it ends on 2, 16, 64 cores."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Run what a figure still lacks, draw it, and compare it with the published one. Ctrl-C stops, a rerun goes on.

    Example: metarl reproduce promp-fig4 --profile quick
    """
    from metarl_cli.reproduction.run import Request, planned
    from metarl_cli.reproduction.run import reproduce as run
    from metarl_cli.terminal import print_table

    if (figure is None) != everything:
        raise UserError("Reproduce what? Give one figure, see `metarl list figures`, or --all.")
    request = Request(figure=figure, profile=profile, results=results, jobs=jobs, quiet=quiet)
    if plan:
        print_table(planned(request), as_json=False)
        return
    outcome = run(request)
    if outcome.rows:
        print_table(outcome.rows, as_json=False)
    for message in outcome.messages:
        print(message, file=sys.stderr)
    raise typer.Exit(EXIT_CODES[outcome.status])


def report(
    results: Annotated[Path, typer.Option(help="Where the CSV files are.")] = PUBLISHED,
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
) -> None:
    """Write the papers' claims with their verdicts, figures, tables and provenance as one self-contained HTML page.

    Example: metarl report --results results/local
    """
    from metarl_cli.pages.report import write_report
    from metarl_cli.reporting.wording import tally
    from metarl_cli.studies.exact_claims import exact_number

    print(f"{tally(write_report(results, out, exact_number))}. Open {out} in a browser.")


def list_(
    what: Annotated[str, typer.Argument(help="algorithms, claims, envs, estimators, figures or profiles.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what there is.

    Example: metarl list estimators
    """
    from metarl_cli.listing import listing
    from metarl_cli.terminal import print_table

    print_table(listing(what, brief=not as_json), as_json=as_json)
