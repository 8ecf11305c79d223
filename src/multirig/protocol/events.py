"""What goes in and out of the pure core.

Events are past participles: something happened. Actions are imperatives: let it be done.
A key is chosen by whoever sends a request and comes back with its outcome.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import Complaint, Word


class Address(NamedTuple):
    """Where a peer is, as its transport writes it; the core only compares it."""

    scheme: str
    """``udp``, ``tcp`` or ``memory``."""
    host: str
    """IP address in text."""
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


RESTARTED = "the program on that PC was restarted and has forgotten the request"
"""Reason of a `Refused` that comes of a restart: whether anything was done is unknown."""
WITHDRAWN = "withdrawn for an interrupt"
"""Reason of a `Refused` that comes from our own side."""
SECOND = 1_000_000_000
"""Nanoseconds; every time in the core is an integer number of them."""


@dataclass(frozen=True, slots=True)
class Token:
    """Stands for one request of a peer, so that it can be answered once."""

    address: Address
    """Who asked."""
    wire: int
    """1 or 2: the answer goes back on the wire that carried the request."""
    number: int
    """Which request, in its conversation."""
    peer: str = ""
    """Boot id of the peer on wire 2."""


# -- events: from a link to the machine -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A peer asks or tells something; it is handed up once, whatever the network repeats."""

    address: Address
    word: Word
    token: Token
    """Answer with ``Reply(token, ...)`` or ``Fail(token, ...)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The peer has our message; what it does with it is not known yet."""

    address: Address
    key: Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """The peer has done what was asked."""

    address: Address
    key: Hashable
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The peer says that it could not do what was asked."""

    address: Address
    key: Hashable
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """No reply within the limit: unknown, not lost."""

    address: Address
    key: Hashable
    confirmed: bool
    """Whether the peer at least has the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached:
    """The message could not be sent, or nobody had it when its time was up, and the network says why."""

    address: Address
    key: Hashable
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebooted:
    """A peer is back with another boot id: it has forgotten everything."""

    address: Address
    boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocated:
    """The program that was known at an address speaks from another one: its PC, or ours, has got it."""

    address: Address
    now_at: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgraded:
    """The peer is a multirig too and is spoken to in wire 2 from now on."""

    address: Address
    boot: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A peer's heartbeat: never older than the one before, but some are lost."""

    address: Address
    word: Word
    boot: str
    """Which program said it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Something came that is no message, or from somebody who may not speak here."""

    address: Address
    reason: str
    first: bool
    """Whether it is this peer's first: log that one, count the others."""
    is_stranger: bool = False
    """Whether its address may not speak here at all: whoever stands at this PC is told."""
    count: int = 1
    """How many have come from its address that were refused."""

    def __str__(self) -> str:
        return f"ignored from {self.address}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversized:
    """A message of wire 1.0, which is never cut, leaves longer than every peer reads; told once an event."""

    address: Address
    event: Event
    size: int
    """Bytes."""
    first: bool = True
    """As `Ignored` has it."""

    def __str__(self) -> str:
        return (
            f"{self.event.name} to {self.address} has {self.size:,} bytes: some peers of wire 1.0 read a "
            "thousand only, and a VPN or firewall may drop it whole; say less, or use a tcp:// address"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTried:
    """Whether a datagram of full size comes there and back."""

    address: Address
    passes: bool


# -- actions: from the machine to its links --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Ask a peer for something and report what became of it under ``key``."""

    address: Address
    word: Word
    key: Hashable
    limit: int = 10 * SECOND
    """Nanoseconds until the outcome is `TimedOut`."""
    overtakes: bool = False
    """Withdraw what else is still unsent or unconfirmed to this peer: an interrupt."""
    needs_reply: bool = True
    """False: the receipt is the outcome (ALYX with a token gets no reply)."""
    lasting: bool = False
    """Keep trying after the limit until the peer has it: a stop that a deaf rig gets when it is back."""
    gives_up: bool = False
    """End as soon as that PC says that nothing listens there: it is only asked whether somebody is there.
    Everything else is tried until its limit, since a service that is restarted listens again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Say something once, without receipt or repetition: a heartbeat; on wire 1.0 nothing is said."""

    address: Address
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Answer a request: the work is done."""

    token: Token
    word: Word
    key: Hashable | None = None
    """If given, what becomes of the answer is reported under it: `Replied` is the receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Answer a request: the work could not be done."""

    token: Token
    word: Complaint


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Take a message that wants no answer: the receipt was all."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """End the conversation with a peer; its outstanding requests have no outcome."""

    address: Address


# -- effects: from the machine to whoever runs the node -------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Run hooks of the adapter, one after the other, and report `Done` or `Failed` with this number."""

    number: int
    hooks: tuple[str, ...]
    preempts: bool = False
    """Cancel what is running now instead of waiting for it."""
    exp_ref: ExpRef | None = None
    start_at: int | None = None
    """When ``start`` shall happen, on the session clock; ns. None: at once."""
    heard_at: int | None = None
    """When the command came, on this PC's clock; ns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Write an input of the machine into the journal, before anything that follows from it leaves."""

    event: Any
    at: int
