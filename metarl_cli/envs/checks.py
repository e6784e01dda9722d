"""What `metarl check env` finds out: whether training on an environment means what it should.

Gymnasium's own checker knows no tasks and no vector environments. Here every check is a function of a `Bench` that
returns what it found, or raises `Failed`.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv

from metarl_cli.envs.bench import TASKS, Bench, bounds, roll
from metarl_cli.envs.episodes import SUCCESS, blaming, give_tasks
from metarl_cli.envs.own import check_environment, faults, make_one
from metarl_cli.errors import UserError
from metarl_cli.references import is_reference

__all__ = ["FAILS", "NOTE", "OK", "check"]

OK, FAILS, NOTE = "ok", "fails", "note"


class Failed(Exception):
    """The environment is not as it should be; the message says what was found."""


class Noted(Exception):
    """Something to know that no training depends on."""


def _gymnasium(bench: Bench) -> str:
    env = bench.one()
    if isinstance(env, VectorEnv):
        raise Noted("Gymnasium's checker takes no vector environments")
    give_tasks(bench.name, env, bench.tasks(1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_env(env.unwrapped, skip_render_check=True)
        except Exception as error:
            raise Failed(_first_line(f"{type(error).__name__}: {error}")) from error
    if caught:
        raise Noted("; ".join(dict.fromkeys(_first_line(str(warning.message)) for warning in caught)))
    return "gymnasium.utils.env_checker finds nothing"


def _spaces(bench: Bench) -> str:
    env = bench.one()
    prefixes = ("", "single_") if isinstance(env, VectorEnv) else ("",)
    names = [f"{prefix}{kind}_space" for prefix in prefixes for kind in ("observation", "action")]
    before = [getattr(env, name) for name in names]
    tasks = bench.tasks()
    for i in range(TASKS):
        give_tasks(bench.name, env, tasks[i : i + 1])
        changed = [name for name, space in zip(names, before, strict=True) if getattr(env, name) != space]
        if changed:
            raise Failed(f"{changed[0]} is {getattr(env, changed[0])} after another task")
    return f"the same for {TASKS} tasks"


def _sampling(bench: Bench) -> str:
    first, again, other = (bench.workers(1).sample_tasks(TASKS, np.random.default_rng(seed)) for seed in (0, 0, 1))
    if not _equal(first, again):
        raise Failed("two generators of one seed draw other tasks")
    if _equal(first, other):
        raise Failed("generators of two seeds draw the same tasks")
    return "the generator decides"


def _seeding(bench: Bench) -> str:
    tasks = bench.tasks(2)
    if not roll(bench.workers(2), tasks).same(roll(bench.workers(2), tasks)):
        raise Failed("two environments of one seed differ under the same actions")
    return "the seed decides"


def _nothing_behind(bench: Bench) -> str:
    workers, tasks = bench.workers(1), bench.tasks(2)
    first, _, again = (roll(workers, tasks[i : i + 1]) for i in (0, 1, 0))
    if not first.same(again):
        raise Failed("a task, another task, and the first again: the third rollout is not the first")
    return "a task leaves nothing behind for the next"


def _tasks_matter(bench: Bench) -> str:
    workers, tasks = bench.workers(1), bench.tasks()
    rollouts = [roll(workers, tasks[i : i + 1]) for i in range(TASKS)]
    if all(rollouts[0].same(other) for other in rollouts[1:]):
        raise Failed(f"{TASKS} tasks give the same rewards and observations")
    return "rewards or observations differ between tasks"


def _independence(bench: Bench) -> str:
    workers, tasks = bench.workers(2), bench.tasks()
    last = next((i for i in range(1, TASKS) if not _equal(tasks[:1], tasks[i : i + 1])), 1)
    mixed, alike = roll(workers, tasks[[0, last]]), roll(workers, tasks[[last, last]])
    if not mixed.same(alike, env=1):
        raise Failed("the task of one environment changes what another does")
    return "environments side by side do not touch each other"


def _finite(bench: Bench) -> str:
    workers, tasks = bench.workers(TASKS), bench.tasks()
    every = [roll(workers, tasks, steps=min(bench.horizon, 200), where=where) for where in (None, 0.0, 1.0)]
    observation, reward = (
        max(float(np.abs(array).max()) for array in arrays)
        for arrays in zip(*((r.observations, r.rewards) for r in every), strict=True)
    )
    if max(observation, reward) > float(np.finfo(np.float32).max):
        raise Failed(f"|observation| up to {observation:.3g}, |reward| up to {reward:.3g}: no float32")
    return f"|observation| up to {observation:.3g}, |reward| up to {reward:.3g}"


def _inside(bench: Bench) -> str:
    workers = bench.workers(TASKS)
    (low, high), seen = bounds(workers.single_observation_space), roll(workers, bench.tasks()).observations
    outside = (seen < low) | (seen > high)
    if outside.any():
        entry = int(np.argwhere(outside)[0, -1])
        worst = float(seen[..., entry][outside[..., entry]][0])
        raise Failed(f"entry {entry} of an observation is {worst:.3g}, beyond its bounds")
    return "observations are in their space"


def _ends(bench: Bench) -> str:
    env = bench.one()
    if isinstance(env, VectorEnv) and not isinstance(env.metadata.get("autoreset_mode"), AutoresetMode):
        raise Failed(f"metadata['autoreset_mode'] is {env.metadata.get('autoreset_mode')!r}, no AutoresetMode")
    workers, tasks = bench.workers(2), bench.tasks(2)
    first = roll(workers, tasks, steps=min(bench.horizon, 1000), where=1.0)
    kept = first.observations[0].copy()
    if not np.array_equal(roll(workers, tasks, steps=1).observations[0], kept):
        raise Failed("a reset with the same seed after an episode begins elsewhere")
    return "a reset begins anew, after an end too"


def _fresh_arrays(bench: Bench) -> str:
    env, space = bench.one(), bench.workers(1).single_action_space
    low, high = bounds(space)
    give_tasks(bench.name, env, bench.tasks(1))
    with blaming(bench.name, "reset"):
        first, _ = env.reset(seed=1)
    seen = [(first, np.array(first))]
    for at in (0.5, 0.4, 0.6):
        action = (low + at * (high - low)).astype(space.dtype)
        with blaming(bench.name, "step"):
            observation, _, terminated, truncated, _ = env.step(action[None] if isinstance(env, VectorEnv) else action)
        if not all(np.array_equal(kept, returned) for returned, kept in seen):
            raise Failed("an observation changes after it was returned")
        if np.any(terminated) or np.any(truncated):
            break
        seen.append((observation, np.array(observation)))
    return "every observation is an array of its own"


def _pickling(bench: Bench) -> str:
    try:
        pickle.loads(pickle.dumps(bench.one()))
    except Exception as error:
        raise Noted(_first_line(f"{type(error).__name__}: {error}. No run needs it; spawned processes do")) from error
    return "a pickle can be made and read"


def _success(bench: Bench) -> str:
    if SUCCESS not in roll(bench.workers(1), bench.tasks(1), steps=1).info:
        raise Noted("info has no 'success', so runs have no such column")
    return "info['success'] becomes the columns success/pre and success/post"


class Check(NamedTuple):
    """A function, and what to do where it fails."""

    find: Callable[[Bench], str]
    remedy: str


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "sampling tasks": Check(_sampling, "draw tasks from the generator `rng` alone"),
        "same spaces": Check(_spaces, "let no space depend on the task: it is hidden from the policy"),
        "seeding": Check(_seeding, "call super().reset(seed=seed) and draw from self.np_random alone"),
        "task alone": Check(_nothing_behind, "let set_task replace, and reset clear, all that a task or episode left"),
        "task matters": Check(_tasks_matter, "let the reward or the dynamics depend on the task"),
        "side by side": Check(_independence, "keep state in the instance, a row for each environment"),
        "finite": Check(_finite, "clip the state, or end the episode, before numbers overflow"),
        "in the space": Check(_inside, "widen observation_space, or clip what is observed"),
        "ends": Check(_ends, "set metadata['autoreset_mode'] to an AutoresetMode; let reset restore every attribute"),
        "arrays": Check(_fresh_arrays, "return a copy of the state"),
        "Gymnasium's checker": Check(_gymnasium, "do as it says"),
        "pickling": Check(_pickling, ""),
        "success": Check(_success, ""),
    }
)


def check(name: str, variant: str = "") -> list[dict[str, str]]:
    """Try an environment: one row per check, with the result, what was found and the remedy.

    Raises:
        UserError: If there is no such environment, or it cannot be made.
    """
    bench = Bench(name, variant)
    if missing := faults(make_one(name, variant)) if is_reference(name) else {}:
        return [_row(what, FAILS, fault, remedy) for what, (fault, remedy) in missing.items()]
    try:
        check_environment(name, variant)
        workers = bench.workers(1)
    except UserError as error:
        if not is_reference(name):
            raise
        return [_row("first step", FAILS, str(error), "follow Gymnasium's interface of reset and step")]
    spaces = workers.single_observation_space, workers.single_action_space
    observed, actions = (len(bounds(space)[0]) for space in spaces)
    about = f"{observed} numbers observed, {actions} in an action, {bench.horizon} steps"
    rows = [_row("interface", OK, about, "")]
    for what, (find, remedy) in CHECKS.items():
        try:
            rows.append(_row(what, OK, find(bench), ""))
        except Noted as note:
            rows.append(_row(what, NOTE, str(note), ""))
        except (Failed, UserError) as failure:
            rows.append(_row(what, FAILS, str(failure), remedy))
    return rows


def _row(name: str, result: str, found: str, remedy: str) -> dict[str, str]:
    return {"check": name, "result": result, "found": found, "remedy": remedy}


def _equal(a: Any, b: Any) -> bool:
    """Of tasks of any kind; those that know no equality are compared as pickles.

    Raises:
        Noted: If there are no pickles of them either.
    """
    if data_equivalence(a, b, exact=True):
        return True
    try:
        return pickle.dumps(a) == pickle.dumps(b)
    except Exception as error:
        raise Noted(_first_line(f"tasks cannot be compared: {type(error).__name__}: {error}")) from error


def _first_line(text: str) -> str:
    """Without the colour of Gymnasium's warnings."""
    plain = re.sub(r"\x1b\[\d+m", "", text).removeprefix("WARN: ")
    return plain.strip().partition("\n")[0]
