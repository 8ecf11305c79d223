"""What asks a program to end: Ctrl-C, SIGTERM, a terminal or a console window that is closed, a log-off."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from multirig.pc.closing import Closing, listen

END = ("SIGTERM", "SIGBREAK", "SIGHUP")
"""Asked for by another program, by Windows as it closes a console, and by a terminal that is closed."""
CTRL_C = "SIGINT"

_Handler = Callable[[int], object]


def is_hang_up(number: int) -> bool:
    """Whether a signal says that the terminal is closed: nobody has pressed anything."""
    if _closing is not None and _closing.has_begun:
        return number == getattr(signal, "SIGBREAK", None)
    return number == getattr(signal, "SIGHUP", None)


def take_signals(handle: _Handler, names: Sequence[str] = (CTRL_C, *END)) -> dict[int, Any]:
    """Have something called in place of dying, between two lines of whatever runs; for the main thread.

    A terminal that is closed counts once, however many programs say so, and not at all where it is
    not to end this one (``nohup``).

    Returns
    -------
    dict
        What `give_back` takes.
    """
    before: dict[int, Any] = {}
    for name in names:
        number = getattr(signal, name, None)
        if number is None or (is_hang_up(number) and signal.getsignal(number) is signal.SIG_IGN):
            continue
        before[number] = signal.signal(number, _Taken(handle))
    if sys.platform == "win32" and "SIGBREAK" in names:
        _listen_for_closing()
    return before


def give_back(before: dict[int, Any]) -> None:
    """Give signals back to those who had them; not those that somebody else has taken since."""
    for number, handler in before.items():
        if isinstance(signal.getsignal(number), _Taken):
            signal.signal(number, handler)


@contextlib.contextmanager
def calling_on_signals(handle: _Handler, names: Sequence[str] = (CTRL_C, *END)) -> Iterator[None]:
    """Have something called in place of dying meanwhile; see `take_signals`."""
    before = take_signals(handle, names)
    try:
        yield
    finally:
        give_back(before)


class EndedBySignal(SystemExit):
    """A signal has ended this program; its exit code is the one that shells give."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return say_signal(self.number)


def say_signal(number: int) -> str:
    """Return what has ended a program, in words."""
    name = signal.Signals(number).name
    if is_hang_up(number):
        return f"its terminal was closed ({name})"
    return "Ctrl-C" if number == signal.SIGINT else f"it was ended from outside ({name})"


def end_program(number: int) -> None:
    """End this program as an exception does: whatever it uses is given back."""
    raise EndedBySignal(number)


def press_ctrl_c() -> None:
    """Interrupt the main thread, whatever it waits for."""
    main = threading.main_thread().ident
    if sys.platform != "win32" and main is not None:
        signal.pthread_kill(main, signal.SIGINT)
    else:  # in this thread, but Python's own handlers run in the main one, and its waits are ended
        signal.raise_signal(signal.SIGINT)


def ignore_ctrl_c() -> None:
    """Let Ctrl-C do nothing from now on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


_closing: Closing | None = None


def _listen_for_closing() -> None:
    """Have a closed window, a log-off and a shutdown come as SIGBREAK, and let there be time to end."""
    global _closing
    if _closing is None:
        _closing = Closing(_press_break)
        listen(_closing)


def _press_break() -> bool:
    """Pass the word on to the main thread, if it is taken there."""
    number = getattr(signal, "SIGBREAK", None)
    if number is None or not isinstance(signal.getsignal(number), _Taken):
        return False
    signal.raise_signal(number)
    return True


class _Taken:
    """A handler of ours."""

    def __init__(self, handle: _Handler) -> None:
        self._handle = handle

    def __call__(self, number: int, _: Any) -> None:
        if is_hang_up(number):
            signal.signal(number, signal.SIG_IGN)
        self._handle(number)
