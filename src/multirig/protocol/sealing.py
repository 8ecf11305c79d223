"""Sealed channels of one program: how they come about, and which packet belongs to which.

A channel is of two programs. Whoever wants to speak says hello, the other side answers, both prove by that
who they are; from then on whatever passes is sealed. Addresses prove nothing: a channel is found by the name
in each packet, and leads to wherever its last genuine packet came from.

What is not genuine changes nothing here, and is answered with fewer bytes than it had, or not at all.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from multirig.errors import TrustError
from multirig.protocol.channels import FIRST_PAUSE, LAST_PAUSE, Channels, Kept
from multirig.protocol.events import SECOND, Address
from multirig.protocol.frames import FULL_SIZE, VERSION, is_boot
from multirig.trust import packets
from multirig.trust.budget import Budget
from multirig.trust.certificate import KEY_BYTES, Certificate, ShutOut
from multirig.trust.channel import Channel, Standing
from multirig.trust.keys import Keys, Membership, Unwelcome
from multirig.trust.noise import Handshake
from multirig.trust.roles import Role
from multirig.wording import LONG_NAME, clean

OFFER_LIMIT = 10 * SECOND
"""For how long a hello in a packet of its own is repeated, and its answer awaited."""
GREETING_LIMIT = 3_600 * SECOND
"""For how long after the last question the answer to a greeting is awaited: others repeat it as long as that
may be heard, and a stop for ever."""
COPY_PAUSE = SECOND // 50
"""For how long what was just said in a handshake is not said again, however many copies ask for it."""
HALF_LIMIT = 10 * SECOND
"""For how long the proof that follows an answer is awaited."""
MAX_OFFERS = 4_096
"""Hellos of ours that are open at once."""
MAX_HALVES = 128
"""Answers of ours whose proof is awaited; of more, the oldest is forgotten."""
MAX_EARLY = 4
"""Sealed packets that are kept until the proof is there that they have overtaken."""
MAX_CALLED = 100
"""Bytes of how a program calls itself."""
MAX_FAREWELLS = 5
"""How often a program is told that its PC was shut out, in one handshake: such packets are lost as others."""
MAX_ANSWERS = 64
"""To one hello, which are tried: by who has seen it and forges them."""
LOST_REST = SECOND
"""A channel that is said to be lost is made anew at most so often."""
PROLOGUE = b"multirig seal 1\n"
"""Of the handshake, before the lab's public key."""
_SEALED, _HELLO, _LOST = (bytes([kind]) for kind in (packets.SEALED, packets.HELLO, packets.LOST))
_HERE = b"\x00"
"""Content of a packet that only says that its channel is there."""
_LIST = b"\x01"
"""Before a list of PCs that are shut out."""


class Proved(NamedTuple):
    """A handshake has ended: who is at an address is known."""

    channel: Channel
    address: Address
    early: tuple[bytes, ...] = ()
    """Sealed packets that had overtaken its end."""


class Opened(NamedTuple):
    """Something genuine has come."""

    channel: Channel
    address: Address
    """Where its channel leads by now."""
    content: bytes


class Spurned(NamedTuple):
    """Something has come that proves nothing."""

    address: Address
    reason: str
    """What is the matter with its sender: ``it says hello too often``."""
    is_usual: bool = False
    """Whether PCs of the lab do so too: it is told when there are many."""
    is_of_other_lab: bool = False
    """Whether it has named no lab that this PC is of, and may be told so."""
    is_known: bool = False
    """Whether it has proved who it is, and may not speak here all the same."""


class ListHeard(NamedTuple):
    """A newer list of PCs that are shut out has come, to be kept on this PC."""

    shut_out: ShutOut


class ShutOutNow(NamedTuple):
    """A program is of the lab no more, and its channel is closed."""

    channel: Channel
    address: Address
    reason: str


@dataclass(slots=True)
class _Offer:
    """A hello of ours."""

    address: Address
    index: bytes
    handshakes: list[tuple[Membership, Handshake]]
    """One for each lab that this PC is of: which of them the other side is of its answer shows."""
    packet: bytes
    until: int
    retry_at: int | None
    """When it is repeated; None: it travels in a greeting, which others repeat."""
    repeated_until: int = 0
    pause: int = FIRST_PAUSE
    answers: int = 0
    """That were tried: each but one was forged."""


@dataclass(slots=True)
class _Half:
    """An answer of ours: the other side is still to prove who it is."""

    address: Address
    hello: packets.Hello
    handshake: Handshake
    membership: Membership
    answer: bytes
    until: int
    objection: str = ""
    """Why who has proved who it is counts nothing; its copies are refused for the same."""
    farewell: bytes = b""
    """For who was shut out and does not know it: the list that says so."""
    farewells: int = 0
    """How often that was sent."""
    said_at: int | None = None
    """When it was said last."""
    early: list[bytes] = field(default_factory=list)
    """What has come already under the seal that is to be."""

    def take_farewell(self) -> list[tuple[Address, bytes]]:
        """Return what is said to who was shut out, now that it has proved itself once more."""
        if not self.farewell or self.farewells == MAX_FAREWELLS:
            return []
        self.farewells += 1
        return [(self.address, self.farewell)]


class Seals:
    """All channels of one program, pure.

    Parameters
    ----------
    keys : Keys
        Of this PC.
    boot : str
        Boot id of this program.
    name : str
        How it calls itself.
    random : callable
        Returns so many random bytes.
    wall : callable
        Returns the time of day: seconds since 1970.
    objects : callable
        Why a role is not good enough for what this program does with others; empty: it is.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        boot: str,
        name: str,
        random: Callable[[int], bytes],
        wall: Callable[[], int],
        objects: Callable[[Standing], str] = lambda standing: "",
    ) -> None:
        self.keys = keys
        self._boot = boot
        self._name = name.encode(errors="replace")[:MAX_CALLED].decode(errors="ignore")
        self._random = random
        self._wall = wall
        self._objects = objects
        self._offers: dict[bytes, _Offer] = {}
        self._of_address: dict[Address, _Offer] = {}
        self._said: dict[bytes, bytes] = {}
        """Hellos of this side, also those that are over: copies of them come back late."""
        self._halves: OrderedDict[bytes, _Half] = OrderedDict()
        self._answered: dict[bytes, bytes] = {}
        """By the hello: how the channel that was offered is called here."""
        self.channels = Channels()
        self._handshakes = Budget(each=(20, 20), all_of_them=(200, 200))
        self.copies = 0
        """Packets that came again; they were not handled."""
        self._copies = Budget(each=(20, 20), all_of_them=(500, 500))
        self._losses = Budget(each=(5, 5), all_of_them=(50, 50))
        self._out: list[tuple[Address, bytes]] = []
        self.events: list[ListHeard | ShutOutNow] = []
        """What has come of lists of PCs that are shut out."""

    # -- saying hello -----------------------------------------------------------------------------------

    def greet(self, address: Address, now: int) -> str:
        """Return the hello that travels in a greeting to an address, in base64.

        Until it is answered it stays the same: an earlier greeting may still be repeated.

        Raises
        ------
        TrustError
            This PC is of no lab.
        """
        offer = self._of_address.get(address)
        if offer is None:
            offer = self._offer(address, now)
        offer.until = now + GREETING_LIMIT
        return packets.to_text(offer.packet)

    def knock(self, address: Address, now: int, *, once: bool = False) -> None:
        """Say hello to an address in a packet of its own, again and again until it answers, or once."""
        offer = self._of_address.get(address) or self._offer(address, now)
        if offer.retry_at is None:
            if not once:
                offer.pause = FIRST_PAUSE
                offer.retry_at, offer.repeated_until = now + FIRST_PAUSE, now + OFFER_LIMIT
                offer.until = max(offer.until, offer.repeated_until)
            self._out.append((address, offer.packet.ljust(packets.HELLO_SIZE, b"\0")))

    def _offer(self, address: Address, now: int) -> _Offer:
        labs = self.keys.open_to()[-packets.MAX_LABS :]
        ephemeral = self._random(KEY_BYTES)
        handshakes = [(one, self._new_handshake(one, ephemeral, initiates=True)) for one in labs]
        first = b""
        for _, handshake in handshakes:
            first = handshake.write()  # the same for each lab: nothing is sealed in it
        index = self._random(packets.INDEX)
        packet = packets.pack_hello(index, first, [one.lab.key for one in labs])
        offer = _Offer(address, index, handshakes, packet, now + OFFER_LIMIT, None)
        if (old := self._of_address.pop(address, None)) is not None:
            self._offers.pop(old.index, None)
        if len(self._offers) >= MAX_OFFERS:
            self._drop_offer(next(iter(self._offers.values())))
        self._offers[index] = self._of_address[address] = offer
        if len(self._said) >= 2 * MAX_OFFERS:
            del self._said[next(iter(self._said))]
        self._said[index] = packet
        return offer

    def _drop_offer(self, offer: _Offer) -> None:
        self._offers.pop(offer.index, None)
        if self._of_address.get(offer.address) is offer:
            del self._of_address[offer.address]

    def _new_handshake(self, membership: Membership, ephemeral: bytes, *, initiates: bool) -> Handshake:
        return Handshake(
            initiates=initiates,
            private=self.keys.private,
            ephemeral=ephemeral,
            prologue=PROLOGUE + membership.lab.key,
        )

    def _introduce(self, membership: Membership) -> bytes:
        """Return what a handshake says of this side."""
        number = membership.shut_out.number if membership.shut_out is not None else 0
        about = {"boot": self._boot, "called": self._name, "list": number, "wire": VERSION}
        return membership.certificate.pack() + json.dumps(
            about, separators=(",", ":"), ensure_ascii=False
        ).encode(errors="replace")

    # -- what comes -------------------------------------------------------------------------------------

    def receive_hello(self, packet: bytes, address: Address, size: int, now: int) -> Spurned | None:
        """Take a hello, and answer it.

        Parameters
        ----------
        packet : bytes
            The hello.
        address : Address
            Where it seems to come from.
        size : int
            Bytes of the datagram in which it has come: the answer is not longer.
        now : int
            Nanoseconds.
        """
        try:
            hello = packets.unpack_hello(packet)
        except TrustError as error:
            return Spurned(address, str(error))
        memberships = self.keys.memberships
        membership = next((one for one in memberships if packets.knows_lab(packet, one.lab.key)), None)
        if membership is None:
            return Spurned(
                address,
                "it is of no lab that this PC is of: 'multirig key show' says on both PCs of which they are",
                is_of_other_lab=True,
            )
        half = self._halves.get(self._answered.get(hello.which, b""))
        if not (self._handshakes if half is None else self._copies).take(address.host, now):
            return Spurned(address, "it says hello too often")
        if half is None:
            try:
                half = self._answer(hello, membership, address, now)
            except TrustError as error:  # a key that gives everybody the same secret
                return Spurned(address, str(error))
        if _is_soon(half.said_at, now):
            return None
        if len(half.answer) > size:
            return Spurned(address, f"its hello has {size} bytes, and the answer {len(half.answer)}")
        half.said_at = now
        self._out.append((address, half.answer))
        return None

    def is_own_hello(self, packet: bytes) -> bool:
        """Whether a hello is one of this side that comes back, as peers of IBL's return what they hear."""
        said = self._said.get(packet[2 : 2 + packets.INDEX])
        return said is not None and packet.startswith(said)

    def _answer(self, hello: packets.Hello, membership: Membership, address: Address, now: int) -> _Half:
        handshake = self._new_handshake(membership, self._random(KEY_BYTES), initiates=False)
        handshake.read(hello.key)
        index = self._random(packets.INDEX)
        answer = packets.pack_answer(hello.caller, index, handshake.write(self._introduce(membership)))
        half = _Half(address, hello, handshake, membership, answer, now + HALF_LIMIT)
        if len(self._halves) >= MAX_HALVES:
            self._drop_half(next(iter(self._halves)))
        self._halves[index] = half
        self._answered[hello.which] = index
        return half

    def _drop_half(self, index: bytes) -> None:
        half = self._halves.pop(index)
        self._answered.pop(half.hello.which, None)

    def is_nothing(self, packet: bytes, host: str, now: int) -> bool:
        """Whether a packet is for nobody here, and not to be answered at the moment; changes nothing."""
        kind, index = packet[1:2], packet[2 : 2 + packets.INDEX]
        if kind == _SEALED:
            is_known = self.channels.get(index) is not None or index in self._halves
            return not is_known and self._losses.is_spent(host, now)
        if kind == _HELLO:
            was_answered = packets.say_which(packet) in self._answered
            if (self._copies if was_answered else self._handshakes).is_spent(host, now):
                return True
            return not any(packets.knows_lab(packet, one.lab.key) for one in self.keys.memberships)
        if kind == _LOST:
            return self.channels.of_theirs(index) is None
        is_awaited = index in self._halves or index in self._offers
        return not is_awaited and self.channels.get(index) is None

    def receive(self, packet: bytes, address: Address, now: int) -> Proved | Opened | Spurned | None:
        """Take a packet; return what has come of it."""
        kind = packet[1] if len(packet) > 1 + packets.INDEX else 0
        index = packet[2 : 2 + packets.INDEX]
        try:
            match kind:
                case packets.SEALED:
                    return self._receive_sealed(packet, index, address, now)
                case packets.HELLO:
                    return self.receive_hello(packet, address, len(packet), now)
                case packets.ANSWER:
                    return self._receive_answer(packet, index, address, now)
                case packets.PROOF:
                    return self._receive_proof(packet, index, address, now)
                case packets.LOST:
                    return self._receive_lost(index, address, now)
        except TrustError as error:
            return Spurned(address, str(error))
        return Spurned(address, "it sends packets that are none")

    def _receive_sealed(
        self, packet: bytes, index: bytes, address: Address, now: int
    ) -> Opened | Spurned | None:
        kept = self.channels.get(index)
        if kept is None:
            if (half := self._halves.get(index)) is not None:  # its proof was overtaken, or lost
                if len(half.early) < MAX_EARLY and len(packet) <= FULL_SIZE:
                    half.early.append(packet)
                return None
            if self._losses.take(address.host, now):
                self._out.append((address, packets.pack_lost(index)))
            text = "it speaks to a program that does not run here any more"
            return Spurned(address, text, is_usual=True)
        if kept.channel.has_come(packet):  # a copy, as networks make them, and whoever has listened
            self.copies += 1
            return None
        content = kept.channel.open(packet)
        self.channels.note_heard(kept, address)
        first = content[:1]
        if first == _LIST:
            self._receive_list(kept, content[1:])
            return None
        return None if first == _HERE else Opened(kept.channel, kept.address, content)

    def _receive_answer(
        self, packet: bytes, index: bytes, address: Address, now: int
    ) -> Proved | Spurned | None:
        offer = self._offers.get(index)
        if offer is None:
            kept = self.channels.get(index)
            if kept is None:
                raise TrustError("it answers what was not asked")
            proof = kept.proof if not _is_soon(kept.repeated_at, now) else None
            if proof is not None and self._copies.take(address.host, now):  # ours has not come there
                kept.repeated_at = now
                self._out.append((kept.address, proof))
            return None
        if address != offer.address:  # whoever has copied the hello may have sent it to another PC of the lab
            raise TrustError("it answers in place of another PC")
        at = 2 + 2 * packets.INDEX
        theirs, message = packet[at - packets.INDEX : at], packet[at:]
        membership, handshake, payload = _read_answer(offer, message)
        try:
            standing, number = self._judge(handshake, membership, payload)
        except Unwelcome as error:
            return Spurned(offer.address, str(error), is_known=True)
        self._drop_offer(offer)
        proof = packets.pack_proof(theirs, handshake.write(self._introduce(membership)))
        # where the hello went, since it has come there: where the answer seems to come from proves nothing
        kept = self.channels.add(_make_channel(index, theirs, handshake, standing), offer.address)
        kept.list_number = number
        self.channels.await_sign(kept, proof, now)
        self._out.append((offer.address, proof))
        self._share_list(kept)
        return Proved(kept.channel, offer.address)

    def _receive_proof(self, packet: bytes, index: bytes, address: Address, now: int) -> Proved | None:
        half = self._halves.get(index)
        if half is None:
            kept = self.channels.get(index)
            if kept is None:
                raise TrustError("it proves what was not asked")
            if not _is_soon(kept.repeated_at, now) and self._copies.take(address.host, now):
                kept.repeated_at = now  # a copy: it was not seen there that it came
                self._out.append((kept.address, kept.channel.seal(_HERE)))
            return None
        if half.objection:
            self._out += half.take_farewell()
            raise TrustError(half.objection)
        payload = half.handshake.read(packet[2 + packets.INDEX :])
        try:
            standing, number = self._judge(half.handshake, half.membership, payload)
        except TrustError as error:
            half.objection = str(error)
            if isinstance(error, Unwelcome):
                half.farewell = _write_farewell(self.keys, index, half, payload)
                self._out += half.take_farewell()
            raise
        self._drop_half(index)
        channel = _make_channel(index, half.hello.caller, half.handshake, standing)
        # where the answer went, since it has come there
        kept = self.channels.add(channel, half.address)
        kept.list_number = number
        self._out.append((half.address, kept.channel.seal(_HERE)))
        self._share_list(kept)
        return Proved(kept.channel, half.address, tuple(half.early))

    def _judge(self, handshake: Handshake, membership: Membership, payload: bytes) -> tuple[Standing, int]:
        """Return who is at the other end; TrustError says why that one counts nothing."""
        certificate, rest = Certificate.unpack(payload)
        if certificate.key != handshake.theirs:
            raise TrustError("it shows a certificate of somebody else")
        if self.keys.judge(certificate, now=self._wall()).lab != membership.lab:
            raise TrustError(f"{certificate.name} has shown a certificate of another lab than it has named")
        try:
            about = json.loads(rest)
            boot, called, number = about["boot"], about["called"], about["list"]
            wire = about["wire"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TrustError(f"{certificate.name} does not say which program it is") from None
        if not isinstance(boot, str) or not is_boot(boot) or boot == self._boot or type(number) is not int:
            raise TrustError(f"{certificate.name} does not say which program it is")
        if wire != VERSION:
            raise TrustError(
                f"{certificate.name} speaks wire {clean(str(wire), 20)}, this PC speaks wire {VERSION}: "
                "update the older one"
            )
        standing = Standing(certificate, boot, clean(str(called), LONG_NAME))
        known = self.channels.find(boot)
        if known is not None and known.standing.certificate.key != certificate.key:
            raise TrustError(f"{certificate.name} says that it is a program of {known.standing.name}")
        if why := self._objects(standing):
            raise Unwelcome(why)
        return standing, number

    def _receive_lost(self, index: bytes, address: Address, now: int) -> Spurned | None:
        """Take an unproved word that a channel is not known there: say hello, and change nothing."""
        kept = self.channels.of_theirs(index)
        if kept is None:
            return Spurned(address, "it says of channels that are none that they are lost", is_usual=True)
        if kept.renewed_at is None or now - kept.renewed_at >= LOST_REST:
            kept.renewed_at = now
            self.knock(kept.address, now)
        return None

    # -- who is shut out --------------------------------------------------------------------------------

    def _receive_list(self, kept: Kept, data: bytes) -> None:
        shut_out, _ = ShutOut.unpack(data)
        kept.list_number = max(kept.list_number, shut_out.number)
        changed = self.keys.with_list(shut_out)
        if changed is not None:
            self.events.append(ListHeard(shut_out))
            self.change_keys(changed)

    def _share_list(self, kept: Kept) -> None:
        membership = self.keys.of(kept.channel.standing.certificate.by)
        shut_out = membership.shut_out if membership is not None else None
        if shut_out is not None and shut_out.number > kept.list_number:
            kept.list_number = shut_out.number
            self._out.append((kept.address, kept.channel.seal(_LIST + shut_out.pack())))

    def change_keys(self, keys: Keys) -> None:
        """Go on with other keys, or with a newer list; who is of the lab no more is not spoken to."""
        self.keys = keys
        for kept in self.channels.all():
            certificate = kept.channel.standing.certificate
            try:
                membership = keys.judge(certificate, now=0)  # what is over ends no conversation
                if membership.is_over:
                    raise TrustError(membership.say_over())
            except TrustError as error:
                self.channels.drop(kept)
                self.events.append(ShutOutNow(kept.channel, kept.address, str(error)))
            else:
                self._share_list(kept)

    # -- what leaves, and when it is time ---------------------------------------------------------------

    def take_out(self) -> list[tuple[Address, bytes]]:
        """Return what shall leave of itself, in order."""
        out, self._out = self._out, []
        return out

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        if not self._offers and not self._halves:
            return self.channels.get_timer()
        times = [one.until if one.retry_at is None else one.retry_at for one in self._offers.values()]
        if self._halves:
            times.append(next(iter(self._halves.values())).until)
        if (at := self.channels.get_timer()) is not None:
            times.append(at)
        return min(times, default=None)

    def handle_timer(self, now: int) -> None:
        """Say again what was not answered, and forget what is late."""
        for offer in list(self._offers.values()):
            if offer.until <= now:
                self._drop_offer(offer)
            elif offer.repeated_until <= now:
                offer.retry_at = None
            elif offer.retry_at is not None and offer.retry_at <= now:
                offer.pause = min(2 * offer.pause, LAST_PAUSE)
                offer.retry_at = now + offer.pause
                self._out.append((offer.address, offer.packet.ljust(packets.HELLO_SIZE, b"\0")))
        while self._halves and next(iter(self._halves.values())).until <= now:
            self._drop_half(next(iter(self._halves)))
        self._out += self.channels.take_due(now)

    def sizes(self) -> dict[str, int]:
        """Return how much is remembered; it must stay small."""
        return {"offers": len(self._offers), "halves": len(self._halves), "channels": len(self.channels)}


def _is_soon(said_at: int | None, now: int) -> bool:
    """Whether something was said a moment ago: copies that are found together need one answer."""
    return said_at is not None and now - said_at < COPY_PAUSE


def _read_answer(offer: _Offer, message: bytes) -> tuple[Membership, Handshake, bytes]:
    """Return what an answer says; one that was forged leaves the hello open for the true one."""
    offer.answers += 1
    if offer.answers > MAX_ANSWERS:
        raise TrustError("it answers one hello too often")
    for membership, handshake in offer.handshakes:
        tried = handshake.fork()
        try:
            return membership, tried, tried.read(message)
        except TrustError as error:
            why = error
    raise why


def _make_channel(mine: bytes, theirs: bytes, handshake: Handshake, standing: Standing) -> Channel:
    return Channel(
        mine=mine,
        theirs=theirs,
        keys=handshake.split(),
        clock_keys=handshake.export(b"multirig clock"),
        standing=standing,
    )


def _write_farewell(keys: Keys, index: bytes, half: _Half, payload: bytes) -> bytes:
    """Return for who was shut out the list that says so, under a seal; nothing if it may know it.

    It has proved whose key it has and where it is, and hears of nobody but of those that are shut out.
    """
    certificate, rest = Certificate.unpack(payload)
    membership = keys.of(certificate.by)
    shut_out = membership.shut_out if membership is not None else None
    if shut_out is None or certificate.id not in shut_out.keys:
        return b""
    try:
        number = json.loads(rest)["list"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""
    if type(number) is not int or number >= shut_out.number:
        return b""
    channel = _make_channel(index, half.hello.caller, half.handshake, Standing(certificate, "", ""))
    return channel.seal(_LIST + shut_out.pack())


def needs_a_rig(standing: Standing) -> str:
    """Return why somebody cannot be led; empty: it can."""
    if standing.role.is_led:
        return ""
    return (
        f"the key of {standing.name} may {Role.LOOK} on and no more: what it says of itself is no rig's word"
    )
