from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from metarl_cli.grid.jobs import Job, run_jobs


def job(name, code, home, *, after=()):
    """A job that runs a line of Python in `home` and is done when it has left a file of its name there."""
    program = f"import os, pathlib, signal, sys, time\n{code}\npathlib.Path({name!r}).touch()"
    start = f"import os; os.chdir({str(home)!r})\n"
    return Job(
        name=name,
        argv=lambda: [sys.executable, "-c", start + program],
        is_done=(home / name).exists,
        after=frozenset(after),
    )


def run(jobs, *, slots=2, stop_requests=lambda: 0, on_event=lambda job, result: None, executor=None):
    results = run_jobs(jobs, slots=slots, on_event=on_event, stop_requests=stop_requests, executor=executor)
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
    ended = run([job("a", "", tmp_path), job("b", "pathlib.Path('again').touch()", tmp_path)])
    assert ended == {"a": ("done", ""), "b": ("done", "")}
    assert not (tmp_path / "again").exists()


def test_no_jobs_are_no_work():
    assert run([]) == {}


def test_a_killed_child_is_started_again(tmp_path):
    code = f"{COUNT_ATTEMPTS}\nif len(pathlib.Path('attempts').read_text()) < 3: os.kill(os.getpid(), signal.SIGKILL)"
    assert run([job("a", code, tmp_path)]) == {"a": ("done", "")}
    assert (tmp_path / "attempts").read_text() == "xxx"


def test_a_child_that_is_killed_every_time_is_given_up(tmp_path):
    code = f"{COUNT_ATTEMPTS}\nos.kill(os.getpid(), signal.SIGKILL)"
    assert run([job("a", code, tmp_path)]) == {"a": ("failed", "3 times ended by SIGKILL")}
    assert (tmp_path / "attempts").read_text() == "xxx"


def test_a_failure_is_told_with_its_last_words_and_stops_no_other_job(tmp_path):
    code = f"{COUNT_ATTEMPTS}\nprint(*range(100), sep=chr(10), file=sys.stderr)\nsys.exit('no such thing')"
    ended = run([job("a", code, tmp_path), job("b", "", tmp_path)], slots=1)
    assert ended["a"] == ("failed", "exit code 1: 96\n97\n98\n99\nno such thing")
    assert ended["b"] == ("done", "")
    assert (tmp_path / "attempts").read_text() == "x"


def test_a_child_that_ends_well_without_its_work_has_failed(tmp_path):
    assert run([job("a", "sys.exit(0)", tmp_path)]) == {"a": ("failed", "exit code 0: no message")}


def test_a_command_that_cannot_be_told_fails_alone(tmp_path):
    def no_command():
        raise ValueError("nothing to run")

    broken = Job(name="a", argv=no_command, is_done=lambda: False)
    assert run([broken, job("b", "", tmp_path)]) == {"a": ("failed", "nothing to run"), "b": ("done", "")}


def test_the_command_is_asked_for_at_every_start(tmp_path):
    def argv():
        resumed = (tmp_path / "begun").exists()
        (tmp_path / "begun").touch()
        end = "pathlib.Path('a').touch()" if resumed else "os.kill(os.getpid(), 9)"
        return [sys.executable, "-c", f"import os, pathlib\nos.chdir({str(tmp_path)!r})\n{end}"]

    assert run([Job(name="a", argv=argv, is_done=(tmp_path / "a").exists)]) == {"a": ("done", "")}


def test_a_job_starts_after_what_it_needs_and_never_if_that_failed(tmp_path):
    order = []
    jobs = [
        job("a", "time.sleep(0.3)", tmp_path),
        job("b", "sys.exit(1)", tmp_path),
        job("after-a", "assert pathlib.Path('a').exists()", tmp_path, after=("a", "not in this grid")),
        job("after-b", "", tmp_path, after=("a", "b")),
    ]
    ended = run(jobs, slots=4, on_event=lambda job, result: order.append((job.name, result is None)))
    assert ended["after-a"] == ("done", "")
    assert ended["after-b"] == ("skipped", "needs b")
    assert order.index(("a", False)) < order.index(("after-a", True))
    assert ("after-b", True) not in order and ("after-b", False) in order


@pytest.mark.parametrize("names", [("a", "a"), ("after-a", "a")])
def test_an_order_that_could_wait_for_ever_is_refused(tmp_path, names):
    jobs = [job(name, "", tmp_path, after=("a",) if name == "after-a" else ()) for name in names]
    with pytest.raises(ValueError, match=names[0]):
        run(jobs)


def test_slots_are_filled_and_not_exceeded(tmp_path):
    running, most = set(), []

    def follow(job, result):
        running.symmetric_difference_update({job.name})
        most.append(len(running))

    run([job(name, "time.sleep(0.2)", tmp_path) for name in "abcde"], slots=2, on_event=follow)
    assert max(most) == 2


def test_a_stop_lets_children_end_cleanly_and_starts_nothing(tmp_path):
    code = (
        "seen = []\nsignal.signal(signal.SIGINT, lambda *_: seen.append(1))\npathlib.Path('up').touch()\n"
        "while not seen: time.sleep(0.01)\ntime.sleep(1.0)\n"
        "pathlib.Path('seen').write_text(str(len(seen)))\nsys.exit(130)"
    )
    started = []
    ended = run(
        [job("a", code, tmp_path), job("b", "", tmp_path)],
        slots=1,
        on_event=lambda job, result: started.append(job.name) if result is None else None,
        stop_requests=(tmp_path / "up").exists,
    )
    assert ended == {"a": ("skipped", "stopped"), "b": ("skipped", "stopped")}
    assert started == ["a"]
    assert (tmp_path / "seen").read_text() == "1"


def test_a_child_that_finishes_although_it_was_asked_to_stop_is_done(tmp_path):
    code = "signal.signal(signal.SIGINT, signal.SIG_IGN)\npathlib.Path('up').touch()\ntime.sleep(0.5)"
    assert run([job("a", code, tmp_path)], stop_requests=(tmp_path / "up").exists) == {"a": ("done", "")}


def test_a_second_stop_kills(tmp_path):
    code = "signal.signal(signal.SIGINT, signal.SIG_IGN)\npathlib.Path('up').touch()\ntime.sleep(60)"
    start = time.monotonic()
    ended = run([job("a", code, tmp_path)], stop_requests=lambda: 2 * (tmp_path / "up").exists())
    assert ended == {"a": ("skipped", "stopped")}
    assert time.monotonic() - start < 20


GRID = '''
import sys
from metarl_cli.grid.jobs import Job, run_jobs
child = """
import os, pathlib, time
pathlib.Path("pid.tmp").write_text(str(os.getpid()))
os.rename("pid.tmp", "pid")
time.sleep(60)
"""
job = Job(name="a", argv=lambda: [sys.executable, "-c", child], is_done=lambda: False)
run_jobs([job], slots=1, on_event=lambda job, result: None, stop_requests=lambda: 0)
'''


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no parent-death signal")
def test_no_child_outlives_a_killed_grid(tmp_path):
    with subprocess.Popen([sys.executable, "-c", GRID], cwd=tmp_path) as grid:
        child = int(wait_for(tmp_path / "pid").read_text())
        assert is_running(child)
        grid.kill()
    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def test_a_child_has_one_thread_and_a_session_of_its_own(tmp_path):
    code = "pathlib.Path('seen').write_text(f\"{os.environ['OMP_NUM_THREADS']} {os.getsid(0) == os.getpid()}\")"
    run([job("a", code, tmp_path)])
    assert (tmp_path / "seen").read_text() == "1 True"


class Immediate(Executor):
    """An executor of somebody else's, which loses the jobs it is told to lose."""

    def __init__(self, *lost):
        self.lost, self.closed = lost, False

    def submit(self, function, /, job, *arguments):
        future = Future()
        if job.name in self.lost:
            future.set_exception(RuntimeError("the worker is gone"))
        else:
            future.set_result(function(job, *arguments))
        return future

    def shutdown(self, *arguments, **options):
        self.closed = True


def test_any_executor_will_do_and_stays_open(tmp_path):
    executor = Immediate("b")
    ended = run([job("a", "", tmp_path), job("b", "", tmp_path)], executor=executor)
    assert ended == {"a": ("done", ""), "b": ("failed", "the worker is gone")}
    assert not executor.closed
