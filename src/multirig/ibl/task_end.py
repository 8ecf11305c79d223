"""What ends a task before its time: signals, and errors as the rigs hear of them."""

from __future__ import annotations

import contextlib
import functools
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from multirig.pc.signals import END, EndedBySignal, end_program, give_back, take_signals

MAX_TRACEBACK = 8_000
"""Characters of a stack that the rigs are told."""
MAX_FOREIGN_TRACEBACK = 500
"""The same where IBL's peers listen, some of which read a thousand bytes in all."""


class EndSignals:
    """Lets SIGTERM, and the closing of a terminal or a Windows console, end the task as an exception does."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}

    def heed(self) -> None:
        """Raise SystemExit at such a signal from now on; nothing happens outside of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        if not self._handlers:
            self._handlers = take_signals(end_program, END)

    def give_back(self) -> None:
        """Give the signals back to those who had them."""
        give_back(self._handlers)
        self._handlers = {}


@contextlib.contextmanager
def reporting(report: Callable[[BaseException], object]) -> Iterator[None]:
    """Report the error with which something fails, before anybody else handles it; also a decorator."""
    try:
        yield
    except BaseException as error:
        report(error)
        raise


def reporting_method(
    method: Callable[..., Any], report: Callable[[Any, BaseException], object]
) -> Callable[..., Any]:
    """Return a method that reports the error with which it fails, and of which instance it is."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with reporting(functools.partial(report, self)):
            return method(self, *args, **kwargs)

    return call


def say_end(error: BaseException) -> str:
    """Return what has ended a task, in words."""
    match error:
        case EndedBySignal():
            return str(error)
        case SystemExit(code=code):
            return f"the task ended itself by sys.exit({'' if code is None else repr(code)})"
        case KeyboardInterrupt():
            return str(error) or "Ctrl-C"
    return str(error) or type(error).__name__


def describe_error(error: BaseException, *, is_short: bool) -> dict[str, Any]:
    """Return an error as IBL's peers know it, with less of its stack where it must be short."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "error": _name(error),
        "message": say_end(error),
        "traceback": stack[-(MAX_FOREIGN_TRACEBACK if is_short else MAX_TRACEBACK) :],
        "file": last[0].filename if last else None,
        "line_no": last[0].lineno if last else None,
    }


def _name(error: BaseException) -> str:
    """Return the kind of an error by a name that a peer may know."""
    return "SystemExit" if isinstance(error, EndedBySignal) else type(error).__name__
