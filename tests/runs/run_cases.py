"""Small runs in directories, and what is compared of two of them."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict

from metarl_cli.config import load_config
from metarl_cli.runs import checkpoints
from metarl_cli.runs.launch import RunRequest, launch
from metarl_cli.runs.train import train


def go(directory, *overrides, iterations=None, algorithm=None, environment="Navigation", threads=1, **how):
    """A small run in this process."""
    given = overrides if iterations is None else (*overrides, f"iterations={iterations}")
    request = RunRequest(algorithm=algorithm, environment=environment, profile="smoke", overrides=given)
    how = {"resume": False, "overwrite": False} | how
    return launch(request, out=directory, threads=threads, **how)


def resume(directory, *overrides, **how):
    request = RunRequest(overrides=overrides)
    return launch(request, out=directory, threads=1, resume=True, overwrite=False, **how)


def stop_after(directory, iterations, config=None):
    """Go on with the run in a directory until it has done so many iterations, as after Ctrl-C."""
    config = config or load_config(directory / "config.json")
    done = iterations_done(directory)
    seen = []
    return train(
        directory,
        config,
        threads=1,
        device="cpu",
        on_row=seen.append,
        should_stop=lambda: done + len(seen) >= iterations,
    )


def begin(directory, iterations, *, of, algorithm=None, environment="Navigation"):
    """A run that was stopped on request after some iterations."""
    other = directory.with_name(f"{directory.name}-settings")
    go(other, iterations=1, algorithm=algorithm, environment=environment)
    document = json.loads((other / "config.json").read_text()) | {"iterations": of}
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(document))
    assert not stop_after(directory, iterations)


def numbers(directory):
    """`progress.csv` without what a clock decides."""
    with (directory / "progress.csv").open(newline="") as file:
        return [
            [value for name, value in row.items() if not name.startswith(("wall_", "time/"))]
            for row in csv.DictReader(file)
        ]


def checkpoint(directory):
    return asdict(checkpoints.latest(directory).state)


def iterations_done(directory):
    found = checkpoints.latest(directory)
    return found.state.iteration if found else 0


def assert_same_run(one, other):
    assert numbers(one) == numbers(other)
    assert (one / "checkpoint.pt").read_bytes() == (other / "checkpoint.pt").read_bytes()


def meta(directory):
    return json.loads((directory / "meta.json").read_text())
