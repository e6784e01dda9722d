"""`python -m metarl_cli.reproduction FIGURE PROFILE RESULTS` writes one table, as a job of the grid."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from metarl_cli.errors import RunFailedError, UserError
from metarl_cli.papers import FIGURES
from metarl_cli.reproduction.tables import write

__all__ = ["main"]


def main(name: str, profile: str, results: str) -> None:
    """Write one table. Ctrl-C ends it, also where the shell that started the grid ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        write(FIGURES[name], profile, Path(results))
    except (RunFailedError, UserError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
