"""A figure of the user's own, from a TOML file: the same data as the papers' figures, drawn from runs alone.

    title = "Is the second order worth it?"     # without: the name of the file
    environments = ["Navigation", "reach.py:Reach"]
    column = "return/post"                      # of progress.csv, without: what the papers plot

    [settings]                                  # of every curve, as for --set
    inner.steps = 2

    [[curves]]
    algorithm = "promp"                         # or the TOML file of an algorithm

    [[curves]]
    algorithm = "promp"
    label = "slow"                              # in file paths and tables; without: the algorithm's name
    title = "ProMP, α = 0.01"                   # in the legend; without: the algorithm's, with the label if need be
    settings.inner.lr = 0.01

    [sizes.quick]                               # by profile; without: those of the environments
    tasks = 10
    trajectories = 10
    iterations = 30
    seeds = 3

What is the user's own is looked for in the working directory, as on the command line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from annotated_types import MinLen

from metarl_cli.algorithms import find_algorithm, overrides_of, read_document
from metarl_cli.columns import COLUMNS, meaning
from metarl_cli.config import RunConfig, reasons, with_overrides
from metarl_cli.errors import UserError, check_known, unknown_name
from metarl_cli.papers.claim import RETURN
from metarl_cli.papers.figure import Curve, Figure
from metarl_cli.papers.sizes import SIZES, Size
from metarl_cli.profiles import PROFILES
from metarl_cli.references import is_reference

__all__ = ["read_figure"]

ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "algorithm": "algorithm, beside the settings",
        "environment.name": "environments",
        "profile": "--profile",
        "seed": "seeds, in [sizes.PROFILE]",
        "label": "label, beside the settings",
    }
)
"""Settings that are no curve's own, and where they are chosen."""


@dataclass(frozen=True, kw_only=True)
class _Curve:
    algorithm: str
    label: str = ""
    title: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Figure:
    environments: Annotated[tuple[str, ...], MinLen(1)]
    curves: Annotated[tuple[_Curve, ...], MinLen(1)]
    title: str = ""
    column: str = RETURN
    settings: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)


def read_figure(path: Path) -> Figure:
    """The figure of a TOML file, named as the file is.

    Raises:
        UserError: naming the file, and what in it was given, what is allowed and the nearest match.
    """
    from pydantic import TypeAdapter, ValidationError

    document = read_document(path)
    curves, sizes = document.get("curves"), document.get("sizes")
    places = [  # of tables; what else is in the place of one, pydantic refuses
        (_Figure, [document]),
        (_Curve, curves if isinstance(curves, list) else []),
        (Size, [*sizes.values()] if isinstance(sizes, dict) else []),
    ]
    for kind, tables in places:
        known = [entry.name for entry in fields(kind)]
        for key in (key for table in tables if isinstance(table, dict) for key in table):
            check_known(f"key in {path}", key, known)
    try:
        return _figure(path.stem, TypeAdapter(_Figure).validate_json(json.dumps(document, default=str), strict=True))
    except ValidationError as error:
        raise UserError(f"{path}: {reasons(error)}.") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _figure(name: str, given: _Figure) -> Figure:
    for environment in given.environments:
        if not is_reference(environment):
            check_known("environment", environment, SIZES)
    if len(set(given.environments)) < len(given.environments):
        raise UserError(f"environments: {', '.join(given.environments)}; expected each once.")
    for profile in given.sizes:
        check_known("profile in sizes", profile, PROFILES)
    try:
        meaning(given.column)
    except KeyError:
        raise unknown_name("column", given.column, COLUMNS) from None
    curves = tuple(_curve(curve, given.settings) for curve in given.curves)
    labels = [curve.label for curve in curves]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise UserError(f"several curves are called {', '.join(sorted(twice))}: give each a label of its own.")
    titles = [curve.title for curve in curves]  # in a legend one of several lines would not be told from the others
    curves = tuple(
        replace(curve, named=f"{curve.title} ({curve.label})") if titles.count(curve.title) > 1 else curve
        for curve in curves
    )
    return Figure(
        name=name,
        title=given.title or name,
        plot="learning_curves",
        environments=given.environments,
        curves=curves,
        column=given.column,
        sizes=given.sizes,
        own=True,
    )


def _curve(given: _Curve, shared: dict[str, Any]) -> Curve:
    label = given.label or Path(given.algorithm).stem
    if not re.fullmatch(r"\w[\w.-]*", label):
        raise UserError(f"label {label!r}: expected letters, digits, and . _ - inside: it names a directory.")
    find_algorithm(given.algorithm)
    overrides = (*overrides_of(shared), *overrides_of(given.settings))
    for override in overrides:
        if (key := override.partition("=")[0]) in ELSEWHERE:
            raise UserError(f"curve {label}: {key} is no setting of a curve; it is chosen with {ELSEWHERE[key]}.")
    try:
        with_overrides(RunConfig(), overrides)
    except UserError as error:
        raise UserError(f"curve {label}: {error}") from None
    return Curve(label, given.algorithm, overrides, given.title.strip())
