"""A whole computer as a pure value: its conversations and one life-cycle machine."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from multirig.errors import LocalProtocolError, ProtocolError, RemoteProtocolError, VersionMismatch
from multirig.protocol import codec, link
from multirig.protocol.clock import ClockMap
from multirig.protocol.dialect import Hearing, find_greeting, greet, write
from multirig.protocol.echo import EchoLink
from multirig.protocol.events import (
    RESTARTED,
    Address,
    Fail,
    Forget,
    Ignored,
    Rebooted,
    Received,
    Replied,
    Reply,
    Send,
    Settle,
    Tell,
    Token,
    Unreached,
    Upgraded,
)
from multirig.protocol.link import Link
from multirig.protocol.messages import Event
from multirig.protocol.words import Complaint, Greeting, Verbatim, Word

MAX_PEERS = 4096
"""Conversations at once; past it the oldest idle one is forgotten, a foreign peer's before a multirig's."""


class Machine(Protocol):
    """What a node does: the rules of a rig or of a conductor."""

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Take what happened and return actions for the links and effects for the runtime."""


@runtime_checkable
class TimedMachine(Machine, Protocol):
    """A machine that does something by itself when it is time."""

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""

    def handle_timer(self, now: int) -> Iterable[Any]:
        """Do what is due; return actions and effects."""


@dataclass(slots=True, eq=False)
class _Peer:
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
    ignored: int = 0
    out: list[bytes] = field(default_factory=list)


class Node:
    """Links and one machine behind five verbs: no I/O, no clock.

    Parameters
    ----------
    boot : str
        A new random id at every start of the program.
    name : str
        The rig's, for others' screens.
    machine : Machine
        The rules.
    hears : Hearing
        How this side understands what others say to it.
    permits : callable
        Whether an IP address may speak to this node.
    greets : bool
        Whether it says that it is a multirig, and speaks wire 2 with others; without it, only wire 1.0.
    """

    def __init__(
        self,
        *,
        boot: str,
        name: str,
        machine: Machine,
        hears: Hearing,
        permits: Callable[[str], bool] = lambda host: True,
        greets: bool = True,
    ) -> None:
        self.boot = boot
        self.name = name
        self.machine = machine
        self._clockwork = machine if isinstance(machine, TimedMachine) else None
        self._hears = hears
        self.permits = permits
        self.greets = greets
        self._peers: dict[Address, _Peer] = {}
        self._by_boot: dict[str, _Peer] = {}
        self._dead: dict[str, None] = {}
        self._strangers: dict[str, int] = {}
        self._dirty: dict[_Peer, None] = {}
        self._timers: list[tuple[int, int, _Peer]] = []
        self._ticks = 0
        self._effects: deque[Any] = deque()

    # -- the five verbs, and what the runtime reports -----------------------------------------------------

    def receive_datagram(self, data: bytes, address: Address, now: int) -> None:
        """Take a whole message from the network."""
        peer = self._peers.get(address)
        if peer is None:
            if not self.permits(address.host):
                self._turn_away(address)
                return
            peer = self._open(address)
        if data[:1] == b"{" and self.greets:
            self._receive_frame(peer, data, now)
        else:
            peer.echo.receive_datagram(data, now)
            self._settle(peer, now)

    def datagrams_to_send(self, now: int) -> list[tuple[Address, bytes]]:
        """Return what shall leave now, in order."""
        out: list[tuple[Address, bytes]] = []
        for peer in self._dirty:
            if peer.out:
                out += [(peer.address, data) for data in peer.out]
                peer.out.clear()
            out += [(peer.address, data) for data in peer.echo.datagrams_to_send(now)]
            if peer.link is not None:
                out += [(peer.link.address, data) for data in peer.link.datagrams_to_send(now)]
            self._arm(peer)
        self._dirty.clear()
        return out

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        at = self._next_link_timer()
        own = self._clockwork.get_timer() if self._clockwork is not None else None
        if at is None or own is None:
            return own if at is None else at
        return min(at, own)

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        while (at := self._next_link_timer()) is not None and at <= now:
            peer = heapq.heappop(self._timers)[2]
            peer.armed = None
            peer.echo.handle_timer(now)
            if peer.link is not None:
                peer.link.handle_timer(now)
            self._settle(peer, now)
        if self._clockwork is not None and (at := self._clockwork.get_timer()) is not None and at <= now:
            self._carry_out(self._clockwork.handle_timer(now), now)

    def next_event(self) -> Any | None:
        """Return the next effect for the runtime, or None."""
        return self._effects.popleft() if self._effects else None

    def handle(self, event: Any, now: int) -> None:
        """Tell the machine something that happened on this PC; its actions go to the links."""
        self._carry_out(self.machine.handle(event, now), now)

    def peer_unreachable(self, address: Address, reason: str, now: int) -> None:
        """Take the transport's word that nothing listens at an address."""
        if (peer := self._peers.get(address)) is None:
            return
        peer.echo.unreachable(reason, now)
        if peer.link is not None and peer.link.address == address:
            peer.link.unreachable(reason, now)
            peer.is_doubtful = True
        self._settle(peer, now)

    # -- what others may ask --------------------------------------------------------------------------------

    def clock(self, address: Address) -> ClockMap | None:
        """Return what is known of the peer's clock; None where it is no multirig."""
        peer = self._peers.get(address)
        return peer.link.clock if peer is not None and peer.link is not None else None

    def round_trip(self, address: Address) -> int | None:
        """Return the nanoseconds that a message and its echo take on wire 1.0, at best."""
        peer = self._peers.get(address)
        return peer.echo.round_trip if peer is not None else None

    def boot_of(self, address: Address) -> str | None:
        """Return which program of a multirig is spoken to at an address; None where there is none."""
        peer = self._peers.get(address)
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
        peer = self._peers.get(address)
        return peer is not None and peer.link is not None

    def sizes(self) -> dict[str, int]:
        """Return how much is remembered, kind by kind and of the peer with the most; it must stay small."""
        out = {"peers": len(self._peers), "programs": len(self._by_boot), "dead": len(self._dead)}
        out |= {"timers": len(self._timers), "effects": len(self._effects)}
        for peer in self._peers.values():
            sizes = peer.echo.sizes() | (peer.link.sizes() if peer.link is not None else {})
            out |= {kind: max(count, out.get(kind, 0)) for kind, count in sizes.items()}
        return out

    # -- inside ---------------------------------------------------------------------------------------------

    def _next_link_timer(self) -> int | None:
        timers = self._timers
        while timers and timers[0][0] != timers[0][2].armed:
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def _carry_out(self, actions: Iterable[Any], now: int) -> None:
        touched: dict[_Peer, None] = {}
        self._act(actions, now, touched)
        for peer in touched:
            self._settle(peer, now)

    def _open(self, address: Address) -> _Peer:
        if len(self._peers) >= MAX_PEERS:
            self._forget(min(self._peers, key=lambda one: self._worth(self._peers[one])))
        peer = _Peer(address, EchoLink(address, reliable=address.scheme == "tcp", hears=self._hears))
        self._peers[address] = peer
        return peer

    def _worth(self, peer: _Peer) -> tuple[bool, bool]:
        return peer.armed is not None or peer in self._dirty, peer.link is not None

    def _forget(self, address: Address) -> None:
        peer = self._peers.pop(address, None)
        if peer is None:
            return
        peer.armed = None
        self._dirty.pop(peer, None)
        if peer.link is not None and self._by_boot.get(peer.link.peer) is peer:
            del self._by_boot[peer.link.peer]

    def _turn_away(self, address: Address) -> None:
        seen = self._strangers.get(address.host, 0) + 1
        if seen > 1 or len(self._strangers) < MAX_PEERS:
            self._strangers[address.host] = seen
        if seen == 1:
            reason = "may not speak to this PC: add its address to 'allow' in the rig's config if it should"
            self._effects.append(Ignored(address=address, reason=reason, first=True))

    def _receive_frame(self, peer: _Peer, data: bytes, now: int) -> None:
        try:
            frame = codec.decode(data)
            if not isinstance(frame, dict):
                raise RemoteProtocolError("not a JSON object")
            boot, to = link.boots(frame)
        except ProtocolError as error:
            if isinstance(error, VersionMismatch):
                self._introduce(peer, frame)
            peer.ignored += 1
            self._effects.append(Ignored(address=peer.address, reason=str(error), first=peer.ignored == 1))
            return
        if boot == self.boot:
            return  # our own frame, sent back by an echoing peer
        if to == self.boot or peer.link is not None:
            self._meet(peer, boot, "", now, answer=frame.get("here"))
        if to == self.boot and type(who := frame.get("who")) is int:
            self._say(peer, link.here_frame(self.boot, boot, who))
        if to != self.boot:
            self._introduce(peer, frame)
        elif peer.link is not None and peer.link.peer == boot:
            peer.link.receive_frame(frame, now)
            self._settle(peer, now)

    def _introduce(self, peer: _Peer, frame: dict[str, Any]) -> None:
        """Say who we are to a peer that speaks to a program that has died here, or in another version."""
        if frame.get("n") is not None or frame.get("beat") is not None:
            self._say(peer, link.boot_frame(self.boot, str(frame.get("boot"))))

    def _say(self, peer: _Peer, frame: bytes) -> None:
        peer.out.append(frame)
        self._dirty[peer] = None

    def _meet(self, peer: _Peer, boot: str, name: str, now: int, *, answer: object = None) -> None:
        """Note which program speaks at an address: the same as before, one that has moved, or a new one."""
        if boot in self._dead:
            return
        known, old = self._by_boot.get(boot), peer.link
        if known is peer:
            peer.is_doubtful = False
            return
        is_at_stake = old is not None and self._by_boot.get(old.peer) is peer and not peer.is_doubtful
        if is_at_stake and (boot, answer) != peer.claim:
            self._doubt(peer, boot)
            return
        peer.is_doubtful = False
        peer.claim = None
        if known is not None and known.link is not None:
            self._adopt(peer, known.link, now)
            return
        reliable = peer.address.scheme == "tcp"
        link_to = Link(peer.address, boot=self.boot, peer=boot, reliable=reliable, hears=self._hears)
        self._adopt(peer, link_to, now)
        upgraded = Upgraded(address=peer.address, boot=boot, name=name)
        self._effects.append(upgraded)
        self.handle(upgraded, now)
        if old is not None:
            rebooted = Rebooted(address=peer.address, boot=boot)
            self._effects.append(rebooted)
            self.handle(rebooted, now)

    def _doubt(self, peer: _Peer, boot: str) -> None:
        """Have a new program at a known address answer first: one wrong datagram ends no conversation."""
        if peer.claim is None or peer.claim[0] != boot:
            self._ticks += 1
            peer.claim = (boot, self._ticks)
        self._say(peer, link.who_frame(self.boot, *peer.claim))

    def _adopt(self, peer: _Peer, new: Link, now: int) -> None:
        """Speak to another program at an address; the one that was there is dead, unless it has moved."""
        old, peer.link = peer.link, new
        new.address = peer.address
        new.reliable = peer.address.scheme == "tcp"
        self._by_boot[new.peer] = peer
        if old is None or old is new or self._by_boot.get(old.peer) is not peer:
            return
        del self._by_boot[old.peer]
        while len(self._dead) >= MAX_PEERS:
            del self._dead[next(iter(self._dead))]
        self._dead[old.peer] = None
        for question in old.take_questions(now):
            new.send(question, now)
        old.lost(RESTARTED)
        while (event := old.next_event()) is not None:
            self.handle(event, now)

    def _settle(self, peer: _Peer, now: int) -> None:
        """Hand up what a peer's links have to say until they are quiet."""
        touched: dict[_Peer, None] = {peer: None}
        while touched:
            batch, touched = touched, {}
            for one in batch:  # in the order of the actions: who is told first is told first
                self._dirty[one] = None
                while (event := self._next_link_event(one)) is not None:
                    if isinstance(event, Ignored):
                        self._effects.append(event)
                        continue
                    greeting = find_greeting(event.word) if isinstance(event, Received | Replied) else None
                    if greeting is not None:
                        if isinstance(event, Received) and greeting.boot == self.boot:
                            # what we said, and an echo of it that is very late: no question
                            self._answer(one, Settle(token=event.token), now)
                            continue
                        self._note_greeting(one, greeting, now)
                    self._act(self.machine.handle(event, now), now, touched)

    def _next_link_event(self, peer: _Peer) -> Any:
        if peer.link is not None and (event := peer.link.next_event()) is not None:
            return event
        return peer.echo.next_event()

    def _note_greeting(self, peer: _Peer, greeting: Greeting, now: int) -> None:
        """Take an EXPINFO's word that the peer is a multirig."""
        if not self.greets or greeting.wire != link.VERSION:
            return
        if greeting.boot and greeting.boot != self.boot:  # else an echoing peer sent our own back
            self._meet(peer, greeting.boot, greeting.name, now)

    def _greet(self, word: Word) -> Word:
        if not self.greets:
            return word
        greeted = greet(write(word), Greeting(wire=link.VERSION, boot=self.boot, name=self.name))
        return Verbatim(greeted.event, greeted.args)

    def _act(self, actions: Iterable[Any], now: int, touched: dict[_Peer, None]) -> None:
        for action in actions:
            match action:
                case Send():
                    peer = self._peers.get(action.address) or self._open(action.address)
                    self._send(peer, action, now, touched)
                    touched[peer] = None
                case Tell(address=address, word=word):
                    one = self._peers.get(address)
                    if one is not None and one.link is not None:
                        one.link.tell(word)
                        touched[one] = None
                case Reply() | Fail() | Settle():
                    asker = self._asker(action.token)
                    why = "nothing is known of the request any more"
                    if asker is not None:
                        why = self._answer(asker, action, now)
                        touched[asker] = None
                    if why and isinstance(action, Reply) and action.key is not None:
                        self._give_up(action.token.address, action.key, why, now, touched)
                case Forget(address=address):
                    self._forget(address)
                case _:
                    self._effects.append(action)

    def _send(self, peer: _Peer, action: Send, now: int, touched: dict[_Peer, None]) -> None:
        greets = action.word.event is Event.EXPINFO and (peer.link is None or peer.is_doubtful)
        try:
            if peer.link is not None and not greets:
                if action.overtakes:
                    peer.echo.withdraw()
                peer.link.send(action, now)
            else:
                if greets:
                    action = replace(action, word=self._greet(action.word))
                peer.echo.send(action, now)
        except LocalProtocolError as error:
            self._give_up(action.address, action.key, f"not sent: {error}", now, touched)

    def _give_up(
        self, address: Address, key: Hashable, reason: str, now: int, touched: dict[_Peer, None]
    ) -> None:
        unreached = Unreached(address=address, key=key, reason=reason)
        self._act(self.machine.handle(unreached, now), now, touched)

    def _asker(self, token: Token) -> _Peer | None:
        return self._by_boot.get(token.peer) if token.wire == 2 else self._peers.get(token.address)

    def _answer(self, peer: _Peer, action: Reply | Fail | Settle, now: int) -> str:
        """Answer a request; return why that was not possible, which the peer is then told."""
        token = action.token
        if isinstance(action, Settle):
            if token.wire == 1:
                peer.echo.settle(token)
            return ""
        word = action.word
        try:
            if token.wire == 2:
                if peer.link is not None:
                    peer.link.reply(token, word, now, action.key if isinstance(action, Reply) else None)
            elif isinstance(action, Fail):
                peer.echo.fail(token, action.word)
            else:
                if word.event is Event.EXPINFO:
                    word = self._greet(word)
                peer.echo.reply(token, word, now, action.key, listens=peer.link is not None)
        except LocalProtocolError as error:
            failure = Complaint(text=f"{self.name} could not answer: {error}", about=word.event)
            self._answer(peer, Fail(token=token, word=failure), now)
            return f"not sent: {error}"
        return ""

    def _arm(self, peer: _Peer) -> None:
        """Make sure that the peer is looked at in time; too early does no harm."""
        at = peer.echo.get_timer()
        if peer.link is not None and (other := peer.link.get_timer()) is not None:
            at = other if at is None else min(at, other)
        if at is not None and (peer.armed is None or at < peer.armed):
            peer.armed = at
            self._ticks += 1
            heapq.heappush(self._timers, (at, self._ticks, peer))
