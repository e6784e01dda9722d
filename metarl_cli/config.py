"""The settings of a run: frozen dataclasses, a JSON round trip, and `--set section.field=value`.

Every value is checked against its type when it enters, from a flag or from a file; a wrong one is a `UserError` that
names the field, what was given and what is allowed. Defaults are the released settings of ProMP.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le, Lt, MinLen

from metarl_cli.algorithms import ALGORITHMS, is_file, read_document
from metarl_cli.errors import UserError, check_known, unknown_name
from metarl_cli.store import write_whole

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "MOST",
    "SCHEMA",
    "EnvironmentConfig",
    "InnerConfig",
    "OuterConfig",
    "PolicyConfig",
    "ReturnConfig",
    "RunConfig",
    "SamplingConfig",
    "adapter",
    "config_of",
    "config_text",
    "load_config",
    "reasons",
    "save_config",
    "settable_keys",
    "with_overrides",
]

SCHEMA = 2
"""Of `config.json`. 1 had no `inner.average` and no `inner.dependence`."""

MOST = 10**15
"""Of what is counted: exact also as a float."""

Count = Annotated[int, Ge(1), Le(MOST)]
Positive = Annotated[float, Gt(0), Lt(math.inf)]
NonNegative = Annotated[float, Ge(0), Lt(math.inf)]
Fraction = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentConfig:
    """Which task distribution; an empty variant is the environment's default one."""

    name: str = "HalfCheetahFwdBack"
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How much is sampled in each stage of a meta-iteration."""

    tasks: Count = 40
    trajectories: Count = 20
    horizon: Count = 100
    action_scale: Positive = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """The Gaussian MLP: sizes of its tanh hidden layers."""

    hidden: Annotated[tuple[Count, ...], MinLen(1)] = (64, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnConfig:
    """Returns and advantages: γ and GAE's λ."""

    discount: Fraction = 0.99
    gae_lambda: Fraction = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerConfig:
    """The adaptation: estimator, step size α, number of steps K, first order or not.

    `control_variate` (none, linear, meta, meta-paper, per-task) is what the estimator subtracts, `rewards` the scaling
    of the rewards that reward-based estimators see: see `training.processing`. `magic_box` takes ratios to the policy
    itself instead of to the recorded one: see `training.adaptation`. `average` (orders, steps) is how an expansion
    becomes a mean: see `estimators.averages`. `dependence` is λ of loaded_dice and taypo2, 0 for LVC, 1 for all of it.
    """

    estimator: str = "lvc"
    lr: Positive = 0.1
    steps: Count = 1
    first_order: bool = False
    control_variate: str = "none"
    rewards: str = "controlled"
    magic_box: bool = False
    average: str = "orders"
    dependence: Fraction = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterConfig:
    """The meta-update: objective, exploration term, optimiser, and their constants.

    `gradient_steps` and `lr` belong to sgd and adam, `max_kl` to trpo; `clip`, `kl_coefficient` and `kl_target` (0: the
    coefficient stays) to the clipped objective.
    """

    objective: str = "clipped"
    exploration: str = "none"
    optimizer: str = "adam"
    lr: Positive = 1e-3
    gradient_steps: Count = 5
    clip: Annotated[float, Gt(0)] = 0.3
    kl_coefficient: NonNegative = 5e-4
    kl_target: NonNegative = 0.0
    max_kl: Positive = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that decides the numbers of a run. Threads and directories do not, and are not here.

    `label` decides nothing: it is the name under which figures show a run whose settings are not the algorithm's own.
    """

    algorithm: str = "promp"
    label: str = ""
    profile: str = "paper"
    seed: Annotated[int, Ge(0), Le(MOST)] = 1
    iterations: Count = 1001
    environment: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    returns: ReturnConfig = field(default_factory=ReturnConfig)
    inner: InnerConfig = field(default_factory=InnerConfig)
    outer: OuterConfig = field(default_factory=OuterConfig)

    def __post_init__(self) -> None:
        if not is_file(self.algorithm):
            check_known("algorithm", self.algorithm, ALGORITHMS)

    @property
    def curve(self) -> str:
        """What tables and figures call the run: its label, or the algorithm if it has none."""
        return self.label or self.algorithm


def with_overrides(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """The settings with each `section.field=value` (or `field=value`) put in.

    Raises:
        UserError: for a malformed override, an unknown key (with the nearest match), or a value of the wrong type.
    """
    from pydantic import ValidationError

    defaults = settable_keys()
    for override in overrides:
        key, equals, text = (part.strip() for part in override.partition("="))
        if not equals or not key:
            raise UserError(f"--set {override!r}: expected section.field=value, for instance inner.lr=0.05.")
        check_known("setting", key, defaults)
        default = defaults[key]
        section, _, name = key.rpartition(".")
        owner: Any = getattr(config, section) if section else config
        checker = adapter(typing.get_type_hints(type(owner), include_extras=True)[name])
        try:
            if isinstance(default, tuple):
                listed = text[1:-1] if text[:1] + text[-1:] in ("[]", "()") else text  # as TOML and Python write it
                value = checker.validate_python([part for part in listed.split(",") if part.strip()])
            else:
                value = checker.validate_strings(text)
        except ValidationError as error:
            reason = "; ".join(str(entry["msg"]) for entry in error.errors())
            usual = getattr(owner, name)
            shown = ",".join(map(str, usual)) if isinstance(usual, tuple) else usual
            raise UserError(f"{key}={text}: {reason}. Unless set it is {shown}.") from None
        changed = replace(owner, **{name: value})
        config = replace(config, **{section: changed}) if section else changed
    return config


def settable_keys(config: RunConfig | None = None) -> dict[str, Any]:
    """Every `section.field` that `--set` takes, with its current value."""
    keys: dict[str, Any] = {}
    for entry in dataclasses.fields(RunConfig):
        value = getattr(config or RunConfig(), entry.name)
        if dataclasses.is_dataclass(value):
            keys.update({f"{entry.name}.{f.name}": getattr(value, f.name) for f in dataclasses.fields(value)})
        else:
            keys[entry.name] = value
    return keys


@cache
def adapter(hint: Any) -> Any:
    """Pydantic's checker of a type; making one takes milliseconds, and a figure loads many runs."""
    from pydantic import TypeAdapter

    return TypeAdapter(hint)


def config_text(config: RunConfig) -> str:
    """The settings as `config.json` has them."""
    return json.dumps({"schema": SCHEMA, **dataclasses.asdict(config)}, indent=2) + "\n"


def save_config(config: RunConfig, path: Path) -> None:
    """Write the settings as JSON; the file is whole or it is the previous one."""
    write_whole(path, config_text(config))


def load_config(path: Path) -> RunConfig:
    """Read settings that `save_config` wrote, of this version or an earlier one, checking every value.

    Raises:
        UserError: if the file cannot be read, is no JSON, or holds an unknown key or a value of the wrong type.
    """
    return config_of(read_document(path), path)


def config_of(document: Any, source: Path) -> RunConfig:
    """The settings in a decoded `config.json`; what an earlier version wrote means what it meant then.

    Raises:
        UserError: naming the source, for an unknown key or a value of the wrong type.
    """
    from pydantic import ValidationError

    if not isinstance(document, dict):
        raise UserError(f"{source}: expected a table of settings, as in a run's config.json.")
    current = dict(document)
    schema = current.pop("schema", 1)
    if schema not in range(1, SCHEMA + 1):
        raise UserError(f"{source} is of schema {schema}; this version of metarl reads 1 to {SCHEMA}.")
    inner = current.get("inner")
    if schema < 2 and isinstance(inner, dict) and inner.get("estimator") == "taypo2":
        current["inner"] = {"average": "steps", **inner}  # the only average there was; to the others both are one
    known = settable_keys()
    sections = {key.partition(".")[0] for key in known if "." in key}
    given = {f"{k}.{name}" for k, v in current.items() if isinstance(v, dict) for name in v}
    given |= {k for k, v in current.items() if k not in sections or not isinstance(v, dict)}
    for key in sorted(given - known.keys()):
        raise unknown_name(f"setting in {source}", key, known)
    for section, _, name in (key.partition(".") for key in sorted(current) if "." in key):
        raise UserError(f"{source}: {section}.{name} is {name} in the table {section}, and is written there.")
    try:
        config: RunConfig = adapter(RunConfig).validate_json(json.dumps(current, default=str))
    except ValidationError as error:
        raise UserError(f"{source}: {reasons(error)}.") from None
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    except RecursionError:
        raise UserError(f"{source}: expected a table of settings, and it is nested far deeper.") from None
    return config


def reasons(error: ValidationError) -> str:
    """What pydantic finds wrong, and where."""
    return "; ".join(f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in error.errors())
