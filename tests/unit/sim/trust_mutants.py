"""Planted bugs of labs with keys: what a stranger gets through by each, an invariant must notice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from tests.unit.sim.planting import Mutant, change, swap, swapped

import multirig.protocol.node as nodes
import multirig.trust.channel as channels
from multirig.protocol.door import Door
from multirig.protocol.events import Address
from multirig.protocol.sealing import Seals
from multirig.sim.operator import Script
from multirig.sim.scenario import ConductorPlan, Fault, RigPlan, Scenario
from multirig.trust.admission import Admission
from multirig.trust.noise import Handshake


class _HeadApart:
    """Seals a content, and not the head before it."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)

    def encrypt(self, nonce: bytes, content: bytes, head: bytes) -> bytes:
        return self._cipher.encrypt(nonce, content, None)

    def decrypt(self, nonce: bytes, content: bytes, head: bytes) -> bytes:
        return self._cipher.decrypt(nonce, content, None)


@contextmanager
def seal_one_way() -> Iterator[None]:
    """Use one key both ways, and say in nothing sealed whose channel it is: two rooms keep one promise."""
    split = Handshake.split
    with (
        swapped(Handshake, "split", lambda self: (min(split(self)),) * 2),
        swapped(channels, "ChaCha20Poly1305", _HeadApart),
    ):
        yield


def move_at_once(original: Any) -> Any:
    def receive(self: Seals, packet: bytes, index: bytes, address: Address, now: int) -> Any:
        if (kept := self.channels.get(index)) is not None:
            kept.address = address
        return original(self, packet, index, address, now)

    return receive


@contextmanager
def take_plain_frames() -> Iterator[None]:
    """Let in what is not sealed, and look for no seal where a program is known that seals: two locks."""
    receive, drops = Door.receive, Door.drops

    def take(self: Door, data: bytes, address: Address, now: int, **more: Any) -> Any:
        if data[:1] == b"{":
            return Admission.OPEN
        return receive(self, data, address, now, **more)

    with (
        swapped(Door, "receive", take),
        swapped(Door, "drops", lambda self, data, *where: data[:1] != b"{" and drops(self, data, *where)),
        swapped(nodes, "check_seal", lambda *args, **more: None),
    ):
        yield


def end_at_once(original: Any) -> Any:
    def receive_lost(self: Seals, index: bytes, address: Address, now: int) -> Any:
        kept = self.channels.of_theirs(index)
        outcome = original(self, index, address, now)
        if kept is not None:
            self.channels.drop(kept)
        return outcome

    return receive_lost


def answer_at_length(original: Any) -> Any:
    def receive_hello(self: Seals, packet: bytes, address: Address, size: int, now: int) -> Any:
        return original(self, packet, address, 10_000, now)

    return receive_hello


def leave_open(
    self: Door, boot: str, address: Address, frames: list[bytes], now: int
) -> list[tuple[Address, bytes]]:
    return [(address, one) for one in frames]


TRUST_MUTANTS: Mapping[str, tuple[Mutant, str]] = {
    "no replay check": (swap(channels.Seen, "is_new", lambda self, number: True), "words are their own"),
    "one key both ways": (seal_one_way, "words are their own"),
    "a link moves before anything is proved": (
        change(Seals, "_receive_sealed", move_at_once),
        "links lead home",
    ),
    "a frame without a seal is taken": (take_plain_frames, "words are their own"),
    "a lost channel is believed lost": (
        change(Seals, "_receive_lost", end_at_once),
        "strangers change nothing",
    ),
    "frames leave as they are": (swap(Door, "close", leave_open), "nothing unsealed"),
    "every hello is answered": (change(Seals, "receive_hello", answer_at_length), "no more than came"),
}
"""By what is wrong: how to plant it, and which invariant must notice."""

TROUBLED = Scenario(
    seed=1,
    rigs=(RigPlan(name="rig1", main_sync=True), RigPlan(name="rig2")),
    conductors=(ConductorPlan(name="leader", script=Script(record=8.0)),),
    faults=(Fault(kind="stranger", who="rig1", after="agree", lasts=20.0, amount=15.0),),
    sealed=True,
)
"""A good lab with keys, and a stranger in it."""
