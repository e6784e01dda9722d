"""Speed and memory, as one table and one JSON file.

    python -m benchmarks [--quick] [PART …]
    python -m benchmarks --compare A.json B.json

Figures are medians of three rounds in which the compared take turns, `grid` of one, `threads` of nine. All of it takes
twelve to twenty minutes. What has one thread is measured in CPU time, so that other work on the machine hardly counts;
the rest only means something on a machine that is otherwise quiet, of which the load before each measurement, noted in
the file, tells.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.commands import iterations, start_up
from benchmarks.device import device
from benchmarks.grid import grid
from benchmarks.measuring import Row
from benchmarks.rollouts import rollouts
from benchmarks.threads import threads
from benchmarks.updates import updates
from metarl_cli.circumstances import circumstances

PARTS = {part.__name__: part for part in (rollouts, updates, threads, iterations, grid, start_up, device)}
RESULTS = Path(__file__).parent / "results"

ROUNDS = 3
OTHER_ROUNDS = {"grid": 1, "threads": 9}
"""Of a part of which one round takes minutes; and of the one that is a clock's, on a host that moves by a fifth."""


def main() -> None:
    """Measure and print, or print how two measurements compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all unless told otherwise")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round; two minutes")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("A", "B"), help="two files of results")
    arguments = parser.parse_args()
    if arguments.compare:
        print_table(*comparison(*(json.loads(path.read_text()) for path in arguments.compare)))
        return
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}.")
    result = measured(arguments.parts or list(PARTS), quick=arguments.quick)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}{'-quick' if arguments.quick else ''}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print_table(("", "median", "", "least", "most"), [_told(row) for row in _rows(result)])
    print(path)


def measured(parts: list[str], *, quick: bool) -> dict[str, Any]:
    """The rows of these parts, and under which circumstances they were measured."""
    load, seconds, rows = dict[str, float](), dict[str, float](), list[dict[str, Any]]()
    for part in parts:
        load[part], start = os.getloadavg()[0], time.perf_counter()
        found = PARTS[part](quick=quick, rounds=1 if quick else OTHER_ROUNDS.get(part, ROUNDS))
        rows += [row._asdict() for row in found]
        seconds[part] = round(time.perf_counter() - start, 1)
        print(f"{part}: {f'{seconds[part]:.0f} s' if found else 'nothing here to measure'}", file=sys.stderr)
    return {"circumstances": circumstances(threads=1), "quick": quick, "load": load, "seconds": seconds, "rows": rows}


def comparison(a: dict[str, Any], b: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and lines: the medians of what both have measured, and how many times A's B's is.

    Raises:
        SystemExit: if only one of them is quick, or nothing is in both.
    """
    if a["quick"] != b["quick"]:
        raise SystemExit("One of the two was measured with --quick, at another size: they do not compare.")
    before = {row.name: row for row in _rows(a)}
    pairs = [(before[row.name], row) for row in _rows(b) if row.name in before]
    if not pairs:
        raise SystemExit("The two have no row in common.")
    lines = [
        (new.name, f"{old.median:.3g}", f"{new.median:.3g}", f"{new.median / old.median:.2f}") for old, new in pairs
    ]
    return ("", "A", "B", "B / A"), lines


def print_table(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    """Print it, the first column to the left."""
    table = Table(box=None)
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    Console(width=None if Console().is_terminal else 120).print(table)


def _rows(result: dict[str, Any]) -> list[Row]:
    return [Row(**row) for row in result["rows"]]


def _told(row: Row) -> tuple[str, ...]:
    return row.name, f"{row.median:.3g}", row.unit, f"{min(row.rounds):.3g}", f"{max(row.rounds):.3g}"


if __name__ == "__main__":
    main()
