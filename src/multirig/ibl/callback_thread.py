"""The thread that calls a task's callbacks, one after the other: a slow or broken one holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

CALLBACK_LIMIT = 10.0
"""Seconds that whoever waits for responses also waits for the callbacks on them."""

log = logging.getLogger("multirig.ibl")


class CallbackThread:
    """A daemon thread with a queue of calls; it ends at `close`."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="multirig callbacks", daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether a callback asks this: it cannot wait for itself."""
        return threading.current_thread() is self._thread

    def call(
        self, callback: Callable[..., Any], *args: Any, what: str, on_error: Callable[[str, Exception], None]
    ) -> None:
        """Call a callback in its turn; `on_error` is given a line for the operator, and what was raised."""
        self._calls.put(functools.partial(_call, callback, args, what, on_error))

    async def called(self) -> None:
        """Return when the callbacks that wait have been called, so that the caller sees what they did."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        self._calls.put(lambda: _wake(loop, done))
        try:
            await asyncio.wait_for(done.wait(), CALLBACK_LIMIT)
        except asyncio.TimeoutError:
            log.warning("a callback takes longer than %g s; it is not waited for", CALLBACK_LIMIT)

    def close(self) -> None:
        """End the thread after the calls that wait."""
        self._calls.put(None)
        if not self.is_current:
            self._thread.join(CALLBACK_LIMIT)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _call(
    callback: Callable[..., Any],
    args: tuple[Any, ...],
    what: str,
    on_error: Callable[[str, Exception], None],
) -> None:
    try:
        callback(*args)
    except Exception as error:
        name = getattr(callback, "__qualname__", repr(callback))
        log.info("the callback %s on %s failed", name, what, exc_info=True)
        on_error(f"the callback {name} on {what} failed: {type(error).__name__}: {error}", error)


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        loop.call_soon_threadsafe(done.set)
