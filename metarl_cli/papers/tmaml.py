"""Liu, Socher, Xiong: Taming MAML: Efficient Unbiased Meta-Reinforcement Learning (ICML 2019)."""

from __future__ import annotations

from metarl_cli.papers.figure import Curve, Figure

__all__ = ["FIGURES"]

_PER_TASK = ("inner.control_variate=per-task",)

FIGURES = (
    Figure(
        name="tmaml-fig2",
        paper="tmaml",
        title="Variance of the meta-gradient, and return, of five estimators",
        plot="tmaml_fig2",
        source="study",
        environments=("HalfCheetahFwdBack",),
        curves=(
            Curve("tmaml", "tmaml"),
            Curve("tmaml-per-task", "tmaml", _PER_TASK),
            Curve("lvc-vpg", "lvc-vpg"),
            Curve("vpg-maml", "vpg-maml"),
            Curve("dice-vpg", "dice-vpg"),
        ),
    ),
    Figure(
        name="tmaml-fig3",
        paper="tmaml",
        title="Post-update return on ten locomotion tasks",
        plot="learning_curves",
        source="runs",
        environments=(
            "AntRandGoal",
            "AntFwdBack",
            "HumanoidFwdBack",
            "WalkerFwdBack",
            "HalfCheetahFwdBack",
            "AntRandDir",
            "HumanoidRandDir",
            "WalkerRandVel",
            "SwimmerRandVel",
            "HalfCheetahRandVel",
        ),
        curves=(
            Curve("tmaml", "tmaml"),
            Curve("tmaml-per-task", "tmaml", _PER_TASK),
            Curve("vpg-maml", "vpg-maml"),
            Curve("lvc-vpg", "lvc-vpg"),
            Curve("dice-vpg", "dice-vpg"),
        ),
    ),
    Figure(
        name="tmaml-fig4",
        paper="tmaml",
        title="Correlation of estimates with the truth on a 1-D task",
        plot="tmaml_fig4",
        source="study",
    ),
    Figure(
        name="tmaml-table1",
        paper="tmaml",
        title="Return at the last iteration, all with the clipped outer objective",
        plot="return_table",
        source="runs",
        environments=("AntFwdBack", "HumanoidRandDir"),
        curves=(
            Curve("tmaml-ppo", "tmaml-ppo"),
            Curve("tmaml-ppo-per-task", "tmaml-ppo", _PER_TASK),
            Curve("lvc-ppo", "lvc-ppo"),
            Curve("maml-ppo", "maml-ppo"),
            Curve("dice-ppo", "dice-ppo"),
        ),
    ),
)
