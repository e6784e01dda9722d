"""The `metarl` command: parse, call one function, print. No maths, and nothing heavy at import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from metarl_cli import __version__
from metarl_cli.cli import results, runs, studies
from metarl_cli.cli.exits import FAILED, USAGE
from metarl_cli.errors import RunFailedError, UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="metarl",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A laboratory for gradient-based meta-reinforcement learning.",
    epilog="Exit codes: 0 ok, 1 run failed, 2 usage, 3 finished in part, 4 a verdict against the published one, "
    "130 interrupted.",
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


COMMANDS: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "train": runs.train,
        "evaluate": runs.evaluate,
        "render": runs.render,
        "variance": studies.variance,
        "plot": results.plot,
        "reproduce": results.reproduce,
        "report": results.report,
        "list": results.list_,
    }
)
for name, command in COMMANDS.items():
    app.command(name)(command)

CORRELATE: Mapping[str, Callable[..., None]] = MappingProxyType(
    {"exact": studies.exact, "tabular": studies.tabular, "toy1d": studies.toy1d}
)
correlate = typer.Typer(no_args_is_help=True, help="Compare estimates with the truth: exactly, or by correlation.")
app.add_typer(correlate, name="correlate")
for name, command in CORRELATE.items():
    correlate.command(name)(command)
