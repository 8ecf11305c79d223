"""The thread in which a conductor lives while a task blocks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from multirig.conductor.conductor import Conductor

SLICE = 0.25
"""Seconds: on Windows a waiting main thread notices Ctrl-C only between two waits."""
CLOSE_LIMIT = 150.0
"""Seconds until a thread that does not end is left alone: a stop and a clean-up at their limits, and more."""

_Result = TypeVar("_Result")

log = logging.getLogger("multirig.ibl")


class RigThread:
    """A daemon thread with an event loop of its own and a conductor in it, open until `close`.

    In the thread, `make` returns the conductor, `listen` is given it before it is open, and `end` before it
    is closed. What keeps it from being made and opened is raised here.
    """

    def __init__(
        self,
        make: Callable[[], Conductor],
        *,
        listen: Callable[[Conductor], None],
        end: Callable[[Conductor], Awaitable[None]],
    ) -> None:
        self._make, self._listen, self._end = make, listen, end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        ready: concurrent.futures.Future[Conductor] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="multirig", daemon=True
        )
        self._is_closed = False
        self._thread.start()
        try:
            self.conductor = wait_for(ready)
        except BaseException:
            self.close()
            raise

    async def _serve(self, ready: concurrent.futures.Future[Conductor]) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        try:
            conductor = self._make()
            self._listen(conductor)
            await conductor.open()
        except BaseException as error:  # noqa: BLE001  the constructor waits for it, and must not wait for ever
            ready.set_exception(error)
            return
        ready.set_result(conductor)
        await self._ended.wait()
        try:
            await self._end(conductor)
        finally:
            await conductor.close()

    @property
    def is_alive(self) -> bool:
        """Whether the conductor can still be asked for something."""
        return not self._is_closed and self._thread.is_alive()

    def post(self, work: Callable[[], Coroutine[Any, Any, _Result]]) -> concurrent.futures.Future[_Result]:
        """Do something in the event loop; it is cancelled with the future that is returned."""
        assert self._loop is not None  # set before the constructor returns
        return asyncio.run_coroutine_threadsafe(work(), self._loop)

    def call_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function in the event loop, if that has not ended meanwhile."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        """Let the conductor end what it leads, and return when the thread has ended; safe to call twice."""
        if self._is_closed or self._ended is None:
            return
        self.call_soon(self._ended.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_LIMIT)
            if self._thread.is_alive():
                log.error("the rigs could not be let go of within %g s: look at their screens", CLOSE_LIMIT)
        self._is_closed = True


def wait_for(future: concurrent.futures.Future[_Result]) -> _Result:
    """Wait for a result so that Ctrl-C is noticed on every system, and finds no lock held."""
    done: queue.SimpleQueue[object] = queue.SimpleQueue()
    future.add_done_callback(done.put)
    try:
        while not future.done():
            with contextlib.suppress(queue.Empty):
                done.get(timeout=SLICE)
        return future.result()
    except BaseException:
        future.cancel()
        raise
