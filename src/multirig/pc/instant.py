"""To do something at an instant, as close as Python and the system allow."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

BLOCK = 0.02 if sys.platform == "win32" else 0.005
"""Seconds before the instant from which the thread itself waits: an event loop's timers are coarser."""
LOOK = 0.02
"""Seconds between two looks when the instant is."""
SPIN = 0.002
"""Seconds before the instant from which it looks at the clock without a pause: a sleeping core wakes late."""
SWITCH = 0.0005
"""Seconds after which another thread of this program must give way, meanwhile."""


async def come_near(find: Callable[[], int]) -> int:
    """Return some milliseconds before an instant, from where `wait_for` takes over.

    Parameters
    ----------
    find : callable
        Returns when it is, on ``time.perf_counter_ns()``; asked again and again, since clocks may be known
        better meanwhile.

    Returns
    -------
    int
        When it is, as it was found last.
    """
    while (left := ((at := find()) - time.perf_counter_ns()) / 1e9 - BLOCK) > 0:
        await asyncio.sleep(min(left, LOOK))
    return at


def wait_for(at: int) -> None:
    """Return at an instant, or at once if it is over; nothing else of this thread happens meanwhile.

    Parameters
    ----------
    at : int
        When, on ``time.perf_counter_ns()``.
    """
    while (left := (at - time.perf_counter_ns()) / 1e9 - SPIN) > 0:
        time.sleep(left)
    while time.perf_counter_ns() < at:
        _give_way()  # others wait for the same instant, perhaps on this core


def may_go_first() -> bool:
    """Whether the system lets this program run before others at an instant."""
    with _first() as is_first:
        return is_first


class _Quiet:
    """What is set for as long as somebody wants it quiet; of one thread, the event loop's."""

    def __init__(self) -> None:
        self._wanted = 0
        self._undo = contextlib.ExitStack()

    def enter(self) -> None:
        self._wanted += 1
        if self._wanted == 1:
            for one in (_no_collection, _quick_switches, _first, _fine_timers):
                self._undo.enter_context(one())

    def leave(self) -> None:
        self._wanted -= 1
        if not self._wanted:
            _give_way()
            self._undo.close()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep what would come at the wrong moment away: garbage collection, other threads, other programs.

    Of other programs only where the system lets an ordinary user ask for it: on Windows, and on Linux with a
    limit ``rtprio`` or as root. To be entered in one thread; several may be in it at once.
    """
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _quick_switches() -> Iterator[None]:
    """Have other threads of this program give way soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _give_way() -> None:
    """Let whoever else is ready run first."""
    if sys.platform == "linux":
        os.sched_yield()
    else:
        time.sleep(0)


if sys.platform == "win32":
    _TIME_CRITICAL = 15

    _NO_PRIORITY = 0x7FFFFFFF
    """THREAD_PRIORITY_ERROR_RETURN."""

    @functools.cache
    def _kernel() -> Any:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        # a handle has 64 bits: without its type the upper half is lost, and nothing is set
        kernel.GetCurrentThread.restype = ctypes.c_void_p
        kernel.GetThreadPriority.argtypes = [ctypes.c_void_p]
        kernel.SetThreadPriority.argtypes = [ctypes.c_void_p, ctypes.c_int]
        return kernel

    @contextlib.contextmanager
    def _first() -> Iterator[bool]:
        """Let this thread run before those of other programs; tell whether Windows does."""
        kernel = _kernel()
        thread = kernel.GetCurrentThread()
        before = kernel.GetThreadPriority(thread)
        is_first = bool(before != _NO_PRIORITY and kernel.SetThreadPriority(thread, _TIME_CRITICAL))
        try:
            yield is_first and kernel.GetThreadPriority(thread) == _TIME_CRITICAL
        finally:
            if is_first:
                kernel.SetThreadPriority(thread, before)

    @contextlib.contextmanager
    def _fine_timers() -> Iterator[None]:
        """Have sleeps end within a millisecond, and not at the next of 64 ticks a second."""
        timers = ctypes.WinDLL("winmm")
        is_fine = timers.timeBeginPeriod(1) == 0
        try:
            yield
        finally:
            if is_fine:
                timers.timeEndPeriod(1)

else:

    @contextlib.contextmanager
    def _first() -> Iterator[bool]:
        """Let this thread run before those of other programs; tell whether the system allows it."""
        if sys.platform != "linux":
            yield False
            return
        policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
        try:  # what a hook starts, a thread or a program, does not have it
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        except OSError:  # an ordinary user may not, unless the system's limits say so
            yield False
            return
        try:
            yield True
        finally:
            try:
                os.sched_setscheduler(0, policy, priority)
            except OSError:  # an ordinary user cannot take that back, and it does no harm
                os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, priority)

    @contextlib.contextmanager
    def _fine_timers() -> Iterator[None]:
        """Have sleeps end when they shall: Linux else gathers those that are 50 µs apart."""
        slack = _timer_slack(1) if sys.platform == "linux" else None
        try:
            yield
        finally:
            if slack is not None:
                _timer_slack(slack)

    @functools.cache
    def _prctl() -> Any:
        return getattr(ctypes.CDLL(None), "prctl", None)

    def _timer_slack(nanoseconds: int) -> int | None:
        """Set how late a sleep of this thread may end; return what it was."""
        prctl = _prctl()
        if prctl is None:
            return None
        before = int(prctl(_GET_SLACK, 0, 0, 0, 0))
        return before if before > 0 and prctl(_SET_SLACK, nanoseconds, 0, 0, 0) == 0 else None

    _SET_SLACK, _GET_SLACK = 29, 30


_quiet = _Quiet()
