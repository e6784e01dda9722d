from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metarl_cli.grid.jobs import Job, is_done, run_jobs
from metarl_cli.grid.local import local_engine


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """`grid_cases`, which runs a line of Python, for every child."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def job(name, code, *, after=(), stdin=""):
    """A job that runs a line of Python and is done when it has left a file of its name."""
    program = f"import os, pathlib, signal, sys, time\n{code}\npathlib.Path({name!r}).touch()"
    argv = ("grid_cases", program)
    return Job(name=name, argv=argv, stdin=stdin, proofs={name: None}, writes=(name,), after=frozenset(after))


def run(home, jobs, *, slots=2, stop_requests=lambda: 0, on_event=lambda job, result: None):
    with local_engine(slots, home) as engine:
        results = run_jobs(jobs, engine, on_event=on_event, stop_requests=stop_requests)
    return {result.name: (result.status, result.message) for result in results}


def wait_for(path, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)
    return path


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


COUNT_ATTEMPTS = "pathlib.Path('attempts').open('a').write('x')"


def test_jobs_run_and_one_that_is_done_does_not(tmp_path):
    (tmp_path / "b").touch()
    ended = run(tmp_path, [job("a", ""), job("b", "pathlib.Path('again').touch()")])
    assert ended == {"a": ("done", ""), "b": ("done", "")}
    assert not (tmp_path / "again").exists()


def test_no_jobs_are_no_work(tmp_path):
    assert run(tmp_path, []) == {}


def test_a_killed_child_is_started_again(tmp_path):
    code = f"{COUNT_ATTEMPTS}\nif len(pathlib.Path('attempts').read_text()) < 3: os.kill(os.getpid(), signal.SIGKILL)"
    assert run(tmp_path, [job("a", code)]) == {"a": ("done", "")}
    assert (tmp_path / "attempts").read_text() == "xxx"


def test_a_child_that_is_killed_every_time_is_given_up(tmp_path):
    code = f"{COUNT_ATTEMPTS}\nos.kill(os.getpid(), signal.SIGKILL)"
    assert run(tmp_path, [job("a", code)]) == {"a": ("failed", "3 times ended by SIGKILL")}
    assert (tmp_path / "attempts").read_text() == "xxx"


def test_a_failure_is_told_with_its_last_words_and_stops_no_other_job(tmp_path):
    code = f"{COUNT_ATTEMPTS}\nprint(*range(100), sep=chr(10), file=sys.stderr)\nsys.exit('no such thing')"
    ended = run(tmp_path, [job("a", code), job("b", "")], slots=1)
    assert ended["a"] == ("failed", "exit code 1: 96\n97\n98\n99\nno such thing")
    assert ended["b"] == ("done", "")
    assert (tmp_path / "attempts").read_text() == "x"


def test_a_child_that_ends_well_without_its_work_has_failed(tmp_path):
    assert run(tmp_path, [job("a", "sys.exit(0)")]) == {"a": ("failed", "exit code 0: no message")}


def test_a_job_starts_after_what_it_needs_and_never_if_that_failed(tmp_path):
    order = []
    jobs = [
        job("a", "time.sleep(0.3)"),
        job("b", "sys.exit(1)"),
        job("after-a", "assert pathlib.Path('a').exists()", after=("a", "not in this grid")),
        job("after-b", "", after=("a", "b")),
    ]
    ended = run(tmp_path, jobs, slots=4, on_event=lambda job, result: order.append((job.name, result is None)))
    assert ended["after-a"] == ("done", "")
    assert ended["after-b"] == ("skipped", "needs b")
    assert order.index(("a", False)) < order.index(("after-a", True))
    assert ("after-b", True) not in order and ("after-b", False) in order


@pytest.mark.parametrize("names", [("a", "a"), ("after-a", "a")])
def test_an_order_that_could_wait_for_ever_is_refused(tmp_path, names):
    jobs = [job(name, "", after=("a",) if name == "after-a" else ()) for name in names]
    with pytest.raises(ValueError, match=names[0]):
        run(tmp_path, jobs)


def test_slots_are_filled_and_not_exceeded(tmp_path):
    running, most = set(), []

    def follow(job, result):
        running.symmetric_difference_update({job.name})
        most.append(len(running))

    run(tmp_path, [job(name, "time.sleep(0.2)") for name in "abcde"], slots=2, on_event=follow)
    assert max(most) == 2


def test_a_stop_lets_children_end_cleanly_and_starts_nothing(tmp_path):
    code = (
        "seen = []\nsignal.signal(signal.SIGINT, lambda *_: seen.append(1))\npathlib.Path('up').touch()\n"
        "while not seen: time.sleep(0.01)\ntime.sleep(1.0)\n"
        "pathlib.Path('seen').write_text(str(len(seen)))\nsys.exit(130)"
    )
    started = []
    ended = run(
        tmp_path,
        [job("a", code), job("b", "")],
        slots=1,
        on_event=lambda job, result: started.append(job.name) if result is None else None,
        stop_requests=(tmp_path / "up").exists,
    )
    assert ended == {"a": ("skipped", "stopped"), "b": ("skipped", "stopped")}
    assert started == ["a"]
    assert (tmp_path / "seen").read_text() == "1"


def test_a_child_that_finishes_although_it_was_asked_to_stop_is_done(tmp_path):
    code = "signal.signal(signal.SIGINT, signal.SIG_IGN)\npathlib.Path('up').touch()\ntime.sleep(0.5)"
    assert run(tmp_path, [job("a", code)], stop_requests=(tmp_path / "up").exists) == {"a": ("done", "")}


def test_a_second_stop_kills(tmp_path):
    code = "signal.signal(signal.SIGINT, signal.SIG_IGN)\npathlib.Path('up').touch()\ntime.sleep(60)"
    start = time.monotonic()
    ended = run(tmp_path, [job("a", code)], stop_requests=lambda: 2 * (tmp_path / "up").exists())
    assert ended == {"a": ("skipped", "stopped")}
    assert time.monotonic() - start < 20


GRID = '''
from pathlib import Path
from metarl_cli.grid.jobs import Job, run_jobs
from metarl_cli.grid.local import local_engine
child = """
import os, pathlib, time
pathlib.Path("pids.tmp").write_text(f"{os.getpid()} {os.getppid()}")
os.rename("pids.tmp", "pids")
time.sleep(60)
"""
with local_engine(1, Path()) as engine:
    job = Job(name="a", argv=("grid_cases", child), proofs={"a": None})
    run_jobs([job], engine, on_event=lambda job, result: None, stop_requests=lambda: 0)
'''


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no parent-death signal")
def test_no_process_outlives_a_killed_grid(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    with subprocess.Popen([sys.executable, "-c", GRID], cwd=tmp_path) as grid:
        pids = [int(pid) for pid in wait_for(tmp_path / "pids").read_text().split()]
        assert all(map(is_running, pids))
        grid.kill()
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, pids))


def test_a_child_has_one_thread_and_a_session_of_its_own(tmp_path):
    code = "pathlib.Path('seen').write_text(f\"{os.environ['OMP_NUM_THREADS']} {os.getsid(0) == os.getpid()}\")"
    run(tmp_path, [job("a", code)])
    assert (tmp_path / "seen").read_text() == "1 True"


def test_a_job_reads_what_it_is_given(tmp_path):
    text = "θ" * 100_000
    assert run(tmp_path, [job("a", f"assert sys.stdin.read() == {'θ'!r} * 100_000", stdin=text)]) == {"a": ("done", "")}


def test_an_exception_that_nobody_catches_is_told(tmp_path):
    status, message = run(tmp_path, [job("a", "1 / 0")])["a"]
    assert status == "failed"
    assert message.startswith("exit code 1: ") and message.endswith("ZeroDivisionError: division by zero")


def test_what_is_preloaded_is_imported_once_without_a_thread(tmp_path):
    code = (
        "status = pathlib.Path(f'/proc/{os.getppid()}/status').read_text()\n"
        "seen = os.getppid(), 'torch' in sys.modules, status.split('Threads:')[1].split()[0]\n"
        "pathlib.Path(f'seen-{os.getpid()}').write_text(repr(seen))"
    )
    with local_engine(2, tmp_path, preload=("metarl_cli.reproduction.tables", "this")) as engine:
        run_jobs([job(name, code) for name in "abc"], engine, on_event=lambda *told: None, stop_requests=lambda: 0)
    seen = [path.read_text() for path in tmp_path.glob("seen-*")]
    assert len(seen) == 3
    assert set(seen) == {f"({seen[0].split(',')[0][1:]}, True, '1')"}


def test_children_that_end_with_their_server_are_started_again_from_a_new_one(tmp_path):
    code = (
        f"{COUNT_ATTEMPTS}\nif len(pathlib.Path('attempts').read_text()) < 3: os.kill(os.getppid(), 9); time.sleep(60)"
    )
    assert run(tmp_path, [job("a", code)], slots=1) == {"a": ("done", "")}
    assert (tmp_path / "attempts").read_text() == "xxx"


def test_a_module_that_cannot_be_loaded_costs_its_jobs_and_ends(tmp_path, capfd):
    with local_engine(1, tmp_path, preload=("no_such_module",)) as engine:
        (result,) = run_jobs([job("a", "")], engine, on_event=lambda *told: None, stop_requests=lambda: 0)
    assert (result.status, result.message) == ("failed", "3 times ended by SIGKILL")
    assert "no_such_module" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["2", "", None])
def test_a_proof_that_holds_something_else_proves_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "proof").write_text(text)
    asked = Job(name="a", argv=("grid_cases", ""), proofs={"proof": "1"})
    assert not is_done(asked, tmp_path)
    (tmp_path / "proof").write_text("1")
    assert is_done(asked, tmp_path)


def test_a_job_without_proofs_is_never_done(tmp_path):
    assert not is_done(Job(name="a", argv=("grid_cases", "")), tmp_path)
