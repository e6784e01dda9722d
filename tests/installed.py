"""What an installation does in an empty directory: own environment, estimator, algorithm and settings, logs, results.

`make dist` tries a wheel so, in a fresh environment with everything from the package index:

    python tests/installed.py dist/metarl_lab-….whl

test_installed.py tries it in one process, with the libraries that are there.
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

FILES = {
    "reach.py": (ROOT / "examples/reach.py").read_text(encoding="utf-8"),
    "mine.py": '''
def surrogate(logp, sample):
    """LVC without its discount."""
    ratio = (logp - sample.behaviour_logp).exp()
    return ((ratio - 1.0) * sample.advantages * sample.mask).sum(-1).mean(-1)
''',
    "mine.toml": 'inner = "taypo2"\nouter = "ratio"\noptimizer = "trpo"\n[settings]\n"inner.lr" = 0.05\n',
    "run.toml": """
algorithm = "promp"
profile = "smoke"
environment = { name = "reach.py:Reach" }
inner = { estimator = "mine.py:surrogate" }
""",
    "face.py": """
import numpy
import metarl_cli as metarl

policy, envs = metarl.load_policy("runs/own"), metarl.make_vec("Navigation", num_envs=2)
assert policy.adapt(policy.collect({"goal": numpy.array([1.0, 0.0])}, 3)).act(numpy.zeros(2)).shape == (2,)
assert envs.sample_tasks(2, numpy.random.default_rng(0)).shape == (2, 2)
assert metarl.exact.bias(metarl.dice, metarl.exact.parse_problem(metarl.exact.EXAMPLE)).hessian.abs().max() < 1e-12
assert len(metarl.read_runs("runs/own")) == 2
""",
}

COMMANDS = (
    "metarl check env reach.py:Reach",
    "metarl train --config run.toml --log tensorboard --out runs/own --quiet",
    "metarl train --config runs/own/config.json --set seed=2 --out runs/again --quiet",
    "metarl train --algo mine.toml --env Navigation --profile smoke --out runs/parts --quiet",
    "metarl check second-order runs/own",
    "metarl evaluate runs/own --tasks 2",
    "metarl render runs/own --tasks 1",
    "metarl variance --env reach.py:Reach --estimators lvc,mine.py:surrogate --profile smoke --out noise --quiet",
    "metarl audit mine.py:surrogate --rounds 3",
    "metarl correlate exact --mdp mdp.json --estimator mine.py:surrogate",
    "metarl plot adaptation --results runs/own --out figures",
    "metarl plot fig2 --out figures",
    "metarl report --out report.html",
    "metarl list estimators",
    "metarl list claims",
)

WRITTEN = (
    *("runs/own/progress.csv", "runs/own/tensorboard", "runs/own/render.png", "runs/again/DONE", "runs/parts/DONE"),
    *("noise", "figures/adaptation.png", "figures/promp-fig2.pdf", "report.html"),
)


def prepare(directory: Path) -> None:
    """Lay the user's own files into an empty directory."""
    for name, text in FILES.items():
        (directory / name).write_text(text, encoding="utf-8")


def environment_of(home: Path) -> dict[str, str]:
    """The variables for a process of an environment, as on a terminal without UTF-8."""
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONIOENCODING")}
    path = f"{home / 'bin'}{os.pathsep}{outside['PATH']}"
    return {**outside, "PATH": path, "LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def output(command: str, home: Path, directory: Path) -> str:
    """What a command line of the environment prints, in ASCII alone; it must succeed."""
    program = ["bash", "-o", "pipefail", "-c", command]
    ended = subprocess.run(
        program, cwd=directory, env=environment_of(home), check=True, stdout=subprocess.PIPE, encoding="ascii"
    )
    return ended.stdout


def main(wheel: Path) -> None:
    """Install the wheel, run the commands, and compare the verdicts with the checkout's."""
    with TemporaryDirectory() as temporary:
        home, empty = Path(temporary, "venv"), Path(temporary, "empty")
        empty.mkdir()
        venv.create(home, with_pip=True)
        constraints = str(ROOT / "constraints.txt")
        wanted = f"{wheel.resolve()}[tensorboard]"
        subprocess.run([home / "bin/pip", "install", "--quiet", "-c", constraints, wanted], check=True)
        prepare(empty)
        first, last = "metarl correlate exact --example > mdp.json", "metarl list claims --json | head -1"
        tutorial = f"PYTHONIOENCODING=ascii:replace python {ROOT / 'examples/tutorial.py'}"  # it prints as it likes
        for command in (first, *COMMANDS, last, "python face.py", tutorial):
            print(f"$ {command}\n{output(command, home, empty)[:600]}", flush=True)
        if missing := [name for name in WRITTEN if not (empty / name).exists()]:
            sys.exit(f"Not written: {', '.join(missing)}")
        check_verdicts(json.loads(output("metarl list claims --json", home, empty)))
        print("The wheel does in an empty directory what the checkout does.")


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
