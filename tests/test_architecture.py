"""The rules of the house, checked on the source itself."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import metarl_cli
from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.envs.registry import ENVIRONMENTS
from metarl_cli.estimators import ESTIMATORS
from metarl_cli.figures.views import VIEWS
from metarl_cli.papers import FIGURES
from metarl_cli.papers.figure import planned_runs
from metarl_cli.papers.settings import TRAINING
from metarl_cli.papers.sizes import SIZES
from metarl_cli.profiles import PROFILES
from metarl_cli.schema import TABLES
from metarl_cli.training.build import OBJECTIVES, OPTIMIZERS
from metarl_cli.training.composition import OBJECTIVE_NAMES, OPTIMIZER_NAMES, PER_ACTION_FORM, check_composition
from metarl_cli.training.control_variates import CONTROL_VARIATES
from metarl_cli.training.exploration import EXPLORATIONS
from metarl_cli.training.processing import REWARD_SCALINGS

PACKAGE = Path(metarl_cli.__file__).parent
ROOT = PACKAGE.parent
SOURCES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


def module_of(source: str) -> str:
    parts = ("metarl_cli", *Path(source).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name: module_of(name) for name in SOURCES if name != "__main__.py"}
EVERY_SOURCE = pytest.mark.parametrize("source", SOURCES)


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in a file; `from a import b` counts as `a` and as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_modules(source: str) -> set[str]:
    return {name for name in imported(TREES[source]) if name in set(MODULES.values())}


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


# What may import what


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("gymnasium", ("training/rollouts.py", "envs/")),
        ("mujoco", ("training/rollouts.py", "envs/")),
        ("typer", ("cli/",)),
        ("matplotlib", ("figures/plots/",)),
    ],
)
def test_a_library_stays_in_its_place(library, allowed):
    users = {name for name, tree in TREES.items() if any(i.split(".")[0] == library for i in imported(tree))}
    assert users
    assert {name for name in users if not name.startswith(allowed)} == set()


def test_files_are_written_whole():
    """By `store.write_whole`; a distribution's are made where there were none."""
    names = (".write_text", ".write_bytes")
    writers = {source for source, tree in TREES.items() if any(dotted(c.func).endswith(names) for c in calls(tree))}
    assert writers == {"packing.py"}


def test_the_mathematics_imports_nothing_of_ours_but_its_vocabulary():
    pages = {inspect.getmodule(inspect.unwrap(e.surrogate)).__name__ for e in ESTIMATORS.values()}
    pages |= {"metarl_cli.estimators.ratios", "metarl_cli.training.returns", "metarl_cli.claims.statistics"}
    sources = {name for name, module in MODULES.items() if module in pages}
    assert len(sources) == len(pages) > 5
    for source in sources:
        other = {m for m in own_modules(source) if m != "metarl_cli.types"}
        assert not {m for m in other if m not in pages}, source


LAYERS = (
    (
        "metarl_cli",
        *(
            f"metarl_cli.{name}"
            for name in ("columns", "encoding", "errors", "types", "seeding", "profiles", "stopping", "store")
        ),
    ),
    ("metarl_cli.references", "metarl_cli.algorithms"),
    (
        *(
            f"metarl_cli.{name}"
            for name in (
                *(
                    "circumstances",
                    "config",
                    "packing",
                    "remembered",
                    "envs",
                    "estimators",
                    "params",
                    "claims.statistics",
                ),
            )
        ),
    ),
    ("metarl_cli.exact", "metarl_cli.schema"),
    (*(f"metarl_cli.{name}" for name in ("training", "papers", "terminal", "tables", "live_logs")),),
    ("metarl_cli.results",),
    ("metarl_cli.claims",),
    ("metarl_cli.figures",),
    ("metarl_cli.pages",),
    ("metarl_cli.grid",),
    ("metarl_cli.runs",),
    ("metarl_cli.studies",),
    ("metarl_cli.policy",),
    ("metarl_cli.reproduction",),
    ("metarl_cli.listing", "metarl_cli.library"),
    ("metarl_cli.cli",),
)


def layer(module: str) -> tuple[int, str]:
    matches = [(n, home) for n, homes in enumerate(LAYERS) for home in homes if f"{module}.".startswith(f"{home}.")]
    return max(matches, key=lambda match: len(match[1]))


@pytest.mark.parametrize("source", MODULES)
def test_no_arrow_points_up(source):
    height, home = layer(MODULES[source])
    for module in own_modules(source):
        below, other = layer(module)
        assert below < height or other == home, f"{MODULES[source]} imports {module}"


def test_every_module_has_its_layer():
    assert {module for module in MODULES.values() if layer(module)[1] == "metarl_cli"} == {"metarl_cli"}


def test_no_import_runs_in_a_circle():
    graph = {MODULES[source]: own_modules(source) - {MODULES[source]} for source in MODULES}
    while leaves := {module for module, uses in graph.items() if not uses & set(graph)}:
        graph = {module: uses for module, uses in graph.items() if module not in leaves}
    assert graph == {}


# Registries


@pytest.mark.parametrize("source", MODULES)
def test_constants_cannot_be_changed(source):
    constants = vars(importlib.import_module(MODULES[source])).items()
    named = {name: value for name, value in constants if name.lstrip("_").isupper()}
    assert not {n for n, v in named.items() if isinstance(v, Mapping) and not isinstance(v, MappingProxyType)}
    assert not {n for n, v in named.items() if isinstance(v, (list, set))}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_names_only_what_exists(name):
    algorithm = ALGORITHMS[name]
    assert algorithm.inner in ESTIMATORS
    assert algorithm.exploration in EXPLORATIONS
    assert algorithm.outer in OBJECTIVES
    assert algorithm.optimizer in OPTIMIZERS
    assert algorithm.control_variate in CONTROL_VARIATES
    assert algorithm.rewards in REWARD_SCALINGS
    assert algorithm.title
    assert re.search(r"et al\. (19|20)\d\d, .+", algorithm.source)


def test_no_two_algorithms_have_one_title():
    assert len({algorithm.title for algorithm in ALGORITHMS.values()}) == len(ALGORITHMS)


def test_registries_agree():
    assert set(TRAINING) == set(ENVIRONMENTS)
    assert set(OBJECTIVE_NAMES) == set(OBJECTIVES)
    assert set(OPTIMIZER_NAMES) == set(OPTIMIZERS)
    assert set(PER_ACTION_FORM) | set(PER_ACTION_FORM.values()) <= set(ESTIMATORS)
    assert set(SIZES) == set(ENVIRONMENTS)
    assert {tuple(sizes) for sizes in SIZES.values()} == {tuple(PROFILES)}


def test_the_twelve_artefacts():
    promp = {"promp-fig2", "promp-fig3", "promp-fig4"}
    tmaml = {"tmaml-fig2", "tmaml-fig3", "tmaml-fig4", "tmaml-table1"}
    sgmrl = {"sgmrl-fig1", "sgmrl-table1", "sgmrl-table2"}
    assert set(FIGURES) == promp | tmaml | sgmrl | {"taypo-fig1", "taypo-fig2"}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_runs_of_a_figure_can_be_made_and_have_a_place_each(name, profile):
    planned = list(planned_runs(FIGURES[name], profile))
    for run in planned:
        check_composition(run.config)
        assert (run.config.profile, run.path.parts[0]) == (profile, run.config.label)
    assert len({run.path for run in planned}) == len(planned)
    assert bool(planned) == bool(FIGURES[name].curves and FIGURES[name].environments)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_names_only_what_exists(name):
    figure = FIGURES[name]
    assert figure.name == name
    assert figure.plot in VIEWS and figure.plot in TABLES
    assert set(figure.environments) <= set(ENVIRONMENTS)
    assert {curve.algorithm for curve in figure.curves} <= set(ALGORITHMS)
    assert len({curve.label for curve in figure.curves}) == len(figure.curves)


# Habits


@EVERY_SOURCE
def test_a_module_says_what_it_is_and_what_it_offers(source):
    tree = TREES[source]
    assert ast.get_docstring(tree)
    if source == "__main__.py" or len(tree.body) <= 2:
        return
    assert isinstance(tree.body[1], ast.ImportFrom) and tree.body[1].module == "__future__"
    module = importlib.import_module(MODULES[source])
    assert all(hasattr(module, name) for name in module.__all__)


def taken(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name) for what a file takes from our modules, by `from a import b` or as an attribute of `a`."""
    ours, aliases = set(MODULES.values()), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ours:
            aliases |= {a.asname or a.name: m for a in node.names if (m := f"{node.module}.{a.name}") in ours}
            yield from ((node.module, a.name) for a in node.names if f"{node.module}.{a.name}" not in ours)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node.value) in aliases:
            yield aliases[dotted(node.value)], node.attr


@EVERY_SOURCE
def test_functions_and_classes_are_used_only_where_they_are_offered(source):
    for home, name in taken(TREES[source]):
        if not name.isupper() and not name.startswith("__"):
            assert name in importlib.import_module(home).__all__, f"{name} is not in {home}.__all__"


RANDOM = ("rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "rand_like", "randn_like")


@EVERY_SOURCE
def test_nothing_random_is_global(source):
    tree = TREES[source]
    assert not {"random", "matplotlib.pyplot", "matplotlib.pylab"} & set(imported(tree))
    attributes = {dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used = {name.split(".")[2] for name in attributes if name.startswith(("np.random.", "numpy.random."))}
    assert used <= {"Generator", "SeedSequence", "default_rng"}
    seeded = {dotted(call.func) for call in calls(tree) if dotted(call.func).endswith(("manual_seed", ".seed"))}
    assert not {name for name in seeded if name.startswith(("torch", "np", "numpy"))}
    for call in calls(tree):
        name = dotted(call.func)
        if name.startswith("torch.") and name.removeprefix("torch.") in RANDOM:
            assert "generator" in {keyword.arg for keyword in call.keywords}, f"line {call.lineno}: {name}"
        if name.endswith("default_rng"):
            assert call.args, f"line {call.lineno}: an unseeded generator"


@EVERY_SOURCE
def test_no_function_takes_arbitrary_keywords(source):
    assert [f.name for f in functions(TREES[source]) if f.args.kwarg] == []


@EVERY_SOURCE
def test_every_detach_says_why(source):
    lines = SOURCES[source].read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if ".detach()" in line:
            assert any("#" in near for near in lines[max(0, number - 2) : number + 1]), f"line {number + 1}"


@EVERY_SOURCE
def test_files_and_functions_stay_short(source):
    assert len(SOURCES[source].read_text(encoding="utf-8").splitlines()) <= 300
    for function in functions(TREES[source]):
        documented = ast.get_docstring(function, clean=False) is not None
        body = function.body[1:] if documented else function.body
        own = function.body[0].end_lineno - function.body[0].lineno + 1 if documented and body else 0
        length = function.end_lineno - function.lineno + 1 - own
        assert length <= 60, f"{function.name}: {length} lines"


def test_the_usual_function_is_small():
    lengths = sorted(f.end_lineno - f.body[0].lineno for tree in TREES.values() for f in functions(tree))
    assert lengths[len(lengths) // 2] <= 10


def test_training_does_not_know_the_names_of_algorithms():
    for source, tree in TREES.items():
        if source.startswith(("training/", "estimators/")):
            compared = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "algorithm"]
            assert compared == [], source


# Packaging


def pinned(name: str = "constraints.txt") -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    entries = [line.split("#")[0].strip() for line in lines]
    return dict(entry.split("==") for entry in entries if entry)


def required() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    optional = [entry for entries in project["project"]["optional-dependencies"].values() for entry in entries]
    return project["build-system"]["requires"] + project["project"]["dependencies"] + optional


def test_constraints_pin_plain_versions_of_everything_that_is_required():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    assert not [line for line in lines if line.startswith("-") or "+" in line or "://" in line]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines if line)
    names = {re.match(r"[A-Za-z0-9-]+", entry).group().lower() for entry in required()}
    assert names <= set(pinned())


def test_the_oldest_versions_are_those_that_are_allowed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = dict(re.match(r"([a-z0-9-]+)>=([0-9.]+)", entry).groups() for entry in project["dependencies"])
    oldest = pinned("constraints-oldest.txt")
    assert set(oldest) == set(bounds)
    assert all(f"{oldest[name]}.".startswith(f"{bound}.") for name, bound in bounds.items())


def test_every_runtime_import_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.match(r"[A-Za-z0-9-]+", entry).group().replace("-", "_") for entry in project["dependencies"]}
    optional = {"distributed", "imageio", "metaworld", "wandb"}
    standard = importlib.import_module("sys").stdlib_module_names
    used = {name.split(".")[0] for tree in TREES.values() for name in imported(tree)} - set(standard) - {"metarl_cli"}
    assert used - optional <= declared
    assert declared <= used
