"""Between a browser's web socket and the elements of a page: what somebody who may only look sends ends here.

Whatever an element does when it is pressed or filled in, it is reached by an event. Those of a person who
only looks reach none but elements that `for_all` has let through one by one, so that a new button is refused
to them until somebody has thought of it. The browser is not asked: it may send what it likes.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs
from weakref import WeakSet

import socketio.exceptions
from nicegui import core
from nicegui.client import Client
from nicegui.element import Element

from multirig.dashboard.door.access import Pace
from multirig.dashboard.door.guard import WHO, App, Receive, Scope, Send
from multirig.dashboard.door.people import Person

PAGES_AT_ONCE, PAGES_PER_SECOND = 20, 2.0
"""Pages and plots for somebody who may only look: each costs the console tens of milliseconds."""
EVENTS_AT_ONCE, EVENTS_PER_SECOND = 100, 5.0
"""What their pages may send: nobody types faster."""
TOLD_AT_ONCE, TOLD_PER_SECOND = 10, 0.1
"""Lines in the log about what was refused to them: more would drive out what else stands there."""

E = TypeVar("E", bound=Element)
_HARMLESS: WeakSet[Element] = WeakSet()
_ANSWERS = frozenset({"ack", "javascript_response"})
"""What a page itself has to send to be shown at all; neither has a handler of ours."""

_events = Pace(EVENTS_AT_ONCE, EVENTS_PER_SECOND)
_told = Pace(TOLD_AT_ONCE, TOLD_PER_SECOND)

log = logging.getLogger("multirig.dashboard")


class PagePace:
    """An ASGI application around another one: who may only look keeps the console busy for nobody else."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._pace = Pace(PAGES_AT_ONCE, PAGES_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or ask to come again."""
        if scope["type"] == "http" and not scope["path"].startswith("/_nicegui"):
            person = _ask(scope)
            if _is_too_much(person, self._pace):
                headers = [(b"content-type", b"text/plain"), (b"retry-after", b"2")]
                await send({"type": "http.response.start", "status": 429, "headers": headers})
                await send({"type": "http.response.body", "body": b"too many pages at once: wait 2 s\n"})
                return
        await self._app(scope, receive, send)


def for_all(element: E) -> E:
    """Let an element be used by those too who may only look: all that it does is to their own page."""
    _HARMLESS.add(element)
    return element


def close_gate() -> None:
    """Stand before every event that browsers send from now on."""
    handlers = core.sio.handlers["/"]
    for event, handler in list(handlers.items()):
        if event == "connect":
            handlers[event] = functools.partial(_connect, handler)
        elif event != "disconnect":
            handlers[event] = functools.partial(_receive, event, handler)


async def _connect(
    handler: Callable[..., Awaitable[None]], sid: str, environ: Any = None, *more: Any
) -> None:
    """Open a web socket, unless it is meant for a page that was made for somebody else."""
    if environ is None or environ is not core.sio.get_environ(sid):
        return  # an event that calls itself connect, and brings whatever it likes
    asked = parse_qs(environ.get("QUERY_STRING", "")).get("client_id", [""])[0]
    client = Client.instances.get(asked)
    if client is not None and not _is_own_page(environ, client):
        # by these words the page is loaded anew
        raise socketio.exceptions.ConnectionRefusedError("Implicit handshake failed")
    await handler(sid, environ, *more)


async def _receive(event: str, handler: Callable[..., Any], sid: str, said: Any = None) -> Any:
    """Let an event pass, or let it end here."""
    client = Client.instances.get(str(said.get("client_id"))) if isinstance(said, dict) else None
    environ = core.sio.get_environ(sid) or {}
    person = _find_person(environ)
    if client is None or person is None or not _is_own_page(environ, client):
        return False
    if event != "handshake":
        if client.id not in core.sio.rooms(sid):
            return False
        if event == "event" and _is_too_much(person, _events):
            return False
        if not person.operates and not _may_pass(event, client, said):
            _tell("refused %.40r of %s, who may only look", event, person)
            return False
    try:
        answer = handler(sid, said)
        return await answer if isinstance(answer, Awaitable) else answer
    except Exception:
        if person.operates:
            raise
        _tell("what %.40r of %s holds cannot be read", event, person)
        return False


def _tell(what: str, event: str, person: Person) -> None:
    if _told.keeps(person.name or "", time.monotonic()):
        log.warning(what, event, person.name)


def _is_too_much(person: Person | None, pace: Pace) -> bool:
    """Whether somebody who may only look asks for more than anybody would."""
    if person is None or person.operates:
        return False
    return not pace.keeps(person.name or "", time.monotonic())


def _may_pass(event: str, client: Client, said: Mapping[str, Any]) -> bool:
    if event != "event":
        return event in _ANSWERS
    number = said.get("id")
    return isinstance(number, int) and client.elements.get(number) in _HARMLESS


def _is_own_page(environ: Mapping[str, Any], client: Client) -> bool:
    """Whether a page was made for whoever a web socket is of."""
    person = _find_person(environ)
    return person is not None and person == _ask(client.request.scope)


def _find_person(environ: Mapping[str, Any]) -> Person | None:
    """Return whose web socket it is; None: of nobody whose session goes on."""
    return _ask(environ.get("asgi.scope") or {})


def _ask(scope: Mapping[str, Any]) -> Person | None:
    who = scope.get(WHO)
    return None if who is None else who()
