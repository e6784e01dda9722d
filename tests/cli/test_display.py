from __future__ import annotations

from metarl_cli.cli import display
from metarl_cli.cli.display import grid_display
from metarl_cli.grid.jobs import STOPPED, Job, JobResult, Share


def listener_lines(capsys):
    done = JobResult(name="a", status="done")
    jobs = {name: Job(name=name, argv=("none",)) for name in ("a", "b")}
    shares = {"a": Share(10.0, lambda: 0.0), "b": Share(30.0, lambda: 0.0)}
    with grid_display(shares, 2) as show:
        show(jobs["a"], None)
        show(jobs["a"], done)
        show(jobs["b"], None)
        show(jobs["b"], JobResult(name="b", status="failed", message="it diverged"))
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


def test_outside_a_terminal_each_finished_job_is_one_line(capsys):
    first, second = listener_lines(capsys)
    assert first.startswith("[1/2]  a done  0:00:") and first.endswith("left")
    assert second.startswith("[2/2]  b failed: it diverged  0:00:00 left")


def test_a_stop_is_said_once_and_not_job_by_job(capsys):
    jobs = {name: Job(name=name, argv=("none",)) for name in ("a", "b")}
    with grid_display({name: Share(1.0, lambda: 0.0) for name in jobs}, slots=2) as show:
        for name, job in jobs.items():
            show(job, JobResult(name=name, status="skipped", message=STOPPED))
    (line,) = capsys.readouterr().err.splitlines()
    assert "Ctrl-C again" in line


def test_in_a_terminal_there_is_a_bar_for_each_running_job(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    shown = "\n".join(listener_lines(capsys))
    assert "b failed: it diverged" in shown
    assert "[2/2]" in shown and "100%" in shown


def test_how_much_is_done_is_counted_in_seconds_of_work(capsys):
    job = Job(name="a", argv=("none",))
    shares = {"a": Share(10.0, lambda: 0.5), "b": Share(30.0, lambda: 0.5)}
    board = display._Board(shares, slots=1)
    assert board._done() == 20.0
    board.note(job, None)
    board.note(job, JobResult(name="a", status="skipped", message="stopped"))
    assert (board._done(), board._counted()) == (20.0, "[0/2]")
    board.note(job, JobResult(name="a", status="done"))
    assert (board._done(), board._counted()) == (25.0, "[1/2]")
