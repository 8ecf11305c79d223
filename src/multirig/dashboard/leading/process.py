"""``python -m multirig.dashboard.leading STATE_FILE``: lead one session, and end.

The order comes on the standard input. What is printed, by a task too, is for the file that the console has
opened for it; what multirig does is in the user's log folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from multirig.dashboard.leading.board import Board
from multirig.dashboard.leading.channel import Channel, Led
from multirig.dashboard.leading.plain import PlainSession
from multirig.dashboard.leading.record import Commission, commission_from_json
from multirig.dashboard.leading.teller import Teller
from multirig.dashboard.leading.watching import tell_end
from multirig.dashboard.snapshot import Order
from multirig.errors import MultirigError, why_not
from multirig.logs import keep_log
from multirig.pc.signals import calling_on_signals, is_hang_up

LINGER = 10.0
"""Seconds that the process stays when all is done, so that every console hears the last word."""
LOCK_LIMIT = 15.0
"""Seconds until the process of the session before must have ended."""
THREAD_LIMIT = 5.0
"""Seconds that threads which a task has left behind may take to end."""
LOG_NAME = "console-session"
FAILED, USAGE = 1, 2

log = logging.getLogger("multirig.console")


class _Session(Led, Protocol):
    def run(self) -> None:
        """Lead the session to its end."""

    def press_ctrl_c(self) -> None:
        """Do what Ctrl-C does at a terminal."""


def main(arguments: Sequence[str]) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m multirig.dashboard.leading", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "state_file", nargs="?", type=Path, metavar="STATE_FILE", help="where it says how it is reached"
    )
    what.add_argument("--describe", metavar="TASK", help="print what a task wants to know instead")
    options = parser.parse_args(arguments)
    if options.describe is not None:
        return _describe(options.describe)
    try:
        commission = commission_from_json(sys.stdin.buffer.read())
        _close_stdin()
        keep_log(LOG_NAME)
        with _lock(options.state_file):
            _lead(commission, options.state_file)
    except MultirigError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return USAGE
    _leave()
    return 0


def _lead(commission: Commission, state_file: Path) -> None:
    board = Board(Teller(commission.order))
    session = _make(commission.order, board)
    channel = Channel(board, session, secret=commission.secret, state_file=state_file, pid=os.getpid())
    channel.open()
    try:
        with _signals(session):
            session.run()
    except BaseException as error:
        failure = error
        log.exception("the session's process has failed")
        board.tell(lambda teller: teller.take_trouble(failure, "lead"))
    finally:
        tell_end(board)
        channel.linger(LINGER)
        channel.close()


def _make(order: Order, board: Board) -> _Session:
    if order.task is not None and order.recover is None:
        from multirig.dashboard.leading.task import TaskSession  # not for those who have no task

        return TaskSession(order, board)
    return PlainSession(order, board)


def _describe(task: str) -> int:
    """Print a task's form, or why there is none, as the last line."""
    from multirig.dashboard.task_forms import describe_task, form_to_json

    try:
        with contextlib.redirect_stdout(sys.stderr):  # a task may print what it likes
            told = form_to_json(describe_task(task))
    except MultirigError as error:
        told = {"error": " ".join(str(error).split())}
    sys.stdout.write(f"\n{json.dumps(told)}\n")
    sys.stdout.flush()
    return FAILED if "error" in told else 0


@contextlib.contextmanager
def _signals(session: _Session) -> Any:
    """Let SIGTERM, and whatever else asks a program to end, end the recording in good order."""

    def end(number: int) -> None:
        with contextlib.suppress(MultirigError):  # it ends already
            if is_hang_up(number):
                session.stop()
            else:
                session.press_ctrl_c()

    with calling_on_signals(end):
        yield


@contextlib.contextmanager
def _lock(state_file: Path) -> Any:
    """Be the only one who leads a session for this state file."""
    lock = FileLock(state_file.with_suffix(".lock"))
    try:
        lock.acquire(timeout=LOCK_LIMIT)
    except Timeout:
        raise MultirigError("another session goes on: stop it first") from None
    except OSError as error:
        raise MultirigError(
            f"{state_file.parent}: cannot be written ({why_not(error)}): check its rights"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _close_stdin() -> None:
    """Let nobody wait for a keyboard that is not there."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _leave() -> None:
    """End the program, even where a task has left a thread behind that does not end."""
    end = time.monotonic() + THREAD_LIMIT
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                log.warning("the thread %s does not end and is left behind", thread.name)
                logging.shutdown()
                os._exit(0)
