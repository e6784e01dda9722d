"""Inner surrogates: one pure function per equation, one page per family.

Each is a `Surrogate`: `surrogate(logp, sample)` is a value to ascend, whose first and second derivatives in θ are the
estimates of ∇J and ∇²J. They reduce the last two axes, [..., N, T] to [...]. Parameters are keywords with a default;
`functools.partial(loaded_dice, lam=0.5)` is again a surrogate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal, TypeAlias

from torch import Tensor

from metarl_cli.estimators.averages import per_step, per_subset
from metarl_cli.estimators.dice import dice
from metarl_cli.estimators.doubly_robust import doubly_robust, truncated_dr
from metarl_cli.estimators.likelihood_ratio import lvc
from metarl_cli.estimators.loaded_dice import loaded_dice
from metarl_cli.estimators.reinforce import reinforce
from metarl_cli.estimators.taypo import taypo, taypo2, taypo_orders
from metarl_cli.estimators.tmaml import tmaml, tmaml_per_action, tmaml_printed, tmaml_released

__all__ = [
    "ESTIMATORS",
    "Bias",
    "Estimator",
    "dice",
    "doubly_robust",
    "loaded_dice",
    "lvc",
    "per_step",
    "per_subset",
    "reinforce",
    "taypo",
    "taypo2",
    "tmaml",
    "tmaml_per_action",
    "tmaml_printed",
    "tmaml_released",
    "truncated_dr",
]

Bias: TypeAlias = Literal["exact", "biased", "unknown"]
"""What no test has settled is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimator:
    """A surrogate and what is known of it. On-policy every gradient is exact.

    Attributes:
        surrogate: the function, with the default of its parameter.
        title: the name in tables and figures.
        paper: where it comes from.
        equation: the surrogate of one trajectory.
        on_policy_hessian: whether E[∇²J] = ∇²V where π_θ = μ.
        off_policy_gradient: whether E[∇J] = ∇V where π_θ ≠ μ.
        off_policy_hessian: whether E[∇²J] = ∇²V where π_θ ≠ μ.
        needs: the tensors of `Sample` that it reads, besides the mask.
        per_action: takes logp, behaviour_logp and control_variate as [..., N, T, A].
        pairs: couples trajectories of the batch, ours each with the next; with N = 1 that is no more than DiCE.
        damped: whether it takes `lam`, λ, which damps the dependence on earlier actions.
        orders: of an expansion, its terms order by order, with the same parameter; None for a surrogate of one piece.
    """

    surrogate: Callable[..., Tensor]
    title: str
    paper: str
    equation: str
    on_policy_hessian: Bias
    off_policy_gradient: Bias
    off_policy_hessian: Bias
    needs: frozenset[str]
    per_action: bool = False
    pairs: bool = False
    damped: bool = False
    orders: Callable[..., Sequence[Tensor]] | None = None


_ADVANTAGES = frozenset({"behaviour_logp", "advantages"})
_REWARDS = frozenset({"behaviour_logp", "rewards"})
_REWARDS_AND_BASELINE = _REWARDS | {"control_variate"}

ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        "reinforce": Estimator(
            surrogate=reinforce,
            title="MAML",
            paper="Finn et al. (2017)",
            equation="Σₜ γᵗ log πₜ Aₜ",
            on_policy_hessian="biased",
            off_policy_gradient="biased",
            off_policy_hessian="biased",
            needs=frozenset({"advantages"}),
        ),
        "lvc": Estimator(
            surrogate=lvc,
            title="LVC (TayPO-1)",
            paper="Rothfuss et al. (2019)",
            equation="Σₜ γᵗ (ρₜ − 1) Aₜ",
            on_policy_hessian="biased",
            off_policy_gradient="biased",
            off_policy_hessian="biased",
            needs=_ADVANTAGES,
        ),
        "dice": Estimator(
            surrogate=dice,
            title="DiCE (step-wise IS)",
            paper="Foerster et al. (2018)",
            equation="Σₜ γᵗ ρ_≤t rₜ",
            on_policy_hessian="exact",
            off_policy_gradient="exact",
            off_policy_hessian="exact",
            needs=_REWARDS,
        ),
        "loaded_dice": Estimator(
            surrogate=loaded_dice,
            title="Loaded DiCE",
            paper="Farquhar et al. (2019)",
            equation="Σₜ γᵗ (ρ_≤t − ρ_<t) Aₜ",
            on_policy_hessian="exact",
            off_policy_gradient="exact",
            off_policy_hessian="exact",
            needs=_ADVANTAGES,
            damped=True,
        ),
        "doubly_robust": Estimator(
            surrogate=doubly_robust,
            title="doubly robust",
            paper="Tang et al. (2021)",
            equation="V̂ₜ = bₜ + ρₜ (rₜ + γ V̂ₜ₊₁ − bₜ)",
            on_policy_hessian="exact",
            off_policy_gradient="exact",
            off_policy_hessian="exact",
            needs=_REWARDS_AND_BASELINE,
        ),
        "truncated_dr": Estimator(
            surrogate=truncated_dr,
            title="truncated DR",
            paper="Tang et al. (2021)",
            equation="V̂ₜ = bₜ + min(ρₜ, ρ̄) (rₜ + γ V̂ₜ₊₁ − bₜ)",
            on_policy_hessian="exact",
            off_policy_gradient="biased",
            off_policy_hessian="biased",
            needs=_REWARDS_AND_BASELINE,
        ),
        "taypo2": Estimator(
            surrogate=taypo2,
            title="TayPO-2",
            paper="Tang et al. (2021)",
            equation="Σₜ γᵗ (ρₜ − 1) [1 + Σ_{s<t} (ρₛ − 1)] Aₜ",
            on_policy_hessian="exact",
            off_policy_gradient="biased",
            off_policy_hessian="biased",
            needs=_ADVANTAGES,
            damped=True,
            orders=partial(taypo_orders, order=2),
        ),
        "tmaml": Estimator(
            surrogate=tmaml,
            title="TMAML (corrected)",
            paper="Liu et al. (2019)",
            equation="Σₜ γᵗ [ρ_≤t rₜ + (1 − ρₜ) bₜ − (1 − ρ_<t)(1 − ρₜ) bₜ]",
            on_policy_hessian="exact",
            off_policy_gradient="exact",
            off_policy_hessian="exact",
            needs=_REWARDS_AND_BASELINE,
        ),
        "tmaml_per_action": Estimator(
            surrogate=tmaml_per_action,
            title="TMAML (corrected), per action dimension",
            paper="Liu et al. (2019)",
            equation="Σₜ γᵗ [ρ_≤t rₜ + ρ_<t Σᵢ (1 − ρₜⁱ) bₜⁱ]",
            on_policy_hessian="exact",
            off_policy_gradient="exact",
            off_policy_hessian="exact",
            needs=_REWARDS_AND_BASELINE,
            per_action=True,
        ),
        "tmaml_printed": Estimator(
            surrogate=tmaml_printed,
            title="TMAML (as printed)",
            paper="Liu et al. (2019)",
            equation="Σₜ γᵗ [ρ_≤t rₜ + (1 − ρ_≤t)(1 − ρₜ) bₜ]",
            on_policy_hessian="biased",
            off_policy_gradient="biased",
            off_policy_hessian="biased",
            needs=_REWARDS_AND_BASELINE,
        ),
        "tmaml_released": Estimator(
            surrogate=tmaml_released,
            title="TMAML (as released)",
            paper="Liu et al. (2019)",
            equation="Σₜ γᵗ [ρ_≤t rₜ + (1 − ρ′_<t) ρₜ bₜ], ρ′ of the next trajectory",
            on_policy_hessian="exact",
            off_policy_gradient="exact",
            off_policy_hessian="exact",
            needs=_REWARDS_AND_BASELINE,
            pairs=True,
        ),
    }
)
