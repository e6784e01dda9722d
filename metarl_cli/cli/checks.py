"""Commands that try what is the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metarl_cli.cli.exits import FAILED, OK
from metarl_cli.cli.options import AsJson, given_path

__all__ = ["env", "second_order", "update"]

RunOrSettings = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", parser=given_path, help="Directory of a run, or a file of settings as --config takes."
    ),
]


def env(
    name: Annotated[str, typer.Argument(metavar="ENV", help="MODULE:NAME, FILE.py:NAME, or of `metarl list envs`.")],
    variant: Annotated[str, typer.Option(help="Its variant.")] = "",
    as_json: AsJson = False,
) -> None:
    """Try an environment: what training needs, seeding, tasks that change nothing else, ends, finite numbers.

    Example: metarl check env mazes.py:Maze
    """
    from metarl_cli.envs import checks
    from metarl_cli.terminal import print_table, results_alone

    with results_alone():
        rows = checks.check(name, variant)
    print_table(rows, as_json=as_json)
    raise typer.Exit(FAILED if any(row["result"] == checks.FAILS for row in rows) else OK)


def second_order(
    run: RunOrSettings,
    as_json: AsJson = False,
) -> None:
    """Say whether a run's meta-gradient has its second order, how much that is, and what differences say of it.

    Example: metarl check second-order results/local/quickstart/promp
    """
    from metarl_cli.studies.second_order import WRONG
    from metarl_cli.studies.second_order import second_order as study
    from metarl_cli.terminal import print_table, results_alone, say

    with results_alone():
        found = study(run, tell=say)
    print_table([{"quantity": name, "value": value} for name, value in found.items()], as_json=as_json)
    raise typer.Exit(FAILED if found["second order"] == WRONG else OK)


def update(
    run: RunOrSettings,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another outer step on the same batch: --set outer.lr=0.0003."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a run's next meta-update on one batch, at its own length and at shorter ones: does it reach a lower loss?

    Example: metarl check update results/local/quickstart/promp
    """
    from metarl_cli.studies.meta_update import meta_update
    from metarl_cli.terminal import print_table, results_alone, say

    with results_alone():
        found = meta_update(run, set_ or (), tell=say)
    print_table(found.rows, as_json=as_json)
    if not as_json:
        whose = "The update with these settings" if set_ else "The run's own update"
        print(f"{whose} ends with {'a' if found.ascends else 'no'} lower loss than it began with.")
    raise typer.Exit(OK if found.ascends else FAILED)
