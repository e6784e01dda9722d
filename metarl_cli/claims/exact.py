"""The numbers behind exact checks, remembered: to compute them takes longer than all other claims together.

They depend on nothing but the code, so that what was computed by the same sources and the same torch is read again,
from `metarl/exact.json` in the user's cache directory; anything else that lies there is computed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import metarl_cli
from metarl_cli.errors import check_known
from metarl_cli.store import write_whole

__all__ = ["exact_number"]


def exact_number(check: str) -> float:
    """The number behind a key of `exact.theorems.CHECKS`.

    Raises:
        UserError: if there is no such check.
    """
    numbers = _numbers()
    check_known("exact check", check, numbers)
    return numbers[check]


@cache
def _numbers() -> dict[str, float]:
    # By the libraries, and by all sources of the package, because what an enumeration uses is spread over it.
    digest = hashlib.sha256(" ".join(version(name) for name in ("torch", "numpy")).encode())
    for source in sorted(Path(metarl_cli.__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    key = digest.hexdigest()
    path = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "metarl" / "exact.json"
    try:
        remembered = json.loads(path.read_bytes())
        if remembered["key"] == key:
            return {name: float(number) for name, number in remembered["numbers"].items()}
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        pass  # none, or not one of ours
    from metarl_cli.exact.theorems import CHECKS

    numbers = {name: number() for name, number in CHECKS.items()}
    with suppress(OSError):  # a home that cannot be written costs the next command its seconds, and nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"key": key, "numbers": numbers}))
    return numbers
