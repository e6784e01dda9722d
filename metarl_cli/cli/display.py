"""What the terminal shows of a grid: all of it as one bar, a bar for each job that runs, and the time that is left.

In a terminal it is redrawn every second and only what failed stays on the screen; elsewhere it is one line per job
that is done or has failed. Both go to standard error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from metarl_cli.grid.jobs import STOPPED, Job, JobResult, Listener, Share
from metarl_cli.terminal import duration, say

__all__ = ["grid_display"]

STOPPING = "Stopping: what runs ends with its iteration. Ctrl-C again kills it."

PRIOR_SECONDS = 30.0
"""How long the expected pace weighs as much as the pace that was seen."""


@contextmanager
def grid_display(shares: Mapping[str, Share], slots: int) -> Iterator[Listener]:
    """A listener for `run_jobs`.

    Args:
        shares: by the names of the jobs.
        slots: how many run at a time.
    """
    console = Console(stderr=True)
    board = _Board(shares, slots)
    if console.is_terminal:
        with Live(get_renderable=board.table, console=console, refresh_per_second=1) as live:

            def show(job: Job, result: JobResult | None) -> None:
                board.note(job, result)
                if result and result.status == "failed":
                    live.console.print(f"{job.name} failed: {result.message}", markup=False, highlight=False)

            yield show
    else:

        def tell(job: Job, result: JobResult | None) -> None:
            stopping = board.stopping
            board.note(job, result)
            if board.stopping > stopping:
                say(STOPPING)
            if result and result.status != "skipped":
                say(board.line(result))

        yield tell


class _Board:
    """How far each job is, and the pace of all."""

    def __init__(self, shares: Mapping[str, Share], slots: int) -> None:
        self._shares, self._slots = shares, slots
        # Of jobs that do not run: what an earlier, stopped grid did of them, and all of those that are over.
        self._resting = {name: share.fraction() for name, share in shares.items()}
        self._over: set[str] = set()
        self._running: dict[str, float] = {}
        self._start, self._total = time.monotonic(), sum(share.seconds for share in shares.values())
        self._initial = self._done()
        self.stopping = False

    def note(self, job: Job, result: JobResult | None) -> None:
        self.stopping |= result is not None and result.message == STOPPED
        if result is None:
            self._running[job.name] = time.monotonic()
            return
        self._running.pop(job.name, None)
        if result.status == "skipped":
            self._resting[job.name] = self._shares[job.name].fraction()
        else:
            self._resting[job.name] = 1.0
            self._over.add(job.name)

    def line(self, result: JobResult) -> str:
        end = "" if result.status == "done" else f": {result.message}"
        return f"{self._counted()}  {result.name} {result.status}{end}  {self._left()}"

    def table(self) -> Table:
        """The whole in the first row, then one row for each running job."""
        table = Table.grid(padding=(0, 2, 0, 0))
        share = self._done() / self._total
        table.add_row(self._counted(), _bar(share), f"{share:.0%}", self._left())
        for name, start in list(self._running.items()):
            fraction = self._shares[name].fraction()
            table.add_row(f"  {name}", _bar(fraction), f"{fraction:.0%}", duration(time.monotonic() - start))
        if self.stopping:
            table.add_row(STOPPING)
        return table

    def _done(self) -> float:
        return sum(
            share.seconds * (share.fraction() if name in self._running else self._resting[name])
            for name, share in self._shares.items()
        )

    def _left(self) -> str:
        done, seen = self._done(), time.monotonic() - self._start
        expected = PRIOR_SECONDS * self._slots
        pace = (done - self._initial + expected) / (seen + PRIOR_SECONDS)
        return f"{duration((self._total - done) / pace)} left"

    def _counted(self) -> str:
        return f"[{len(self._over)}/{len(self._shares)}]"


def _bar(fraction: float) -> ProgressBar:
    return ProgressBar(total=1.0, completed=fraction, width=30)
