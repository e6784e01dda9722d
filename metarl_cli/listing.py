"""What `metarl list` prints: the registries as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.errors import unknown_name
from metarl_cli.papers import FIGURES

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


LISTINGS: Mapping[str, Callable[[], Rows]] = MappingProxyType(
    {"algorithms": _algorithms, "envs": _environments, "estimators": _estimators, "figures": _figures}
)


def listing(what: str) -> Rows:
    """The rows of one registry.

    Raises:
        UserError: if there is no such registry.
    """
    if what not in LISTINGS:
        raise unknown_name("list", what, LISTINGS)
    return LISTINGS[what]()
