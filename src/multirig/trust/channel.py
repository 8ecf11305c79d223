"""A sealed conversation of two programs, for as long as both run."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from multirig.errors import TrustError
from multirig.trust.certificate import Certificate
from multirig.trust.clock_seal import ClockSeal
from multirig.trust.noise import nonce
from multirig.trust.packets import COST, HEAD, NUMBER, head_of_sealed, number_of_sealed
from multirig.trust.roles import Role

WINDOW = 1_024
"""Packets by which one may be overtaken and still be taken."""
LAST_NUMBER = 2**60
"""Packets of one channel: more than are ever sent; then a new handshake is due."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is at the other end, proved by a handshake."""

    certificate: Certificate
    boot: str
    """Boot id of the program."""
    called: str
    """How the program calls itself: a rig's name, or its PC's."""

    @property
    def name(self) -> str:
        """Of the PC, as its lab knows it."""
        return self.certificate.name

    @property
    def role(self) -> Role:
        """What it may do."""
        return self.certificate.role


class Seen:
    """Which numbers have come: each counts once, however the network copies and overtakes."""

    def __init__(self) -> None:
        self.newest = -1
        """The highest that has come."""
        self._bits = 0
        """Bit i: the newest but i has come."""

    def is_new(self, number: int) -> bool:
        """Whether a number has not come, and is not so old that it cannot be told."""
        behind = self.newest - number
        return behind < 0 or (behind < WINDOW and not self._bits >> behind & 1)

    def note(self, number: int) -> None:
        """Take that it has come."""
        ahead = number - self.newest
        if ahead > 0:
            self._bits = (self._bits << ahead | 1) & _ALL if ahead < WINDOW else 1
            self.newest = number
        else:
            self._bits |= 1 << -ahead


_ALL = (1 << WINDOW) - 1


class Channel:
    """Seals what goes to one program, and opens what comes from it.

    Parameters
    ----------
    mine, theirs : bytes
        How each side calls it.
    keys : tuple of bytes
        To send and to receive with.
    clock_keys : tuple of bytes
        The same for probes of the clock.
    standing : Standing
        Who is at the other end.
    """

    def __init__(
        self,
        *,
        mine: bytes,
        theirs: bytes,
        keys: tuple[bytes, bytes],
        clock_keys: tuple[bytes, bytes],
        standing: Standing,
    ) -> None:
        self.mine = mine
        self.theirs = theirs
        self.clock = ClockSeal(mine, theirs, clock_keys, standing.boot)
        """Seals probes of the clock."""
        self.standing = standing
        self._sends, self._receives = (ChaCha20Poly1305(one) for one in keys)
        self._head = head_of_sealed(theirs)
        self._number = 0
        self._seen = Seen()
        self.is_newest = False
        """Whether what was opened last has left after all that was opened before."""

    def seal(self, content: bytes) -> bytes:
        """Return a packet with the content; TrustError: as many have been sent as one channel may carry."""
        number = self._number
        if number >= LAST_NUMBER:
            raise TrustError("the channel is used up")
        self._number = number + 1
        head = self._head + NUMBER.pack(number)
        return head + self._sends.encrypt(nonce(number), content, head)

    def has_come(self, packet: bytes) -> bool:
        """Whether a packet has a number that was taken already."""
        return len(packet) >= COST and not self._seen.is_new(number_of_sealed(packet))

    def open(self, packet: bytes) -> bytes:
        """Return what is in a sealed packet to this channel.

        Raises
        ------
        TrustError
            It was not made by the other side for this channel, or it has come before; nothing has changed.
        """
        if len(packet) < COST:
            raise TrustError("it sends sealed packets that end too early")
        number = number_of_sealed(packet)
        if not self._seen.is_new(number):
            raise TrustError("it sends sealed packets that have come before")
        try:
            content = self._receives.decrypt(nonce(number), packet[HEAD:], packet[:HEAD])
        except InvalidTag:
            raise TrustError("it sends sealed packets that were not made for us") from None
        self.is_newest = number > self._seen.newest
        self._seen.note(number)
        return content
