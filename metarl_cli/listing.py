"""What `metarl list` prints: the registries as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import TypeAlias

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.errors import unknown_name
from metarl_cli.papers import FIGURES
from metarl_cli.papers.sizes import SIZES
from metarl_cli.profiles import PURPOSES
from metarl_cli.store import PUBLISHED

__all__ = ["LISTINGS", "listing"]

Rows: TypeAlias = list[dict[str, object]]


def _algorithms() -> Rows:
    return [
        {
            "name": name,
            "title": a.title,
            "inner": a.inner,
            "exploration": a.exploration,
            "outer": a.outer,
            "optimizer": a.optimizer,
            "source": a.source,
        }
        for name, a in ALGORITHMS.items()
    ]


def _environments() -> Rows:
    from metarl_cli.envs.registry import ENVIRONMENTS

    return [
        {
            "name": name,
            "observations": e.observation_size,
            "actions": e.action_size,
            "horizon": e.horizon,
            "tasks": e.task_distribution,
            "papers": ", ".join(e.papers),
            "variants": ", ".join(e.variants),
        }
        for name, e in ENVIRONMENTS.items()
    ]


def _estimators() -> Rows:
    from metarl_cli.estimators import ESTIMATORS

    return [
        {
            "name": name,
            "surrogate": e.equation,
            "Hessian": e.on_policy_hessian,
            "off-policy gradient": e.off_policy_gradient,
            "off-policy Hessian": e.off_policy_hessian,
            "source": e.paper,
        }
        for name, e in ESTIMATORS.items()
    ]


def _figures() -> Rows:
    return [{"name": name, "paper": f.paper, "title": f.title} for name, f in FIGURES.items()]


def _claims() -> Rows:
    """The claims of the papers, with the verdicts of the published results."""
    from metarl_cli.reporting.claims import judge_all
    from metarl_cli.reporting.wording import claim_row
    from metarl_cli.studies.exact_claims import exact_number

    return [claim_row(judgement) for judgement in judge_all(PUBLISHED, exact_number)]


def _profiles() -> Rows:
    return [
        {"name": name, "for": purpose, "sizes": {env: asdict(sizes[name]) for env, sizes in SIZES.items()}}
        for name, purpose in PURPOSES.items()
    ]


LISTINGS: Mapping[str, Callable[[], Rows]] = MappingProxyType(
    {
        "algorithms": _algorithms,
        "claims": _claims,
        "envs": _environments,
        "estimators": _estimators,
        "figures": _figures,
        "profiles": _profiles,
    }
)

BRIEF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "claims": ("claim", "verdicts", "found", "effect", "low", "high", "wanted", "evidence", "statement"),
        "profiles": ("name", "for"),
    }
)
"""Where rows have more columns than a terminal: the ones that it shows."""


def listing(what: str, *, brief: bool = False) -> Rows:
    """The rows of one registry.

    Args:
        what: a key of `LISTINGS`.
        brief: only the columns that fit on a terminal.

    Raises:
        UserError: if there is no such registry.
    """
    if what not in LISTINGS:
        raise unknown_name("list", what, LISTINGS)
    rows = LISTINGS[what]()
    if brief and what in BRIEF:
        return [{name: "–" if row[name] is None else row[name] for name in BRIEF[what]} for row in rows]
    return rows
