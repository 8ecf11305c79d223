"""The web server of the console: NiceGUI within uvicorn, behind the guard, in this loop.

The libraries are loaded when a console is served, and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from hmac import digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multirig.dashboard.door.connections import Connections, limited, uvicorn_protocol
from multirig.dashboard.door.guard import SIGNED_IN, Guard
from multirig.dashboard.door.icon import ICON
from multirig.dashboard.door.opening import Door, prepare_door
from multirig.dashboard.door.pictures import PictureAnswers
from multirig.dashboard.door.place import Place
from multirig.errors import ConfigError, MultirigError
from multirig.state import state_folder

if TYPE_CHECKING:
    from multirig.dashboard.console import Console
    from multirig.dashboard.snapshot import SessionNow

TITLE = "multirig"
STOP_LIMIT = 2
"""Seconds that browsers get to close their connections when the console ends."""
MISSING = "the console needs NiceGUI: pip install 'multirig[console]'"

_LOOK_WHEN_CUT = f"""<script>
addEventListener("load", () => window.socket?.on("connect_error", async () => {{
  try {{
    if ((await fetch("{SIGNED_IN}", {{ cache: "no-store" }})).status === 401) location.reload();
  }} catch {{ /* the console itself is away: NiceGUI says so, and keeps trying */ }}
}}));
</script>"""
"""A page whose session is over asks for the password again, instead of waiting for a socket in vain."""

log = logging.getLogger("multirig.dashboard")


async def serve(
    console: Console,
    place: Place,
    ended: asyncio.Event,
    on_ready: Callable[[Sequence[str], str, Door], None],
    folder: Path | None = None,
) -> SessionNow | None:
    """Serve a console until it is time to end, and return the session that keeps running, if one does.

    Parameters
    ----------
    console : Console
        What the pages talk to; it is opened before the first page is served, and closed in the end.
    place : Place
        Where, and for whom.
    ended : asyncio.Event
        When it is set, the server ends; sessions keep running.
    on_ready : callable
        Is given the addresses of the first page as soon as browsers may come, one for a browser that is
        opened here, which opens one time, and what stands before the pages.
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
    folder = folder or state_folder() / "console"
    prepared = await asyncio.to_thread(prepare_door, place, folder)
    with contextlib.closing(await asyncio.to_thread(place.listen)) as listening:
        port = int(listening.getsockname()[1])
        door = await asyncio.to_thread(prepared.at, await place.find_names())
        session = {
            "session_cookie": f"multirig_pages_{port}",
            "same_site": "strict",
            "https_only": door.place.certificate is not None,
        }
        app = _build(console, digest(door.secret, b"pages", "sha256").hex(), session, folder / "pages")
        guard = door.guard(app, port)

        def tell() -> None:
            on_ready(*door.addresses(port), door)

        await console.open()
        try:
            await _run(guard, door.place, listening, ended, tell)
            return console.session.now if console.session.is_led else None
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
    return PictureAnswers(pages.PagePace(app), console.gallery.picture)


async def _run(
    guard: Guard, place: Place, listening: socket.socket, ended: asyncio.Event, on_ready: Callable[[], None]
) -> None:
    """Run the web server until it is time to end."""
    import uvicorn

    class _Server(uvicorn.Server):
        """Leaves Ctrl-C to this program, and reports when it listens."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                on_ready()

    config = uvicorn.Config(
        guard,
        http=limited(uvicorn_protocol(), Connections()),
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
    before = [(logger, logger.handlers, logger.propagate) for logger in theirs]
    if ours:
        for logger in theirs:
            logger.handlers, logger.propagate = list(ours), False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
