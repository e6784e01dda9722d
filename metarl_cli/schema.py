"""What the files hold that are read back: the columns of every table, and what may stand in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Le
from pydantic import StringConstraints

from metarl_cli.config import MOST
from metarl_cli.profiles import PROFILES

__all__ = ["CURVES", "PROGRESS", "TABLES", "Count", "Hint", "Meta", "Name", "Number", "Table"]

Hint: TypeAlias = Any

LARGEST = 1e30
"""Of a number: the squares of many can still be added."""

Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Profile: Hint = Literal[PROFILES]
Seeds = Annotated[str, StringConstraints(pattern=r"^\d{1,15}( \d{1,15})*$")]
Count = Annotated[int, Ge(0), Le(MOST)]
Size = Annotated[int, Ge(1), Le(MOST)]
Number = Annotated[float, Ge(-LARGEST), Le(LARGEST)]
NonNegative = Annotated[float, Ge(0), Le(LARGEST)]
Share = Annotated[float, Ge(0), Le(1)]
Correlation = Annotated[float, Ge(-1), Le(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a table holds.

    Attributes:
        columns: that it must have, each with what may stand in it; `None` among that: it may be blank.
        keys: the columns that tell its rows apart.
        rest: what may stand in any other column.
        counter: the column that counts the rows from 0, if there is one.
    """

    columns: Mapping[str, Hint]
    keys: tuple[str, ...]
    rest: Hint = Any
    counter: str = ""


PROGRESS = Table(
    columns={
        **{"iteration": Count, "env_steps": Count, "return/pre": Number, "return/post": Number},
        **{"time/sampling": NonNegative, "time/update": NonNegative},
    },
    keys=("iteration",),
    rest=Number,
    counter="iteration",
)
"""`progress.csv` of a run."""

CURVES = Table(
    columns={
        **{"curve": Name, "environment": Name, "profile": Profile, "seeds": Seeds, "quantity": Name},
        **{"iteration": Count, "env_steps": Count, "mean": Number, "low": Number | None, "high": Number | None},
        **{"least": Number, "greatest": Number},
    },
    keys=("curve", "environment", "profile", "quantity", "iteration"),
)

_DEVIATION = Table(
    columns={
        **{"environment": Name, "profile": Profile, "seed": Count, "rounds": Count, "curve": Name, "iteration": Count},
        **{"env_steps": Count, "quantity": Name, "value": Number},
    },
    keys=("environment", "profile", "seed", "rounds", "curve", "iteration", "quantity"),
)

_TRAJECTORIES = Table(
    columns={
        **{"curve": Name, "environment": Name, "profile": Profile, "seed": Count, "iterations": Count},
        **{"stage": Literal["pre", "post", "region", "goal"]},
        **dict.fromkeys(("task", "trajectory", "step"), Count | None),
        **dict.fromkeys(("x", "y", "return"), Number | None),
        **dict.fromkeys(("radius", "end_distance", "corners", "corners_of_batch"), NonNegative | None),
        **dict.fromkeys(("ends_at_goal", "reaches_goal", "ends_in_region"), Share | None),
    },
    keys=("curve", "environment", "profile", "seed", "stage", "task", "trajectory", "step", "x", "y"),
)

_RETURNS = Table(
    columns={
        **{"curve": Name, "environment": Name, "profile": Profile, "steps": Count, "seed": Count, "tasks": Size},
        **{"return": Number},
    },
    keys=("curve", "environment", "profile", "steps", "seed"),
)

LINE = Table(
    columns={
        **{"profile": Profile, "seed": Count, "role": Literal["estimate", "truth"], "estimator": Name},
        **{"control_variate": Name, "quantity": Name, "samples": Size, "pearson": Correlation | None},
        **dict.fromkeys(("relative_error", "standard_error"), NonNegative | None),
    },
    keys=("profile", "seed", "role", "estimator", "control_variate", "quantity", "samples"),
)

MDPS = Table(
    columns={
        **{"profile": Profile, "variant": Name, "seed": Count, "sweep": Literal["epsilon", "samples"]},
        **{"epsilon": NonNegative, "samples": Size, "estimator": Name, "order": Annotated[int, Ge(1), Le(2)]},
        **{"pearson": Correlation, "relative_error": NonNegative | None},
    },
    keys=("profile", "variant", "seed", "sweep", "epsilon", "samples", "estimator", "order"),
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "learning_curves": CURVES,
        "adaptation": CURVES,
        "return_table": CURVES,
        "evaluation_table": _RETURNS,
        "promp_fig3": _DEVIATION,
        "promp_fig4": _TRAJECTORIES,
        "sgmrl_fig1": _TRAJECTORIES,
        "tmaml_fig2": _DEVIATION,
        "tmaml_fig4": LINE,
        "taypo_fig1": MDPS,
    }
)
"""By the plot that draws them."""


@dataclass(frozen=True, slots=True)
class Meta:
    """Of a `meta.json`: what made the results beside it. An older or partial one says less."""

    metarl: str = "not recorded"
    git_commit: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    cpu_seconds: Annotated[float, Ge(0)] | None = None
    device: str = "cpu"
