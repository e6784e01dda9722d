"""What the columns of `progress.csv` mean; `runs.record.progress_columns` says which of them a run has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["COLUMNS", "meaning"]

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "iteration": "Meta-iteration, from 0.",
        "env_steps": "Environment steps so far, this row's included: full horizons, as on the papers' axes.",
        "env_steps_actual": "The same, only until each episode's end.",
        "wall_seconds": "Seconds of sampling and updating so far, over all resumptions.",
        "return/pre": "Undiscounted return before adaptation, mean over tasks and trajectories.",
        "return/step_k": "The same after k of several adaptation steps.",
        "return/post": "Undiscounted return after the last adaptation step, mean over tasks and trajectories: what the "
        "figures plot.",
        "return/post_std": "Standard deviation of the latter over tasks and trajectories; 0 of a single one.",
        "success/pre": "Share of the trajectories before adaptation that accomplish their task, where `info` says so.",
        "success/post": "The same after the last adaptation step.",
        "policy/std": "Mean standard deviation of the policy's actions, after the update, before they are scaled.",
        "inner/step_norm": "‖θ′ − θ‖ of an adaptation step, mean over tasks and steps.",
        "inner/kl": "D_KL(π_θ ‖ π_θ′) on what θ sampled, mean over tasks and steps.",
        "loss/before": "Minus the outer objective before the update, on the rounds that it is made from.",
        "loss/after": "The same after the update.",
        "kl/pre": "D_KL of the first stage's policy from the one that sampled, after the update.",
        "kl/post": "The same of the last stage's.",
        "kl/coefficient": "Mean coefficient of the adaptive KL penalty, where there is one.",
        "control_variate/loss": "Mean squared error of the control variate as a prediction of returns.",
        "control_variate/explained_variance": "1 − that error / the variance of the returns.",
        "update/rejected": "Updates so far in which the trust region took no step: none was better and near enough.",
        "time/sampling": "Seconds of this row's sampling and adaptation.",
        "time/update": "Seconds of this row's meta-update.",
    }
)
"""In the order of the file; k stands for a number. Only `wall_seconds` and `time/*` differ between runs of one seed on
one kind of processor, which `meta.json` names."""


def meaning(column: str) -> str:
    """What a column means.

    Raises:
        KeyError: if nothing is said of it.
    """
    return COLUMNS[re.sub(r"(?<=step_)\d+$", "k", column)]
