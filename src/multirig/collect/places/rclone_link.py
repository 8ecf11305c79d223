"""How bytes pass between us and rclone, in both directions, and how that is ended at any moment."""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

from multirig.collect.control import Control

LIMIT = 900.0
"""Seconds until it has answered: it gives up on a far server long before."""
LOOK_EVERY = 0.1
"""Seconds between two looks whether to go on waiting."""


class Connection(http.client.HTTPConnection):
    """To a socket in a folder, or to a port of this PC."""

    def __init__(self, where: str | int) -> None:
        super().__init__("127.0.0.1", where if isinstance(where, int) else 80, timeout=LIMIT)
        self._where = where

    def connect(self) -> None:
        """Connect to it."""
        if isinstance(self._where, int):
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)
        try:
            self.sock.connect(self._where)
        except OSError:
            self.close()
            raise


def is_clean(connection: http.client.HTTPConnection) -> bool:
    """Whether another order can follow: nothing is left of the one before."""
    try:
        ready, _, _ = _look(connection.sock, 0.0, wants_to_write=False)
    except (OSError, ValueError):
        return False
    return not ready


def _look(link: Any, seconds: float, *, wants_to_write: bool) -> tuple[bool, bool, bool]:
    """Wait until something can be read, or written; return which, and whether it is gone."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(link, select.POLLIN | (select.POLLOUT if wants_to_write else 0))
        found = dict(poll.poll(seconds * 1000)).get(link.fileno(), 0)
        gone = bool(found & (select.POLLERR | select.POLLHUP | select.POLLNVAL))
        return bool(found & select.POLLIN) or gone, bool(found & select.POLLOUT), gone
    read, write, _ = select.select([link], [link] if wants_to_write else [], [], seconds)
    return bool(read), bool(write), False


def wait_for(link: Any, control: Control | None) -> None:
    """Wait for an answer, unless it is to end."""
    deadline = time.monotonic() + LIMIT
    while not _look(link, LOOK_EVERY, wants_to_write=False)[0]:
        if control is not None:
            control.raise_if_ended()
        if time.monotonic() > deadline:
            raise TimeoutError(f"it has not answered for {LIMIT:.0f} s")


def push(link: Any, data: bytes | bytearray, control: Control) -> bool:
    """Write all of it; return False where it has been answered already."""
    left = memoryview(data)
    since = time.monotonic()
    while left:
        try:
            done = link.send(left)
            left = left[done:]
            since = time.monotonic()
        except BlockingIOError:
            can_read, _, _ = _look(link, LOOK_EVERY, wants_to_write=True)
            if can_read:
                return False
            if time.monotonic() - since > LIMIT:
                raise TimeoutError(f"it has taken nothing for {LIMIT:.0f} s") from None
        except ConnectionError:
            return False
        control.raise_if_ended()
    return True


def read_pieces(link: Any, answer: http.client.HTTPResponse, control: Control) -> Iterator[bytes]:
    """Yield what follows the head of an answer."""
    left = answer.length or 0
    link.setblocking(False)
    first = answer.fp.read1(min(left, 1 << 16)) if left else b""
    while first:
        left -= len(first)
        yield first
        first = answer.fp.read1(min(left, 1 << 16)) if left else b""
    size = 1 << 20
    since = time.monotonic()
    while left:
        piece = bytearray(min(size, left))
        view, filled = memoryview(piece), 0
        while filled < len(piece):
            try:
                got = link.recv_into(view[filled:])
            except BlockingIOError:
                control.raise_if_ended()
                if time.monotonic() - since > LIMIT:
                    raise TimeoutError(f"it has given nothing for {LIMIT:.0f} s") from None
                _look(link, LOOK_EVERY, wants_to_write=False)
                continue
            if not got:
                raise ConnectionError("what is there was not given to its end")
            filled += got
            since = time.monotonic()
        left -= filled
        control.raise_if_ended()
        yield bytes(piece)
    link.settimeout(LIMIT)
    answer.close()


def error_of(data: bytes) -> str:
    """Return what an answer says went wrong."""
    try:
        told = json.loads(data)
        return str(told["error"])
    except (ValueError, TypeError, KeyError):
        return data[:500].decode(errors="replace").strip() or "it was refused"
