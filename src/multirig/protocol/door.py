"""What is let in of all that comes: as it is, under a seal, or not at all.

Strangers change nothing and learn nothing. Each is counted; the first, the tenth, the hundredth message of an
address is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from multirig.errors import LocalProtocolError, RemoteProtocolError, TrustError
from multirig.protocol.events import Address, Ignored, Received, Told
from multirig.protocol.messages import Event
from multirig.protocol.peers import Peer
from multirig.protocol.sealing import ListHeard, Opened, Proved, Seals, ShutOutNow, Spurned
from multirig.protocol.words import Word
from multirig.trust import packets
from multirig.trust.admission import Admission
from multirig.trust.budget import Budget, Refusals
from multirig.trust.channel import Channel, Standing
from multirig.trust.clock_seal import ClockSeal
from multirig.trust.keys import Keys

HINT_RATE = ((0.5, 1), (5, 5))
"""How often who may not speak here is told so: of one address, and in all; a second, and at once."""
RETURN_RATE = ((10, 20), (50, 100))
"""How often an answer on IBL's wire is returned to who is asked; the same."""
MANY = 100
"""Messages of a kind that PCs of the lab send too; so many are told."""
_HELLO = re.compile(rb'"hello": ?"([A-Za-z0-9_=-]{40,200})"')
_OLD = (
    "is an older multirig, or one that is open to all, and does not prove who it is: update it, and let it "
    "join the lab (multirig key join)"
)
_UPDATE = " (no such command? update multirig first)"
_UNKNOWN = (
    "does not know this PC's key: it has none, or is of another lab ('multirig key show' says it there); "
    "'multirig key join' on that PC makes it one of this lab"
)


class Unproved(NamedTuple):
    """Somebody who was asked to prove who it is has answered otherwise."""

    reason: str


class Door:
    """Everything that comes passes here first.

    Parameters
    ----------
    admits : callable
        What may be taken from an IP address: `Admission.PROVED` where a key is asked for.
    name : str
        Of this rig or PC, for who is told that it may not speak here.
    make_seals : callable, optional
        Returns channels for keys of this PC.
    keys : Keys, optional
        Of this PC; None: it has none.
    without_key : Admission
        What `Admission.PROVED` becomes while this PC has no key.
    objects : callable
        Why somebody may not say a word here; empty: it may.
    is_here : callable
        Whether an IP address is one of this PC's own in its networks. That lets nobody in, since not every
        system drops what comes from outside in that name; but who asks is told the address that does.
    """

    def __init__(
        self,
        admits: Callable[[str], Admission] = lambda host: Admission.OPEN,
        *,
        name: str,
        make_seals: Callable[[Keys], Seals] | None = None,
        keys: Keys | None = None,
        without_key: Admission = Admission.NOBODY,
        objects: Callable[[Standing, Word], str] = lambda standing, word: "",
        is_here: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self._admits = admits
        self.seals: Seals | None = None
        self.refusals = Refusals()
        self._name = name
        self._make_seals = make_seals
        self._without_key = without_key
        self._objects = objects
        self._is_here = is_here
        self._hints = Budget(each=HINT_RATE[0], all_of_them=HINT_RATE[1])
        self._returns = Budget(each=RETURN_RATE[0], all_of_them=RETURN_RATE[1])
        self._out: list[tuple[Address, bytes]] = []
        self._effects: list[Any] = []
        self.change_keys(keys)

    def change_keys(self, keys: Keys | None) -> None:
        """Go on with other keys of this PC, or without any."""
        if keys is None or not keys.memberships:
            keys = None
        if self.seals is not None and keys is not None:
            self.seals.change_keys(keys)
        else:
            self.seals = self._make_seals(keys) if keys is not None and self._make_seals is not None else None

    def admit(self, address: Address) -> Admission:
        """Return what may be taken from an address as it comes."""
        return Admission.OPEN if address.scheme == "memory" else self.admits(address.host)

    def admits(self, host: str) -> Admission:
        """Return what may be taken from an IP address as it comes."""
        admission = self._admits(host)
        if admission is Admission.PROVED and self.seals is None:
            return self._without_key
        return admission

    def receive(
        self, data: bytes, address: Address, now: int, *, was_asked: bool, seals: bool = False
    ) -> Admission | Proved | Opened | Unproved | None:
        """Take a whole message; return what it is good for, or None where that was all.

        Parameters
        ----------
        data : bytes
            The message.
        address : Address
            From where it seems to come.
        now : int
            Nanoseconds.
        was_asked : bool
            Whether this side has spoken to that address first.
        seals : bool
            Whether the program at that address is known to say nothing without a seal.
        """
        own = self.seals
        if address.scheme == "tcp":
            data = packets.unwrap(data)
        if data[:1] == _MARK:
            return self._receive_packet(data, address, now, was_asked=was_asked)
        admission = self.admit(address)
        hello = _find_hello(data) if own is not None else b""
        if own is not None and hello and not own.is_own_hello(hello):
            spurned = own.receive_hello(hello, address, len(data), now)
            if spurned is None:
                return None
            if admission not in (Admission.OPEN, Admission.IBL):
                self.refuse(spurned, now)
                if spurned.is_of_other_lab:
                    self._hint(data, address, f"{self._name} is of another lab than this PC", now)
                return None
        if admission in (Admission.OPEN, Admission.IBL):
            if not seals:
                return admission
            self.refuse(Spurned(address, "it speaks without a seal in the name of a program that seals"), now)
            return None
        if was_asked:
            is_own = own is not None and own.is_own_hello(hello)
            if data.startswith(b"[64") and not is_own and self._returns.take(address.host, now):
                self._out.append((address, data))  # else an IBL peer waits for it, and gives itself up
            return Unproved(_explain(data, address, is_here=self._is_here(address.host)))
        self._turn_away(data, address, admission, now)
        return None

    def _receive_packet(
        self, packet: bytes, address: Address, now: int, *, was_asked: bool
    ) -> Proved | Opened | Unproved | None:
        came = self.seals.receive(packet, address, now) if self.seals is not None else _no_key(address)
        if isinstance(came, Proved):  # what it said before it joined is no news any more
            self.refusals.forgive(address.host, MANY)
        if isinstance(came, Spurned):
            self.refuse(came, now)
            return Unproved(came.reason) if came.is_known and was_asked else None
        return came

    def drops(self, data: bytes, address: Address, now: int) -> bool:
        """Whether something proves nothing and was counted, so that it need not be handled any further.

        Only what strangers send most cheaply is found here, and is dropped for less than it costs to read it;
        whatever this leaves, `receive` judges.
        """
        seals = self.seals
        if address.scheme == "tcp":
            data = packets.unwrap(data)
        if data[:1] == _MARK:
            is_nothing = seals is not None and seals.is_nothing(data, address.host, now)
        elif self.admit(address) in (Admission.OPEN, Admission.IBL):
            return False
        elif data[:1] != b"[":
            is_nothing = True
        elif seals is not None and (hello := _find_hello(data)):
            is_nothing = seals.is_nothing(hello, address.host, now) and self._has_no_hint(data, address, now)
        else:
            is_nothing = self._has_no_hint(data, address, now)
        return is_nothing and self.refusals.note_quietly(address.host, now)

    # -- who is refused ---------------------------------------------------------------------------------

    def _turn_away(self, data: bytes, address: Address, admission: Admission, now: int) -> None:
        """Take no notice of a stranger, but tell who asks that it may not speak here."""
        if self._is_here(address.host):
            why = (
                "it has this PC's own address in the network, which proves nothing: whoever leads from here "
                "writes 127.0.0.1 into the rigs file instead"
            )
            hint = f"{self._name} is on this PC: write 127.0.0.1 into the rigs file, not {address.host}"
        elif admission is Admission.NOBODY:
            why = (
                "it may not speak to this PC, which has no key: 'multirig key join' here makes this PC one "
                "of the lab"
            )
            hint = f"{self._name} has no key and serves its own PC only: run 'multirig key join' there"
        else:
            why = (
                "it proves no key of the lab: let it join (multirig key join), or for a peer of IBL's write "
                f"allow_ibl: [{address.host}] into the config"
            )
            hint = f"{self._name} hears PCs of its lab only: run 'multirig key join' on this PC"
        self.refuse(Spurned(address, why), now)
        self._hint(data, address, hint, now)

    def _hint(self, data: bytes, address: Address, hint: str, now: int) -> None:
        """Tell who asks why it gets no answer, in no more bytes than it has sent."""
        if data.startswith(b"[64") and self._hints.take(address.host, now):
            for text in (f"{hint[:200]}{_UPDATE}", hint[:200]):
                answer = json.dumps([int(Event.ERROR), text, int(Event.EXPINFO)]).encode()
                if len(answer) <= len(data):
                    self._out.append((address, answer))
                    break

    def _has_no_hint(self, data: bytes, address: Address, now: int) -> bool:
        return not data.startswith(b"[64") or self._hints.is_spent(address.host, now)

    def refuse(self, spurned: Spurned, now: int) -> None:
        """Count what has proved nothing."""
        address = spurned.address
        count = self.refusals.note(address.host, now, from_count=MANY if spurned.is_usual else 1)
        if count is not None:
            said = "a message" if count == 1 else f"{count:,} messages"
            reason = f"refused {said} from {address.host}: {spurned.reason}"
            self._effects.append(
                Ignored(address=address, reason=reason, first=True, is_stranger=True, count=count)
            )

    def expels(self, channel: Channel, address: Address, known: Peer | None, now: int) -> bool:
        """Whether a program was turned away that says it is one which is spoken to without a seal.

        Parameters
        ----------
        channel : Channel
            By which it has proved of which PC it is.
        address : Address
            From where.
        known : Peer or None
            Who was known until now as the program that it says it is.
        now : int
            Nanoseconds.
        """
        seals, standing = self.seals, channel.standing
        if known is None or known.link is None or known.link.is_sealed or seals is None:
            return False
        is_ours = standing.certificate.key == seals.keys.public
        if is_ours or self.admit(known.address) is not Admission.OPEN:
            return False
        seals.channels.close(channel)
        why = f"{standing.name} says that it is a program at {known.address}"
        self.refuse(Spurned(address, why), now)
        return True

    def object_to(self, event: Received | Told) -> str:
        """Return why somebody may not say what it says; empty: it may, or nobody has proved anything."""
        channel = self.channel_to(event.boot if isinstance(event, Told) else event.token.peer)
        return self._objects(channel.standing, event.word) if channel is not None else ""

    # -- what leaves ------------------------------------------------------------------------------------

    def channel_to(self, boot: str) -> Channel | None:
        """Return the channel to a program, if there is one."""
        return self.seals.channels.find(boot) if self.seals is not None else None

    def are_of_two_pcs(self, one: str, other: str) -> bool:
        """Whether two programs have proved that they are of different PCs."""
        first, second = self.channel_to(one), self.channel_to(other)
        if first is None or second is None:
            return False
        return first.standing.certificate.key != second.standing.certificate.key

    def find_clock_seal(self, index: bytes) -> ClockSeal | None:
        """Return the keys for probes to the channel that this side calls so; from any thread."""
        seals = self.seals
        kept = seals.channels.get(index) if seals is not None else None
        return kept.channel.clock if kept is not None else None

    def close(
        self, boot: str, address: Address, frames: list[bytes], now: int
    ) -> list[tuple[Address, bytes]]:
        """Seal frames for a program; none leave where there is no channel to it any more."""
        seals = self.seals
        kept = seals.channels.newest(boot) if seals is not None else None
        if kept is None or seals is None:
            return []
        if frames and kept.is_silent(now):  # it may run no more, and what tells so may be lost
            for place in {kept.address: 0, kept.proved_at: 0}:
                seals.knock(place, now, once=True)
        channel = kept.channel
        return [(address, _wrap(channel.seal(one), address)) for one in frames]

    def greet(self, address: Address, now: int) -> str:
        """Return the hello for a greeting, in base64; LocalProtocolError: this PC has no key."""
        try:
            if self.seals is None:
                raise TrustError("this PC has no key: run 'multirig key join'")
            return self.seals.greet(address, now)
        except TrustError as error:
            raise LocalProtocolError(str(error)) from None

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        return self.seals.get_timer() if self.seals is not None else None

    def handle_timer(self, now: int) -> None:
        """Repeat what was not answered."""
        if self.seals is not None:
            self.seals.handle_timer(now)

    def take_out(self) -> list[tuple[Address, bytes]]:
        """Return what shall leave of itself, in order."""
        out, self._out = self._out, []
        if self.seals is not None:
            for address, packet in self.seals.take_out():
                out.append((address, _wrap(packet, address)))
        return out

    @property
    def has_news(self) -> bool:
        """Whether somebody was refused and that is to be told, or lists have come."""
        return bool(self._effects) or (self.seals is not None and bool(self.seals.events))

    def take_effects(self) -> list[Ignored]:
        """Return who was refused, as far as that is to be told."""
        effects, self._effects = self._effects, []
        return effects

    def take_news(self) -> list[ListHeard | ShutOutNow]:
        """Return what has come of lists of PCs that are shut out."""
        if self.seals is None:
            return []
        news, self.seals.events = self.seals.events, []
        return news


_MARK = bytes([packets.MARK])


def _find_hello(data: bytes) -> bytes:
    """Return the hello in a greeting; empty where there is none."""
    found = _HELLO.search(data, 0, 2_000) if data[:1] == b"[" else None
    try:
        return packets.from_text(found[1].decode()) if found is not None else b""
    except TrustError:
        return b""


def _wrap(packet: bytes, address: Address) -> bytes:
    is_packet = packet[:1] == _MARK
    return packets.wrap(packet) if is_packet and address.scheme == "tcp" else packet


def _no_key(address: Address) -> Spurned:
    return Spurned(address, "it speaks under a seal, and this PC has no key: 'multirig key join' gets it one")


def check_seal(channel: Channel | None, boot: str, known: Iterable[Peer | None], *, is_for_us: bool) -> None:
    """Raise RemoteProtocolError where a frame comes otherwise than its program speaks.

    Parameters
    ----------
    channel : Channel or None
        By which it came.
    boot : str
        Of the program that it names.
    is_for_us : bool
        Whether it names this program as the one that it is for.
    known : iterable of Peer or None
        Who is known at its address, and under that name.
    """
    if channel is not None:
        if boot != channel.standing.boot or not is_for_us:
            raise RemoteProtocolError("a frame of another program than the one that has sealed it")
    elif any(one is not None and one.link is not None and one.link.is_sealed for one in known):
        raise RemoteProtocolError("a frame without a seal, in the name of a program that seals")


def _explain(data: bytes, address: Address, *, is_here: bool) -> str:
    """Return what is the matter with a peer that was to prove who it is, and has answered as it comes."""
    if is_here:
        uri = f"{address.scheme}://127.0.0.1:{address.port}"
        return f"is on this PC and proves no key: write {uri} into the rigs file"
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return "answers what is no message"
    if isinstance(message, list) and message[:1] == [int(Event.ERROR)]:
        return _UNKNOWN
    about = (
        next((one for one in message[1:] if isinstance(one, dict)), {}) if isinstance(message, list) else {}
    )
    greeting = about.get("multirig")
    if isinstance(message, dict) or (isinstance(greeting, dict) and "hello" not in greeting):
        return _OLD
    return (
        "answers on IBL's wire, which cannot prove who it is: if it is a peer of IBL's, write "
        f"allow_ibl: [{address.host}] into the multirig.yaml of your own folder"
    )
