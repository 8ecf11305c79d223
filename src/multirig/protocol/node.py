"""A whole computer as a pure value: its conversations and one life-cycle machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from multirig.errors import LocalProtocolError, ProtocolError, RemoteProtocolError, VersionMismatch
from multirig.protocol import codec, frames
from multirig.protocol.answering import Answering, introduce, is_long
from multirig.protocol.dialect import Hearing, find_greeting, find_own_verbs, without_greeting
from multirig.protocol.door import Door, Unproved, check_seal
from multirig.protocol.events import (
    RESTARTED,
    Address,
    Fail,
    Forget,
    Ignored,
    Oversized,
    PathTried,
    Rebooted,
    Received,
    Relocated,
    Replied,
    Reply,
    Send,
    Settle,
    Tell,
    Told,
    Unreached,
    Upgraded,
)
from multirig.protocol.link import Link
from multirig.protocol.messages import Event
from multirig.protocol.peers import Greeted, Peer, Peers
from multirig.protocol.sealing import ListHeard, Opened, Proved, ShutOutNow
from multirig.protocol.words import MAX_INTEGER, AskInfo, Complaint, Greeting
from multirig.trust.admission import Admission
from multirig.trust.channel import Channel
from multirig.trust.keys import Keys


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
    door : Door, optional
        What is let in; without it, everything as it comes.
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
        door: Door | None = None,
        greets: bool = True,
    ) -> None:
        self.boot = boot
        self.name = name
        self.machine = machine
        self._clockwork = machine if isinstance(machine, TimedMachine) else None
        self._hears = hears
        self.door = door if door is not None else Door(name=name)
        self.greets = greets
        self._answering = Answering(boot=boot, name=name, greets=lambda: self.greets)
        self.peers = Peers(hears, boot, is_alone=not greets)
        """Who is spoken to, and what is known of each."""
        self._effects: deque[Any] = deque()

    # -- the five verbs, and what the runtime reports -----------------------------------------------------

    def drops(self, data: bytes, address: Address, now: int) -> bool:
        """Whether a datagram is a stranger's that was counted, and need not be received; see `Door.drops`."""
        peer = self.peers.get(address)
        return (peer is None or (peer.link is not None and peer.link.is_sealed)) and self.door.drops(
            data, address, now
        )

    def receive_datagram(self, data: bytes, address: Address, now: int) -> None:
        """Take a whole message from the network."""
        peer = self.peers.get(address)
        was_asked = peer is not None and peer.link is None
        seals = peer is not None and peer.link is not None and peer.link.is_sealed and not peer.is_doubtful
        match self.door.receive(data, address, now, was_asked=was_asked, seals=seals):
            case Admission.OPEN:
                peer = peer or self.peers.open(address)
                if data[:1] == b"{" and self.greets:
                    self._receive_frame(peer, data, now)
                else:
                    peer.echo.receive_datagram(data, now)
                    self._settle(peer, now)
            case Admission.IBL:
                peer = peer or self.peers.open(address)
                peer.echo.receive_datagram(data, now)
                self._settle(peer, now)
            case Opened(channel=channel, address=at, content=content):
                place = self.peers.place_of(channel.standing.boot, at)
                self._receive_frame(place, content, now, channel)
            case Proved(channel=channel, address=asked, early=early):
                known = self.peers.of_program(channel.standing.boot)
                if not self.door.expels(channel, address, known, now):
                    self._receive_proof(self.peers.get(asked) or self.peers.open(asked), channel, now)
                for packet in early:
                    self.receive_datagram(packet, asked, now)
            case Unproved(reason=reason) if peer is not None:
                peer.echo.unreachable(reason, now, is_refusal=False)
        if self.door.has_news:
            self._effects += self.door.take_effects()
            for news in self.door.take_news():
                self._take_news(news, now)

    def datagrams_to_send(self, now: int) -> list[tuple[Address, bytes]]:
        """Return what shall leave now, in order."""
        out = self.door.take_out()
        for peer in self.peers.take_stirred():
            link = peer.link
            is_sealed = link is not None and link.is_sealed
            if peer.out and not is_sealed:
                out += [(peer.address, data) for data in peer.out]
                peer.out.clear()
            out += [(peer.address, data) for data in peer.echo.datagrams_to_send(now)]
            if link is not None:
                frames = link.datagrams_to_send(now)
                if is_sealed:
                    out += self.door.close(link.peer, link.address, [*peer.out, *frames], now)
                    peer.out.clear()
                else:
                    out += [(link.address, data) for data in frames]
            self.peers.arm(peer)
        return out

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        at = self.peers.get_timer()
        own = self._clockwork.get_timer() if self._clockwork is not None else None
        if own is not None and (at is None or own < at):
            at = own
        for other in (self.peers.shelf.get_timer(), self.door.get_timer()):
            if other is not None and (at is None or other < at):
                at = other
        return at

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        while (peer := self.peers.take_due(now)) is not None:
            peer.echo.handle_timer(now)
            if peer.link is not None:
                peer.link.handle_timer(now)
            self._settle(peer, now)
        self.peers.shelf.handle_timer(now)
        self.door.handle_timer(now)
        if self._clockwork is not None and (at := self._clockwork.get_timer()) is not None and at <= now:
            self._carry_out(self._clockwork.handle_timer(now), now)

    def next_event(self) -> Any | None:
        """Return the next effect for the runtime, or None."""
        return self._effects.popleft() if self._effects else None

    def handle(self, event: Any, now: int) -> None:
        """Tell the machine something that happened on this PC; its actions go to the links."""
        self._carry_out(self.machine.handle(event, now), now)

    def change_keys(self, keys: Keys | None, now: int) -> None:
        """Go on with other keys of this PC, or with a newer list of who is shut out."""
        self.door.change_keys(keys)
        for news in self.door.take_news():
            self._take_news(news, now)

    def peer_unreachable(self, address: Address, reason: str, now: int, *, is_refusal: bool = True) -> None:
        """Take the transport's word that nothing listens at an address, or that there is no way to it."""
        if (peer := self.peers.get(address)) is None:
            return
        peer.echo.unreachable(reason, now, is_refusal=is_refusal)
        if peer.link is not None and peer.link.address == address:
            peer.link.unreachable(reason, now, is_refusal=is_refusal)
            peer.is_doubtful |= is_refusal
        self._settle(peer, now)

    def try_path(self, address: Address, now: int) -> bool:
        """Find out whether datagrams of full size come to a multirig and back: the effect `PathTried` tells.

        Returns
        -------
        bool
            Whether it is tried: on wire 1.0 there is no way to, and on TCP no need.
        """
        peer = self.peers.get(address)
        if peer is None or peer.link is None or address.scheme == "tcp":
            return False
        peer.link.try_path(now)
        self._settle(peer, now)
        return True

    # -- inside ---------------------------------------------------------------------------------------------

    def _carry_out(self, actions: Iterable[Any], now: int) -> None:
        touched: dict[Peer, None] = {}
        self._act(actions, now, touched)
        for peer in touched:
            self._settle(peer, now)

    def _receive_proof(self, peer: Peer, channel: Channel, now: int) -> None:
        """Take that who is at an address is known, and go on under a seal with what was asked there."""
        self._meet(peer, channel.standing.boot, channel.standing.name, now, is_sealed=True)
        self._leave_wire_1(peer, now)
        self._settle(peer, now)

    def _take_news(self, news: ListHeard | ShutOutNow, now: int) -> None:
        if isinstance(news, ListHeard):
            self._effects.append(news)
            return
        peer = self.peers.of_program(news.channel.standing.boot)
        if peer is not None and peer.link is not None:
            peer.link.lost(news.reason)
            self._settle(peer, now)
            self.peers.forget(peer.address)
        self._effects.append(Ignored(address=news.address, reason=news.reason, first=True, is_stranger=True))

    def _receive_frame(self, peer: Peer, data: bytes, now: int, channel: Channel | None = None) -> None:
        try:
            frame = codec.decode(data)
            if not isinstance(frame, dict):
                raise RemoteProtocolError("not a JSON object")
            boot, to = frames.boots(frame)
            check_seal(channel, boot, [peer, self.peers.of_program(boot)], is_for_us=to == self.boot)
        except ProtocolError as error:
            if isinstance(error, VersionMismatch) and channel is None:
                introduce(self.peers, peer, self.boot, frame)
            peer.ignored += 1
            self._effects.append(Ignored(address=peer.address, reason=str(error), first=peer.ignored == 1))
            return
        if boot == self.boot:
            return  # our own frame, sent back by an echoing peer
        if channel is not None or to == self.boot or peer.link is not None:
            is_sealed, name = channel is not None, channel.standing.name if channel is not None else ""
            self._meet(peer, boot, name, now, answer=frame.get("here"), is_sealed=is_sealed)
        if to == self.boot and type(who := frame.get("who")) is int and abs(who) <= MAX_INTEGER:
            parts = frames.MAX_MESSAGE if "parts" in frame else 0
            size = min(len(data), frames.FULL_SIZE) if "pad" in frame else 0
            self.peers.say(peer, frames.here_frame(self.boot, boot, who, parts=parts, size=size))
        if to != self.boot:
            introduce(self.peers, peer, self.boot, frame)
        elif peer.link is not None and peer.link.peer == boot:
            peer.link.receive_frame(frame, now)
            if "parts" in frame:
                self._leave_wire_1(peer, now)
            if peer.held and peer.link.line.takes is not None and "here" in frame:
                self._answering.answer_held(peer, now)
            self._settle(peer, now)

    def _leave_wire_1(self, peer: Peer, now: int) -> None:
        """Ask a multirig on wire 2 what it was asked on wire 1.0: the answer may be longer there."""
        asked, peer.greeted = peer.greeted, {}
        for key, question in asked.items():
            if peer.link is not None and peer.echo.take_back(key):
                left = max(0, question.until - now)  # and it has overtaken already what it shall
                peer.link.send(replace(question.action, limit=left, overtakes=False), now)

    def _meet(
        self, peer: Peer, boot: str, name: str, now: int, *, answer: object = None, is_sealed: bool = False
    ) -> None:
        """Note which program speaks at an address: the same as before, one that has moved, or a new one."""
        if boot in self.peers.dead:
            return
        known, old = self.peers.of_program(boot), peer.link
        if known is peer:
            peer.is_doubtful = False
            return
        is_at_stake = old is not None and self.peers.of_program(old.peer) is peer and not peer.is_doubtful
        if is_at_stake and not is_sealed and (boot, answer) != peer.claim:
            # it has to answer first: one wrong datagram ends no conversation
            self.peers.say(peer, frames.who_frame(self.boot, *self.peers.doubt(peer, boot)))
            return
        peer.is_doubtful = False
        peer.claim = None
        if known is not None and known.link is not None:
            self._adopt(peer, known.link, now)
            relocated = Relocated(address=known.address, now_at=peer.address)
            self._effects.append(relocated)
            self.handle(relocated, now)
            return
        reliable = peer.address.scheme == "tcp"
        link_to = self.peers.take_displaced(boot) or Link(
            peer.address,
            boot=self.boot,
            peer=boot,
            reliable=reliable,
            hears=self._hears,
            shelf=self.peers.shelf,
            is_sealed=is_sealed,
        )
        self._adopt(peer, link_to, now)
        upgraded = Upgraded(address=peer.address, boot=boot, name=name)
        self._effects.append(upgraded)
        self.handle(upgraded, now)
        if old is not None:
            rebooted = Rebooted(address=peer.address, boot=boot)
            self._effects.append(rebooted)
            self.handle(rebooted, now)

    def _adopt(self, peer: Peer, new: Link, now: int) -> None:
        """Speak to another program at an address; the one that was there is dead, unless it has moved."""
        is_other_pc = peer.link is not None and self.door.are_of_two_pcs(peer.link.peer, new.peer)
        if (dead := self.peers.adopt(peer, new, is_other_pc=is_other_pc)) is None:
            return
        for question in dead.take_questions(now):
            new.send(question, now)
        dead.lost(RESTARTED)
        while (event := dead.next_event()) is not None:
            self.handle(event, now)

    def _settle(self, peer: Peer, now: int) -> None:
        """Hand up what a peer's links have to say until they are quiet."""
        touched: dict[Peer, None] = {peer: None}
        while touched:
            batch, touched = touched, {}
            for one in batch:  # in the order of the actions: who is told first is told first
                self.peers.stir(one)
                while (event := one.next_event()) is not None:
                    if isinstance(event, Ignored | Oversized | PathTried):
                        self._effects.append(event)
                        continue
                    question = one.end_greeted(event) if one.greeted else None
                    greeting = find_greeting(event.word) if isinstance(event, Received | Replied) else None
                    if greeting is not None and greeting.boot == self.boot:  # our own, sent back by the peer
                        if isinstance(event, Received):
                            self._answering.answer(one, Settle(token=event.token), now)
                            continue
                        event = replace(event, word=without_greeting(event.word))
                    elif greeting is not None:
                        self._note_greeting(one, greeting, now)
                    if question is not None and question.is_brief and isinstance(event, Replied):
                        self._ask_all(one, question, now, touched)
                        continue
                    if isinstance(event, Received | Told) and (why := self.door.object_to(event)):
                        if isinstance(event, Received):
                            complaint = Complaint(text=why, about=event.word.event)
                            self._answering.answer(one, Fail(token=event.token, word=complaint), now)
                        continue
                    self._act(self.machine.handle(event, now), now, touched)

    def _note_greeting(self, peer: Peer, greeting: Greeting, now: int) -> None:
        """Take an EXPINFO's word that the peer is a multirig."""
        if not self.greets or greeting.wire != frames.VERSION:
            return
        is_sealed = peer.link is not None and peer.link.is_sealed
        if greeting.boot and not is_sealed and self.door.admit(peer.address) is Admission.OPEN:
            self._meet(peer, greeting.boot, greeting.name, now)

    def _act(self, actions: Iterable[Any], now: int, touched: dict[Peer, None]) -> None:
        for action in actions:
            match action:
                case Send():
                    peer = self.peers.get(action.address) or self.peers.open(action.address)
                    self._send(peer, action, now, touched)
                    touched[peer] = None
                case Tell(address=address, word=word):
                    one = self.peers.get(address)
                    if one is not None and one.link is not None:
                        one.link.tell(word)
                        touched[one] = None
                case Reply() | Fail() | Settle():
                    asker = self.peers.asker(action.token)
                    why = "nothing is known of the request any more"
                    if asker is not None:
                        why = self._answering.answer(asker, action, now)
                        touched[asker] = None
                    if why and isinstance(action, Reply) and action.key is not None:
                        self._give_up(action.token.address, action.key, why, now, touched)
                case Forget(address=address):
                    self.peers.forget(address)
                case _:
                    self._effects.append(action)

    def _send(self, peer: Peer, action: Send, now: int, touched: dict[Peer, None]) -> None:
        greets = action.word.event is Event.EXPINFO and (peer.link is None or peer.is_doubtful)
        admission = self.door.admit(peer.address)
        try:
            if peer.link is not None and not greets:
                if action.overtakes:
                    peer.echo.withdraw()
                peer.link.send(action, now)
            elif admission is Admission.PROVED:
                self._say_hello(peer, action, now)
            elif greets and self.greets:
                # where IBL's peers are, PCs of the lab may be too
                seals = self.door.seals if admission is Admission.IBL else None
                is_either = seals is not None and seals.keys.can_prove
                hello = self.door.greet(peer.address, now) if is_either else ""
                greeted = self._answering.greet(action.word, hello)
                is_brief = is_long(greeted) and peer.address.scheme != "tcp"
                is_brief |= bool(find_own_verbs(action.word))
                if action.key is not None:
                    peer.greeted[action.key] = Greeted(action, now + action.limit, is_brief)
                brief = self._answering.greet(AskInfo(), hello)
                peer.echo.send(replace(action, word=brief if is_brief else greeted), now)
            else:
                peer.echo.send(action, now)
        except LocalProtocolError as error:
            self._give_up(action.address, action.key, f"not sent: {error}", now, touched)

    def _say_hello(self, peer: Peer, action: Send, now: int) -> None:
        """Ask who is there in a greeting that holds nothing else; what is to be said follows under a seal."""
        if action.key is None and action.word.event is not Event.EXPINFO:
            raise LocalProtocolError(peer.echo.obstacle or "it has not proved who it is yet")
        if action.overtakes:
            peer.greeted.clear()
        if action.key is not None:
            peer.greeted[action.key] = Greeted(action, now + action.limit, True)
        greeting = self._answering.greet(AskInfo(), self.door.greet(peer.address, now))
        peer.echo.send(replace(action, word=greeting), now)

    def _ask_all(self, peer: Peer, question: Greeted, now: int, touched: dict[Peer, None]) -> None:
        """Ask what was too long to be asked before it was known who is there."""
        action = replace(question.action, limit=max(0, question.until - now))
        try:
            if peer.link is not None:
                peer.link.send(action, now)
            else:
                peer.echo.send(replace(action, word=self._answering.greet(action.word)), now)
        except LocalProtocolError as error:
            self._give_up(action.address, action.key, f"not sent: {error}", now, touched)
        touched[peer] = None

    def _give_up(
        self, address: Address, key: Hashable, reason: str, now: int, touched: dict[Peer, None]
    ) -> None:
        unreached = Unreached(address=address, key=key, reason=reason)
        self._act(self.machine.handle(unreached, now), now, touched)
