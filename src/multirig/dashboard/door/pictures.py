"""How a browser gets what cameras see.

Pictures are most of what goes to a browser, so they are answered for ahead of the pages' own machinery, in
which each would cost far more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from multirig.dashboard.door.guard import App, Receive, Scope, Send

_PLACE = "/picture/"


class PictureAnswers:
    """An ASGI application around another one; `find` returns a camera's newest picture, or None."""

    def __init__(self, app: App, find: Callable[[str, str], bytes | None]) -> None:
        self._app = app
        self._find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a picture, or let the request pass."""
        named = _read(scope) if scope["type"] == "http" else None
        if named is None:
            await self._app(scope, receive, send)
            return
        jpeg = self._find(*named)
        said = {"content-type": "image/jpeg", "cache-control": "no-store"}
        body = b"" if jpeg is None else jpeg
        headers = [(name.encode(), value.encode()) for name, value in said.items()]
        headers.append((b"content-length", str(len(body)).encode()))
        await send(
            {"type": "http.response.start", "status": 404 if jpeg is None else 200, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})


def picture_path(rig: str, label: str) -> str:
    """Return where the newest picture of a camera is."""
    return f"{_PLACE}{quote(rig, safe='')}/{quote(label, safe='')}"


def _read(scope: Any) -> tuple[str, str] | None:
    """Return of which rig and which camera a picture is asked for."""
    path = scope["raw_path"].decode("latin-1")  # as it was sent: a name may hold a slash
    if scope["method"] != "GET" or not path.startswith(_PLACE):
        return None
    rig, slash, label = path.removeprefix(_PLACE).partition("/")
    return (unquote(rig), unquote(label)) if slash else None
