"""The web server of the console: its socket, its encryption, and NiceGUI within uvicorn, in this loop.

The libraries are loaded when a console is served, and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from hmac import digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from platformdirs import user_state_path

from multirig.conductor.registration import own_addresses
from multirig.conductor.roster import is_every_address
from multirig.dashboard.access import LOOPBACK_NAMES, Names
from multirig.dashboard.guard import SIGNED_IN, Guard
from multirig.dashboard.icon import ICON
from multirig.dashboard.pictures import Pictures
from multirig.errors import ConfigError, MultirigError
from multirig.writing import write_whole

if TYPE_CHECKING:
    from multirig.dashboard.console import Console
    from multirig.dashboard.snapshot import SessionNow

TITLE = "multirig"
NAME_LIMIT = 2.0
"""Seconds that a network may take to say under which name it knows this PC."""
STOP_LIMIT = 2
"""Seconds that browsers get to let go when the console ends."""
SECRET_BYTES = 32
LOCK_LIMIT = 10.0
"""Seconds that another console may take to make the secret."""
MISSING = "the console needs NiceGUI: pip install 'multirig[console]'"

_LOOK_WHEN_CUT = f"""<script>
addEventListener("load", () => window.socket?.on("connect_error", async () => {{
  try {{
    if ((await fetch("{SIGNED_IN}", {{ cache: "no-store" }})).status === 401) location.reload();
  }} catch {{ /* the console itself is away: NiceGUI says so, and goes on trying */ }}
}}));
</script>"""
"""A page whose session is over asks for the password again, instead of waiting for a socket in vain."""

log = logging.getLogger("multirig.dashboard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a console is served, and who may see it."""

    host: str = "127.0.0.1"
    port: int = 8090
    """0: any that is free."""
    certificate: Path | None = None
    key: Path | None = None
    """Both are PEM files; together or not at all."""
    password: str | None = None
    """The hash that is kept."""
    names: Sequence[str] = ()
    """By which other PCs reach this one, besides its own name and its addresses."""


def is_loopback(host: str) -> bool:
    """Whether only this PC reaches what listens at a host."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve(
    console: Console,
    place: Place,
    ended: asyncio.Event,
    on_ready: Callable[[Sequence[str]], None],
    folder: Path | None = None,
) -> SessionNow | None:
    """Serve a console until it is time to end, and return the session that goes on without it, if one does.

    Parameters
    ----------
    console : Console
        What the pages talk to; it is opened before the first page is served, and closed in the end.
    place : Place
        Where, and for whom.
    ended : asyncio.Event
        When it is set, the server ends; sessions go on.
    on_ready : callable
        Is given the addresses of the first page as soon as browsers may come.
    folder : pathlib.Path, optional
        For this installation's secret; by default in the user's own state folder.

    Returns
    -------
    SessionNow or None

    Raises
    ------
    ConfigError
        The address is in use or none of this PC's, the TLS files are no good, the extra is missing, or it is
        not loopback and has no password.
    """
    if not is_loopback(place.host) and place.password is None:
        raise ConfigError(
            f"at {place.host} other PCs could reach the console, and it has no password: "
            "set one with multirig console --set-password"
        )
    _check_tls(place)
    folder = folder or user_state_path("multirig", appauthor=False) / "console"
    secret = await asyncio.to_thread(load_secret, folder)
    with contextlib.closing(await asyncio.to_thread(_listen, place.host, place.port)) as listening:
        port = int(listening.getsockname()[1])
        names = await _own_names(place)
        session = {
            "session_cookie": f"multirig_pages_{port}",
            "same_site": "strict",
            "https_only": place.certificate is not None,
        }
        app = _build(console, digest(secret, b"pages", "sha256").hex(), session, folder / "pages")
        guard = Guard(
            app,
            names=names,
            password=None if is_loopback(place.host) else place.password,
            secret=secret,
            # a cookie belongs to a host whatever the port, and a PC may serve several consoles
            cookie=f"{'__Host-' if place.certificate else ''}multirig_{port}",
            is_secure=place.certificate is not None,
        )
        await console.open()
        try:
            await _run(guard, place, listening, ended, lambda: on_ready(_urls(place, port)))
            return console.session if console.is_led else None
        finally:
            await console.close()


def _build(console: Console, secret: str, session: dict[str, Any], storage: Path) -> Any:
    """Return the application: FastAPI with NiceGUI in it, and the pages; `session` is its cookie."""
    # Where NiceGUI keeps what pages remember of a browser; it looks once, when it is loaded.
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(storage))
    try:
        from fastapi import FastAPI
        from nicegui import ui
    except ImportError:
        raise ConfigError(MISSING) from None
    from multirig.dashboard import pages

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pages.register(console)
    ui.add_head_html(_LOOK_WHEN_CUT, shared=True)
    ui.run_with(
        app,
        title=TITLE,
        favicon=ICON,
        dark=None,
        language="en-US",
        storage_secret=secret,
        session_middleware_kwargs=session,
        show_welcome_message=False,
        tailwind=False,  # our own style sheet is all that there is
    )
    return Pictures(app, console.picture)


async def _run(
    guard: Guard, place: Place, listening: socket.socket, ended: asyncio.Event, on_ready: Callable[[], None]
) -> None:
    """Run the web server until it is time to end."""
    import uvicorn

    class _Server(uvicorn.Server):
        """Leaves Ctrl-C to this program, and tells when it listens."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_ready()

    config = uvicorn.Config(
        guard,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_LIMIT,
        ssl_certfile=place.certificate,
        ssl_keyfile=place.key,
    )
    server = _Server(config)
    with _logs_kept():
        serving = asyncio.ensure_future(server.serve([listening]))
        over = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({serving, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            server.should_exit = True
            await serving
    if not server.started:
        raise MultirigError("the console's pages could not be started: look into its log, and report it")


@contextlib.contextmanager
def _logs_kept() -> Iterator[None]:
    """Let what the libraries log go where multirig's own log goes, and not onto the screen."""
    ours = logging.getLogger("multirig").handlers
    theirs = [logging.getLogger(name) for name in ("uvicorn", "nicegui", "asyncio")]
    before = [(one, one.handlers, one.propagate) for one in theirs]
    if ours:
        for one in theirs:
            one.handlers, one.propagate = list(ours), False
    try:
        yield
    finally:
        for one, handlers, propagate in before:
            one.handlers, one.propagate = handlers, propagate


# -- this PC -------------------------------------------------------------------------------------------------


def load_secret(folder: Path) -> bytes:
    """Return this installation's secret, which is made when there is none; only this user can read it.

    Raises
    ------
    ConfigError
        It can be neither read nor made.
    """
    path = folder / "secret"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(folder / "secret.lock", timeout=LOCK_LIMIT):
            if path.is_file() and len(secret := path.read_bytes()) == SECRET_BYTES:
                return secret
            secret = secrets.token_bytes(SECRET_BYTES)
            write_whole(path, secret, is_private=True)
            return secret
    except OSError as error:  # a lock that is not let go of is one too
        raise ConfigError(
            f"{path}: the console's secret cannot be kept ({error.strerror or error}): "
            "check the rights of its folder"
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, and nowhere else."""
    where = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise ConfigError(
            f"console: {host!r} is no address of this PC: give --host 0.0.0.0 for all of them"
        ) from None
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listening = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # on Windows REUSEADDR would let two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"console: cannot listen at {where} ({error.strerror or error}): another console may run there; "
            f"choose another port: --port {port + 1 if 0 < port < 65535 else 8091}"
        ) from None
    return listening


def _check_tls(place: Place) -> None:
    """Look at the TLS files before anything is started with them."""
    if (place.certificate is None) != (place.key is None):
        raise ConfigError("TLS takes two files: give both --tls-cert and --tls-key")
    if place.certificate is None or place.key is None:
        return
    for path in (place.certificate, place.key):
        if not path.is_file():
            raise ConfigError(f"{path}: there is no such file: check --tls-cert and --tls-key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            place.certificate, place.key, password=_refuse_to_ask
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{place.certificate} and {place.key} are not a certificate and its key, in PEM form "
            f"({getattr(error, 'reason', None) or error}): check --tls-cert and --tls-key"
        ) from None


def _refuse_to_ask() -> str:
    raise ConfigError(
        "the TLS key is encrypted: give --tls-key one without a password, that only you can read"
    )


async def _own_names(place: Place) -> Names:
    """Return the names and addresses under which the console answers."""
    names = {*LOOPBACK_NAMES, place.host.lower(), *(one.lower() for one in place.names)}
    if is_loopback(place.host):
        return Names(names=frozenset(names))
    own = socket.gethostname().lower()
    names |= {own, f"{own}.local"}
    with contextlib.suppress(asyncio.TimeoutError, OSError):
        names.add((await asyncio.wait_for(asyncio.to_thread(socket.getfqdn), NAME_LIMIT)).lower())
    return Names(names=frozenset(names), any_ip=True)


def _urls(place: Place, port: int) -> list[str]:
    """Return the addresses to type into a browser."""
    scheme = "https" if place.certificate is not None else "http"
    hosts = [place.host]
    if is_every_address(place.host):
        version = ipaddress.ip_address(place.host).version
        own = [one for one in map(ipaddress.ip_address, own_addresses()) if one.version == version]
        hosts = (
            [str(one) for one in own if not one.is_link_local] or [str(one) for one in own] or ["localhost"]
        )
    return [f"{scheme}://{f'[{one}]' if ':' in one else one}:{port}" for one in hosts]
