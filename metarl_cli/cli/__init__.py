"""The `metarl` command: parse, call one function, print. No maths, and nothing heavy at import."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Annotated, NoReturn

import typer

from metarl_cli import __version__
from metarl_cli.cli import checks, results, runs, studies
from metarl_cli.cli.exits import FAILED, INTERRUPTED, OK, USAGE
from metarl_cli.encoding import spell_out
from metarl_cli.errors import RunFailedError, UserError

__all__ = ["app", "main"]

app = typer.Typer(
    name="metarl",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A laboratory for gradient-based meta-reinforcement learning.",
    epilog="Exit codes: 0 ok, 1 run or check failed, 2 usage, 3 finished in part, 4 a verdict against the published "
    "one, 130 interrupted.",
)


def main() -> None:
    """Run the command; a mistake of the user's is one message and exit code 2, never a traceback."""
    spell_out(sys.stdout, sys.stderr)
    try:
        app()
    except SystemExit as ended:
        _hand_over(ended)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except UserError as error:
        _fail(str(error), USAGE)
    except RunFailedError as error:
        _fail(f"the run failed: {error}", FAILED)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
            raise  # torch has no type of its own for what it cannot allocate
        _fail(f"not enough memory: {error}", FAILED)
    except OSError as error:
        if error.filename:
            _fail(f"{error.filename}: {error.strerror}.", USAGE)
        _drop_output()
        _fail(f"{error.strerror}.", FAILED)


def _hand_over(ended: SystemExit) -> NoReturn:
    """End once all that was printed is handed over; a reader who has enough (`| head`) is no failure."""
    code = OK if isinstance(ended.__context__, BrokenPipeError) else ended.code  # Typer would make a 1 of it
    try:
        sys.stdout.flush()
    except OSError as error:
        _drop_output()
        if not isinstance(error, BrokenPipeError):
            _fail(f"standard output: {error.strerror}.", FAILED)
    sys.exit(code)


def _drop_output() -> None:
    """What standard output did not take is not to be tried again, with a traceback, when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(reason: str, code: int) -> NoReturn:
    with suppress(OSError):  # a terminal that is gone cannot be told
        print(f"Error: {reason}", file=sys.stderr, flush=True)
    sys.exit(code)


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
        "compare": runs.compare,
        "variance": studies.variance,
        "audit": studies.audit,
        "plot": results.plot,
        "reproduce": results.reproduce,
        "report": results.report,
        "list": results.list_,
    }
)
for name, command in COMMANDS.items():
    app.command(name)(command)

correlate = typer.Typer(no_args_is_help=True, help="Compare estimates with the truth: exactly, or by correlation.")
app.add_typer(correlate, name="correlate")
correlate.command("exact")(studies.exact)
correlate.command("tabular")(studies.tabular)
correlate.command("toy1d")(studies.toy1d)

check = typer.Typer(
    no_args_is_help=True,
    help="Try an environment before it is used; or of a run the second order, or the length of its updates.",
)
app.add_typer(check, name="check")
check.command("env")(checks.env)
check.command("second-order")(checks.second_order)
check.command("update")(checks.update)
