"""A process that has imported what jobs need and forks a child for each, so that the imports are paid once.

`python -m metarl_cli.grid.forkserver` reads one JSON document a line. The first says what to import; then
`{"start": id, "argv": […], "stdin": "…", "home": "…"}` starts a child and `{"signal": number, "id": id}` sends it a
signal. Of each child that has ended it writes `{"id": id, "code": n, "words": "…"}`: the exit code, negative for a
signal, and the last words on standard error.

A child is a process of its own in every respect: one that is killed costs no other. Nothing here starts a thread, so
that a fork copies all there is; and when whoever started the server ends, however that ends, so does the server, and
with it every child.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import traceback
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, NoReturn

__all__ = ["serve"]

TAIL_LINES = 5
PR_SET_PDEATHSIG = 1


def serve(requests: int, answers: int) -> None:
    """Fork children until the requests end.

    Args:
        requests: file descriptor that is read.
        answers: file descriptor that is written.
    """
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # the byte in the pipe is all that is wanted
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started the server says when children stop
    running: dict[int, tuple[int, IO[bytes]]] = {}  # by the id of each child: its process, what it says on stderr
    pending = b""
    while True:
        ready, _, _ = select.select([requests, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _collect(running, answers)
        if requests in ready:
            received = os.read(requests, 1 << 16)
            if not received:
                break
            *lines, pending = (pending + received).split(b"\n")
            for request in map(json.loads, lines):
                if "start" in request:
                    words = TemporaryFile()  # noqa: SIM115  # closed when the child has ended
                    child = os.fork()
                    if child == 0:
                        _become(request["argv"], request["stdin"], request["home"], words.fileno())
                    running[request["start"]] = (child, words)
                elif request["id"] in running:
                    os.kill(running[request["id"]][0], request["signal"])
    for child, _ in running.values():
        os.kill(child, signal.SIGKILL)


def _collect(running: dict[int, tuple[int, IO[bytes]]], answers: int) -> None:
    """Tell of the children that have ended."""
    for identity, (child, words) in list(running.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            del running[identity]
            with words:
                words.seek(0)
                said = words.read().decode(errors="replace").strip().splitlines()[-TAIL_LINES:]
            answer = {"id": identity, "code": os.waitstatus_to_exitcode(status), "words": "\n".join(said)}
            os.write(answers, json.dumps(answer).encode() + b"\n")


def _become(argv: list[str], text: str, home: str, words: int) -> NoReturn:
    """Be the process that `python -m …` would have been, in a session of its own; its standard error is a file.

    It ends at once: taking down the interpreter costs as much as the imports that were saved.
    """
    code, server = 1, os.getppid()
    try:
        if sys.platform == "linux":  # the system kills the child when the server ends, even by SIGKILL
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != server:
                os._exit(1)
        os.setsid()  # Ctrl-C in the terminal goes to every process of its session
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with TemporaryFile() as given, open(os.devnull, "wb") as nothing:
            given.write(text.encode())
            given.seek(0)
            for source, target in ((given.fileno(), 0), (nothing.fileno(), 1), (words, 2)):
                os.dup2(source, target)
        os.chdir(home)
        sys.argv = list(argv)
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            code = ended.code or 0
        else:
            sys.stderr.write(f"{ended.code}\n")
    except BaseException:  # as the interpreter does with what nobody catches
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Import what is asked for, then serve."""
    requests, answers = os.dup(0), os.dup(1)
    for stream in (0, 1):  # what an import prints is no answer
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    with open(requests, "rb", buffering=0, closefd=False) as unbuffered:  # what follows the line is for `serve`
        first = unbuffered.readline()
    if not first.endswith(b"\n"):
        return
    asked = json.loads(first)
    sys.path[:] = asked["path"]
    for name in asked["preload"]:
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would otherwise copy every page that the imports filled
    serve(requests, answers)


if __name__ == "__main__":
    main()
