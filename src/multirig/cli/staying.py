"""``--stay``: a rig or the console in a process of its own, started again after a crash.

So it is wherever the system itself cannot be relied on for that: Windows, where nobody promises that Task
Scheduler takes an exit code for a failure, and macOS, which would start a wrong config for ever. Where there
is a window, what went wrong stays in it.
"""

from __future__ import annotations

import datetime
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from multirig.cli import render
from multirig.config import load_rig_config
from multirig.errors import ConfigError, why_not
from multirig.install.restarts import Next, Restarts
from multirig.pc.signals import CTRL_C, END, calling_on_signals
from multirig.rig.lock import InstanceLock
from multirig.wording import about

LOOK = 1.0
"""Seconds from one look at a file that was wrong to the next."""
TICK = 0.1
"""Seconds until an end that is wanted is taken."""


def stay(config: Path, open_log: Callable[[], object], lock: InstanceLock) -> None:
    """Run this command line without ``--stay``, again and again, until somebody wants an end.

    Parameters
    ----------
    config : pathlib.Path
        The file by which it is run; where it is wrong, nothing is tried until it is another one.
    open_log : callable
        Opens the log of what is run, and returns whether it could.
    lock : InstanceLock
        By which others find this program, and ask it to end.

    Raises
    ------
    ConfigError
        Another process does that already.
    """
    words = [sys.executable, "-m", "multirig", *(one for one in sys.argv[1:] if one != "--stay")]
    try:
        lock.acquire()
    except ConfigError:  # where no file can be written, it is at work all the same
        if (process := lock.find_process()) is not None:
            raise ConfigError(
                f"{config}: process {process} starts that again after a crash already: end that one first"
            ) from None
    keeper = _Keeper(words, config, open_log, lock.is_asked_to_end)
    # A closed window or a log-off is for what it keeps, and Windows asks one program after the other: who has
    # nothing to close holds up nobody.
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, lambda number, _: keeper.pass_on(number))
    with calling_on_signals(keeper.pass_on, (CTRL_C, *(one for one in END if one != "SIGBREAK"))):
        try:
            keeper.run()
        finally:
            lock.release()


class _Keeper:
    """Starts a program until it ends well."""

    def __init__(
        self, words: list[str], config: Path, open_log: Callable[[], object], is_asked: Callable[[], bool]
    ) -> None:
        self._words, self._config, self._open_log, self._is_asked = words, config, open_log, is_asked
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False  # no Event: a signal may come while this thread holds its lock
        self._restarts = Restarts()

    def pass_on(self, number: int) -> None:
        """Take what asks this program to end; a console of Windows tells its other programs by itself."""
        self._is_ended = True
        if os.name != "nt" and self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def run(self) -> None:
        """Return when it has ended."""
        while not self._is_unwanted():
            began, written = time.monotonic(), self._look()
            code = self._run_once()
            match self._judge(code, time.monotonic() - began):
                case Next.DONE:
                    break
                case Next.GIVEN_UP:
                    is_taken = _is_taken(self._config)
                    when = "that is over, or " if is_taken else ""
                    closing = "; close this window to end" if sys.platform == "win32" else ""
                    render.say(f"it is started again when {when}{self._config} has changed{closing}")
                    while self._look() == written and not self._is_unwanted():
                        self._wait(LOOK)
                        if is_taken and not _is_taken(self._config):
                            break
                case Next.AGAIN:
                    now = datetime.datetime.now().strftime("%H:%M:%S")
                    pause = self._restarts.pause
                    what = f"ended unexpectedly ({say_code(code)}): it is started again in {about(pause)}"
                    render.warn(f"{now} {self._config} {what}")
                    self._note(what)
                    self._wait(pause)

    def _judge(self, code: int, ran_for: float) -> Next:
        return Next.DONE if self._is_unwanted() else self._restarts.judge(code, ran_for)

    def _note(self, what: str) -> None:
        """Write it into the log of what has crashed, which could not, and leave the log to the next one."""
        if not self._open_log():
            return
        log = logging.getLogger("multirig")
        log.error("%s", what)
        for handler in [*log.handlers]:
            log.removeHandler(handler)
            handler.close()

    def _look(self) -> tuple[float, int] | None:
        """Return what tells one version of the file from another; None: it is not there."""
        try:
            found = self._config.stat()
        except OSError:
            return None
        return found.st_mtime, found.st_size

    def _run_once(self) -> int:
        try:
            self._process = subprocess.Popen(self._words)
        except OSError as error:  # an upgrade is under way
            render.warn(f"{self._words[0]} cannot be started: {why_not(error)}")
            return 1
        if self._is_ended and os.name != "nt":  # it was asked for meanwhile
            self._process.terminate()
        return self._process.wait()

    def _wait(self, seconds: float) -> None:
        """Wait in short pieces: some systems tell of Ctrl-C only between them."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._is_unwanted():
            time.sleep(TICK)

    def _is_unwanted(self) -> bool:
        return self._is_ended or self._is_asked()


def _is_taken(config: Path) -> bool:
    """Whether a rig cannot start for its lock: another process is that rig now."""
    try:
        settings = load_rig_config(config)
    except ConfigError:
        return False
    lock = InstanceLock(settings.name, settings.log_folder)
    if lock.find_process() is not None:
        return True
    try:
        lock.acquire()
    except ConfigError:
        return True
    lock.release()
    return False


def say_code(code: int) -> str:
    """Return an exit code in words."""
    if code < 0:
        return f"killed by signal {-code}"
    return f"exit code 0x{code:08X}" if code > 0xFFFF else f"exit code {code}"
