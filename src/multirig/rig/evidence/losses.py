"""Files that lose what they held while a rig records, or at its stop: cut off, replaced, removed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from multirig.protocol.events import SECOND
from multirig.record.sources import is_data

MUCH = 1_000_000
"""Bytes whose loss is told, however much else there is."""
SHARE = 0.5
"""Of all that the rig has written, whose loss is told, however little that is."""
LEAST = 1_000
"""Bytes of a lock, a counter or a header, which are written anew as they please."""
WHOLE = 0.9
"""Of the size: another file that is so large may hold it all; a container's own bytes may be fewer."""
SMALLER = 0.01
"""Of the size: another file that was written later may hold it all, compressed."""
REWRITTEN = 2 * SECOND
"""Nanoseconds in which a file that is written anew, as a whole, has its size again."""
TEMPORARY = frozenset({".part", ".partial", ".temp", ".tmp"})
"""Ends of the names of files that are not meant to stay."""
WORKING = ("-journal", "-shm", "-wal")
"""How names of files end by which a data base (SQLite) works beside its own: it removes them as it closes."""


@dataclass(slots=True)
class _Known:
    """A file, as it was last seen."""

    size: int
    appeared: int
    seen: int
    """When it was last seen to be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Bytes that a file held, and that are nowhere any more."""

    path: str
    before: int
    """Bytes that it held."""
    after: int | None
    """Bytes that it held then; None: it is gone."""
    at: int
    """When that was seen."""
    taken_over_by: str | None = None
    """A smaller file that was written later, and may hold the same."""
    is_temporary: bool = False
    """Whether its name says that it is not meant to stay."""


class Losses:
    """Looks at the sizes of files now and then; times are nanoseconds of this PC's clock."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._most: dict[str, int] = {}
        """Bytes that each file ever held."""
        self._lost: list[tuple[_Known, Loss]] = []
        """What each file was before, and what it has lost."""

    def look(self, sizes: Mapping[str, int], now: int) -> None:
        """Take the sizes of all files, by path."""
        grown = max(
            (size - self._known[path].size for path, size in sizes.items() if path in self._known), default=0
        )
        for path, known in self._known.items():
            size = sizes.get(path)
            if (size is None or size < known.size) and grown < WHOLE * (known.size - (size or 0)):
                loss = Loss(path=path, before=known.size, after=size, at=now)
                self._lost.append((replace(known), loss))
        self._lost = [
            (known, loss) for known, loss in self._lost if not _is_rewritten(known, loss, sizes, now)
        ]
        self._known = {path: known for path, known in self._known.items() if path in sizes}
        for path, size in sizes.items():
            known = self._known.setdefault(path, _Known(size, now, now))
            known.size, known.seen = size, now
            self._most[path] = max(size, self._most.get(path, 0))

    def conclude(self, sizes: Mapping[str, int], now: int) -> list[Loss]:
        """Return what was lost, the earliest first, when all files are closed and have these sizes."""
        self.look(sizes, now)
        much = min(MUCH, max(LEAST, SHARE * sum(self._most.values())))
        found = []
        for known, loss in self._lost:
            lost = loss.before - (loss.after or 0)
            if lost < much or not is_data(loss.path) or loss.path.endswith(WORKING):
                continue
            others = [*self._find_others(known, loss)]
            if any(size >= WHOLE * lost for _, size in others):
                continue
            smaller = [name for name, size in others if size >= max(LEAST, SMALLER * lost)]
            taken_over_by = smaller[0] if smaller else None
            is_temporary = PurePosixPath(loss.path).suffix.lower() in TEMPORARY
            found.append(replace(loss, taken_over_by=taken_over_by, is_temporary=is_temporary))
        return found

    def _find_others(self, known: _Known, loss: Loss) -> Iterator[tuple[str, int]]:
        """Yield the files, with their sizes, that were begun as it went, or shortly before."""
        since = known.seen - REWRITTEN
        for path, other in self._known.items():
            if path != loss.path and other.appeared >= max(since, known.appeared + 1):
                yield path, other.size


def _is_rewritten(known: _Known, loss: Loss, sizes: Mapping[str, int], now: int) -> bool:
    """Return whether a file has its size again, sooner than its data could have come."""
    took = min(REWRITTEN, max(0, known.seen - known.appeared) // 2)
    return sizes.get(loss.path, 0) >= loss.before and now <= loss.at + took
