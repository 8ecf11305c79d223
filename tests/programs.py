"""Programs of multirig in tests: real processes, that do not load Python and multirig anew each time.

To load them takes most of a second of processor, and the tests start some thousand. So each process of tests
keeps a *nursery*, which has loaded the libraries and most rooms of multirig once; a program is a fork of it,
with its own arguments, folder, environment, input and output, exit code and signals. What it is like to start
cold is tried by the demos, by the docs, and by whatever starts `subprocess.Popen` itself. Where a system
cannot fork, or with ``MULTIRIG_COLD=1``, every program starts cold.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

IS_WARM = sys.platform == "linux" and not os.environ.get("MULTIRIG_COLD")
ROOMS = ("typer", "rich.live", "rich.table", "psutil", "multirig.rig.service", "multirig.conductor.left")
"""What every nursery loads; not what prints, which looks at its screen when it is loaded."""
MORE = {"console": ("nicegui", "multirig.dashboard.server", "multirig.dashboard.pages")}
"""What a command needs too."""
OURS = {"PYTHONPATH", "PYTHONUNBUFFERED"}
"""Variables of Python's own that a fork obeys too; with others a program starts cold."""
LIMIT = 60
"""Seconds until a nursery has loaded all."""


class Program(subprocess.Popen[Any]):
    """`subprocess.Popen`; ``[sys.executable, "-m", "multirig", ...]`` comes from a nursery where it can."""

    _status: socket.socket | None = None
    """Where its exit status comes; None: it has started cold."""

    def _execute_child(self, *inner: Any) -> None:
        command, cwd, environment = inner[0], inner[5], inner[6]
        if not _can_be_warm(command, environment, inner[2], inner[9], inner[21]):
            super()._execute_child(*inner)  # type: ignore[misc]
            return
        mark = command.index("-m")
        order = {
            "command": command[mark + 1 :],
            "warnings": command[2] if mark > 1 else None,
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(os.environ if environment is None else environment),
        }
        pipes = inner[10:16]
        streams = [given if given != -1 else number for number, given in enumerate((pipes[0], *pipes[3::2]))]
        self._status, theirs = socket.socketpair()
        with theirs:
            self.pid = _nursery(MORE.get(command[mark + 2], ())).order(order, [*streams, theirs.fileno()])
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._status is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc]
        if wait_flags & os.WNOHANG and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        told = self._status.recv(4)
        self._status.close()
        return self.pid, int.from_bytes(told, "big")

    def _internal_poll(self, *inner: Any, **more: Any) -> int | None:
        if self._status is None:
            return super()._internal_poll(*inner, **more)  # type: ignore[misc]
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid:
                        self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def run(command: Sequence[str], *, limit: float, **keys: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as `subprocess.run` does, and return what it printed."""
    pipe = subprocess.PIPE
    with Program(command, stdout=pipe, stderr=pipe, text=True, **keys) as program:
        try:
            out, complaints = program.communicate(timeout=limit)
        except BaseException:
            program.kill()
            raise
    return subprocess.CompletedProcess(command, program.returncode, out, complaints)


def _can_be_warm(command: Any, environment: Mapping[str, str] | None, *special: Any) -> bool:
    if not IS_WARM or any(special) or command[0] != sys.executable or "-m" not in command[1:4]:
        return False
    asked = environment if environment is not None else os.environ
    of_python = {key for key in {*asked, *os.environ} if key.startswith("PYTHON")} - OURS
    return command[command.index("-m") + 1] == "multirig" and all(
        asked.get(key) == os.environ.get(key) for key in of_python
    )


@cache
def _nursery(more: tuple[str, ...]) -> _Nursery:
    return _Nursery((*ROOMS, *more))


class _Nursery:
    """The process that programs are forks of; it ends with this one."""

    def __init__(self, rooms: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(LIMIT)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *rooms],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def order(self, order: Mapping[str, Any], streams: Sequence[int]) -> int:
        """Start a program, with its standard streams and the socket for its status; return its number."""
        text = json.dumps(order).encode()
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))
        self._socket.sendmsg([len(text).to_bytes(4, "big")], [rights])
        self._socket.sendall(text)
        return int.from_bytes(_read(self._socket, 4), "big")


def _read(source: socket.socket, count: int) -> bytes:
    whole = b""
    while len(whole) < count:
        part = source.recv(count - len(whole))
        if not part:
            raise EOFError("the nursery is gone")
        whole += part
    return whole


# -- in the nursery -----------------------------------------------------------------------------------------


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order, and tell how each program ended; in a fork, return its order at once."""
    waking, woken = socket.socketpair()
    for one in (waking, woken):
        one.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal, for the tests alone
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([orders, waking], [], [])
        if waking in ready:
            waking.recv(4096)
            _bury(running)
        if orders in ready:
            head, rights, _, _ = orders.recvmsg(4, socket.CMSG_SPACE(4 * array.array("i").itemsize))
            if not head:
                return None
            order: dict[str, Any] = json.loads(_read(orders, int.from_bytes(head, "big")))
            streams = array.array("i", rights[0][2])
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for one in (orders, waking, woken, *running.values()):
                    one.close()
                return {**order, "streams": list(streams)}
            running[pid] = socket.socket(fileno=streams.pop())
            for number in streams:
                os.close(number)
            orders.sendall(pid.to_bytes(4, "big"))


def _bury(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as asked:
            asked.send(status.to_bytes(4, "big"), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)


def _become(order: Mapping[str, Any]) -> None:
    """Turn this fork into the program that is asked for."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, status = order["streams"]
    os.close(status)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        is_hasty = number == 2 or os.isatty(number) or (mode == "w" and "PYTHONUNBUFFERED" in os.environ)
        buffering = 1 if is_hasty else -1
        errors = "backslashreplace" if number == 2 else None
        stream = open(number, mode, buffering, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if order["warnings"] is not None:
        warnings.simplefilter(order["warnings"])
    module, *arguments = order["command"]
    more = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one and one not in sys.path]
    sys.path[:1] = [order["cwd"], *more]
    sys.argv = [module, *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    sys.path[0] = ""
    gc.disable()
    for room in sys.argv[2:]:
        importlib.import_module(room)
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        raise RuntimeError(f"{threads} threads run: a fork would have one of them alone")
    gc.freeze()
    gc.enable()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        asked = _serve(channel)
    if asked is not None:
        _become(asked)
