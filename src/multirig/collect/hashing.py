"""Checksums of what passes by, made in a thread of their own, so that the disks need not wait for them."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType

from multirig.record.manifest import DIGEST_SIZE

BLAKE2B = "blake2b"
"""The checksum of the rigs' lists."""
PIECE = 1 << 20
"""Bytes that are read at once, by each thread."""
WAITING = 4
"""Pieces that may wait to be counted."""
SMALL = 1 << 18
"""Bytes that are not worth another thread."""


def new_hash(name: str) -> hashlib._Hash:
    """Return a hash by name; BLAKE2b as the rigs' lists have it."""
    if name == BLAKE2B:
        return hashlib.blake2b(digest_size=DIGEST_SIZE)  # type: ignore[return-value]
    return hashlib.new(name, usedforsecurity=False)


class Hasher:
    """Is fed with the pieces of one file in order; has its checksums when it is left.

    Parameters
    ----------
    names : iterable of str
        Which ones, as `hashlib` calls them.
    size : int
        Bytes that are expected: a small file is counted at once.
    """

    def __init__(self, names: Iterable[str] = (BLAKE2B,), *, size: int) -> None:
        self._hashes = {name: new_hash(name) for name in names}
        self._size = size
        self._pieces: queue.Queue[bytes | memoryview | None] | None = None
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._lent = 0
        self._thread: threading.Thread | None = None
        if size > SMALL:
            self._pieces = queue.Queue(WAITING)
            self._thread = threading.Thread(target=self._run, args=(self._pieces,), daemon=True)

    def __enter__(self) -> Hasher:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None and self._pieces is not None:
            self._pieces.put(None)
            self._thread.join()

    def lend(self) -> memoryview:
        """Return memory for the next piece; it is given back by feeding it, and used again."""
        with contextlib.suppress(queue.Empty):
            return self._free.get_nowait()
        if self._lent < WAITING + 2:
            self._lent += 1
            return memoryview(bytearray(min(PIECE, self._size + 1)))
        return self._free.get()

    def feed(self, piece: bytes | memoryview) -> None:
        """Take the next piece, of what was lent or of other memory, which must not change any more."""
        if self._pieces is not None:
            self._pieces.put(piece)
        else:
            self._count(piece)

    def digests(self) -> Mapping[str, str]:
        """Return the checksums in hexadecimal, by name, once all was fed and it was left."""
        return {name: one.hexdigest() for name, one in self._hashes.items()}

    def _run(self, pieces: queue.Queue[bytes | memoryview | None]) -> None:
        while (piece := pieces.get()) is not None:
            self._count(piece)

    def _count(self, piece: bytes | memoryview) -> None:
        for one in self._hashes.values():
            one.update(piece)
        if isinstance(piece, memoryview) and isinstance(piece.obj, bytearray):
            self._free.put(memoryview(piece.obj))
