"""metarl: a command-line laboratory for gradient-based meta-reinforcement learning.

As a library, `import metarl_cli as metarl`: what stands in `__all__` stays as it is from version to version, and is
loaded, with torch, when it is first asked for. `metarl_cli.library` shows how it is used.
"""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False  # `typing` takes half as long to load as Python to start, and Ctrl-C shows a traceback until then
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__version__ = "0.1.0"

_HOMES: Mapping[str, str] = MappingProxyType(
    {
        "ESTIMATORS": "metarl_cli.estimators:ESTIMATORS",
        "Episode": "metarl_cli.policy:Episode",
        "Policy": "metarl_cli.policy:Policy",
        "Sample": "metarl_cli.types:Sample",
        "dice": "metarl_cli.estimators:dice",
        "doubly_robust": "metarl_cli.estimators:doubly_robust",
        "exact": "metarl_cli.exact",
        "load_policy": "metarl_cli.policy:load_policy",
        "loaded_dice": "metarl_cli.estimators:loaded_dice",
        "lvc": "metarl_cli.estimators:lvc",
        "make_vec": "metarl_cli.library:make_vec",
        "read_runs": "metarl_cli.library:read_runs",
        "reinforce": "metarl_cli.estimators:reinforce",
        "taypo2": "metarl_cli.estimators:taypo2",
        "tmaml": "metarl_cli.estimators:tmaml",
        "tmaml_per_action": "metarl_cli.estimators:tmaml_per_action",
        "tmaml_printed": "metarl_cli.estimators:tmaml_printed",
        "tmaml_released": "metarl_cli.estimators:tmaml_released",
        "truncated_dr": "metarl_cli.estimators:truncated_dr",
    }
)

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pkgutil import resolve_name

    return resolve_name(_HOMES[name])


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
