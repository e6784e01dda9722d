"""Requests to stop, by Ctrl-C, SIGTERM or a closed terminal: counted, so that work ends where it is whole."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["count_interrupts", "graceful_stop"]


@contextmanager
def count_interrupts(*, limit: int | None = None) -> Iterator[Callable[[], int]]:
    """How often a stop was asked for since: by Ctrl-C, by SIGTERM, or by a terminal that was closed.

    Args:
        limit: a request beyond that many raises `KeyboardInterrupt`; None if nothing is ever interrupted.
    """
    asked = 0

    def on_request(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if limit is not None and asked > limit:
            raise KeyboardInterrupt

    heard = [signal.SIGINT, signal.SIGTERM]
    closed = getattr(signal, "SIGHUP", None)  # not every system has it; under `nohup` it is to be ignored
    if closed and signal.getsignal(closed) is not signal.SIG_IGN:
        heard.append(closed)
    previous = {number: signal.signal(number, on_request) for number in heard}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """Whether a stop was asked for: the first request lets the iteration end, a second one ends it at once."""
    with count_interrupts(limit=1) as asked:
        yield lambda: asked() > 0
