from __future__ import annotations

import os
import signal

import pytest

from metarl_cli.stopping import count_interrupts

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", STOPS)
def test_a_request_to_stop_is_counted_and_interrupts_nothing(number):
    before = [signal.getsignal(each) for each in STOPS]
    with count_interrupts() as asked:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGINT)
        assert asked() == 2
    assert [signal.getsignal(each) for each in STOPS] == before


@pytest.mark.parametrize("number", STOPS)
def test_a_request_beyond_the_limit_interrupts(number):
    with count_interrupts(limit=1) as asked:
        os.kill(os.getpid(), number)
        assert asked() == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_a_closed_terminal_is_ignored_where_it_was_before():
    """As under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with count_interrupts() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert asked() == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
