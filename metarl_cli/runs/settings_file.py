"""The settings of a run from a file of the user's: JSON or TOML, all of them or those that differ.

    algorithm = "tmaml"
    profile = "quick"
    environment.name = "Navigation"
    inner.lr = 0.05

What such a file leaves out is the algorithm's own on that environment at that profile, as on the command line. The
`config.json` of a run is such a file, and names everything.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from metarl_cli.algorithms import read_document
from metarl_cli.config import SCHEMA, RunConfig, config_of, settable_keys
from metarl_cli.errors import UserError
from metarl_cli.papers.settings import run_config

__all__ = ["read_settings"]

LATER = frozenset({"inner.average", "inner.dependence"})
"""Settings that the `config.json` of an earlier version does not have."""


def read_settings(path: Path) -> RunConfig:
    """The settings in a file.

    Args:
        path: ends in `.json` or `.toml`; `-` is JSON on standard input.

    Raises:
        UserError: naming the file, and the key with its nearest match, for whatever it does not understand.
    """
    if str(path) != "-" and path.suffix not in (".json", ".toml"):
        raise UserError(f"--config {path}: expected FILE.json, FILE.toml, or - for JSON on standard input.")
    document = read_document(path)
    if not isinstance(document, dict) or "schema" in document:
        return config_of(document, path)
    named = {f"{key}.{name}" for key, value in document.items() if isinstance(value, dict) for name in value}
    if set(settable_keys()) - LATER <= named | document.keys():
        return config_of(document, path)  # the `config.json` of a version that did not write its schema
    given = config_of({"schema": SCHEMA, **document}, path)  # every name and value is good
    try:
        own = run_config(given.algorithm, given.environment.name, profile=given.profile)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    whole = json.loads(json.dumps(asdict(own)))  # as a file says it
    for key, value in document.items():
        whole[key] = whole[key] | value if isinstance(value, dict) else value
    return config_of({"schema": SCHEMA, **whole, "algorithm": own.algorithm}, path)  # of a file, its name alone
