"""What `metarl list` prints: the registries as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.columns import COLUMNS
from metarl_cli.errors import check_known
from metarl_cli.papers import FIGURES
from metarl_cli.papers.sizes import SIZES
from metarl_cli.profiles import PURPOSES
from metarl_cli.store import PUBLISHED

__all__ = ["LISTINGS", "Listing", "listing"]

Rows: TypeAlias = list[dict[str, object]]


class Listing(NamedTuple):
    """What is printed, in rows and then in words, and what of the published results could not be read for it."""

    rows: Rows
    words: str = ""
    damage: tuple[str, ...] = ()


def _algorithms() -> Listing:
    rows: Rows = [
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
    return Listing(rows)


def _environments() -> Listing:
    from metarl_cli.envs.registry import ENVIRONMENTS

    rows: Rows = [
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
    return Listing(rows)


def _estimators() -> Listing:
    from metarl_cli.estimators import ESTIMATORS

    rows: Rows = [
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
    return Listing(rows)


def _figures() -> Listing:
    return Listing([{"name": name, "paper": f.paper, "title": f.title} for name, f in FIGURES.items()])


def _claims() -> Listing:
    """The claims of the papers, with the verdicts of the published results."""
    from metarl_cli.claims.judge import judge_all
    from metarl_cli.claims.wording import claim_row, tally
    from metarl_cli.results import Results

    results = Results(PUBLISHED)
    judgements = judge_all(results)
    words = (
        f"{tally(judgements)}. Shown is what a verdict hangs on. Of m comparisons, u of which must hold, one holds at "
        "the level 5 %/(m − u + 1) and fails at 5 %/u: a 95 % interval may miss zero and leave it open. "
        "All of them: metarl report, or --json."
    )
    return Listing([claim_row(judgement) for judgement in judgements], words, tuple(results.damage.values()))


def _profiles() -> Listing:
    rows: Rows = [
        {"name": name, "for": purpose, "sizes": {env: asdict(sizes[name]) for env, sizes in SIZES.items()}}
        for name, purpose in PURPOSES.items()
    ]
    return Listing(rows)


def _columns() -> Listing:
    return Listing([{"column": name, "meaning": meaning} for name, meaning in COLUMNS.items()])


LISTINGS: Mapping[str, Callable[[], Listing]] = MappingProxyType(
    {
        "algorithms": _algorithms,
        "claims": _claims,
        "columns": _columns,
        "envs": _environments,
        "estimators": _estimators,
        "figures": _figures,
        "profiles": _profiles,
    }
)

BRIEF: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "claims": {
            "claim": "claim",
            "scoped": "as run",
            "verdict": "as printed",
            "interval": "effect",
            "n": "n",
            "wanted": "wanted",
        },
        "profiles": {"name": "name", "for": "for"},
    }
)
"""Where rows have more columns than a terminal: the ones that it shows, and how it calls them."""


def listing(what: str, *, brief: bool = False) -> Listing:
    """One registry.

    Args:
        what: a key of `LISTINGS`.
        brief: only the columns that fit on a terminal.

    Raises:
        UserError: if there is no such registry.
    """
    check_known("list", what, LISTINGS)
    found = LISTINGS[what]()
    if not brief or what not in BRIEF:
        return found
    shown = BRIEF[what].items()
    return found._replace(rows=[{name: row[key] for key, name in shown} for row in found.rows])
