"""Tang, Kozuno, Rowland, Munos, Valko: Unifying Gradient Estimators for Meta-RL via Off-Policy Evaluation (2021)."""

from __future__ import annotations

from metarl_cli.papers.figure import Figure

__all__ = ["FIGURES"]

FIGURES = (
    Figure(
        name="taypo-fig1",
        paper="taypo",
        title="Accuracy of gradient and Hessian estimates on random MDPs",
        plot="taypo_fig1",
        source="table",
    ),
)
