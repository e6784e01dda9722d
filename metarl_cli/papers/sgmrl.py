"""Fallah, Georgiev, Mokhtari, Ozdaglar: On the Convergence Theory of Debiased MAML in RL (NeurIPS 2021)."""

from __future__ import annotations

from metarl_cli.algorithms import ALGORITHMS
from metarl_cli.papers.claim import Claim, Comparison, Measure, Range, Reported, exact, ranking
from metarl_cli.papers.figure import Curve, Figure, plain

__all__ = ["CLAIMS", "FIGURES", "TABLE1", "TABLE2"]


def _steps(algorithm: str) -> tuple[Curve, ...]:
    """Trained and tested with one, two and three adaptation steps, at horizon 200 with two layers of 100 (App. H)."""
    settings = ("sampling.horizon=200", "policy.hidden=100,100")
    title = ALGORITHMS[algorithm].title
    return tuple(
        Curve(f"{algorithm}-k{k}", algorithm, (f"inner.steps={k}", *settings), f"{title}, K = {k}") for k in (1, 2, 3)
    )


FIGURES = (
    Figure(
        name="sgmrl-fig1",
        title="Adapted trajectories to a goal in the plane",
        plot="sgmrl_fig1",
        environments=("Navigation",),
        curves=plain("sgmrl", "vpg-maml"),
    ),
    Figure(
        name="sgmrl-table1",
        title="Meta-test return, 2-D navigation",
        plot="evaluation_table",
        environments=("Navigation",),
        curves=plain("sgmrl", "vpg-maml", "vpg-emaml"),
    ),
    Figure(
        name="sgmrl-table2",
        title="Meta-test return after one, two and three adaptation steps",
        plot="evaluation_table",
        environments=("HalfCheetahFwdBack", "HalfCheetahRandVel", "SwimmerRandVel"),
        curves=(*_steps("sgmrl"), *_steps("vpg-maml")),
    ),
)

_FIG1, _TABLE1, _TABLE2 = FIGURES
_SOURCE = "Fallah et al. 2021"

TABLE1 = (
    Reported("Navigation", "sgmrl", -16.901, 0.699),
    Reported("Navigation", "vpg-maml", -17.767, 0.106),
    Reported("Navigation", "vpg-emaml", -17.803, 0.115),
)
"""Table 1."""

TABLE2 = (
    Reported("HalfCheetahFwdBack", "sgmrl-k1", 580.143, 38.22),
    Reported("HalfCheetahFwdBack", "sgmrl-k2", 580.203, 33.63),
    Reported("HalfCheetahFwdBack", "sgmrl-k3", 504.747, 45.07),
    Reported("HalfCheetahFwdBack", "vpg-maml-k1", 465.624, 54.07),
    Reported("HalfCheetahFwdBack", "vpg-maml-k2", 441.247, 58.34),
    Reported("HalfCheetahFwdBack", "vpg-maml-k3", 477.086, 64.71),
    Reported("HalfCheetahRandVel", "sgmrl-k1", -91.73, 0.34),
    Reported("HalfCheetahRandVel", "sgmrl-k2", -52.64, 6.86),
    Reported("HalfCheetahRandVel", "sgmrl-k3", -33.39, 0.67),
    Reported("HalfCheetahRandVel", "vpg-maml-k1", -92.92, 0.70),
    Reported("HalfCheetahRandVel", "vpg-maml-k2", -56.71, 6.73),
    Reported("HalfCheetahRandVel", "vpg-maml-k3", -32.48, 0.50),
    Reported("SwimmerRandVel", "sgmrl-k1", 118.77, 9.99),
    Reported("SwimmerRandVel", "sgmrl-k2", 134.57, 1.67),
    Reported("SwimmerRandVel", "sgmrl-k3", 110.91, 12.56),
    Reported("SwimmerRandVel", "vpg-maml-k1", 104.53, 24.18),
    Reported("SwimmerRandVel", "vpg-maml-k2", 108.47, 23.36),
    Reported("SwimmerRandVel", "vpg-maml-k3", 90.60, 14.99),
)
"""Table 2: trained and tested with the same number of adaptation steps."""


def _tested(curve: str, environment: str, steps: int) -> Measure:
    return Measure(column="return", where=(("curve", curve), ("environment", environment), ("steps", steps)))


def _above(better: str, worse: str, environment: str, steps: int) -> Comparison:
    return Comparison(
        label=f"{better} − {worse}, {environment}, return on new tasks",
        statistic="difference",
        measure=_tested(better, environment, steps),
        against=_tested(worse, environment, steps),
        wanted=Range(low=0.0),
    )


def _as_printed(environment: str, steps: int) -> Comparison:
    """The comparison of one cell of Table 2, the curve with the larger number first."""
    better, worse = (curve for curve in ranking(TABLE2, environment) if curve.endswith(f"-k{steps}"))
    return _above(better, worse, environment, steps)


def _seconds(curve: str) -> Measure:
    return Measure(column="time/iteration", where=(("curve", curve), ("environment", "Navigation")))


CLAIMS = (
    Claim(
        name="sgmrl-unbiased",
        statement="The SG-MRL estimator is unbiased for the gradient of the objective with stochastic inner steps.",
        source=f"{_SOURCE}, Sec. 3, Eq. 13 and 39",
        comparisons=(
            exact("relative bias, one inner step", "sgmrl-one-step"),
            exact("relative bias, two inner steps", "sgmrl-two-steps"),
        ),
    ),
    Claim(
        name="sgmrl-table-1",
        statement="On 2-D navigation SG-MRL (its returns centred by other tasks') has a higher return on new tasks "
        "than MAML and E-MAML.",
        source=f"{_SOURCE}, Sec. 5 and Table 1",
        figure=_TABLE1.name,
        reads="study",
        decided_at="overnight",
        comparisons=tuple(_above("sgmrl", other, "Navigation", 1) for other in ("vpg-maml", "vpg-emaml")),
    ),
    Claim(
        name="sgmrl-table-2",
        statement="In the nine cells of Table 2 the better method is the printed one: SG-MRL in all but one.",
        source=f"{_SOURCE}, Sec. 5 and Table 2",
        figure=_TABLE2.name,
        reads="study",
        decided_at="paper",
        comparisons=tuple(_as_printed(name, steps) for name in _TABLE2.environments for steps in (1, 2, 3)),
    ),
    Claim(
        name="sgmrl-time",
        statement="SG-MRL, of first order as in the paper, takes at most 1.05 times the time of MAML (of second).",
        source=f"{_SOURCE}, Sec. 5",
        figure=_TABLE1.name,
        reads="runs",
        comparisons=(
            Comparison(
                label="seconds per iteration, sgmrl / vpg-maml, Navigation",
                statistic="ratio",
                measure=_seconds("sgmrl"),
                against=_seconds("vpg-maml"),
                summary="median",
                wanted=Range(high=1.05),
            ),
        ),
    ),
)
