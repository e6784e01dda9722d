"""What the documents say is what the code does."""

from __future__ import annotations

import inspect
import re
import runpy
import shlex
from itertools import product
from pathlib import Path

import pytest
import torch
import typer.main

import metarl_cli
from metarl_cli import cli
from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.columns import COLUMNS
from metarl_cli.config import settable_keys
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.listing import LISTINGS
from metarl_cli.papers import find_figure

ROOT = Path(metarl_cli.__file__).parent.parent
README, MAKEFILE = ROOT / "README.md", ROOT / "Makefile"
DOCUMENTS = [
    README,
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("figures/*.md")),
]
PAGES = [path.name for path in sorted((ROOT / "docs").glob("*.md"))]


def text(path):
    return path.read_text(encoding="utf-8")


def code_lines(document):
    """Lines of code blocks: indented by four, or between fences; without their comments."""
    fenced = False
    for line in text(document).splitlines():
        fenced = fenced != line.startswith("```")
        if (fenced or line.startswith("    ")) and not line.startswith("```"):
            yield line.split(" #")[0].strip().removeprefix("$ ")


def commands(lines, word):
    """Every command that begins with a word, once for each of its `a|b` alternatives."""
    for line in lines:
        for part in re.split(r"\s&&\s|\s>\s\S+\s*", line):
            if part.startswith(f"{word} "):
                yield from map(" ".join, product(*(token.split("|") for token in shlex.split(part))))


def makefile_commands():
    joined = re.sub(r"\\\n\s*", "", text(MAKEFILE)).splitlines()
    return list(
        commands([line.strip().removeprefix("$(BIN)/").replace("$(PROFILE)", "quick") for line in joined], "metarl")
    )


def examples():
    """The example of each command's help."""
    found = [re.search(r"Example: (.*)", inspect.getdoc(command.callback) or "") for command in every_command()]
    assert all(found), "every command has an example"
    return [match.group(1) for match in found]


def every_command(group=cli.app):
    yield from group.registered_commands
    for child in group.registered_groups:
        yield from every_command(child.typer_instance)


def parse(line):
    """Let the command line be parsed to its end, without running it: unknown commands and options raise."""
    command, context, words = typer.main.get_command(cli.app), None, shlex.split(line)[1:]
    while hasattr(command, "commands"):
        context = command.make_context("metarl", words, parent=context)
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
    return name, command.make_context(name, words, parent=context).params


README_COMMANDS = sorted({command for document in DOCUMENTS for command in commands(code_lines(document), "metarl")})
EVERY_COMMAND = sorted(
    {*README_COMMANDS, *makefile_commands(), *(c for e in examples() for c in commands([e], "metarl"))}
)


@pytest.mark.parametrize("line", EVERY_COMMAND)
def test_every_command_that_is_printed_somewhere_exists(line):
    name, params = parse(line)
    if name == "list":
        assert params["what"] in LISTINGS
    if name in ("plot", "reproduce") and params.get("figure"):
        assert find_figure(params["figure"])
    if params.get("algo"):
        assert params["algo"] in ALGORITHMS or params["algo"] == "mine.toml"


def test_the_readme_shows_the_commands():
    assert any(command.startswith("metarl train ") for command in README_COMMANDS)
    assert any(command.startswith("metarl plot ") for command in README_COMMANDS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_printed_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", text(MAKEFILE), re.MULTILINE))
    assert {command.split()[1] for command in commands(code_lines(document), "make")} <= targets


def test_the_readme_has_the_two_commands_that_do_everything():
    lines = set(code_lines(README))
    assert {"make reproduce-all", "make test", "make quickstart"} <= lines


def test_the_readme_counts_what_there_is():
    counted = {"eleven": len(ESTIMATORS), "22": len(ALGORITHMS)}
    assert counted == {"eleven": 11, "22": 22}
    assert all(f"has {word}, each" in text(README) for word in counted)


def test_every_part_of_the_documentation_that_is_generated_has_a_generator():
    """And the generators, which MkDocs calls, run."""
    generated = runpy.run_path(str(ROOT / "docs/generated.py"))
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES]
    wanted = {name for page in pages for name in re.findall(r"<!-- generated: (\w+) -->", page)}
    assert wanted == set(generated["GENERATED"])
    written = "\n".join(map(generated["on_page_markdown"], pages))
    wanted = {f"`{name}`" for name in [*ESTIMATORS, *ALGORITHMS, *COLUMNS, *settable_keys()]}
    assert {name for name in wanted if name not in written} == set()
    names = {command.name for command in every_command()}
    assert {name for name in names if not re.search(rf"`metarl (\w+ )?{name}`", written)} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    prose = re.sub(r"`[^`]*`", "", text(document))
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", prose) if "://" not in target]
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_of_the_package_that_are_named_exist(document):
    named = re.findall(
        r"`((?:metarl_cli|tests|benchmarks|docs|training|envs|reporting|estimators)/[\w/.-]+)`", text(document)
    )
    missing = [path for path in named if not any((home / path).exists() for home in (ROOT, ROOT / "metarl_cli"))]
    assert missing == []


def test_the_version_is_the_same_everywhere():
    assert f"version: {metarl_cli.__version__}" in text(ROOT / "CITATION.cff").replace('"', "")
    released = re.findall(r"^## \[(.*?)\]", text(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert released[0] in ("Unreleased", metarl_cli.__version__)


def test_the_python_environment_example_runs():
    """The block of Python in the README, as it stands."""
    (block,) = re.findall(r"```python\n(.*?)```", text(README), re.DOTALL)
    scope = {}
    exec(compile(block, "README.md", "exec"), scope)
    assert len(scope["observations"]) == scope["envs"].num_envs


def test_the_estimator_of_the_documentation_is_the_one_that_it_is_said_to_be():
    (block,) = re.findall(r"```python\n(.*?)```", text(ROOT / "docs/own-estimator.md"), re.DOTALL)
    scope = {}
    exec(compile(block, "own-estimator.md", "exec"), scope)
    problem = metarl_cli.exact.parse_problem(metarl_cli.exact.EXAMPLE)
    own, lvc = (metarl_cli.exact.bias(surrogate, problem) for surrogate in (scope["surrogate"], metarl_cli.lvc))
    assert torch.allclose(own.gradient, lvc.gradient, atol=1e-12)
    assert torch.allclose(own.hessian, lvc.hessian, atol=1e-12)
