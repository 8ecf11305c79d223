"""The rigs of a task by name, and who wants to hear what they say."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from multirig.conductor.conductor import Conductor
from multirig.config import Uri
from multirig.ibl.net.base import ExpMessage
from multirig.protocol.messages import Event


@dataclass(frozen=True, slots=True)
class RemoteService:
    """One rig, as callbacks get it."""

    name: str
    """As in the rigs file."""
    server_uri: str
    """Where it listens: ``udp://192.168.1.20:11001``."""
    _conductor: Conductor

    @property
    def hostname(self) -> str:
        """Its IP address, or the name that was given."""
        return Uri.parse(self.server_uri).host

    @property
    def port(self) -> int:
        """Its port."""
        return Uri.parse(self.server_uri).port

    @property
    def protocol(self) -> str:
        """``udp`` or ``tcp``."""
        return Uri.parse(self.server_uri).scheme

    @property
    def is_connected(self) -> bool:
        """Whether nothing is known that keeps the rig from hearing us."""
        return self._conductor.is_reached(self.name)


@dataclass(frozen=True, slots=True)
class Registration:
    """Somebody who wants to hear an event."""

    callback: Any
    """A callable or a future."""
    returns_event: bool
    """Whether it is told which event it was: it was registered for several."""
    returns_service: bool
    """Whether it is told who said it."""


class RemoteServices(Mapping[str, RemoteService]):
    """The rigs by name, and who wants to hear what they say.

    A callback is called with ``(data, addr)``: the message without its event, and ``(host, port)`` of the
    rig; then the event, if it was registered for several, and the service, if it was asked for.
    """

    def __init__(self, rigs: Mapping[str, RemoteService]) -> None:
        self._rigs = dict(rigs)
        self._lock = threading.Lock()
        self._registrations: dict[Event, list[Registration]] = {}

    def __getitem__(self, name: str) -> RemoteService:
        return self._rigs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rigs)

    def __len__(self) -> int:
        return len(self._rigs)

    @property
    def is_connected(self) -> bool:
        """Whether there are rigs, and every one is connected."""
        return bool(self._rigs) and all(rig.is_connected for rig in self._rigs.values())

    def assign_callback(self, event: Any, callback: Any, return_service: bool = False) -> None:
        """Call back whenever a rig says something: by itself, or in answer.

        Parameters
        ----------
        event : ExpMessage, str or int
            What to listen for; several at once as ``EXPEND | EXPINTERRUPT``.
        callback : callable or future
            Called in a thread of its own, one call after the other. A future is resolved once.
        return_service : bool
            Also hand over the `RemoteService` that said it.

        Raises
        ------
        TypeError
            It is neither a callable nor a future.
        ValueError
            No such event.
        """
        if not (callable(callback) or is_future(callback)):
            raise TypeError(f"{callback!r} is neither a callable nor a future")
        events = read_events(event)
        registration = Registration(callback, len(events) > 1, return_service)
        with self._lock:
            for one in events:
                self._registrations.setdefault(one, []).append(registration)

    def clear_callbacks(self, event: Any, callback: Any = None) -> dict[str, int]:
        """Take back a callback, or all of an event.

        Returns
        -------
        dict of str to int
            How many were taken back, for each rig.
        """
        removed = 0
        with self._lock:
            for one in read_events(event):
                before = self._registrations.get(one, [])
                kept = [each for each in before if callback is not None and each.callback != callback]
                gone = [each.callback for each in before if each not in kept]
                removed += len(gone)
                self._registrations[one] = kept
                for future in filter(is_future, gone):
                    in_loop_of(future, future.cancel)
        return dict.fromkeys(self._rigs, removed)

    @property
    def has_listeners(self) -> bool:
        """Whether anybody wants to hear anything."""
        return any(self._registrations.values())

    def listeners(self, event: Event) -> list[Registration]:
        """Return who wants to hear an event; a future is handed out once."""
        with self._lock:
            found = list(self._registrations.get(event, ()))
            for one in found:
                if is_future(one.callback):
                    for others in self._registrations.values():
                        others[:] = [each for each in others if each is not one]
        return found


def read_events(event: Any) -> list[Event]:
    """Return the events that are named, one or several at once."""
    if isinstance(event, int) and not isinstance(event, bool):
        event = int(event)
    bits = int(ExpMessage.validate(event))
    return [one for one in Event if int(one) & bits] or [Event.ERROR]


def is_future(callback: Any) -> bool:
    """Whether it is resolved, and not called."""
    return asyncio.isfuture(callback) or isinstance(callback, concurrent.futures.Future)


def in_loop_of(future: Any, action: Callable[[], Any]) -> None:
    """Do something with a future where that is safe."""
    if asyncio.isfuture(future):
        with contextlib.suppress(RuntimeError):  # its loop has ended: nobody waits any more
            future.get_loop().call_soon_threadsafe(action)
    else:
        action()
