"""What the terminal shows: tables of results, and a run while it goes on.

Results go to standard output; progress, which is no result, goes to standard error: a live table in a terminal, plain
lines elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from metarl_cli.config import RunConfig
from metarl_cli.encoding import can_show, spelled

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "counted",
    "duration",
    "print_json",
    "print_table",
    "results_alone",
    "say",
    "show_measured",
    "training_display",
]

WIDE = 400
NARROW = 12
"""What is at most as wide is left as it is when a table has to become narrower."""

NUMBER = re.compile(r"\[?[−+-]?\d[\d.e−+-]*[],]*")
"""Also as the limit of an interval."""


def print_table(rows: Sequence[Mapping[Any, Any]], *, as_json: bool) -> None:
    """Print rows of equal keys as a table, or as one JSON document and nothing else; no rows are no table."""
    if as_json:
        print_json(rows)
    if as_json or not rows:
        return
    encoding = sys.stdout.encoding
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    cells = [
        [spelled(f"{value:.4g}" if isinstance(value, float) else str(value), encoding) for value in row.values()]
        for row in rows
    ]
    # In a file or a pipe a row is a line, however long; a terminal has a width to keep to, and COLUMNS sets one.
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
    columns = [(name, *(row[place] for row in cells)) for place, name in enumerate(rows[0])]
    longest = [max(map(len, column)) for column in columns]
    least = [
        whole if whole <= NARROW else max(map(len, _unbroken(column, names=place == 0)), default=0)
        for place, (whole, column) in enumerate(zip(longest, columns, strict=True))
    ]
    room = console.width - 2 * len(least)
    if sum(least) > room:  # nothing is cut off
        blocks = ["\n".join(f"{name}: {cell}" for name, cell in zip(rows[0], row, strict=True)) for row in cells]
        console.print("\n\n".join(blocks), markup=False, highlight=False)
        return
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    if sum(map(max, least, words)) <= room:  # words are not broken if none has to be
        least = list(map(max, least, words))
    if sum(least) - least[0] + longest[0] <= room:  # names in the first column stay on a line if they can
        least[0] = longest[0]
    widths = list(longest)
    while sum(widths) > room:  # the widest gives way; rich would take from all, and cut off what cannot be broken
        widths[max((place for place in range(len(least)) if widths[place] > least[place]), key=widths.__getitem__)] -= 1
    for name, width in zip(rows[0], widths, strict=True):
        table.add_column(name, overflow="fold", width=width)
    for row in cells:
        table.add_row(*row)
    console.print(table, markup=False)


def _unbroken(column: Sequence[str], *, names: bool) -> Iterator[str]:
    """The words of a column that stay whole where it is narrow: of its header, its numbers, and all of its names."""
    for place, cell in enumerate(column):
        yield from (word for word in cell.split() if names or place == 0 or NUMBER.fullmatch(word))


def print_json(document: object) -> None:
    """Print one JSON document, in what characters standard output has."""
    document = json.loads(json.dumps(document), parse_constant=lambda number: None)  # JSON has no NaN
    text = json.dumps(document, indent=2, ensure_ascii=False)
    print(text if can_show(text, sys.stdout.encoding) else json.dumps(document, indent=2))


def results_alone() -> AbstractContextManager[object]:
    """What a user's own code prints goes to standard error: standard output has the results and nothing else."""
    return redirect_stdout(sys.stderr)


@contextmanager
def counted(name: str) -> Iterator[Callable[[int, int], None]]:
    """A function `(done, total)` that shows how far a study is."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def say(message: str) -> None:
    """Say on standard error what is no result."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def training_display() -> Iterator[Callable[[RunConfig, Mapping[str, float]], None]]:
    """A function to call with the settings of a run and each new row of its `progress.csv`."""
    console, pace = Console(stderr=True), _Pace()
    with Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:

        def show(config: RunConfig, row: Mapping[str, float]) -> None:
            rate, left = pace.measure(config, row)
            iteration, steps = f"{int(row['iteration']) + 1}/{config.iterations}", f"{int(row['env_steps']):,}"
            before, after = f"{row['return/pre']:.1f}", f"{row['return/post']:.1f}"
            if live is None:
                returns = f"return {before} -> {after}"
                say(f"iteration {iteration}  env steps {steps}  {returns}  {rate:,.0f} steps/s  {duration(left)} left")
                return
            title = escape(f"{config.algorithm} on {config.environment.name}, seed {config.seed}")
            table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
            for name in ("iteration", "env steps", "return before", "return after", "steps/s", "time left"):
                table.add_column(name, justify="right")
            table.add_row(iteration, steps, before, f"[bold]{after}[/bold]", f"{rate:,.0f}", duration(left))
            live.update(table, refresh=True)

        yield show


def show_measured(rows: DataFrame) -> None:
    """A line for a checkpoint at which meta-gradients were measured."""
    first = rows.iloc[0]
    returns = f"return {first['return/pre']:.1f} -> {first['return/post']:.1f}"
    say(f"iteration {first['iteration']}  {returns}  {len(rows)} estimators measured")


class _Pace:
    """Steps per second and time to go, from the clock of this process alone."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._done, self._steps = -1, 0.0

    def measure(self, config: RunConfig, row: Mapping[str, float]) -> tuple[float, float]:
        """Environment steps per second of the last iteration, and seconds until the last one is done."""
        now, iteration = time.perf_counter(), int(row["iteration"]) + 1
        self._done = iteration - 1 if self._done < 0 else self._done  # by an earlier process, if a run is resumed
        previous, self._steps = self._steps, row["env_steps"]
        steps = row["env_steps"] - previous if previous else row["env_steps"] / iteration
        rate, self._last = steps / (now - self._last), now
        return rate, (now - self._start) / (iteration - self._done) * (config.iterations - iteration)


def duration(seconds: float) -> str:
    """Seconds as `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
