"""Each figure, table and claim of the four papers as data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from metarl_cli.algorithms import is_file
from metarl_cli.errors import UserError, unknown_name
from metarl_cli.papers import promp, sgmrl, taypo, tmaml
from metarl_cli.papers.claim import Claim, Reported
from metarl_cli.papers.figure import Figure
from metarl_cli.papers.own import read_figure

__all__ = ["CLAIMS", "FIGURES", "PAPERS", "REPORTED", "Figure", "find_figure"]

PAPERS: Mapping[str, str] = MappingProxyType(
    {
        "promp": "Rothfuss et al. 2019: ProMP: Proximal Meta-Policy Search",
        "tmaml": "Liu et al. 2019: Taming MAML: Efficient Unbiased Meta-Reinforcement Learning",
        "sgmrl": "Fallah et al. 2021: On the Convergence Theory of Debiased MAML in Reinforcement Learning",
        "taypo": "Tang et al. 2021: Unifying Gradient Estimators for Meta-RL via Off-Policy Evaluation",
    }
)
"""The papers' short names and what they stand for."""

FIGURES: Mapping[str, Figure] = MappingProxyType(
    {figure.name: figure for figure in (*promp.FIGURES, *tmaml.FIGURES, *sgmrl.FIGURES, *taypo.FIGURES)}
)
"""The twelve artefacts."""

CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {claim.name: claim for claim in (*promp.CLAIMS, *tmaml.CLAIMS, *sgmrl.CLAIMS, *taypo.CLAIMS)}
)
"""What the papers claim of them, and what they prove."""

REPORTED: Mapping[str, tuple[Reported, ...]] = MappingProxyType(
    {"tmaml-table1": tmaml.REPORTED, "sgmrl-table1": sgmrl.TABLE1, "sgmrl-table2": sgmrl.TABLE2}
)
"""The numbers that the papers print, by table."""

ADAPTATION = Figure(
    name="adaptation",
    title="Return before and after adaptation, of any runs",
    plot="adaptation",
)
"""No artefact of a paper: a picture of whatever runs there are."""


def find_figure(name: str) -> Figure:
    """The figure of that name, `fig2` alone means ProMP's; or one of the user's own, from a TOML file.

    Raises:
        UserError: if there is none, with the nearest match; or for a file as `read_figure`.
    """
    known = {**FIGURES, ADAPTATION.name: ADAPTATION}
    if is_file(name):
        figure = read_figure(Path(name))
        if figure.name in known:
            raise UserError(f"{name}: {figure.name} is a figure that metarl has; call the file otherwise.")
        return figure
    for candidate in (name, f"promp-{name}"):
        if candidate in known:
            return known[candidate]
    raise unknown_name("figure", name, known)
