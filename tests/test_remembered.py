from __future__ import annotations

import os
from itertools import count

import pytest

from metarl_cli import remembered as module
from metarl_cli.remembered import look, remembered


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "metarl"


counted = count().__next__
"""A value that no other call gives: to get one twice is to be remembered."""


def test_what_was_computed_is_remembered_by_name_and_key(home):
    first = remembered("a", "1", counted)
    assert remembered("a", "1", counted) == first
    assert remembered("b", "1", counted) != first
    again = remembered("a", "2", counted)
    assert again != first
    assert remembered("a", "1", counted) not in (first, again)  # there is one place to a name
    assert len(list(home.iterdir())) == 2


def test_other_code_or_other_libraries_compute_anew(home, monkeypatch):
    first = remembered("a", "1", counted)
    monkeypatch.setattr(module, "_code", lambda: "another")
    assert remembered("a", "1", counted) != first


@pytest.mark.parametrize("left", [0, 1, 30, 64, 65, 67, -1])
def test_what_is_damaged_is_computed_anew_and_mended(home, left):
    first = remembered("a", "1", counted)
    (file,) = home.iterdir()
    file.write_bytes(file.read_bytes()[:left])
    second = remembered("a", "1", counted)
    assert second != first
    assert remembered("a", "1", counted) == second


def test_a_home_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert remembered("a", "1", counted) != remembered("a", "1", counted)


def test_without_a_home_nothing_is_left_where_the_user_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user whom the system does not know
    assert remembered("a", "1", counted) != remembered("a", "1", counted)
    assert not list(tmp_path.iterdir())


def test_what_fails_is_not_remembered(home):
    def fails():
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            remembered("a", "1", fails)
    assert remembered("a", "1", lambda: 1) == 1


def test_the_oldest_is_forgotten(home, monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    values, seen = dict[str, int](), set()
    for second, name in enumerate("abcde"):
        values[name] = remembered(name, "1", counted)
        for file in set(home.iterdir()) - seen:
            os.utime(file, (second, second))
            seen.add(file)
    assert len(list(home.iterdir())) == 3
    assert {name: remembered(name, "1", counted) for name in "cde"} == {name: values[name] for name in "cde"}
    assert remembered("a", "1", counted) != values["a"]


def test_a_look_tells_every_change_of_a_file_and_that_there_is_none(tmp_path):
    file = tmp_path / "file"
    looks = [look(file)]
    file.write_text("1")
    times = file.stat()
    looks.append(look(file))
    assert look(file) == looks[-1]
    file.write_text("2")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # as long as it was, and as old
    looks.append(look(file))
    other = tmp_path / "other"
    other.write_text("2")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    looks.append(look(file))
    assert len(set(looks)) == len(looks)
