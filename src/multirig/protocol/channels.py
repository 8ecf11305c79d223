"""All sealed channels of one program, by the names that both sides have given them, and by program."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from multirig.protocol.events import SECOND, Address
from multirig.trust.channel import Channel

FIRST_PAUSE = SECOND * 15 // 100
"""Nanoseconds until a hello or a proof is repeated; the pauses double up to the next one."""
LAST_PAUSE = SECOND // 2
PROOF_LIMIT = 10 * SECOND
"""For how long a proof is repeated."""
FIRST_REST = 2 * SECOND
"""A channel is silent that was not heard for so long, though it is written to."""
IDLE = 5 * SECOND
"""What is written after such a pause is the first that waits for something: nothing follows a receipt."""
LAST_REST = 16 * SECOND
"""The pauses in which it is tried to be made anew double up to this."""
MAX_CHANNELS = 8_192
"""Of all programs; of more, the one that was silent for longest is forgotten."""
OF_PROGRAM = 2
"""Channels of one program: the newest, and the one before while packets of it are on their way."""


@dataclass(slots=True, eq=False)
class Kept:
    """A channel, and where it leads."""

    channel: Channel
    address: Address
    proved_at: Address
    """Where its handshake has ended: somebody else may have brought what has come since from elsewhere."""
    proof: bytes | None = None
    """The end of the handshake, until the other side has shown that it came."""
    retry_at: int = 0
    until: int = 0
    repeated_at: int | None = None
    """When a copy of what came was answered last."""
    pause: int = FIRST_PAUSE
    list_number: int = 0
    """Of the newest list of PCs shut out that the other side is known to have."""
    unanswered: tuple[int, int] | None = None
    """When the first and the last of what was written to it left that nothing has followed yet."""
    renewed_at: int | None = None
    """When it was last tried to make it anew, because it is silent or said to be lost."""
    rest: int = FIRST_REST
    """Until a silent one is tried to be made anew once more."""

    def is_silent(self, now: int) -> bool:
        """Take that it is written to; return whether it shall be made anew, since nothing has followed."""
        first, last = self.unanswered or (now, now)
        if now - last > IDLE:
            first = now
        self.unanswered = first, now
        if now - max(first, self.renewed_at or first) < self.rest:
            return False
        self.renewed_at, self.rest = now, min(2 * self.rest, LAST_REST)
        return True


class Channels:
    """The table of them."""

    def __init__(self) -> None:
        self._by_mine: OrderedDict[bytes, Kept] = OrderedDict()
        self._by_theirs: dict[bytes, Kept] = {}
        self._of_program: dict[str, list[Kept]] = {}
        self._unproved: dict[bytes, Kept] = {}
        """Those whose other side has not shown yet that the proof came."""

    def __len__(self) -> int:
        return len(self._by_mine)

    def get(self, mine: bytes) -> Kept | None:
        """Return the channel that this side calls so."""
        return self._by_mine.get(mine)

    def of_theirs(self, theirs: bytes) -> Kept | None:
        """Return the channel that the other side calls so."""
        return self._by_theirs.get(theirs)

    def find(self, boot: str) -> Channel | None:
        """Return the newest channel to a program."""
        kept = self.newest(boot)
        return kept.channel if kept is not None else None

    def newest(self, boot: str) -> Kept | None:
        """Return the same, and where it leads."""
        own = self._of_program.get(boot)
        return own[-1] if own else None

    def all(self) -> list[Kept]:
        """Return all of them."""
        return list(self._by_mine.values())

    def add(self, channel: Channel, address: Address) -> Kept:
        """Note a new one."""
        kept = Kept(channel, address, address)
        self._by_mine[channel.mine] = kept
        self._by_theirs[channel.theirs] = kept
        own = self._of_program.setdefault(channel.standing.boot, [])
        if own:  # it was silent and is there: who says little is asked ever less often who it is
            kept.rest = own[-1].rest
        own.append(kept)
        while len(own) > OF_PROGRAM:
            self.drop(own[0])
        while len(self._by_mine) > MAX_CHANNELS:
            self.drop(next(iter(self._by_mine.values())))
        return kept

    def drop(self, kept: Kept) -> None:
        """Forget one."""
        channel = kept.channel
        self._by_mine.pop(channel.mine, None)
        self._unproved.pop(channel.mine, None)
        if self._by_theirs.get(channel.theirs) is kept:
            del self._by_theirs[channel.theirs]
        own = self._of_program.get(channel.standing.boot, [])
        if kept in own:
            own.remove(kept)
        if not own:
            self._of_program.pop(channel.standing.boot, None)

    def close(self, channel: Channel) -> None:
        """Forget a channel, if it is still known."""
        kept = self._by_mine.get(channel.mine)
        if kept is not None:
            self.drop(kept)

    def note_heard(self, kept: Kept, address: Address) -> None:
        """Take that something genuine has come by a channel, and from where; what is late leads nowhere."""
        if kept.channel.is_newest:
            kept.address = address
        kept.unanswered = None
        self._by_mine.move_to_end(kept.channel.mine)
        if kept.proof is not None:
            kept.proof = None
            self._unproved.pop(kept.channel.mine, None)

    # -- proofs that may be lost ------------------------------------------------------------------------

    def await_sign(self, kept: Kept, proof: bytes, now: int) -> None:
        """Repeat a proof until the other side shows that it came."""
        kept.proof, kept.retry_at, kept.until = proof, now + FIRST_PAUSE, now + PROOF_LIMIT
        self._unproved[kept.channel.mine] = kept

    def get_timer(self) -> int | None:
        """Return when `take_due` wants to be called, or None."""
        if not self._unproved:
            return None
        return min(one.retry_at for one in self._unproved.values())

    def take_due(self, now: int) -> list[tuple[Address, bytes]]:
        """Return the proofs that shall leave again now."""
        out = []
        for kept in list(self._unproved.values()):
            if kept.proof is None or kept.until <= now:
                kept.proof = None
                del self._unproved[kept.channel.mine]
            elif kept.retry_at <= now:
                kept.pause = min(2 * kept.pause, LAST_PAUSE)
                kept.retry_at = now + kept.pause
                out.append((kept.address, kept.proof))
        return out
