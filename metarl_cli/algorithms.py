"""An algorithm is four names and a citation: inner estimator, exploration term, outer objective, optimiser.

Names only: this module imports nothing heavy. `training.build` resolves them. A TOML file is an algorithm too.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from metarl_cli.errors import UserError, check_known, unknown_name

__all__ = [
    "ALGORITHMS",
    "CHOICES",
    "Algorithm",
    "find_algorithm",
    "is_file",
    "overrides_of",
    "read_algorithm",
    "read_document",
]


CHOICES: Mapping[str, str] = MappingProxyType(
    {"algorithm": "--algo", "environment.name": "--env", "profile": "--profile"}
)
"""Settings that decide others, and the flags that take them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """A named quadruple, where it comes from, and what else its inner step needs.

    Attributes:
        title: the name in figures.
        inner, exploration, outer, optimizer: the quadruple.
        source: paper and equation.
        control_variate: what the inner estimator subtracts.
        rewards: scaling of the rewards that reward-based inner estimators see. `matched` makes their steps as long as
            those of the estimators that see advantages, so that a comparison is not one of step sizes.
        first_order: the adaptation's Jacobian is taken for the identity.
        magic_box: ratios are those of the policy to itself, one in value, instead of those to what sampled.
        settings: what else of a run it sets, as `--set` takes it.
    """

    title: str
    inner: str
    exploration: str = "none"
    outer: str
    optimizer: str
    source: str
    control_variate: str = "none"
    rewards: str = "controlled"
    first_order: bool = False
    magic_box: bool = False
    settings: tuple[str, ...] = ()


_PROMP, _TMAML = "Rothfuss et al. 2019", "Liu et al. 2019"
_SGMRL, _TAYPO = "Fallah et al. 2021", "Tang et al. 2021"

_lvc = partial(Algorithm, inner="lvc")
_maml = partial(Algorithm, inner="reinforce")
_dice = partial(Algorithm, inner="dice", rewards="matched", magic_box=True)
_tmaml = partial(Algorithm, inner="tmaml", rewards="matched", control_variate="meta", magic_box=True)
_sgmrl = partial(Algorithm, inner="reinforce", outer="vpg", optimizer="adam")

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "promp": _lvc(title="ProMP", outer="clipped", optimizer="adam", source=f"{_PROMP}, Eq. 7"),
        "promp-taypo2": Algorithm(
            title="ProMP-TayPO-2", inner="taypo2", outer="clipped", optimizer="adam", source=f"{_TAYPO}, Sec. 5.2"
        ),
        "trpo-maml": _maml(title="MAML-TRPO", outer="ratio", optimizer="trpo", source="Finn et al. 2017, Sec. 4.2"),
        "trpo-fmaml": _maml(
            title="FMAML-TRPO", outer="ratio", optimizer="trpo", first_order=True, source=f"{_TAYPO}, Sec. 5.2"
        ),
        "trpo-emaml": _maml(
            title="E-MAML-TRPO", exploration="emaml", outer="ratio", optimizer="trpo", source=f"{_PROMP}, Eq. 2"
        ),
        "lvc-trpo": _lvc(title="LVC-TRPO", outer="ratio", optimizer="trpo", source=f"{_PROMP}, Eq. 5"),
        "trpo-dice": Algorithm(
            title="TRPO-DiCE",
            inner="doubly_robust",
            outer="ratio",
            optimizer="trpo",
            rewards="matched",
            control_variate="linear",
            source=f"{_TAYPO}, Eq. 3",
        ),
        "vpg-maml": _maml(title="MAML-VPG", outer="vpg", optimizer="adam", source="Finn et al. 2017, Eq. 4"),
        "vpg-emaml": _maml(
            title="E-MAML-VPG", exploration="emaml", outer="vpg", optimizer="adam", source=f"{_PROMP}, Eq. 2"
        ),
        "lvc-vpg": _lvc(title="LVC-VPG", outer="vpg", optimizer="adam", source=f"{_PROMP}, Eq. 5"),
        "dice-vpg": _dice(title="DiCE-VPG", outer="vpg", optimizer="adam", source="Foerster et al. 2018, Eq. 6"),
        "dice": _dice(title="DiCE", outer="dice", optimizer="adam", source=f"{_PROMP}, Sec. 4"),
        "tmaml": _tmaml(title="TMAML", outer="vpg", optimizer="adam", source=f"{_TMAML}, Alg. 2"),
        "tmaml-ppo": _tmaml(title="TMAML-PPO", outer="clipped", optimizer="adam", source=f"{_TMAML}, Table 1"),
        "tmaml-trpo": _tmaml(title="TMAML-TRPO", outer="ratio", optimizer="trpo", source=f"{_TMAML}, Fig. 2"),
        "maml-ppo": _maml(title="MAML-PPO", outer="clipped", optimizer="adam", source=f"{_TMAML}, Table 1"),
        "lvc-ppo": _lvc(title="LVC-PPO", outer="clipped", optimizer="adam", source=f"{_TMAML}, Table 1"),
        "dice-ppo": _dice(title="DiCE-PPO", outer="clipped", optimizer="adam", source=f"{_TMAML}, Table 1"),
        "sgmrl": _sgmrl(title="SG-MRL", exploration="sgmrl_loo", first_order=True, source=f"{_SGMRL}, Eq. 13, Sec. 5"),
        "sgmrl-loo": _sgmrl(title="SG-MRL (leave-one-out)", exploration="sgmrl_loo", source=f"{_SGMRL}, Eq. 13"),
        "sgmrl-paper": _sgmrl(title="SG-MRL (as printed)", exploration="sgmrl_paper", source=f"{_SGMRL}, Eq. 13"),
        "sgmrl-released": _sgmrl(
            title="SG-MRL (as released)", exploration="sgmrl_released", source=f"{_SGMRL}, released code"
        ),
    }
)


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of a name in `ALGORITHMS`, or of a TOML file.

    Raises:
        UserError: if there is no such algorithm; for a file, as `read_algorithm`.
    """
    if is_file(name):
        return read_algorithm(Path(name))
    if name not in ALGORITHMS:
        raise UserError(f"{unknown_name('algorithm', name, ALGORITHMS)} Yours is FILE.toml.")
    return ALGORITHMS[name]


def read_algorithm(path: Path) -> Algorithm:
    """The algorithm of a TOML file with the fields of `Algorithm`.

    Needed are inner, outer and optimizer; `[settings]` holds what else of a run it sets, as `"inner.lr" = 0.05`, or by
    section. Whether the parts exist and go together is for `training.composition` to say.

    Raises:
        UserError: if the file cannot be read, or has a key or a value of another kind.
    """
    entries = read_document(path)
    known = {field.name: field for field in fields(Algorithm)}
    for key in entries:
        check_known(f"key in {path}", key, known)
    entries = {"title": path.stem, "source": path.name, **entries}
    missing = [key for key, field in known.items() if field.default is MISSING and key not in entries]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: an algorithm names inner, outer and optimizer.")
    settings = entries.pop("settings", {})
    if not isinstance(settings, dict):
        raise UserError(f'{path}: settings is {settings!r}; expected a table, as in [settings] "inner.lr" = 0.05.')
    for key, value in entries.items():
        kind = bool if known[key].default in (True, False) else str
        if not isinstance(value, kind):
            raise UserError(f"{path}: {key} is {value!r}; expected {'true or false' if kind is bool else 'a string'}.")
    try:
        overrides = tuple(overrides_of(settings))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    for override in overrides:
        if (key := override.partition("=")[0].strip()) in CHOICES:
            raise UserError(f"{path}: {key} is no setting of an algorithm: {CHOICES[key]} chooses it for a run.")
    return Algorithm(**entries, settings=overrides)


def is_file(name: str) -> bool:
    """Whether the name of an algorithm or figure is that of a TOML file."""
    return name.endswith(".toml")


def read_document(path: Path) -> Any:
    """The content of a file, TOML or JSON by its suffix; `-` is JSON on standard input.

    Raises:
        UserError: naming the file, if it cannot be read or is none.
    """
    kind = "TOML" if path.suffix == ".toml" else "JSON"
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        return tomllib.loads(text) if kind == "TOML" else json.loads(text)
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # none of its kind, no text, or too deep
        raise UserError(f"{path} is not valid {kind}: {error}.") from None


def overrides_of(table: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """The settings of a table as `--set` takes them; a key may have the name of its section, or stand in its table."""
    for key, value in table.items():
        if isinstance(value, dict):
            if section:
                raise UserError(f"{section}{key} is a table; a setting is section.field.")
            yield from overrides_of(value, f"{section}{key}.")
        else:
            yield f"{section}{key}={','.join(map(str, value)) if isinstance(value, list) else value}"
