"""Inputs that nobody would think of, and the law for all of them: a message or a result, and nothing else changed."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import wraps
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metarl_cli.cli import main

COUNT = int(os.environ.get("FUZZ_COUNT", 0))
"""Of `make fuzz`: new inputs each time. Without it, as in `make test`, a few, and always the same."""

FEW = 1500
CODES = {0, 1, 2, 3, 4, 130}
TRIED: Counter[str] = Counter()
"""How many inputs each target has really seen."""


def fuzzed(*, percent, **strategies):
    """A test that sees its share of all inputs."""
    share = settings(
        max_examples=max(1, round((COUNT or FEW) * percent / 100)),
        derandomize=not COUNT,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def target(test):
        @wraps(test)
        def counted(*arguments, **options):
            TRIED[test.__name__] += 1
            test(*arguments, **options)

        return share(given(**strategies)(counted))

    return target


class Completed(NamedTuple):
    code: int
    out: str
    err: str


def metarl(*arguments, stdin=""):
    """The command in this process. Whatever it raises but its own end is a traceback on the user's screen."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        patch.object(sys, "argv", ["metarl", *map(str, arguments)]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    ended = Completed(code or 0, *(stream.buffer.getvalue().decode() for stream in (out, err)))
    assert ended.code in CODES
    assert "Traceback" not in ended.err
    assert ended.code != 2 or ended.err.strip(), "a mistake of which nothing is said"
    return ended


def files_below(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != ".lock"}


@contextmanager
def restored(directory):
    """The files of a directory; whatever is done there is undone after it."""
    files = files_below(directory)
    try:
        yield files
    finally:
        put(directory, files)


def put(directory, files):
    """Let a directory hold these files and no others."""
    folders = {folder for file in files for folder in file.parents}
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_symlink() or path.is_file():
            if path not in files:
                path.unlink()
        elif path not in folders:
            path.rmdir()
    for path, content in files.items():
        if not path.is_file() or path.read_bytes() != content:
            if path.is_dir():
                path.rmdir()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


# Values

NUMBERS = ("0", "1", "-1", "2", "3", "0.5", "1.5", "1e-3", "1e-400", "1e400", "nan", "inf", "-inf", "1_0", "0x1", "1,5")
LARGE = ("1" + "0" * 12, "9" * 19, "9" * 400)
ODD = (
    "",
    " ",
    "\n",
    "a\nb",
    "True",
    "null",
    "[]",
    "{",
    "%s{0}",
    "[/x]",
    "$\\frac{$",
    "../x",
    "１",
    "☃",
    "\udcff",
    "\x1b[2J",
)
REFERENCES = (
    ":",
    "x:",
    ":y",
    "mine.py:surrogate",
    "mine.py:nothing",
    "leaves.py:anything",
    "nowhere.py:f",
    "os:getcwd",
)

numbers = st.sampled_from((*NUMBERS, *LARGE))
texts = st.text(st.characters(exclude_characters="\x00/", codec="utf-8"), max_size=12)  # what an argument can hold
junk = st.one_of(st.sampled_from((*NUMBERS, *LARGE, *ODD, *REFERENCES)), texts)


def nearly(names):
    """One of the names, or what is left of one after a slip of the finger."""
    return st.one_of(
        st.sampled_from(names),
        st.builds(
            lambda name, place, typed: name[:place] + typed + name[place + 1 :],
            st.sampled_from(names),
            st.integers(0, 12),
            texts,
        ),
    )


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from((10**30, -1, 0, ""))
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
"""Whatever JSON can say."""


@st.composite
def edited(draw, document, names=()):
    """A JSON document in which some entries, however deep, are something else, gone, or new."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        place = document
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 3)):
                place = place[key]
                continue
            how = draw(st.sampled_from(("change", "change", "change", "remove", "add")))
            if how == "remove":
                del place[key]
            elif how == "add" and isinstance(place, dict):
                place[draw(nearly(names or list(place)))] = draw(values)
            else:
                place[key] = draw(st.one_of(values, st.sampled_from(names) if names else values))
            break
    return document


def json_texts(document, names=()):
    """The text of a JSON file that was edited, damaged, or never was one."""
    whole = json.dumps(document, indent=2).encode()
    return st.one_of(
        edited(document, names).map(lambda it: json.dumps(it).encode(errors="replace")),
        values.map(lambda it: json.dumps(it).encode()),
        damaged(whole, (b"[" * 900, b'{"a":' * 900, b"[" * 900 + b"]" * 900, b"9" * 5000)),
    )


@st.composite
def damaged(draw, content, others=()):
    """Bytes of which some were flipped, cut off, lost, repeated or inserted, or that go on as another file does."""
    for _ in range(draw(st.integers(1, 2))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((1, 2, 8, 100))))
        how = draw(st.sampled_from(("flip", "flip", "cut", "lose", "repeat", "insert", "splice", "replace")))
        if how == "flip" and start < len(content):
            flipped = content[start] ^ 1 << draw(st.integers(0, 7))
            content = content[:start] + bytes([flipped]) + content[start + 1 :]
        elif how == "cut":
            content = content[:start]
        elif how == "lose":
            content = content[:start] + content[end:]
        elif how == "repeat":
            content = content[:end] + content[start:]
        elif how == "insert":
            content = content[:start] + draw(st.binary(max_size=8)) + content[start:]
        elif others:
            other = draw(st.sampled_from(others))
            content = content[:start] + other[start:] if how == "splice" else other
    return content


@st.composite
def tables(draw, text):
    """A CSV table in which cells, rows or columns are others than were written, or its bytes."""
    rows = list(csv.reader(io.StringIO(text)))
    for _ in range(draw(st.integers(1, 2))):
        how = draw(st.sampled_from(("cell", "cell", "cell", "name", "row", "twice", "column", "shuffle", "bytes")))
        row = draw(st.integers(1, max(1, len(rows) - 1)))
        column = draw(st.integers(0, len(rows[0]) - 1)) if rows and rows[0] else 0
        if how == "bytes" or not (row < len(rows) and column < len(rows[row])):
            break
        if how == "cell":
            rows[row][column] = draw(st.one_of(junk, numbers, st.floats().map(repr), st.integers().map(str)))
        elif how == "name":
            rows[0][column] = draw(st.one_of(junk, st.sampled_from(rows[0])))
        elif how == "row":
            rows[row] = rows[row][: draw(st.integers(0, len(rows[row])))]
        elif how == "twice":
            rows.insert(draw(st.integers(1, len(rows))), rows[row])
        elif how == "column":
            rows = [line[:column] + line[column + 1 :] for line in rows]
        else:
            rows[1:] = draw(st.permutations(rows[1:]))
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    content = file.getvalue().encode(errors="replace")
    return draw(damaged(content)) if how == "bytes" else content
