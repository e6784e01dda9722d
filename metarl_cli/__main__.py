"""`metarl`, and `python -m metarl_cli`: Ctrl-C is heard while the command is still being loaded."""

from __future__ import annotations

# `signal` itself brings enumerations, which take longer to load than all else here, and so long Ctrl-C is not heard.
import _signal as signal  # type: ignore[import-not-found]
import gc
import os

__all__ = ["main"]


def main() -> None:
    """Load the command and run it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # not where Ctrl-C is to be ignored
        # At once: an exception would be shown by whatever is being imported, and nothing has begun yet.
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    from metarl_cli.cli import main as run

    signal.signal(signal.SIGINT, before)
    try:
        run()
    finally:
        # The last collections would look through all that was imported: a tenth of `metarl plot`.
        gc.freeze()


if __name__ == "__main__":
    main()
