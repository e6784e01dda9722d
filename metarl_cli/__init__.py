"""metarl: a command-line laboratory for gradient-based meta-reinforcement learning.

As a library, `import metarl_cli as metarl`: what stands in `__all__` stays as it is from version to version, and is
loaded, with torch, when it is first asked for. `metarl_cli.library` says what each is.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "ESTIMATORS",
    "Episode",
    "Policy",
    "Sample",
    "dice",
    "doubly_robust",
    "exact",
    "load_policy",
    "loaded_dice",
    "lvc",
    "make_vec",
    "read_runs",
    "reinforce",
    "taypo2",
    "tmaml",
    "tmaml_per_action",
    "tmaml_printed",
    "tmaml_released",
    "truncated_dr",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("metarl_cli.library"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
