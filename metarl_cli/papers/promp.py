"""Rothfuss, Lee, Clavera, Asfour, Abbeel: ProMP: Proximal Meta-Policy Search (ICLR 2019)."""

from __future__ import annotations

from metarl_cli.papers.figure import Figure

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
        algorithms=("promp", "trpo-maml", "trpo-emaml", "lvc-vpg", "vpg-emaml"),
    ),
)
