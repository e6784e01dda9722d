"""How close an estimate of a derivative is to the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["accuracy"]


def accuracy(estimate: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """Pearson correlation over components, the papers' measure; ‖estimate − truth‖₂ / ‖truth‖₂, which sees scale."""
    x, y = np.ravel(estimate), np.ravel(truth)
    error = np.linalg.norm(x - y) / np.linalg.norm(y)
    return {"pearson": float(np.corrcoef(x, y)[0, 1]), "relative_error": float(error)}
