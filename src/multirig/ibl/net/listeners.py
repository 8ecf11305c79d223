"""Who wants to hear which event of a peer."""

from __future__ import annotations

import asyncio
import logging
from asyncio import isfuture
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Listener(NamedTuple):
    """One who wants to hear an event."""

    callback: Any
    """A callable, or a future that is resolved once."""
    names_event: bool
    """Whether it also gets the event: it was registered for several."""


class Listeners:
    """The callbacks and futures of one communicator, by the number of the event."""

    def __init__(self) -> None:
        self._by_event: dict[int, list[Listener]] = {}

    def add(self, events: list[int], callback: Any) -> None:
        """Register a callback or a future for one event, or for several."""
        for event in events:
            self._by_event.setdefault(event, []).append(Listener(callback, len(events) > 1))

    def remove(self, events: Iterable[int], callback: Any = None, *, cancel_futures: bool = True) -> int:
        """Take back one callback, or all of these events; return how many."""
        count = 0
        for event in events:
            listeners = self._by_event.get(event, [])
            removed = [each for each in listeners if callback is None or is_same(each.callback, callback)]
            self._by_event[event] = [each for each in listeners if each not in removed]
            count += len(removed)
            if cancel_futures:
                _cancel(removed)
        return count

    def has(self, event: int) -> bool:
        """Whether anybody wants to hear an event."""
        return bool(self._by_event.get(event))

    def call(
        self, event: Any, data: list[Any], address: tuple[str, int], logger: logging.Logger
    ) -> list[Exception]:
        """Call all who want to hear an event; return what their callbacks raised."""
        errors: list[Exception] = []
        for callback, names_event in list(self._by_event.get(int(event), ())):
            arguments = (data, address, event) if names_event else (data, address)
            if isfuture(callback):
                if not callback.done():
                    callback.set_result(arguments)
                elif not callback.cancelled():
                    logger.warning("%r, which waited for %s, has been resolved already", callback, event.name)
                self._forget(callback)
                continue
            try:
                callback(*arguments)
            except Exception as error:  # the others are to hear it all the same
                name = getattr(callback, "__qualname__", repr(callback))
                what = f"{type(error).__name__}: {error}"
                logger.exception("the callback %s on %s failed: %s", name, event.name, what)
                errors.append(error)
        return errors

    def clear(self) -> None:
        """Forget all of them, and cancel the futures among them."""
        _cancel(self)
        self._by_event.clear()

    def __iter__(self) -> Iterator[Listener]:
        return (listener for listeners in self._by_event.values() for listener in listeners)

    def _forget(self, future: asyncio.Future[Any]) -> None:
        for event, listeners in self._by_event.items():
            self._by_event[event] = [each for each in listeners if each.callback is not future]


def check_callback(callback: Any) -> None:
    """Raise TypeError unless somebody can be called back by it: a callable or a future."""
    if not (callable(callback) or isfuture(callback)):
        raise TypeError(f"{callback!r} is neither a callable nor a future")


def is_same(callback: Any, other: Any) -> bool:
    """Whether two callbacks are the same, also where one is wrapped for several services."""
    return bool(callback == other or getattr(callback, "id", None) == getattr(other, "id", hash(other)))


def _cancel(listeners: Iterable[Listener]) -> None:
    for listener in listeners:
        if isfuture(listener.callback):
            listener.callback.cancel()
