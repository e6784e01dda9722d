"""Kill runs with SIGKILL until so many kills are counted, and compare each that ends with one that was never killed.

Half of the kills come at a random moment. Half come at a file operation of the run's own, the n-th that it does: before
it opens, renames or removes a file in its directory, or in place of a wait for the disk, where that part of the file
that the disk has not been promised yet may be cut off, as by a power failure. A run is begun, killed, resumed, killed
again, now and then begun over a finished one, until it ends; its numbers and its checkpoint must be the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from metarl_cli.config import load_config
from metarl_cli.runs import checkpoints
from metarl_cli.runs.launch import RunRequest, launch
from metarl_cli.terminal import print_table

Case: TypeAlias = tuple[str, str]
"""An algorithm and an environment."""

ALGORITHMS = ("promp", "tmaml", "trpo-maml", "dice", "sgmrl", "promp-taypo2")
ENVIRONMENTS = ("Navigation", "PointMomentum", "HalfCheetahFwdBack", "HopperRandParams", "AntRandGoal")
ITERATIONS = 4
SMALL = (f"iterations={ITERATIONS}", "sampling.horizon=12", "policy.hidden=8")
OPERATIONS = 75
"""About as many as a run has that is not killed."""

FILES = {"config.json", "meta.json", "progress.csv", "checkpoint.pt", "checkpoint.previous.pt", "DONE", ".lock"}
KILLS = ("at a moment", "at an operation")
COLUMNS = (*KILLS, "ends", "identical", "failures")
EVENTS = ("open", "os.rename", "os.remove")


def train(directory: Path, algorithm: str, environment: str, *, again: bool) -> None:
    """Begin the run, or go on with it if it was begun; `again` begins it over whatever is there."""
    begun = (directory / "config.json").exists() and not again
    request = RunRequest() if begun else RunRequest(algorithm=algorithm, environment=environment, profile="smoke")
    if not begun:
        request = RunRequest(algorithm=algorithm, environment=environment, profile="smoke", overrides=SMALL)
    launch(request, out=directory, threads=1, resume=begun, overwrite=again)


def die() -> None:
    """End as nobody can prevent."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_operation(directory: Path, countdown: int, draw: random.Random) -> None:
    """Die at a file operation of this process in the directory; writes need not reach the disk."""
    left, promised = countdown, dict[int, int]()

    def is_due() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def before(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and str(arguments[0]).startswith(str(directory)) and is_due():
            die()

    def instead_of_fsync(descriptor: int) -> None:
        about = os.fstat(descriptor)
        if is_due():
            if descriptor_is_file(descriptor) and draw.random() < 0.5:
                kept = min(promised.get(about.st_ino, 0), about.st_size)  # a number that is free is given to the next
                os.truncate(f"/proc/self/fd/{descriptor}", draw.randint(kept, about.st_size))
            die()
        promised[about.st_ino] = about.st_size

    sys.addaudithook(before)
    os.fsync = instead_of_fsync


def descriptor_is_file(descriptor: int) -> bool:
    """Whether it is no directory."""
    return not Path(f"/proc/self/fd/{descriptor}").is_dir()


def fork(directory: Path, case: Case, *, again: bool, countdown: int, seed: int) -> int:
    """A child that trains, and dies at its n-th file operation if n is not 0; its process number."""
    child = os.fork()
    if child == 0:
        with (directory.parent / "errors").open("w") as errors:
            os.dup2(errors.fileno(), 2)
        code = 1
        try:
            die_at_operation(directory, countdown, random.Random(seed))
            train(directory, *case, again=again)
            code = 0
        except BaseException as error:  # told to the parent, which counts it as a failure
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(code)
    return child


def is_of(directory: Path, case: Case) -> bool:
    """Whether the directory holds no run, or one of this case: not the one that was to be begun over."""
    path = directory / "config.json"
    if not path.exists():
        return True
    config = load_config(path)
    return (config.algorithm, config.environment.name) == case


def numbers(directory: Path) -> list[list[str]]:
    """`progress.csv` without what a clock decides."""
    with (directory / "progress.csv").open(newline="") as file:
        rows = csv.DictReader(file)
        return [[v for name, v in row.items() if not name.startswith(("wall_", "time/"))] for row in rows]


def complaints(directory: Path, reference: Path, *, ended: bool) -> Iterator[str]:
    """What is wrong with a run that was killed, or has ended."""
    done = (directory / "DONE").exists()
    if ended and not done:
        yield "ended without DONE"
    if not done:
        return
    if len(numbers(directory)) != ITERATIONS or checkpoints.latest(directory).state.iteration != ITERATIONS:
        yield "DONE beside an incomplete run"
    elif numbers(directory) != numbers(reference):
        yield "other numbers"
    elif (directory / "checkpoint.pt").read_bytes() != (reference / "checkpoint.pt").read_bytes():
        yield "another checkpoint"
    if ended and (strays := {path.name for path in directory.iterdir()} - FILES):
        yield f"left {', '.join(sorted(strays))}"


def kill_until(count: int, home: Path, seed: int) -> tuple[dict[Case, Counter[str]], list[str]]:
    """What was counted of each case, and what went wrong."""
    draw, counted, failures = random.Random(seed), defaultdict[Case, Counter[str]](Counter), list[str]()
    seconds = dict[Case, float]()
    for case in cycle(product(ALGORITHMS, ENVIRONMENTS)):
        if kills(counted) >= count:
            break
        directory, reference, here = home / "run", home / "-".join(case), counted[case]
        if case not in seconds:
            train(reference, *case, again=False)  # here, so that every child has already loaded what it needs
            start = time.monotonic()
            train(reference, *case, again=True)
            seconds[case] = time.monotonic() - start
        if draw.random() < 0.5:
            shutil.rmtree(directory, ignore_errors=True)
        found, ended, again = list[str](), False, directory.exists()
        while not (ended or found):
            by_moment = draw.random() < 0.5
            countdown = 0 if by_moment else draw.randint(1, OPERATIONS)
            child = fork(directory, case, again=again, countdown=countdown, seed=draw.randrange(2**32))
            if by_moment:
                time.sleep(draw.random() * seconds[case])
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            killed, ended = os.WIFSIGNALED(status), status == 0
            here["at a moment" if by_moment else "at an operation"] += killed
            try:
                again = again and killed and not is_of(directory, case)
                found = [] if again else list(complaints(directory, reference, ended=ended))
            except Exception as error:  # what is there cannot even be read
                found = [f"{type(error).__name__}: {error}"]
            found += [] if killed or ended else [(home / "errors").read_text().strip()]
        here.update(ends=ended, identical=not found, failures=bool(found))
        failures += [f"{' '.join(case)}, kill {kills(counted)}: {words}" for words in found]
        if found:
            shutil.rmtree(directory, ignore_errors=True)
        print(f"{kills(counted)} of {count} kills", *found, sep="; ", file=sys.stderr, flush=True)
    return counted, failures


def kills(counted: Mapping[Case, Counter[str]]) -> int:
    """How many there were, of all cases."""
    return sum(here[name] for here in counted.values() for name in KILLS)


def rows(counted: Mapping[Case, Counter[str]]) -> Iterator[dict[str, object]]:
    """A line for each case, and one for all."""
    for (algorithm, environment), here in (*counted.items(), (("all", ""), sum(counted.values(), Counter[str]()))):
        yield {"algorithm": algorithm, "environment": environment, **{name: here[name] for name in COLUMNS}}


def main() -> None:
    """Print a table of what was counted, and every failure; exit code 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and operations")
    arguments = parser.parse_args()
    with TemporaryDirectory() as home:
        counted, failures = kill_until(arguments.count, Path(home), arguments.seed)
    print_table(list(rows(counted)), as_json=False)
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main()
