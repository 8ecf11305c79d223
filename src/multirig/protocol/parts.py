"""Messages that one datagram cannot hold: cut by the sender, put together by the receiver.

Each part is confirmed for itself, by receipts that name all that have arrived of a message, so that a lost
receipt costs nothing and a lost part costs one part. What the receiver forgets, it also forgets to confirm:
the newest receipt is what counts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from multirig.errors import RemoteProtocolError
from multirig.protocol.events import SECOND
from multirig.protocol.frames import MAX_MESSAGE

WINDOW = 32
"""Parts of a message on their way at once, at most: what comes after it waits for a few milliseconds."""
FIRST_WINDOW = 8
"""At the beginning; it grows with each part that arrives, and falls to this when nothing does."""
OVERTAKEN = SECOND // 500
"""A part is lost when one has arrived that left so much later, or half the time that parts take: a network
may well change the order of what leaves at once."""
UNFINISHED_KEPT = 10 * SECOND
"""How long a message of which no further part comes is kept."""
MAX_UNFINISHED = 8
"""Messages of one peer; with another one the oldest is forgotten."""
MAX_OF_PEER = 2 * MAX_MESSAGE
"""Bytes of all unfinished messages of one peer."""
MAX_IN_ALL = 64 * 1024 * 1024
"""Bytes of all unfinished messages of all peers: a thousand rigs that name a hundred files each."""
PART_COST = 200
"""Bytes that a part takes beside its text."""


def cut(text: str, room: int) -> list[str]:
    """Return a JSON text in pieces, each as a JSON string without its quotes, of at most so many bytes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    pieces = []
    begin = 0
    while begin < len(escaped):
        piece = escaped[begin : begin + room]
        backslashes = len(piece) - len(piece.rstrip("\\"))
        if backslashes % 2 and len(piece) > 1:  # what it escapes stays with it
            piece = piece[:-1]
        pieces.append(piece)
        begin += len(piece)
    return pieces


class Parcel:
    """A message in parts on its way to a peer.

    Parameters
    ----------
    text : str
        The message, as JSON.
    room : int
        Bytes of it in one frame.
    """

    def __init__(self, text: str, room: int) -> None:
        self.parts = cut(text, room)
        self._waiting = deque(range(len(self.parts)))
        """What is still, or again, to leave."""
        self._flying: dict[int, int] = {}
        """What has left and is not confirmed, with when it left."""
        self.delay = 0
        """Nanoseconds from a part to its receipt, on average lately."""
        self._arrived = 0
        """A bit for each part."""
        self._heard = -1
        """Stamp of the newest receipt."""
        self._window = FIRST_WINDOW

    @property
    def is_heard(self) -> bool:
        """Whether the peer has confirmed a part."""
        return self._arrived != 0

    def take_due(self, now: int) -> list[int]:
        """Return the parts that shall leave now."""
        due = []
        while self._waiting and len(self._flying) < self._window:
            index = self._waiting.popleft()
            self._flying[index] = now
            due.append(index)
        return due

    def note(self, bits: int, stamp: int, now: int) -> bool:
        """Take a receipt; return whether it told of parts that had not been known to have arrived.

        Parameters
        ----------
        bits : int
            A bit for each part that the peer has.
        stamp : int
            When the receipt left, on the peer's clock.
        now : int
            When it came.
        """
        if stamp < self._heard:
            return False
        if stamp == self._heard:  # a coarse clock: which of them is newer cannot be told
            bits |= self._arrived
        self._heard = stamp
        new, gone = bits & ~self._arrived, self._arrived & ~bits
        self._arrived = bits
        arrived = [one for one in self._flying if bits >> one & 1]
        newest = max((self._flying[one] for one in arrived), default=0)
        for one in arrived:
            self.delay += (now - self._flying.pop(one) - self.delay) // 8
        overtaken = newest - max(OVERTAKEN, self.delay // 2)
        lost = [one for one, left in self._flying.items() if left <= overtaken]
        for one in lost:
            del self._flying[one]
        forgotten = [one for one in range(len(self.parts)) if gone >> one & 1]
        self._waiting.extendleft(reversed([*lost, *forgotten]))
        self._waiting = deque(one for one in self._waiting if not bits >> one & 1)
        self._window = min(WINDOW, self._window + len(arrived))
        return new != 0

    def retry(self) -> None:
        """Take it that what is on its way is lost."""
        self._waiting.extendleft(sorted(self._flying, reverse=True))
        self._flying.clear()
        self._window = FIRST_WINDOW


@dataclass(slots=True)
class _Unfinished:
    """A message of a peer of which parts are missing."""

    count: int
    at: int
    """When the last part came."""
    parts: dict[int, str] = field(default_factory=dict)
    bits: int = 0
    cost: int = 0


Key = tuple[str, str, int, int]
"""Whose message it is: boot id, what kind of number, the number, and the request that it answers."""


class Shelf:
    """Where unfinished messages of all peers lie: so many bytes and no more, whoever sends what."""

    def __init__(self) -> None:
        self._unfinished: dict[Key, _Unfinished] = {}
        """Those to which nothing was added for the longest time first."""
        self._of_peer: dict[str, dict[Key, None]] = {}
        self.cost = 0
        """Bytes of all of them."""

    def add(self, key: Key, part: tuple[int, int], text: str, now: int) -> str | None:
        """Take a part; return the whole message if it was the last.

        Raises
        ------
        RemoteProtocolError
            It is no part of that message, or the message is too long.
        """
        index, count = part
        one = self._unfinished.pop(key, None)
        if one is None:
            one = _Unfinished(count, now)
        self._unfinished[key] = one  # the last to be forgotten
        self._of_peer.setdefault(key[0], {})[key] = None
        if one.count != count:
            raise RemoteProtocolError("a part of a message that has another number of parts")
        one.at = now
        if index in one.parts:
            return None
        if one.cost - PART_COST * len(one.parts) + len(text) > MAX_MESSAGE:
            self._remove(key)
            raise RemoteProtocolError(f"a message in parts passes {MAX_MESSAGE:,} bytes")
        one.parts[index] = text
        one.bits |= 1 << index
        one.cost += len(text) + PART_COST
        self.cost += len(text) + PART_COST
        if len(one.parts) == count:
            self._remove(key)
            return "".join(one.parts[which] for which in range(count))
        self._make_room(key)
        return None

    def cost_of(self, boot: str) -> int:
        """Return the bytes of all unfinished messages of a program."""
        return sum(self._unfinished[one].cost for one in self._of_peer.get(boot, ()))

    def bits(self, key: Key) -> int:
        """Return a bit for each part of a message that lies here."""
        one = self._unfinished.get(key)
        return one.bits if one is not None else 0

    def forget(self, boot: str) -> None:
        """Remove all that a program has sent."""
        for key in list(self._of_peer.get(boot, ())):
            self._remove(key)

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        oldest = next(iter(self._unfinished.values()), None)
        return oldest.at + UNFINISHED_KEPT if oldest is not None else None

    def handle_timer(self, now: int) -> None:
        """Forget what is not going to be finished."""
        while (at := self.get_timer()) is not None and at <= now:
            self._remove(next(iter(self._unfinished)))

    def __len__(self) -> int:
        return len(self._unfinished)

    def _make_room(self, kept: Key) -> None:
        """Forget what is oldest, first of the peer that has just added to a message."""
        own = self._of_peer[kept[0]]
        while len(own) > 1 and (len(own) > MAX_UNFINISHED or self.cost_of(kept[0]) > MAX_OF_PEER):
            self._remove(min((one for one in own if one != kept), key=lambda one: self._unfinished[one].at))
        while self.cost > MAX_IN_ALL and len(self._unfinished) > 1:
            self._remove(next(iter(self._unfinished)))

    def _remove(self, key: Key) -> None:
        one = self._unfinished.pop(key, None)
        if one is None:
            return
        self.cost -= one.cost
        own = self._of_peer[key[0]]
        del own[key]
        if not own:
            del self._of_peer[key[0]]
