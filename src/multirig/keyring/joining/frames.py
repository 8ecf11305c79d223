"""The bytes of a conversation on a connection: two of length, one that says what it is, the rest."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from enum import IntEnum

from multirig.errors import TrustError

PORT = 11002
"""TCP; a rig of this PC listens at 11001, on UDP."""
MAX_FRAME = 16_384
"""Bytes after the length: the longest list of PCs that are shut out fits well."""
STEP_LIMIT = 10.0
"""Seconds that each side has for its part of the conversation, until it has proved that it knows the code."""


class Kind(IntEnum):
    """What a frame is."""

    NO = 0
    """It ends here; one byte says why."""
    GREETING = 1
    PROOF = 2
    SEALED = 3


class Why(IntEnum):
    """Why the side of the lab's key ends a conversation; anybody can forge that, so it is a hint."""

    BUSY = 1
    """Another PC is joining, or too many try to."""
    OVER = 2
    """The code holds no more."""
    WRONG = 3
    """The code was wrong."""
    LANGUAGE = 4
    """It does not speak this language."""


class Refused(TrustError):
    """The other side has ended the conversation.

    Parameters
    ----------
    why : Why or None
        None: it gives no reason that is known.
    """

    def __init__(self, why: Why | None) -> None:
        self.why = why
        super().__init__("the other PC has ended it")


class Line:
    """One connection.

    Parameters
    ----------
    reader, writer : asyncio.StreamReader, asyncio.StreamWriter
        Of the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def address(self) -> str:
        """Of the other side."""
        found = self._writer.get_extra_info("peername")
        return str(found[0]).removeprefix("::ffff:").partition("%")[0] if found else "an address that is gone"

    async def send(self, kind: Kind, body: bytes) -> None:
        """Send a frame. Raises OSError."""
        self._writer.write(struct.pack(">HB", 1 + len(body), kind) + body)
        await self._writer.drain()

    async def receive(self, kind: Kind) -> bytes:
        """Return what is in the next frame, which has to be of that kind.

        Raises
        ------
        Refused
            The other side has ended it.
        TrustError
            It is no such frame.
        OSError, EOFError
            The connection is gone.
        """
        (length,) = struct.unpack(">H", await self._reader.readexactly(2))
        if not 1 <= length <= MAX_FRAME:
            raise TrustError("it speaks another language: both PCs need a multirig that speaks this one")
        frame = await self._reader.readexactly(length)
        if frame[0] == Kind.NO:
            raise Refused(next((one for one in Why if frame[1:] == bytes([one])), None))
        if frame[0] != kind:
            raise TrustError("it speaks another language: both PCs need a multirig that speaks this one")
        return frame[1:]

    async def refuse(self, why: Why) -> None:
        """End the conversation, if it is not gone already."""
        with contextlib.suppress(OSError):
            await self.send(Kind.NO, bytes([why]))

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
