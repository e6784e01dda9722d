"""Fallah, Georgiev, Mokhtari, Ozdaglar: On the Convergence Theory of Debiased MAML in RL (NeurIPS 2021)."""

from __future__ import annotations

from metarl_cli.papers.figure import Curve, Figure

__all__ = ["FIGURES"]


def _steps(algorithm: str) -> tuple[Curve, ...]:
    """Trained and tested with one, two and three adaptation steps, at horizon 200 with two layers of 100 (App. H)."""
    settings = ("sampling.horizon=200", "policy.hidden=100,100")
    return tuple(Curve(f"{algorithm}-k{k}", algorithm, (f"inner.steps={k}", *settings)) for k in (1, 2, 3))


FIGURES = (
    Figure(
        name="sgmrl-fig1",
        paper="sgmrl",
        title="Adapted trajectories to a goal in the plane",
        plot="sgmrl_fig1",
        source="study",
        environments=("Navigation",),
        curves=(Curve("sgmrl", "sgmrl"), Curve("vpg-maml", "vpg-maml")),
    ),
    Figure(
        name="sgmrl-table1",
        paper="sgmrl",
        title="Meta-test return, 2-D navigation",
        plot="evaluation_table",
        source="study",
        environments=("Navigation",),
        curves=(Curve("sgmrl", "sgmrl"), Curve("vpg-maml", "vpg-maml"), Curve("vpg-emaml", "vpg-emaml")),
    ),
    Figure(
        name="sgmrl-table2",
        paper="sgmrl",
        title="Meta-test return after one, two and three adaptation steps",
        plot="evaluation_table",
        source="study",
        environments=("HalfCheetahFwdBack", "HalfCheetahRandVel", "SwimmerRandVel"),
        curves=(*_steps("sgmrl"), *_steps("vpg-maml")),
    ),
)
