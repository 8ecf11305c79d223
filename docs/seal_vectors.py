"""Test vectors of sealed links: a handshake and some packets, with all the keys that they were made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from multirig.protocol.events import Address
from multirig.protocol.sealing import PROLOGUE, Opened, Proved, Seals
from multirig.trust.certificate import LabKey
from multirig.trust.channel import Channel
from multirig.trust.clock_seal import ANSWER, PROBE, STAMPS, ProbeStamps
from multirig.trust.keys import Keys, Membership, public_key
from multirig.trust.packets import from_text
from multirig.trust.roles import Role

NOW = 1_800_000_000
ADDRESSES = Address("udp", "192.168.1.10", 50_000), Address("udp", "192.168.1.20", 11_001)
FRAME = b'{"multirig":2,"boot":"c0ffee00c0ffee00","to":"5eed00005eed0000","n":1,"low":1,"t":[1],"m":[32,0]}'


def make_seal_vectors() -> dict[str, Any]:
    """Return them; bytes are in hexadecimal."""
    lab = LabKey("cortexlab", _bytes("lab key"))
    shut_out = lab.shut_out(["0011223344556677"], number=NOW, now=NOW)
    pc, rig = (
        _member(lab, name, role) for name, role in (("behaviour-pc", Role.LEAD), ("video-pc", Role.RIG))
    )
    leads = Seals(
        pc, boot="c0ffee00c0ffee00", name="behaviour-pc", random=_draws("initiator"), wall=lambda: NOW
    )
    is_led = Seals(rig, boot="5eed00005eed0000", name="cameras", random=_draws("responder"), wall=lambda: NOW)
    hello = from_text(leads.greet(ADDRESSES[1], 0))
    is_led.receive_hello(hello, ADDRESSES[0], 900, 0)
    [(_, answer)] = is_led.take_out()
    there = leads.receive(answer, ADDRESSES[1], 0)
    [(_, proof)] = leads.take_out()
    here = is_led.receive(proof, ADDRESSES[0], 0)
    [(_, first)] = is_led.take_out()
    if not isinstance(there, Proved) or not isinstance(here, Proved):
        raise TypeError("the handshake of the vectors fails")
    sealed = there.channel.seal(FRAME)
    opened = is_led.receive(sealed, ADDRESSES[0], 0)
    if not isinstance(opened, Opened) or opened.content != FRAME:
        raise TypeError("the frame of the vectors does not arrive")
    return {
        "lab": {
            "name": "cortexlab",
            "private_key": lab.seed.hex(),
            "public_key": lab.lab.key.hex(),
            "id": lab.lab.id,
            "shut_out": {"signed": shut_out.text.decode(), "signature": shut_out.signature.hex()},
        },
        "initiator": _describe(pc, "initiator"),
        "responder": _describe(rig, "responder"),
        "prologue": (PROLOGUE + lab.lab.key).hex(),
        "hello": hello.hex(),
        "answer": answer.hex(),
        "proof": proof.hex(),
        "responder_is_there": first.hex(),
        "sealed_frame": {"number": 0, "content": FRAME.decode(), "packet": sealed.hex()},
        "clock": _make_clock(there.channel, here.channel),
    }


def _make_clock(there: Channel, here: Channel) -> dict[str, Any]:
    stamps = ProbeStamps(1_000_000_007, 1_000_000_009, 40)
    return {
        "number": 3,
        "stamps": [*stamps],
        "probe": there.clock.seal(PROBE, 3, stamps).hex(),
        "answer": here.clock.seal(ANSWER, 3).hex(),
        "stamps_of_answer": here.clock.seal(STAMPS, 3, stamps).hex(),
    }


def _describe(keys: Keys, who: str) -> dict[str, Any]:
    certificate = keys.memberships[0].certificate
    draw = _draws(who)
    return {
        "private_key": keys.private.hex(),
        "public_key": keys.public.hex(),
        "ephemeral_private_key": draw(32).hex(),
        "calls_the_channel": draw(8).hex(),
        "certificate": {"signed": certificate.text.decode(), "signature": certificate.signature.hex()},
    }


def _member(lab: LabKey, name: str, role: Role) -> Keys:
    private = _bytes(name)
    certificate = lab.certify(public_key(private), name, role, now=NOW)
    return Keys(private, (Membership(lab.lab, certificate),))


def _bytes(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=32).digest()


def _draws(who: str) -> Callable[[int], bytes]:
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.blake2b(f"{who} {count}".encode(), digest_size=size).digest()

    return draw
