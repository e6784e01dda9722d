"""Commands that try what is the user's own."""

from __future__ import annotations

from typing import Annotated

import typer

from metarl_cli.cli.exits import FAILED, OK

__all__ = ["env"]


def env(
    name: Annotated[str, typer.Argument(metavar="ENV", help="MODULE:NAME, FILE.py:NAME, or of `metarl list envs`.")],
    variant: Annotated[str, typer.Option(help="Its variant.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try an environment: what training needs, seeding, tasks that change nothing else, ends, finite numbers.

    Example: metarl check env mazes.py:Maze
    """
    from metarl_cli.envs import checks
    from metarl_cli.terminal import print_table

    rows = checks.check(name, variant)
    print_table(rows, as_json=as_json)
    raise typer.Exit(FAILED if any(row["result"] == checks.FAILS for row in rows) else OK)
