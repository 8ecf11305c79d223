"""Who is spoken to: one entry for each other computer, by address and by the program that runs there."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from multirig.protocol.clock import ClockMap
from multirig.protocol.dialect import Hearing
from multirig.protocol.echo import EchoLink, Rest
from multirig.protocol.events import (
    Address,
    Refused,
    Replied,
    Reply,
    Send,
    TimedOut,
    Token,
    Unreached,
)
from multirig.protocol.link import Link
from multirig.protocol.parts import Shelf

MAX_DISPLACED = 64
"""Programs that another PC's has displaced, of which the conversation is kept."""
MAX_PEERS = 4096
"""Conversations at once; past it the oldest idle one is forgotten, a foreign peer's before a multirig's."""


class Greeted(NamedTuple):
    """A question of ours that greets, since it is not known yet who is there."""

    action: Send
    until: int
    is_brief: bool
    """Whether only the greeting was sent: with all that there is to say it is too long for wire 1.0."""


@dataclass(slots=True, eq=False)
class Peer:
    """One other computer: wire 1.0 always, wire 2 once it has said that it is a multirig."""

    address: Address
    echo: EchoLink
    link: Link | None = None
    """Shared with the address where the same program was heard before."""
    is_doubtful: bool = False
    """The network says that nothing listens there: the next program may be another one."""
    claim: tuple[str, int] | None = None
    """Boot id of a program that seems to have taken another's place, and the number that it has to say."""
    armed: int | None = None
    """When its links want to be woken."""
    ignored: int = 0
    out: list[bytes] = field(default_factory=list)
    """Frames that no link has made."""
    greeted: dict[Hashable, Greeted] = field(default_factory=dict)
    """Questions that went to it on wire 1.0, by their keys."""
    held: list[Reply] = field(default_factory=list)
    """Answers that are too long for wire 1.0, until it has said whether it takes parts on wire 2."""

    def next_event(self) -> Any:
        """Return the next thing that happened on one of its links, or None."""
        if self.link is not None and (event := self.link.next_event()) is not None:
            return event
        return self.echo.next_event()

    def end_greeted(self, event: object) -> Greeted | None:
        """Return the question that greeted and ends by an event, if it is such a one.

        A stop is said to whoever proves itself later, though its end is told and nobody waits for it.
        """
        if not isinstance(event, Replied | Refused | TimedOut | Unreached):
            return None
        question = self.greeted.pop(event.key, None)
        if question is not None and question.action.lasting and self.link is None:
            self.greeted[event.key] = question._replace(action=replace(question.action, key=None))
        return question

    def get_timer(self) -> int | None:
        """Return when one of its links wants to be woken, or None."""
        at = self.echo.get_timer()
        if self.link is not None and (other := self.link.get_timer()) is not None:
            return other if at is None else min(at, other)
        return at


class Peers:
    """All of them, with what wakes their links and what was stirred.

    Parameters
    ----------
    hears : Hearing
        How this side understands what others say to it.
    boot : str
        By which this side greets.
    is_alone : bool
        Whether only wire 1.0 is spoken here; see `EchoLink`.
    """

    def __init__(self, hears: Hearing, boot: str, *, is_alone: bool = False) -> None:
        self._boot = boot
        self._is_alone = is_alone
        self._rest = Rest()
        self.dead: dict[str, None] = {}
        """Programs that another one has taken the place of, by boot id."""
        self._displaced: dict[str, Link] = {}
        """Links to programs at whose address one of another PC was met; they go on where they are heard."""
        self.shelf = Shelf()
        """Messages of which parts are missing."""
        self._hears = hears
        self._by_address: dict[Address, Peer] = {}
        self._by_boot: dict[str, Peer] = {}
        self._stirred: dict[Peer, None] = {}
        self._timers: list[tuple[int, int, Peer]] = []
        self._ticks = 0

    def get(self, address: Address) -> Peer | None:
        """Return who is at an address, if anybody was heard or asked there."""
        return self._by_address.get(address)

    def of_program(self, boot: str) -> Peer | None:
        """Return where a program speaks from."""
        return self._by_boot.get(boot)

    def place_of(self, boot: str, address: Address) -> Peer:
        """Return where a program is met that has sealed something; an address proves nothing.

        One that is known does not move to where another one is that seals too: it would be taken for that
        one's successor.
        """
        known, there = self._by_boot.get(boot), self._by_address.get(address)
        if known is None or there is None or there is known:
            return there or self.open(address)
        is_taken = there.link is not None and there.link.is_sealed and not there.is_doubtful
        return known if is_taken and self.is_alive(there) else there

    def is_alive(self, peer: Peer) -> bool:
        """Whether the program that was met at an address is not known to be elsewhere or dead."""
        return peer.link is not None and self._by_boot.get(peer.link.peer) is peer

    def take_displaced(self, boot: str) -> Link | None:
        """Return the link to a program that was displaced, if it is kept."""
        return self._displaced.pop(boot, None)

    def asker(self, token: Token) -> Peer | None:
        """Return who waits for the answer to a request, wherever it is by now."""
        return self._by_boot.get(token.peer) if token.wire == 2 else self._by_address.get(token.address)

    def open(self, address: Address) -> Peer:
        """Begin to speak with a computer."""
        if len(self._by_address) >= MAX_PEERS:
            self.forget(min(self._by_address, key=lambda known: self._worth(self._by_address[known])))
        peer = Peer(
            address,
            EchoLink(
                address,
                reliable=address.scheme == "tcp",
                hears=self._hears,
                boot=self._boot,
                is_alone=self._is_alone,
                rest=self._rest,
            ),
        )
        self._by_address[address] = peer
        return peer

    def _worth(self, peer: Peer) -> tuple[bool, bool]:
        return peer.armed is not None or peer in self._stirred, peer.link is not None

    def forget(self, address: Address) -> None:
        """End the conversation with a computer."""
        peer = self._by_address.pop(address, None)
        if peer is None:
            return
        peer.armed = None
        self._stirred.pop(peer, None)
        if peer.link is not None:
            self.shelf.forget(peer.link.peer)
        if peer.link is not None and self._by_boot.get(peer.link.peer) is peer:
            del self._by_boot[peer.link.peer]

    def adopt(self, peer: Peer, new: Link, *, is_other_pc: bool = False) -> Link | None:
        """Speak to another program at an address; return the link to the one that died by that, if any.

        With `is_other_pc` that one may be well: somebody of another PC has said something in its place.
        """
        old, peer.link = peer.link, new
        if old is not new:
            peer.held.clear()
        new.line.move(peer.address)
        self._by_boot[new.peer] = peer
        if old is None or old is new or self._by_boot.get(old.peer) is not peer:
            return None
        del self._by_boot[old.peer]
        if is_other_pc:
            while len(self._displaced) >= MAX_DISPLACED:
                del self._displaced[next(iter(self._displaced))]
            self._displaced[old.peer] = old
            return old
        while len(self.dead) >= MAX_PEERS:
            del self.dead[next(iter(self.dead))]
        self.dead[old.peer] = None
        return old

    def doubt(self, peer: Peer, boot: str) -> tuple[str, int]:
        """Return what a program has to say that seems to have taken another's place."""
        if peer.claim is None or peer.claim[0] != boot:
            self._ticks += 1
            peer.claim = (boot, self._ticks)
        return peer.claim

    # -- what is to be done -----------------------------------------------------------------------------

    def say(self, peer: Peer, frame: bytes) -> None:
        """Let a frame leave that no link has made."""
        peer.out.append(frame)
        self.stir(peer)

    def stir(self, peer: Peer) -> None:
        """Note that somebody may have something to send."""
        self._stirred[peer] = None

    def take_stirred(self) -> dict[Peer, None]:
        """Return who may have something to send, in the order in which they were stirred."""
        stirred, self._stirred = self._stirred, {}
        return stirred

    def arm(self, peer: Peer) -> None:
        """Make sure that a peer is looked at in time; too early does no harm."""
        at = peer.get_timer()
        if at is not None and (peer.armed is None or at < peer.armed):
            peer.armed = at
            self._ticks += 1
            heapq.heappush(self._timers, (at, self._ticks, peer))

    def get_timer(self) -> int | None:
        """Return when the first of the links wants to be woken, or None."""
        timers = self._timers
        while timers and timers[0][0] != timers[0][2].armed:
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def take_due(self, now: int) -> Peer | None:
        """Return one whose links want to be woken, or None."""
        at = self.get_timer()
        if at is None or at > now:
            return None
        peer = heapq.heappop(self._timers)[2]
        peer.armed = None
        return peer

    # -- what is known ----------------------------------------------------------------------------------

    def clock(self, address: Address) -> ClockMap | None:
        """Return what is known of the peer's clock; None where it is no multirig."""
        peer = self._by_address.get(address)
        return peer.link.clock if peer is not None and peer.link is not None else None

    def round_trip(self, address: Address) -> int | None:
        """Return the nanoseconds that a message and its echo take on wire 1.0, at best."""
        peer = self._by_address.get(address)
        return peer.echo.round_trip if peer is not None else None

    def obstacle(self, address: Address) -> str | None:
        """Return what the network said last of the way to a peer, since it was heard."""
        peer = self._by_address.get(address)
        if peer is None:
            return None
        return peer.echo.obstacle if peer.link is None else peer.link.obstacle

    def boot_of(self, address: Address) -> str | None:
        """Return which program of a multirig is spoken to at an address; None where there is none."""
        peer = self._by_address.get(address)
        return peer.link.peer if peer is not None and peer.link is not None else None

    def note_exchanges(self, boot: str, exchanges: Iterable[tuple[int, int, int, int, int]]) -> None:
        """Take what was measured of a program's clock beside the conversation with it.

        Parameters
        ----------
        boot : str
            Which program.
        exchanges : iterable of (sent, heard, answered, received, slack)
            As `ClockMap.add` takes them.
        """
        peer = self._by_boot.get(boot)
        if peer is not None and peer.link is not None:
            for sent, heard, answered, received, slack in exchanges:
                peer.link.clock.add(sent, heard, answered, received, slack=slack)

    def speaks_wire_2(self, address: Address) -> bool:
        """Whether the peer is known to be a multirig."""
        peer = self._by_address.get(address)
        return peer is not None and peer.link is not None

    def sizes(self) -> dict[str, int]:
        """Return how much is remembered, kind by kind and of the peer with the most; it must stay small."""
        out = {"peers": len(self._by_address), "programs": len(self._by_boot), "dead": len(self.dead)}
        out |= {"timers": len(self._timers), "unfinished": len(self.shelf)}
        for peer in self._by_address.values():
            sizes = peer.echo.sizes() | (peer.link.sizes() if peer.link is not None else {})
            out |= {kind: max(count, out.get(kind, 0)) for kind, count in sizes.items()}
        return out
