"""Stands before the whole console: no request and no web socket gets by that `access` would not let in."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, quote

from multirig.dashboard.door.access import (
    LIFE,
    NOBODYS,
    Browsers,
    Limiter,
    Names,
    Sessions,
    Token,
    is_password,
    is_same_origin,
    security_headers,
    to_own_path,
)
from multirig.dashboard.door.ended import keep_ended, read_ended
from multirig.dashboard.door.icon import ICON
from multirig.dashboard.door.login import HEADERS, login_page, say_wait
from multirig.dashboard.door.people import Account, People, Person, key_of

LOGIN, LOGOUT, SIGNED_IN = "/login", "/logout", "/signed-in"
"""Paths of its own; the last one answers 204 or 401, for a page that has lost its web socket."""
LOGGED_IN = "multirig.logged_in"
"""In a request's scope: whether its session can be ended by `LOGOUT`."""
WHO = "multirig.who"
"""In a request's scope: what returns whose it is, a `Person`, as long as that session goes on; then None."""
MAX_FORM = 8192
"""Bytes of a form with a password in it."""
FORM_LIMIT = 10.0
"""Seconds that it may take to arrive."""
MOST_WAITING = 20
"""Strangers whose password waits to be looked at; more are asked to come again."""
HOLD = 0.25
"""Seconds between two passwords of strangers that are looked at, while somebody guesses."""
KNOWN_LIFE = 365 * 24 * 3600
"""Seconds for which a browser that knew the password is told from strangers."""
CLOSED = 4401
"""Code of a web socket whose session has ended."""

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("multirig.dashboard")


class Guard:
    """An ASGI application around another one.

    Parameters
    ----------
    app : App
        The console itself.
    names : Names
        Under which it answers.
    password : str or Token, optional
        The hash that is kept, or what the printed address holds.
    people : People, optional
        Who may log in by name; without them and a password, nobody is asked.
    secret : bytes
        This installation's own.
    folder : pathlib.Path
        Where it is kept which sessions were ended.
    cookie : str
        The cookie's name.
    is_secure : bool
        Whether the cookie is for encrypted connections only.
    """

    def __init__(
        self,
        app: App,
        *,
        names: Names,
        password: str | Token | None,
        people: People | None = None,
        secret: bytes,
        folder: Path,
        cookie: str,
        is_secure: bool,
    ) -> None:
        self.app = app
        self._names = names
        self._password = password
        self._people = people
        self._sessions: Sessions | None = None
        if password is not None or people is not None:
            kind = "token" if isinstance(password, Token) else password
            self._sessions = Sessions(secret, kind, read_ended(folder), self._find_stamp)
        self._folder = folder
        self._browsers = Browsers(secret)
        self._limiter = Limiter()
        self._waiting = 0
        """Strangers whose password waits."""
        self._turn_of_strangers = asyncio.Lock()
        self._one_at_a_time = asyncio.Lock()
        """A hash takes memory and time on purpose."""
        self._cookie = cookie
        self._known = f"{cookie}_known"
        """The cookie of a browser that once knew the password."""
        self._attributes = "; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if is_secure else "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, answer it, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        host = headers.get("host", "")
        if (refusal := self._refuse(scope, headers, host)) is not None:
            log.warning("refused %r of %s: %s", scope["path"], _address(scope), refusal)
            await _refuse(scope, receive, send, 403, refusal)
            return
        send = _with_headers(send, security_headers(host)) if scope["type"] == "http" else send
        session = self._find_session(headers)
        scope[LOGGED_IN] = session is not None
        scope[WHO] = functools.partial(self._find_person, session)
        if self._opens(scope):  # whoever is in too: one that opens one time is used up
            # the token stays neither in the address nor in what the browser remembers of it
            await _respond(send, 303, "", {"location": to_own_path(scope["path"])}, [self._begin()])
        elif scope["type"] == "http" and scope["path"] in (LOGIN, LOGOUT, SIGNED_IN, "/favicon.ico"):
            await self._answer(scope, headers, session, receive, send)
        elif self._sessions is None:
            await self.app(scope, receive, send)
        elif session is None:
            await self._ask(scope, headers, receive, send)
        elif scope["type"] == "websocket":
            await self.app(scope, *self._while_open(session, receive, send))
        else:
            await self.app(scope, receive, send)

    def _refuse(self, scope: Scope, headers: dict[str, str], host: str) -> str | None:
        """Return why a request is refused whoever sends it."""
        if not self._names.hold(host):
            return (
                f"this console does not answer to the name {host[:80]!r}: use the address that it showed "
                "when it was started, or enter the name in multirig.yaml: console: {names: [NAME]}"
            )
        origin = headers.get("origin")
        if origin is not None and not is_same_origin(origin, host):
            return f"this console obeys its own pages only, not {origin[:80]!r}: open it by its own address"
        if scope["type"] == "websocket":
            return None if origin is not None else "a web socket has to say which page it belongs to"
        is_foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        is_a_link = headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET"
        if is_foreign and not is_a_link:
            return "this console obeys its own pages only: open it by its own address"
        return None

    def _find_session(self, headers: dict[str, str]) -> str | None:
        """Return the cookie of a session that goes on."""
        found = _find_cookie(headers, self._cookie)
        if found is None or self._sessions is None or not self._sessions.is_open(found, time.time()):
            return None
        return found

    def _find_person(self, session: str | None) -> Person | None:
        """Return who has a session; None: it is over."""
        if self._sessions is None:
            return Person()
        key = None if session is None else self._sessions.find(session, time.time())
        if not key:
            return None if key is None else Person()
        account = self._find_account(key)
        return None if account is None else account.person

    def _find_account(self, name: str) -> Account | None:
        return None if self._people is None else self._people.find(name)

    def _find_stamp(self, name: str) -> str | None:
        account = self._find_account(name)
        return None if account is None else account.stamp

    async def _ask(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Send who has not shown the password to the page that asks for it."""
        wants_a_page = scope["type"] == "http" and scope["method"] == "GET"
        if wants_a_page and "text/html" in headers.get("accept", ""):
            query = scope.get("query_string", b"").decode("latin-1")
            target = scope["path"] + (f"?{query}" if query else "")
            await _respond(send, 303, "", {"location": f"{LOGIN}?next={quote(to_own_path(target))}"})
        else:
            why = f"this console asks for a {self._asks_for}: open its page and log in"
            await _refuse(scope, receive, send, 401, why)

    @property
    def _asks_for(self) -> str:
        return "token" if isinstance(self._password, Token) else "password"

    def _opens(self, scope: Scope) -> bool:
        """Whether the address of a page holds the token."""
        if not isinstance(self._password, Token) or scope["type"] != "http" or scope["method"] != "GET":
            return False
        said = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return self._password.opens(said, time.monotonic())

    def _begin(self, account: str = "") -> str:
        """Return the cookie of a session that begins now."""
        value = "" if self._sessions is None else self._sessions.begin(time.time(), account)
        return f"{self._cookie}={value}; Max-Age={LIFE}{self._attributes}"

    async def _answer(
        self, scope: Scope, headers: dict[str, str], session: str | None, receive: Receive, send: Send
    ) -> None:
        """Answer a request for one of the guard's own paths."""
        match scope["path"], scope["method"]:
            case "/favicon.ico", "GET" | "HEAD":
                kept = {"content-type": "image/svg+xml", "cache-control": "max-age=86400"}
                await _respond(send, 200, ICON, kept)
            case "/signed-in", "GET":
                is_in = self._sessions is None or session is not None
                await _respond(send, 204 if is_in else 401, "", {"cache-control": "no-store"})
            case "/login" | "/logout", _ if self._sessions is None:
                await _respond(send, 303, "", {"location": "/"})
            case "/login", "GET":
                query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
                target = to_own_path(query.get("next", ["/"])[0])
                if session is not None:
                    await _respond(send, 303, "", {"location": target})
                else:
                    await _respond(send, 200, self._page(target), HEADERS)
            case "/login", "POST":
                await self._log_in(scope, headers, receive, send)
            case "/logout", "POST":
                await self._log_out(session, send)
            case _:
                await _respond(send, 405, "not possible here: open the console's page\n", {})

    async def _log_in(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        try:
            form = parse_qs(await asyncio.wait_for(_read_form(receive), FORM_LIMIT))
        except (asyncio.TimeoutError, ValueError):
            await _respond(send, 400, "the form did not arrive as it should: open the page again\n", {})
            return
        target = to_own_path(form.get("next", ["/"])[0])
        name = form.get("name", [""])[0].strip()
        account = self._find_account(name) if name else None
        tried = "" if not name else None if account is None else key_of(account.name)
        address = _address(scope)
        known = None
        if tried is not None:  # a browser that knew one account's password is a stranger to the others
            known = self._browsers.find(_find_cookie(headers, self._known) or "", tried)
        if known is None and self._waiting >= MOST_WAITING:
            seconds = HOLD * MOST_WAITING
            problem = f"Many try to log in at once: wait {say_wait(seconds)}, then try again."
            await _tell_to_wait(send, self._page(target, problem, name), seconds)
            return
        if wait := self._limiter.take(address, time.monotonic(), known, tried):
            problem = f"Too many wrong passwords: wait {say_wait(wait)}, then try again."
            await _tell_to_wait(send, self._page(target, problem, name), wait)
            return
        password = form.get("password", [""])[0]
        if not await self._judge(password, tried, account, is_stranger=known is None):
            whose = f" for {account.name}" if account is not None else ""
            log.warning("a wrong %s%s from %s", "password" if name else self._asks_for, whose, address)
            problem = f"That is not the {self._asks_for}: type it again."
            if name:
                problem = "That is no name with its password: type both again."
            await _respond(send, 401, self._page(target, problem, name), HEADERS)
            return
        self._limiter.succeed(address, known, tried)
        log.info("%s has logged in%s", address, f" as {account.name}" if account is not None else "")
        cookies = [self._begin(tried or "")]
        if known is None:
            value = self._browsers.name(tried or "")
            cookies.append(f"{self._known}={value}; Max-Age={KNOWN_LIFE}{self._attributes}")
        await _respond(send, 303, "", {"location": target}, cookies)

    def _page(self, target: str, problem: str | None = None, name: str = "") -> str:
        """Return the page that asks for a password."""
        asks = self._people is not None and bool(self._people.accounts)
        return login_page(
            target,
            problem,
            self._asks_for,
            name=name if asks else None,
            needs_name=asks and self._password is None,
        )

    async def _judge(
        self, password: str, tried: str | None, account: Account | None, *, is_stranger: bool
    ) -> bool:
        """Return whether it is the password; while somebody guesses, strangers wait for each other."""
        kept: str | Token | None = account.password if account is not None else None
        if tried == "":
            kept = self._password
        if isinstance(kept, Token):
            return kept.opens(password.strip(), time.monotonic())
        async with contextlib.AsyncExitStack() as turns:
            if is_stranger:
                self._waiting += 1
                turns.callback(self._count_down)
                await turns.enter_async_context(self._turn_of_strangers)
                if self._limiter.is_rushed(time.monotonic()):
                    await asyncio.sleep(HOLD)
            await turns.enter_async_context(self._one_at_a_time)
            is_right = await asyncio.to_thread(is_password, password, kept or NOBODYS)
        return is_right and kept is not None

    def _count_down(self) -> None:
        self._waiting -= 1

    async def _log_out(self, session: str | None, send: Send) -> None:
        if self._sessions is not None and session is not None:
            self._sessions.end(session, time.time())
            await asyncio.to_thread(keep_ended, self._folder, dict(self._sessions.ended), time.time())
        cookie = f"{self._cookie}=; Max-Age=0{self._attributes}"
        await _respond(send, 303, "", {"location": LOGIN}, [cookie])

    def _while_open(self, session: str, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Return what a web socket receives and sends, which is nothing more once its session has ended."""
        is_closed = False

        async def close_if_over() -> bool:
            nonlocal is_closed
            if not is_closed and self._find_person(session) is None:
                is_closed = True
                await send({"type": "websocket.close", "code": CLOSED})
            return is_closed

        async def receive_while_open() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and await close_if_over():
                return {"type": "websocket.disconnect", "code": CLOSED}
            return message

        async def send_while_open(message: Message) -> None:
            if message["type"] == "websocket.send" and await close_if_over():
                return
            if not is_closed:
                await send(message)

        return receive_while_open, send_while_open


def _headers(scope: Scope) -> dict[str, str]:
    """Return a request's headers; one that stands there twice, as ``Host`` never may, becomes one."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}{'; ' if key == 'cookie' else ', '}{text}" if key in found else text
    return found


def _find_cookie(headers: dict[str, str], name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if found is None else found.value


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _read_form(receive: Receive) -> str:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ValueError("the browser went away")
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > MAX_FORM:
            raise ValueError("the form is too long")
        if not message.get("more_body", False):
            return body.decode("utf-8")


def _with_headers(send: Send, added: dict[str, str]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", ())}
            pairs = ((name.encode("latin-1"), value.encode("latin-1")) for name, value in added.items())
            message["headers"] = [
                *message.get("headers", ()),
                *((name, value) for name, value in pairs if name not in there),
            ]
        await send(message)

    return send_with_headers


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
    else:
        await _respond(send, status, f"{text}\n", {})


async def _tell_to_wait(send: Send, page: str, seconds: float) -> None:
    await _respond(send, 429, page, {**HEADERS, "retry-after": str(int(seconds) + 1)})


async def _respond(
    send: Send, status: int, text: str, headers: dict[str, str], cookies: Sequence[str] = ()
) -> None:
    body = text.encode()
    said = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), **headers}
    if status == 204:
        del said["content-length"]
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in said.items()]
    pairs += [(b"set-cookie", one.encode("latin-1")) for one in cookies]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
