"""An algorithm is four names and a citation: inner estimator, exploration term, outer objective, optimiser.

Names only: this module imports nothing heavy. `training.build` resolves them. A TOML file is an algorithm too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from metarl_cli.errors import UserError, unknown_name

__all__ = ["ALGORITHMS", "Algorithm", "find_algorithm", "is_file", "overrides_of", "read_toml"]


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

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        "promp": Algorithm(title="ProMP", inner="lvc", outer="clipped", optimizer="adam", source=f"{_PROMP}, Eq. 7"),
        "promp-taypo2": Algorithm(
            title="ProMP-TayPO-2", inner="taypo2", outer="clipped", optimizer="adam", source=f"{_TAYPO}, Sec. 5.2"
        ),
        "trpo-maml": Algorithm(
            title="MAML-TRPO", inner="reinforce", outer="ratio", optimizer="trpo", source="Finn et al. 2017, Sec. 4.2"
        ),
        "trpo-fmaml": Algorithm(
            title="FMAML-TRPO",
            inner="reinforce",
            outer="ratio",
            optimizer="trpo",
            first_order=True,
            source=f"{_TAYPO}, Sec. 5.2",
        ),
        "trpo-emaml": Algorithm(
            title="E-MAML-TRPO",
            inner="reinforce",
            exploration="emaml",
            outer="ratio",
            optimizer="trpo",
            source=f"{_PROMP}, Eq. 2",
        ),
        "lvc-trpo": Algorithm(
            title="LVC-TRPO", inner="lvc", outer="ratio", optimizer="trpo", source=f"{_PROMP}, Eq. 5"
        ),
        "trpo-dice": Algorithm(
            title="TRPO-DiCE",
            inner="doubly_robust",
            outer="ratio",
            optimizer="trpo",
            rewards="matched",
            control_variate="linear",
            source=f"{_TAYPO}, Eq. 3",
        ),
        "vpg-maml": Algorithm(
            title="MAML-VPG", inner="reinforce", outer="vpg", optimizer="adam", source="Finn et al. 2017, Eq. 4"
        ),
        "vpg-emaml": Algorithm(
            title="E-MAML-VPG",
            inner="reinforce",
            exploration="emaml",
            outer="vpg",
            optimizer="adam",
            source=f"{_PROMP}, Eq. 2",
        ),
        "lvc-vpg": Algorithm(title="LVC-VPG", inner="lvc", outer="vpg", optimizer="adam", source=f"{_PROMP}, Eq. 5"),
        "dice-vpg": Algorithm(
            title="DiCE-VPG",
            inner="dice",
            outer="vpg",
            optimizer="adam",
            rewards="matched",
            magic_box=True,
            source="Foerster et al. 2018, Eq. 6",
        ),
        "dice": Algorithm(
            title="DiCE",
            inner="dice",
            outer="dice",
            optimizer="adam",
            rewards="matched",
            magic_box=True,
            source=f"{_PROMP}, Sec. 4",
        ),
        "tmaml": Algorithm(
            title="TMAML",
            inner="tmaml",
            outer="vpg",
            optimizer="adam",
            rewards="matched",
            control_variate="meta",
            magic_box=True,
            source=f"{_TMAML}, Alg. 2",
        ),
        "tmaml-ppo": Algorithm(
            title="TMAML-PPO",
            inner="tmaml",
            outer="clipped",
            optimizer="adam",
            rewards="matched",
            control_variate="meta",
            magic_box=True,
            source=f"{_TMAML}, Table 1",
        ),
        "tmaml-trpo": Algorithm(
            title="TMAML-TRPO",
            inner="tmaml",
            outer="ratio",
            optimizer="trpo",
            rewards="matched",
            control_variate="meta",
            magic_box=True,
            source=f"{_TMAML}, Fig. 2",
        ),
        "maml-ppo": Algorithm(
            title="MAML-PPO", inner="reinforce", outer="clipped", optimizer="adam", source=f"{_TMAML}, Table 1"
        ),
        "lvc-ppo": Algorithm(
            title="LVC-PPO", inner="lvc", outer="clipped", optimizer="adam", source=f"{_TMAML}, Table 1"
        ),
        "dice-ppo": Algorithm(
            title="DiCE-PPO",
            inner="dice",
            outer="clipped",
            optimizer="adam",
            rewards="matched",
            magic_box=True,
            source=f"{_TMAML}, Table 1",
        ),
        "sgmrl": Algorithm(
            title="SG-MRL",
            inner="reinforce",
            exploration="sgmrl_loo",
            outer="vpg",
            optimizer="adam",
            first_order=True,
            source=f"{_SGMRL}, Eq. 13, Sec. 5",
        ),
        "sgmrl-loo": Algorithm(
            title="SG-MRL (leave-one-out)",
            inner="reinforce",
            exploration="sgmrl_loo",
            outer="vpg",
            optimizer="adam",
            source=f"{_SGMRL}, Eq. 13",
        ),
        "sgmrl-paper": Algorithm(
            title="SG-MRL (as printed)",
            inner="reinforce",
            exploration="sgmrl_paper",
            outer="vpg",
            optimizer="adam",
            source=f"{_SGMRL}, Eq. 13",
        ),
        "sgmrl-released": Algorithm(
            title="SG-MRL (as released)",
            inner="reinforce",
            exploration="sgmrl_released",
            outer="vpg",
            optimizer="adam",
            source=f"{_SGMRL}, released code",
        ),
    }
)


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of a name in `ALGORITHMS`, or of a TOML file with the fields of `Algorithm`.

    Needed are inner, outer and optimizer; `[settings]` holds what else of a run it sets, as `"inner.lr" = 0.05`, or by
    section. Whether the parts exist and go together is for `training.composition` to say.

    Raises:
        UserError: if there is no such algorithm, or the file cannot be read or has a key or a value of another kind.
    """
    if is_file(name):
        return _read(Path(name))
    if name not in ALGORITHMS:
        raise unknown_name("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]


def is_file(name: str) -> bool:
    """Whether the name of an algorithm or figure is that of a TOML file."""
    return name.endswith(".toml")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UserError: naming the file, if it cannot be read or is none.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from None


def overrides_of(table: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """The settings of a table as `--set` takes them; a key may have the name of its section, or stand in its table."""
    for key, value in table.items():
        if isinstance(value, dict):
            if section:
                raise UserError(f"{section}{key} is a table; a setting is section.field.")
            yield from overrides_of(value, f"{section}{key}.")
        else:
            yield f"{section}{key}={','.join(map(str, value)) if isinstance(value, list) else value}"


def _read(path: Path) -> Algorithm:
    entries = read_toml(path)
    known = {field.name: field for field in fields(Algorithm)}
    for key in entries:
        if key not in known:
            raise unknown_name(f"key in {path}", key, known)
    entries = {"title": path.stem, "source": path.name, **entries}
    missing = [name for name, field in known.items() if field.default is MISSING and name not in entries]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: an algorithm names inner, outer and optimizer.")
    settings = entries.pop("settings", {})
    if not isinstance(settings, dict):
        raise UserError(f'{path}: settings is {settings!r}; expected a table, as in [settings] "inner.lr" = 0.05.')
    for name, value in entries.items():
        kind = bool if known[name].default in (True, False) else str
        if not isinstance(value, kind):
            raise UserError(f"{path}: {name} is {value!r}; expected {'true or false' if kind is bool else 'a string'}.")
    try:
        return Algorithm(**entries, settings=tuple(overrides_of(settings)))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
