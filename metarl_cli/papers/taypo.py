"""Tang, Kozuno, Rowland, Munos, Valko: Unifying Gradient Estimators for Meta-RL via Off-Policy Evaluation (2021)."""

from __future__ import annotations

from metarl_cli.papers.claim import AS_ACCURATE, Claim, Comparison, Measure, Position, Range, beats_all, exact, trained
from metarl_cli.papers.figure import Figure, plain

__all__ = ["CLAIMS", "FIGURES"]

_CURVES = plain("promp-taypo2", "promp", "trpo-maml", "trpo-fmaml", "trpo-emaml", "trpo-dice")

FIGURES = (
    Figure(
        name="taypo-fig1",
        title="Accuracy of gradient and Hessian estimates on random MDPs; training on 2-D control",
        plot="taypo_fig1",
        environments=("PointCorner",),
        curves=_CURVES,
    ),
    Figure(
        name="taypo-fig2",
        title="Post-update return on four locomotion tasks",
        plot="learning_curves",
        environments=("AntRandGoal", "HalfCheetahFwdBack", "AntRandDir", "WalkerFwdBack"),
        curves=_CURVES,
    ),
)

_FIG1, _FIG2 = FIGURES
_SOURCE = "Tang et al. 2021"
_HESSIAN, _GRADIENT = 2, 1
_ROUNDING = 1e-6
"""On-policy two estimators may be the same number, written to ten digits."""


def _accuracy(estimator: str, derivative: int, sweep: str) -> Measure:
    return Measure(
        column="pearson",
        where=(
            ("variant", "released"),
            ("sweep", sweep),
            ("order", derivative),
            ("estimator", estimator),
        ),
    )


def _more_accurate(
    better: str, worse: str, derivative: int, sweep: str, at: Position, least: float = -_ROUNDING
) -> Comparison:
    return Comparison(
        label=f"correlation of the {'Hessian' if derivative == _HESSIAN else 'gradient'}, {better} − {worse}",
        statistic="difference",
        measure=_accuracy(better, derivative, sweep),
        against=_accuracy(worse, derivative, sweep),
        wanted=Range(low=least),
        sweep=sweep,
        at=at,
    )


CLAIMS = (
    Claim(
        name="taypo-proposition-3.1",
        statement="Derivatives of an unbiased off-policy estimate are unbiased: step-wise IS and doubly robust.",
        source=f"{_SOURCE}, Proposition 3.1",
        comparisons=(
            exact("largest relative bias of gradient and Hessian, on- and off-policy, dice", "dice"),
            exact("largest relative bias of gradient and Hessian, on- and off-policy, doubly_robust", "doubly-robust"),
        ),
    ),
    Claim(
        name="taypo-proposition-3.4",
        statement="On-policy, TayPO-K preserves the derivatives up to order K.",
        source=f"{_SOURCE}, Proposition 3.4, Eq. 10",
        comparisons=(
            exact("relative bias of the gradient, K = 1", "taypo-1-gradient"),
            exact("relative bias of the gradient, K = 2", "taypo-2-gradient"),
            exact("relative bias of the Hessian, K = 2", "taypo-2-hessian"),
        ),
    ),
    Claim(
        name="taypo-tmaml-biased",
        statement="The control variate that TMAML introduces biases the estimate.",
        source=f"{_SOURCE}, Sec. 3.3 and App. B",
        comparisons=(exact("relative bias of the Hessian, tmaml_printed, b = V", "tmaml-printed-hessian", low=1e-3),),
    ),
    Claim(
        name="taypo-best-at-every-epsilon",
        statement="TayPO-2 is the most accurate estimate at every off-policyness ε, for gradients and Hessians: "
        f"no rival correlates better by more than {-AS_ACCURATE:g}.",
        source=f"{_SOURCE}, Sec. 5.1 and Fig. 1a, 1b",
        figure=_FIG1.name,
        reads="study",
        comparisons=tuple(
            _more_accurate("taypo2", rival, derivative, "epsilon", "each", AS_ACCURATE)
            for derivative in (_GRADIENT, _HESSIAN)
            for rival in ("lvc", "dice", "doubly_robust", "truncated_dr")
        ),
    ),
    Claim(
        name="taypo-on-policy",
        statement="On-policy, step-wise IS has the least accurate gradient, and TayPO-1 a less accurate Hessian than "
        "TayPO-2 and doubly robust.",
        source=f"{_SOURCE}, Sec. 5.1 and Fig. 1a, 1b",
        figure=_FIG1.name,
        reads="study",
        comparisons=(
            *(
                _more_accurate(better, "dice", _GRADIENT, "epsilon", "first")
                for better in ("lvc", "taypo2", "doubly_robust", "truncated_dr")
            ),
            *(_more_accurate(better, "lvc", _HESSIAN, "epsilon", "first") for better in ("taypo2", "doubly_robust")),
        ),
    ),
    Claim(
        name="taypo-crossing",
        statement="With few samples TayPO-1 has the more accurate Hessian, with many TayPO-2.",
        source=f"{_SOURCE}, Sec. 5.1 and Fig. 1c",
        figure=_FIG1.name,
        reads="study",
        comparisons=(
            _more_accurate("lvc", "taypo2", _HESSIAN, "samples", "first"),
            _more_accurate("taypo2", "lvc", _HESSIAN, "samples", "last"),
        ),
    ),
    trained(
        name="taypo-corner",
        statement="On 2-D control ProMP-TayPO-2 ends higher than every other method.",
        source=f"{_SOURCE}, Sec. 5.2.1 and Fig. 1d",
        figure=_FIG1.name,
        iterations=200,
        comparisons=beats_all(["promp-taypo2"], [curve.label for curve in _CURVES[1:]], _FIG1.environments),
    ),
    trained(
        name="taypo-fmaml-below-maml",
        statement="First-order MAML generally ends below MAML.",
        source=f"{_SOURCE}, Sec. 5.2.2 and Fig. 2",
        figure=_FIG2.name,
        comparisons=beats_all(["trpo-maml"], ["trpo-fmaml"], _FIG2.environments),
        needs="most",
    ),
    trained(
        name="taypo-dice-worst",
        statement="TRPO-DiCE generally ends below every other method.",
        source=f"{_SOURCE}, Sec. 5.2.2 and Fig. 2",
        figure=_FIG2.name,
        comparisons=beats_all([curve.label for curve in _CURVES[:-1]], ["trpo-dice"], _FIG2.environments),
        needs="most",
    ),
    trained(
        name="taypo-at-least-promp",
        statement="ProMP-TayPO-2 ends at least as high as ProMP.",
        source=f"{_SOURCE}, Sec. 5.2.2 and Fig. 2",
        figure=_FIG2.name,
        comparisons=beats_all(["promp-taypo2"], ["promp"], _FIG2.environments),
    ),
)
