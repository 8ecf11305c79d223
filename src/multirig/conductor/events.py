"""What happens, as one stream: steps, states, outcomes, notices, what rigs say by themselves, markers."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from multirig.errors import MultirigError
from multirig.lifecycle.session_events import HandingTold, Heard, Marked, Moved, Progressed
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Noticed


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegan:
    """A step of the session was asked for."""

    step: SessionTrigger
    slow: Mapping[str, float] = field(default_factory=dict)
    """Rigs that are waited for longer in it than usual, by their word or the rigs file's; seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A step of the session is over on every rig, or was given up."""

    step: SessionTrigger
    error: MultirigError | None = None
    """Why it failed as a whole."""


SessionEvent: TypeAlias = StepBegan | StepEnded | Moved | Progressed | Noticed | HandingTold | Heard | Marked
"""`Moved`: the session is in another state. `Progressed`: a rig has its outcome in a step or a question.
`Noticed`: something is noticed of a rig that records. `HandingTold`: a rig that another conductor leads asks
the person there, or says what was decided. `Heard`: a rig says something by itself. `Marked`: a marker was
set."""


class EventStream:
    """An asynchronous iterator over what happens; it ends with what it is about.

    Nothing is lost between two looks. It may be thrown away at any time.
    """

    def __init__(self) -> None:
        self._events: deque[SessionEvent] = deque()
        self._has_ended = False
        self._waiting: asyncio.Future[None] | None = None

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> SessionEvent:
        while not self._events:
            if self._has_ended:
                raise StopAsyncIteration
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return self._events.popleft()

    def pending(self) -> list[SessionEvent]:
        """Return what has happened since the last look, without waiting."""
        events = list(self._events)
        self._events.clear()
        return events

    def put(self, event: SessionEvent) -> None:
        """Let it be seen that something happened."""
        self._events.append(event)
        self._wake()

    def end(self) -> None:
        """Let the iteration end when all that happened was seen."""
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Events:
    """Hands what happens to every stream that somebody reads.

    Parameters
    ----------
    wider : Events, optional
        Of what this is a part; what happens here happens there too.
    """

    def __init__(self, wider: Events | None = None) -> None:
        self._wider = wider
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._have_ended = False

    def stream(self) -> EventStream:
        """Return a stream of what happens from now on."""
        stream = EventStream()
        if self._have_ended:
            stream.end()
        else:
            self._streams.add(stream)
        return stream

    def publish(self, event: SessionEvent) -> None:
        """Let everybody who reads see that something happened."""
        for stream in list(self._streams):
            stream.put(event)
        if self._wider is not None:
            self._wider.publish(event)

    def end(self) -> None:
        """Let every stream end."""
        self._have_ended = True
        for stream in list(self._streams):
            stream.end()
