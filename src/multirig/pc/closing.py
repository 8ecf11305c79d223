"""Windows' word that a console is closed, the user logs off or the PC shuts down; elsewhere that is a signal.

Windows ends a program as soon as it has heard of it, and at the latest after some five seconds. Here whoever
is told does not return: so the program has that time, and ends by itself.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

WINDOWS_LIMIT = 5.0
"""Seconds after which Windows ends a program that was told, whatever it does."""
CLOSE, LOG_OFF, SHUT_DOWN = 2, 5, 6
"""CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT."""

log = logging.getLogger("multirig.pc")


class Closing:
    """Tells a program once that it is to end, and holds Windows off meanwhile.

    Parameters
    ----------
    end : callable
        Asks the program to end, from another thread; returns whether anybody took it.
    """

    def __init__(self, end: Callable[[], bool]) -> None:
        self._end = end
        self._lock = threading.Lock()
        self.has_begun = False
        """Whether Windows has told it."""

    def hear(self, event: int, *, wait: Callable[[float], object] | None = None) -> bool:
        """Take a word of Windows; return whether it was heeded, then only when it is too late.

        Parameters
        ----------
        event : int
            What a console handler is given.
        wait : callable, optional
            Waits for so many seconds; without it this thread does.
        """
        if event not in (CLOSE, LOG_OFF, SHUT_DOWN):
            return False
        with self._lock:
            is_first, self.has_begun = not self.has_begun, True
        if is_first and not self._end():
            self.has_begun = False
            return False
        (wait or threading.Event().wait)(2 * WINDOWS_LIMIT)
        return True


if sys.platform == "win32":
    _WM_QUERYENDSESSION, _WM_ENDSESSION = 0x0011, 0x0016
    _kept: list[Any] = []
    """What Windows calls must never be collected."""

    def listen(closing: Closing) -> None:
        """Have Windows tell it, for as long as this program runs."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handler_type = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_uint32)
        handler = handler_type(lambda event: int(closing.hear(event)))
        kernel.SetConsoleCtrlHandler.argtypes = [handler_type, ctypes.c_int]
        kernel.SetConsoleCtrlHandler.restype = ctypes.c_int
        if kernel.SetConsoleCtrlHandler(handler, 1):
            _kept.append(handler)
        else:
            log.warning("a closed window cannot be heard of: Windows error %d", ctypes.get_last_error())
        threading.Thread(target=_watch_session, args=(closing,), name="end of session", daemon=True).start()

    class _WindowClass(ctypes.Structure):
        _fields_ = (
            ("style", ctypes.c_uint32),
            ("procedure", ctypes.c_void_p),
            ("class_extra", ctypes.c_int),
            ("window_extra", ctypes.c_int),
            ("instance", ctypes.c_void_p),
            ("icon", ctypes.c_void_p),
            ("cursor", ctypes.c_void_p),
            ("background", ctypes.c_void_p),
            ("menu_name", ctypes.c_wchar_p),
            ("class_name", ctypes.c_wchar_p),
        )

    class _Message(ctypes.Structure):
        _fields_ = (
            ("window", ctypes.c_void_p),
            ("message", ctypes.c_uint32),
            ("w", ctypes.c_size_t),
            ("l", ctypes.c_ssize_t),
            ("time", ctypes.c_uint32),
            ("x", ctypes.c_long),
            ("y", ctypes.c_long),
        )

    def _watch_session(closing: Closing) -> None:
        """Hear of log-off and shutdown by a window that is never shown.

        A console handler is not told of them in a program that has loaded user32.dll, as cameras do.
        """
        user = ctypes.WinDLL("user32", use_last_error=True)
        arguments = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t, ctypes.c_ssize_t]
        procedure_type = ctypes.WINFUNCTYPE(ctypes.c_ssize_t, *arguments)
        user.DefWindowProcW.argtypes = arguments
        user.DefWindowProcW.restype = ctypes.c_ssize_t
        user.CreateWindowExW.argtypes = [
            *(ctypes.c_uint32, ctypes.c_wchar_p, ctypes.c_wchar_p, ctypes.c_uint32),
            *[ctypes.c_int] * 4,
            *[ctypes.c_void_p] * 4,
        ]
        user.CreateWindowExW.restype = ctypes.c_void_p
        user.GetMessageW.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
        user.DispatchMessageW.argtypes = [ctypes.c_void_p]

        def take(window: int, message: int, w: int, l: int) -> int:  # noqa: E741  Windows' own names
            if message == _WM_QUERYENDSESSION:
                return 1
            if message == _WM_ENDSESSION and w:
                closing.hear(SHUT_DOWN)
                return 0
            return int(user.DefWindowProcW(window, message, w, l))

        procedure = procedure_type(take)
        name = f"multirig {threading.get_ident()}"
        kind = _WindowClass(procedure=ctypes.cast(procedure, ctypes.c_void_p).value, class_name=name)
        # no parent: only windows of their own are asked before a session ends
        if not user.RegisterClassW(ctypes.byref(kind)) or not user.CreateWindowExW(
            0, name, "multirig", 0, 0, 0, 0, 0, None, None, None, None
        ):
            log.warning("the end of a session cannot be heard of: Windows error %d", ctypes.get_last_error())
            return
        message = _Message()
        while user.GetMessageW(ctypes.byref(message), None, 0, 0) > 0:
            user.DispatchMessageW(ctypes.byref(message))

else:

    def listen(closing: Closing) -> None:
        """Do nothing: other systems send signals."""
