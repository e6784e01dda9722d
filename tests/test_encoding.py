"""Terminals that are not UTF-8, and readers that have enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from metarl_cli.encoding import can_show, spelled
from metarl_cli.listing import LISTINGS, listing


def command(*arguments, **environment):
    """The command in a process of its own."""
    words = [sys.executable, "-m", "metarl_cli", *arguments]
    return subprocess.Popen(words, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Σₜ γᵗ ρ_≤t rₜ", "Sum_t gamma^t rho_<=t r_t"),
        ("V̂ₜ₊₁ − bₜ", "V_hat_t+1 - b_t"),
        ("min(ρₜ, ρ̄) λ½", "min(rho_t, rho_bar) lambda1/2"),
        ("Rémi “Munos”", 'Remi "Munos"'),
        ("\N{SNOWMAN}", "\\u2603"),
    ],
)
def test_symbols_are_spelled_where_they_cannot_be_shown(text, expected):
    assert spelled(text, "ascii") == expected
    assert spelled(text, "utf-8") == text
    assert can_show(text, "utf-8") and not can_show(text, "ascii")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_all_that_is_listed_can_be_spelled(encoding):
    for name in sorted(set(LISTINGS) - {"claims"}):
        shown = spelled(json.dumps(listing(name).rows, ensure_ascii=False), encoding)
        assert "\\u" not in shown


@pytest.mark.parametrize("arguments", [["list", "estimators"], ["list", "envs"]])
def test_a_table_is_readable_in_ascii(arguments):
    process = command(*arguments, LC_ALL="C", PYTHONIOENCODING="ascii")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    header, *rows = out.decode("ascii").splitlines()
    starts = [header.index(name) for name in header.split()[:2]]
    first_lines = [row for row in rows if row[0] != " "]  # of cells that are wrapped
    assert all(row[starts[1] - 1] == " " and row[starts[1]] != " " for row in first_lines)  # columns stay columns


@pytest.mark.parametrize("arguments", [["list", "claims"], ["train", "--help"], ["reproduce", "--help"]])
def test_whatever_is_printed_can_be_printed_in_ascii(arguments):
    process = command(*arguments, LC_ALL="C", PYTHONIOENCODING="ascii")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert len(out.decode("ascii").splitlines()) > 10


def test_json_loses_nothing_in_ascii():
    process = command("list", "envs", "--json", PYTHONIOENCODING="ascii")
    out, _ = process.communicate()
    assert json.loads(out) == listing("envs").rows


def test_a_mistake_is_told_in_ascii():
    process = command("list", "estimatoren…", PYTHONIOENCODING="ascii")
    assert b"estimatoren..." in process.communicate()[1]
    assert process.returncode == 2


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_who_has_enough_is_no_failure(form, unbuffered):
    process = command("list", "envs", *form, PYTHONUNBUFFERED=unbuffered)
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (0, b"")
    process.stderr.close()
