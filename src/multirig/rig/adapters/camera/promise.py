"""What one thread promises and the event loop waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future


def promise() -> Future[None]:
    """Return a future that somebody who waits for it cannot cancel."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


def resolve(future: Future[None]) -> None:
    """Say that it has happened; only the thread that owns the promise may."""
    if not future.done():
        future.set_result(None)


async def wait_all(promises: Iterable[Future[None]], limit: float) -> None:
    """Return when all are kept or the time limit, in seconds, is over; who waited looks which it was."""
    waiting = [asyncio.wrap_future(future) for future in promises if not future.done()]
    if waiting:
        await asyncio.wait(waiting, timeout=limit)
