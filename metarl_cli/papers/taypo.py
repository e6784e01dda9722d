"""Tang, Kozuno, Rowland, Munos, Valko: Unifying Gradient Estimators for Meta-RL via Off-Policy Evaluation (2021)."""

from __future__ import annotations

from metarl_cli.papers.figure import Curve, Figure

__all__ = ["FIGURES"]

_CURVES = (
    Curve("promp-taypo2", "promp-taypo2"),
    Curve("promp", "promp"),
    Curve("trpo-maml", "trpo-maml"),
    Curve("trpo-fmaml", "trpo-fmaml"),
    Curve("trpo-emaml", "trpo-emaml"),
    Curve("trpo-dice", "trpo-dice"),
)

FIGURES = (
    Figure(
        name="taypo-fig1",
        paper="taypo",
        title="Accuracy of gradient and Hessian estimates on random MDPs; training on 2-D control",
        plot="taypo_fig1",
        source="study",
        environments=("PointCorner",),
        curves=_CURVES,
    ),
    Figure(
        name="taypo-fig2",
        paper="taypo",
        title="Post-update return on four locomotion tasks",
        plot="learning_curves",
        source="runs",
        environments=("AntRandGoal", "HalfCheetahFwdBack", "AntRandDir", "WalkerFwdBack"),
        curves=_CURVES,
    ),
)
