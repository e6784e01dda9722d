"""The wheel: what is in it, and what it does in an empty directory, installed beside the libraries that are there."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

import pytest
from installed import COMMANDS, ROOT, WRITTEN, environment_of, output, prepare

from metarl_cli.claims.judge import judge_all
from metarl_cli.claims.wording import tally
from metarl_cli.results import Results

IN_ONE_PROCESS = """
import contextlib, io, sys
from pathlib import Path
from metarl_cli.cli import main

def ended(line):
    sys.argv = line.split()
    try:
        main()
    except SystemExit as end:
        return end.code or 0

mdp = io.TextIOWrapper(io.BytesIO(), "ascii")
with contextlib.redirect_stdout(mdp):
    assert ended("metarl correlate exact --example") == 0
mdp.flush()
Path("mdp.json").write_bytes(mdp.buffer.getvalue())
for line in sys.stdin.read().splitlines():
    print("$", line, flush=True)
    assert ended(line) == 0, line
exec(Path("face.py").read_text())
import metarl_cli
print(metarl_cli.__file__)
"""
"""PyTorch is imported once: a process for each command takes three times as long."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel and a source distribution, as `python -m build` makes them, without another environment."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run([*build, "-t", "wheel", "-t", "sdist"], cwd=ROOT, check=True, capture_output=True)
    (wheel,), (source,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def home(built, tmp_path_factory):
    """An environment of its own, with the wheel; its libraries are those of this one, which has metarl as well."""
    home = tmp_path_factory.mktemp("home") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (packages,) = home.glob("lib/python3*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    install = ["install", "--quiet", "--no-index", "--no-deps", "--ignore-installed", str(built[0])]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(home / "bin/python"), *install], check=True)
    return home


def contents(built):
    """The files of both, by name, with the directory of the source distribution taken away."""
    wheel, source = built
    with zipfile.ZipFile(wheel) as archive:
        yield {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(source) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        yield {member.name.partition("/")[2]: archive.extractfile(member).read() for member in members}


def test_the_results_are_packed_and_nothing_of_this_machine_is(built):
    packages = []
    published = sum(path.stat().st_size for path in (ROOT / "results/published").rglob("*") if path.is_file())
    for files in contents(built):
        assert "metarl_cli/published/quick/runs.csv.xz" in files and "metarl_cli/py.typed" in files
        assert not [name for name in files if re.search(r"progress\.csv|\.pt$|__pycache__|^results/", name)]
        assert not [name for name, content in files.items() if str(ROOT).encode() in content]
        packages.append({name: content for name, content in files.items() if name.startswith("metarl_cli/")})
    assert packages[0] == packages[1], "a wheel that is built from the source distribution is the same"
    # As shares of what was published: a number of bytes would be passed by the next runs.
    packed = sum(len(content) for name, content in packages[0].items() if name.startswith("metarl_cli/published/"))
    assert packed < published / 2 and all(path.stat().st_size < published / 5 for path in built)


def test_every_point_works_in_an_empty_directory(home, tmp_path):
    prepare(tmp_path)
    ended = subprocess.run(
        [home / "bin/python", "-c", IN_ONE_PROCESS],
        input="\n".join(COMMANDS),
        cwd=tmp_path,
        env=environment_of(home),
        capture_output=True,
        encoding="ascii",
    )
    assert ended.returncode == 0, ended.stdout[-1000:] + ended.stderr
    assert ended.stdout.splitlines()[-1].startswith(str(home))
    assert [name for name in WRITTEN if not (tmp_path / name).exists()] == []
    assert f"\n{tally(judge_all(Results(ROOT / 'results/published')))}. Open report.html" in ended.stdout
    assert "success/post" in (tmp_path / "runs/own/progress.csv").read_text(encoding="utf-8")


def test_a_reader_that_has_enough_is_no_failure_there(home, tmp_path):
    assert output("metarl list claims --json | head -1", home, tmp_path) == "[\n"
