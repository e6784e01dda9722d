"""Liu, Socher, Xiong: Taming MAML: Efficient Unbiased Meta-Reinforcement Learning (ICML 2019)."""

from __future__ import annotations

from metarl_cli.papers.claim import (
    AS_ACCURATE,
    Claim,
    Comparison,
    Measure,
    Range,
    Reported,
    beats_all,
    deviates,
    exact,
    order,
    ranking,
    trained,
)
from metarl_cli.papers.figure import RELEASED_REWARDS, Curve, Figure, plain

__all__ = ["CLAIMS", "FIGURES", "REPORTED"]

_PER_TASK = Curve("tmaml-per-task", "tmaml", ("inner.control_variate=per-task",), "TMAML (per task)")
_RELEASED = Curve("dice-vpg-released", "dice-vpg", RELEASED_REWARDS, "DiCE-VPG, released step")

FIGURES = (
    Figure(
        name="tmaml-fig2",
        title="Variance of the meta-gradient, and return, by estimator",
        plot="tmaml_fig2",
        environments=("HalfCheetahFwdBack",),
        curves=(*plain("tmaml"), _PER_TASK, *plain("lvc-vpg", "vpg-maml", "dice-vpg"), _RELEASED),
    ),
    Figure(
        name="tmaml-fig3",
        title="Post-update return on ten locomotion tasks",
        plot="learning_curves",
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
        curves=(*plain("tmaml"), _PER_TASK, *plain("vpg-maml", "lvc-vpg", "dice-vpg"), _RELEASED),
    ),
    Figure(
        name="tmaml-fig4",
        title="Correlation of estimates with the truth on a 1-D task",
        plot="tmaml_fig4",
    ),
    Figure(
        name="tmaml-table1",
        title="Return at the last iteration, all with the clipped outer objective",
        plot="return_table",
        environments=("AntFwdBack", "HumanoidRandDir"),
        curves=(
            *plain("tmaml-ppo"),
            Curve("tmaml-ppo-per-task", "tmaml-ppo", _PER_TASK.overrides, "TMAML-PPO (per task)"),
            *plain("lvc-ppo", "maml-ppo", "dice-ppo"),
            Curve("dice-ppo-released", "dice-ppo", RELEASED_REWARDS, "DiCE-PPO, released step"),
        ),
    ),
)

_FIG2, _FIG3, _FIG4, _TABLE1 = FIGURES
_BOTH, _RIVALS = ("tmaml", "tmaml-per-task"), ("vpg-maml", "lvc-vpg", "dice-vpg")
_SOURCE = "Liu et al. 2019"

REPORTED = (
    Reported("AntFwdBack", "tmaml-ppo", 513, 21.3),
    Reported("AntFwdBack", "tmaml-ppo-per-task", 487, 23.9),
    Reported("AntFwdBack", "lvc-ppo", 386, 14.6),
    Reported("AntFwdBack", "maml-ppo", 401, 24.4),
    Reported("AntFwdBack", "dice-ppo", 281, 46.7),
    Reported("HumanoidRandDir", "tmaml-ppo", 557, 19.6),
    Reported("HumanoidRandDir", "tmaml-ppo-per-task", 547, 16.7),
    Reported("HumanoidRandDir", "lvc-ppo", 482, 18.3),
    Reported("HumanoidRandDir", "maml-ppo", 452, 27.9),
    Reported("HumanoidRandDir", "dice-ppo", 397, 52.3),
)
"""Table 1, at iteration 1000. Per-task control variates in the second column of the paper's table."""


def _correlation(estimator: str, control_variate: str, quantity: str) -> Measure:
    return Measure(
        column="pearson",
        where=(
            ("role", "estimate"),
            ("quantity", quantity),
            ("estimator", estimator),
            ("control_variate", control_variate),
        ),
    )


def _best_correlated(estimator: str) -> tuple[Comparison, ...]:
    return tuple(
        Comparison(
            label=f"correlation of the {quantity.replace('_', ' ')}, {estimator} ({control_variate}) − {rival}",
            statistic="difference",
            measure=_correlation(estimator, control_variate, quantity),
            against=_correlation(rival, "none", quantity),
            wanted=Range(low=AS_ACCURATE),
            sweep="samples",
        )
        for quantity in ("inner_hessian", "meta_gradient")
        for control_variate in ("meta", "per_task")
        for rival in ("reinforce", "lvc", "dice")
    )


CLAIMS = (
    Claim(
        name="tmaml-theorem-1",
        statement="The Hessian of J_TMAML as printed (Eq. 7) has expectation zero.",
        source=f"{_SOURCE}, Theorem 1",
        comparisons=(exact("‖E ∇²J_TMAML‖ / ‖∇²J‖, b = V", "tmaml-printed-hessian"),),
    ),
    Claim(
        name="tmaml-theorem-2",
        statement="Adding J_TMAML as printed (Eq. 7) to J_DiCE lowers the variance of the Hessian estimate.",
        source=f"{_SOURCE}, Theorem 2",
        comparisons=(exact("variance of one trajectory's Hessian with / without, b = V", "tmaml-variance", high=1.0),),
    ),
    Claim(
        name="tmaml-lowest-variance",
        statement="TMAML's meta-gradients vary least across batches, with either control variate.",
        source=f"{_SOURCE}, Sec. 5.2 and Fig. 2",
        figure=_FIG2.name,
        reads="study",
        comparisons=tuple(
            comparison
            for ours in _BOTH
            for rival in ("reinforce", "lvc", "dice")
            for comparison in (
                deviates(ours, rival, "variance", Range(high=1.0)),
                deviates(rival, ours, "signal_to_noise", Range(high=1.0)),
            )
        ),
    ),
    Claim(
        name="tmaml-best-correlated",
        statement="TMAML's estimates (its formula corrected) are best correlated with the truth at every sample size: "
        f"no rival by more than {-AS_ACCURATE:g}.",
        source=f"{_SOURCE}, Sec. 5.3 and Fig. 4",
        figure=_FIG4.name,
        reads="study",
        comparisons=_best_correlated("tmaml"),
    ),
    Claim(
        name="tmaml-printed-best-correlated",
        statement="TMAML's estimates (Eq. 7 as printed) are best correlated with the truth at every sample size: "
        f"no rival by more than {-AS_ACCURATE:g}.",
        source=f"{_SOURCE}, Sec. 5.3 and Fig. 4",
        figure=_FIG4.name,
        reads="study",
        comparisons=_best_correlated("tmaml_printed"),
    ),
    trained(
        name="tmaml-beats-maml",
        statement="Both kinds of TMAML end with a higher return than MAML on ten tasks.",
        source=f"{_SOURCE}, Sec. 5.4 and Fig. 3",
        figure=_FIG3.name,
        comparisons=beats_all(_BOTH, _RIVALS[:1], _FIG3.environments),
    ),
    trained(
        name="tmaml-beats-lvc-and-dice",
        statement="Both kinds of TMAML typically end with a higher return than LVC and DiCE.",
        source=f"{_SOURCE}, Sec. 5.4 and Fig. 3",
        figure=_FIG3.name,
        comparisons=beats_all(_BOTH, _RIVALS[1:], _FIG3.environments),
        needs="most",
    ),
    trained(
        name="tmaml-meta-variate",
        statement="The meta-learned control variate is at least as good as the one per task on every benchmark.",
        source=f"{_SOURCE}, Sec. 5.4 and Fig. 3",
        figure=_FIG3.name,
        comparisons=beats_all(_BOTH[:1], _BOTH[1:], _FIG3.environments),
    ),
    trained(
        name="tmaml-table-1",
        statement="With the clipped objective outside, final returns rank as in Table 1, TMAML first.",
        source=f"{_SOURCE}, Table 1",
        figure=_TABLE1.name,
        comparisons=tuple(part for name in _TABLE1.environments for part in order(ranking(REPORTED, name), name)),
    ),
)
