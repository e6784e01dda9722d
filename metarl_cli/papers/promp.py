"""Rothfuss, Lee, Clavera, Asfour, Abbeel: ProMP: Proximal Meta-Policy Search (ICLR 2019)."""

from __future__ import annotations

import math

from metarl_cli.papers.claim import Claim, Comparison, Measure, Range, beats, beats_all, deviates, exact, trained
from metarl_cli.papers.figure import RELEASED_REWARDS, Curve, Figure, plain

__all__ = ["CLAIMS", "FIGURES"]

FIGURES = (
    Figure(
        name="promp-fig2",
        title="Post-update return on six locomotion tasks",
        plot="learning_curves",
        environments=(
            "HalfCheetahFwdBack",
            "AntRandDir",
            "HopperRandParams",
            "WalkerFwdBack",
            "HumanoidRandDir",
            "WalkerRandParams",
        ),
        curves=plain("promp", "trpo-maml", "trpo-emaml", "lvc-vpg", "vpg-emaml"),
    ),
    Figure(
        name="promp-fig3",
        title="Relative deviation of the meta-gradient, and return, of LVC and DiCE",
        plot="promp_fig3",
        environments=("HalfCheetahFwdBack",),
        curves=(*plain("lvc-vpg", "dice"), Curve("dice-released", "dice", RELEASED_REWARDS, "DiCE, released step")),
    ),
    Figure(
        name="promp-fig4",
        title="Exploration patterns before and after adaptation, four corners",
        plot="promp_fig4",
        environments=("PointMomentum",),
        curves=plain("lvc-trpo", "trpo-maml", "trpo-emaml"),
    ),
)

_FIG2, _FIG3, _FIG4 = FIGURES
_OTHERS = tuple(curve.label for curve in _FIG2.curves[1:])
_SOURCE = "Rothfuss et al. 2019"

_ABOUT_TWICE = Range(2 / math.sqrt(2), 2 * math.sqrt(2))
"""Nearer to 2 than to 1 or to 4, in octaves."""


def _over_tasks(column: str, curve: str, stage: str, wanted: Range) -> Comparison:
    """A number of Fig. 4 over all tasks and trajectories of a run: the rows of single paths have a task."""
    return Comparison(
        label=f"{column} {'after' if stage == 'post' else 'before'} adaptation, {curve}",
        statistic="value",
        measure=Measure(column=column, where=(("curve", curve), ("stage", stage), ("task", None))),
        wanted=wanted,
    )


CLAIMS = (
    trained(
        name="promp-final-return",
        statement="ProMP ends with a higher return than each of four other methods in each of six environments.",
        source=f"{_SOURCE}, Sec. 4.1 and Fig. 2",
        figure=_FIG2.name,
        comparisons=beats_all(["promp"], _OTHERS, _FIG2.environments),
    ),
    trained(
        name="promp-sample-efficiency",
        statement="ProMP learns from fewer samples: its learning curve encloses a larger area than each of the others.",
        source=f"{_SOURCE}, Sec. 4.1 and Fig. 2",
        figure=_FIG2.name,
        comparisons=beats_all(["promp"], _OTHERS, _FIG2.environments, "mean"),
    ),
    trained(
        name="promp-lvc-beats-emaml",
        statement="With a plain policy gradient outside, LVC is better than E-MAML.",
        source=f"{_SOURCE}, Sec. 4.1 and Fig. 2",
        figure=_FIG2.name,
        comparisons=beats_all(["lvc-vpg"], ["vpg-emaml"], _FIG2.environments),
    ),
    Claim(
        name="promp-dice-deviation",
        statement="The relative deviation of DiCE's meta-gradient is about twice that of LVC's.",
        source=f"{_SOURCE}, Sec. 4.2 and Fig. 3",
        figure=_FIG3.name,
        reads="study",
        decided_at="standard",
        comparisons=(
            deviates("dice-full", "lvc", "rstd", _ABOUT_TWICE),
            # ‖std‖/‖mean‖ goes to √(R − 1) for all that is noisy. Signal over noise does not, given enough rounds: of
            # ten, half the estimates of a signal of a twentieth of the noise are 0; with forty it is right within 6 %.
            deviates("lvc", "dice-full", "signal_to_noise", _ABOUT_TWICE),
        ),
    ),
    trained(
        name="promp-lvc-faster-than-dice",
        statement="LVC learns faster than DiCE, whose noisy gradients impede learning.",
        source=f"{_SOURCE}, Sec. 4.2 and Fig. 3",
        figure=_FIG3.name,
        comparisons=(beats("lvc-vpg", "dice", "HalfCheetahFwdBack", "mean"),),
    ),
    Claim(
        name="promp-four-corners",
        statement="Of LVC, MAML and E-MAML only LVC explores the four corners and then reaches the goal.",
        source=f"{_SOURCE}, Sec. 4.3 and Fig. 4",
        figure=_FIG4.name,
        reads="study",
        decided_at="paper",
        comparisons=(  # the paper shows a picture: the limits are ours
            _over_tasks("corners_of_batch", "lvc-trpo", "pre", Range(low=3.5)),
            _over_tasks("reaches_goal", "lvc-trpo", "post", Range(low=0.5)),
            _over_tasks("reaches_goal", "trpo-maml", "post", Range(high=0.5)),
            _over_tasks("reaches_goal", "trpo-emaml", "post", Range(high=0.5)),
        ),
    ),
    Claim(
        name="promp-score-function-biased",
        statement="Differentiating the score-function surrogate of MAML twice gives a biased Hessian.",
        source=f"{_SOURCE}, Sec. 2",
        comparisons=(exact("relative bias of the Hessian, reinforce", "reinforce-hessian", low=1e-3),),
    ),
    Claim(
        name="promp-dice-unbiased",
        statement="DiCE gives an unbiased Hessian.",
        source=f"{_SOURCE}, Sec. 2",
        comparisons=(exact("relative bias of the Hessian, dice", "dice-hessian"),),
    ),
    Claim(
        name="promp-lvc-biased",
        statement="LVC gives a biased Hessian, for it neglects the dependence along the trajectory.",
        source=f"{_SOURCE}, Sec. 2; Tang et al. 2021, Sec. 3.3",
        comparisons=(exact("relative bias of the Hessian, lvc", "lvc-hessian", low=1e-3),),
    ),
)
