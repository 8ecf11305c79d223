"""Simulated labs, with a tap on their network; mend this file when the simulator changes, never the data.

A lab is kept as its scenario and not as its seed: what a seed draws changes with all that the simulator
learns. A scenario that lacks a new key must be read with that thing left out.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.unit.corpus.driver import Line, from_bytes

from multirig.protocol.events import Address
from multirig.sim.lab import Lab
from multirig.sim.scenario import Scenario


def listen_in(scenario: dict[str, Any]) -> list[tuple[int, Address, Address, bytes]]:
    """Let a scenario happen; return every datagram that left a PC: when, whence, whereto, which bytes."""
    lab = Lab(Scenario.from_json(json.dumps(scenario)))
    world, heard = lab.world, []
    carry = world.carry

    def tap(data: bytes, source: Address, target: Address) -> None:
        heard.append((world.time, source, target, data))
        carry(data, source, target)

    world.carry = tap  # type: ignore[method-assign]
    lab.run()
    return heard


def to_lines(scenario: dict[str, Any]) -> list[Line]:
    """Return every datagram of a scenario as lines of the corpus."""
    return [
        {"at": at, "who": str(source), "to": str(target), **from_bytes(data)}
        for at, source, target, data in listen_in(scenario)
    ]


def to_digest(scenario: dict[str, Any]) -> Line:
    """Return how many datagrams there are in a scenario, and one checksum of them all."""
    digest = hashlib.blake2b(digest_size=16)
    heard = listen_in(scenario)
    for at, source, target, data in heard:
        digest.update(f"{at} {source} {target} ".encode() + data + b"\n")
    return {"datagrams": len(heard), "blake2b": digest.hexdigest()}
