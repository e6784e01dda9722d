"""Liu, Socher, Xiong: Taming MAML: Efficient Unbiased Meta-Reinforcement Learning (ICML 2019)."""

from __future__ import annotations

from metarl_cli.papers.figure import Figure

__all__ = ["FIGURES"]

FIGURES = (
    Figure(
        name="tmaml-fig4",
        paper="tmaml",
        title="Correlation of estimates with the truth on a 1-D task",
        plot="tmaml_fig4",
        source="table",
    ),
)
