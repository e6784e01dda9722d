"""`make dist`: a wheel, installed into a fresh environment, tried in an empty directory.

python tests/installed.py dist/metarl_lab-….whl
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
COMMANDS = (
    "metarl --version",
    "metarl list figures",
    "metarl list estimators",
    "metarl plot fig2 --out figures",
    "metarl plot tmaml-table1 --out figures",
    "metarl report --out report.html",
    "metarl correlate exact --example",
    "metarl train --env Navigation --profile smoke --out runs/one --quiet",
    "metarl evaluate runs/one",
    "metarl plot adaptation --results runs --out figures",
)


def main(wheel: Path) -> None:
    """Install the wheel, run the commands, and compare the verdicts with the checkout's."""
    with TemporaryDirectory() as temporary:
        home, empty = Path(temporary, "venv"), Path(temporary, "empty")
        empty.mkdir()
        venv.create(home, with_pip=True)
        constraints = str(ROOT / "constraints.txt")
        subprocess.run([home / "bin/pip", "install", "--quiet", "-c", constraints, wheel.resolve()], check=True)
        for command in COMMANDS:
            print(f"$ {command}", flush=True)
            print(output(command.split(), home, empty)[:400])
        (home / "probe.py").write_text(
            "import metarl_cli as metarl; print(metarl.load_policy('runs/one').act([0.0, 0.0]))"
        )
        print(output(["python", str(home / "probe.py")], home, empty))
        output(["python", str(ROOT / "examples/tutorial.py")], home, empty)
        check_verdicts(json.loads(output(["metarl", "list", "claims", "--json"], home, empty)))
        print("The wheel does in an empty directory what the checkout does.")


def output(command: list[str], home: Path, directory: Path) -> str:
    """What a command of the environment prints, as on a terminal without UTF-8."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**outside, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    program = [str(home / "bin" / command[0]), *command[1:]]
    return subprocess.run(
        program, cwd=directory, env=environment, check=True, stdout=subprocess.PIPE, text=True, encoding="ascii"
    ).stdout


def check_verdicts(found: list[dict[str, object]]) -> None:
    """Exit unless each claim has the verdict that it has in the checkout."""
    program = [sys.executable, "-m", "metarl_cli", "list", "claims", "--json"]
    expected = json.loads(subprocess.run(program, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    same = sum(row == other for row, other in zip(found, expected, strict=True))
    print(f"{len(found)} claims, {same} with the numbers of the checkout")
    if found != expected:
        sys.exit("The verdicts of the wheel are not those of the checkout.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
