"""Rothfuss, Lee, Clavera, Asfour, Abbeel: ProMP: Proximal Meta-Policy Search (ICLR 2019)."""

from __future__ import annotations

from metarl_cli.papers.figure import Curve, Figure

__all__ = ["FIGURES"]

FIGURES = (
    Figure(
        name="promp-fig2",
        paper="promp",
        title="Post-update return on six locomotion tasks",
        plot="learning_curves",
        source="runs",
        environments=(
            "HalfCheetahFwdBack",
            "AntRandDir",
            "HopperRandParams",
            "WalkerFwdBack",
            "HumanoidRandDir",
            "WalkerRandParams",
        ),
        curves=(
            Curve("promp", "promp"),
            Curve("trpo-maml", "trpo-maml"),
            Curve("trpo-emaml", "trpo-emaml"),
            Curve("lvc-vpg", "lvc-vpg"),
            Curve("vpg-emaml", "vpg-emaml"),
        ),
    ),
    Figure(
        name="promp-fig3",
        paper="promp",
        title="Relative deviation of the meta-gradient, and return, of LVC and DiCE",
        plot="promp_fig3",
        source="study",
        environments=("HalfCheetahFwdBack",),
        curves=(Curve("lvc-vpg", "lvc-vpg"), Curve("dice", "dice")),
    ),
    Figure(
        name="promp-fig4",
        paper="promp",
        title="Exploration patterns before and after adaptation, four corners",
        plot="promp_fig4",
        source="study",
        environments=("PointMomentum",),
        curves=(
            Curve("lvc-trpo", "lvc-trpo"),
            Curve("trpo-maml", "trpo-maml"),
            Curve("trpo-emaml", "trpo-emaml"),
        ),
    ),
)
