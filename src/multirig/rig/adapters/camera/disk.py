"""Files that stay readable when a write fails."""

from __future__ import annotations

import io
import os
from pathlib import Path


def write_fully(raw: io.FileIO, data: bytes | memoryview) -> None:
    """Write all of it: an unbuffered file may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[raw.write(rest) :]


class SealedFile:
    """A new file that is cut back to its last whole state when a write fails, and takes nothing more.

    libav writes a video through it, not by itself: libav would hold Python's lock while a slow disk opens or
    closes the file, and would go on writing behind the gap of a write that failed.

    Parameters
    ----------
    path : Path
        The file; must not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.size = 0
        """Bytes on disk."""
        self.failed = False
        """Whether a write has failed."""
        self._whole = 0
        self._raw = path.open("xb", buffering=0)

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._raw.closed

    def write(self, data: bytes) -> int:
        """Write all of it at the present place."""
        if self.failed:
            raise OSError(f"{self.path} takes no more after a write that failed")
        try:
            write_fully(self._raw, data)
        except OSError:
            self.failed = True
            self._raw.truncate(self._whole)
            self.size = self._whole
            raise
        self.size = max(self.size, self._raw.tell())
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place; return where that is."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the present place."""
        return self._raw.tell()

    def mark_whole(self) -> None:
        """Say that the file can be read as it is now."""
        self._whole = self.size

    def close(self) -> None:
        """Close the file when all of it is on the disk itself."""
        if self.closed:
            return
        try:
            os.fsync(self._raw.fileno())
        finally:
            self._raw.close()
