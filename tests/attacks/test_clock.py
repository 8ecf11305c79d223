"""What somebody on the path can make of the clock: by forgeries nothing, by delays what the bound says."""

from __future__ import annotations

import hashlib
import heapq
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from multirig.protocol.clock import ClockMap
from multirig.transports.probe import ClockPort, ClockProber, Exchange, Target
from multirig.trust.clock_seal import ClockSeal

pytestmark = pytest.mark.attack

RIG, LEADER = "1" * 16, "2" * 16
KEYS = [hashlib.blake2b(name, digest_size=32).digest() for name in (b"to the rig", b"to the PC")]
MS = 1_000_000


class Middle:
    """Sits between two PCs: what passes can be delayed, copied, kept and forged. Both have the same clock."""

    def __init__(self, port: int) -> None:
        self._rig = ("127.0.0.1", port)
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.there, self.back_again = 0.0, 0.0
        """Seconds that each way takes."""
        self.stamps_late = 0.0
        """Seconds by which what follows an answer is held back besides."""
        self.harm: Callable[[bytes, bool], list[bytes]] = lambda data, is_to_rig: [data]
        self.heard: list[tuple[bytes, bool]] = []
        self._leader: Any = None
        self._late: list[tuple[float, int, bytes, bool]] = []
        self._count = 0
        self._is_over = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        for one in (self.front, self.back):
            one.setblocking(False)
        while not self._is_over:
            for one, is_to_rig in ((self.front, True), (self.back, False)):
                try:
                    data, sender = one.recvfrom(2_000)
                except BlockingIOError:
                    continue
                if is_to_rig:
                    self._leader = sender
                self.heard.append((data, is_to_rig))
                late = self.there if is_to_rig else self.back_again
                late += self.stamps_late if data[1:2] == b"\x13" else 0.0
                for changed in self.harm(data, is_to_rig):
                    self._count += 1
                    heapq.heappush(self._late, (time.monotonic() + late, self._count, changed, is_to_rig))
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, data, is_to_rig = heapq.heappop(self._late)
                if is_to_rig:
                    self.back.sendto(data, self._rig)
                elif self._leader is not None:
                    self.front.sendto(data, self._leader)
            time.sleep(20e-6)

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self.front.close()
        self.back.close()


class Clocks:
    """A rig's port and a leading PC's prober, with a man in the middle."""

    def __init__(self) -> None:
        self.at_rig, self.at_pc = ClockMap(), ClockMap()
        theirs = ClockSeal(b"the-rig.", b"the-pc..", (KEYS[1], KEYS[0]), LEADER)
        self.seal = ClockSeal(b"the-pc..", b"the-rig.", (KEYS[0], KEYS[1]), RIG)
        self.taken: list[Exchange] = []
        self._port = ClockPort(
            RIG,
            permits=lambda host: False,
            report=lambda boot, exchange: self._take(exchange),
            find_seal=lambda index: theirs if index == b"the-rig." else None,
        )
        self.middle = Middle(self._port.open("127.0.0.1"))
        self._prober = ClockProber(LEADER)

    def _take(self, one: Exchange) -> None:
        self.taken.append(one)
        self.at_rig.add(one.sent, one.heard, one.answered, one.received, slack=one.slack)

    def measure(self, bursts: int = 1) -> int:
        """Return how many exchanges have come about."""
        count = 0
        for _ in range(bursts):
            target = Target(RIG, "127.0.0.1", self.middle.port, self.seal)
            for one in self._prober.measure([target]).result()[RIG]:
                self.at_pc.add(one.sent, one.heard, one.answered, one.received, slack=one.slack)
                count += 1
        return count

    def errors(self) -> list[tuple[int, int]]:
        """Return how wrong each side is, and what it says of that; ns. The truth is 0."""
        out = []
        for one in (self.at_pc, self.at_rig):
            reading = one.read(time.perf_counter_ns())
            if reading is not None:
                out.append((abs(reading.offset), reading.bound))
        return out

    def steps(self) -> int:
        return len(self.at_pc.steps) + len(self.at_rig.steps)

    def close(self) -> None:
        self._prober.close()
        self._port.close()
        self.middle.close()


@pytest.fixture
def clocks() -> Any:
    made = Clocks()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("there", "back", "stamps"),
    [
        (0.0, 0.0, 0.0),
        (0.02, 0.0, 0.0),
        (0.0, 0.02, 0.0),
        (0.005, 0.02, 0.0),
        (0.0, 0.0, 0.03),
        (0.02, 0.0, 0.02),
    ],
)
def test_who_delays_is_always_within_the_bound(
    clocks: Any, note: Any, there: float, back: float, stamps: float
) -> None:
    clocks.middle.there, clocks.middle.back_again, clocks.middle.stamps_late = there, back, stamps
    assert clocks.measure(2) >= 3
    for error, bound in clocks.errors():
        assert error <= bound
        assert bound <= (there + back) * 0.5e9 + 20 * MS
    worst = max(clocks.errors())
    note(
        f"clock, delays of {there * 1e3:.0f} + {back * 1e3:.0f} ms: off by {worst[0] / 1e3:,.0f} µs, "
        f"bound {worst[1] / 1e3:,.0f} µs"
    )


def test_who_begins_to_delay_later_moves_nothing(clocks: Any, note: Any) -> None:
    """Limits that were once proved hold on; they widen as quickly as clocks may drift, and no quicker."""
    clocks.measure(3)
    before = max(error for error, _ in clocks.errors())
    clocks.middle.there = 0.03
    began = time.perf_counter_ns()
    clocks.measure(3)
    grown = (time.perf_counter_ns() - began) * 200e-6
    for error, bound in clocks.errors():
        assert error <= bound
        assert error <= before + grown + MS
    assert clocks.steps() == 0
    off = max(error for error, _ in clocks.errors()) / 1e3
    note(f"clock, 30 ms one way after a good beginning: off by {off:,.0f} µs")


@pytest.mark.parametrize(
    "kind", ["copied", "kept", "changed", "swapped", "sent back", "from before", "drowned"]
)
def test_what_is_forged_stamps_no_clock(clocks: Any, kind: str) -> None:
    clocks.measure(2)
    earlier = list(clocks.middle.heard)
    chance = random.Random(7)
    kept: list[bytes] = []

    def flip(data: bytes) -> bytes:
        at = chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]

    def keep(data: bytes, is_to_rig: bool) -> list[bytes]:
        kept.append(data)
        return [data, kept[chance.randrange(len(kept))]]

    ways: dict[str, Callable[[bytes, bool], list[bytes]]] = {
        "copied": lambda data, is_to_rig: [data] * 3,
        "kept": keep,
        "changed": lambda data, is_to_rig: [flip(data), data, flip(data)],
        "swapped": lambda data, is_to_rig: [
            data[:1] + bytes([kind]) + data[2:] for kind in (0x11, 0x12, 0x13)
        ],
        "sent back": lambda data, is_to_rig: [data, earlier[-1][0], earlier[0][0]],
        "from before": lambda data, is_to_rig: [
            *[old for old, to_rig in earlier if to_rig == is_to_rig][-30:],
            data,
        ],
        "drowned": lambda data, is_to_rig: [*[chance.randbytes(54) for _ in range(50)], data],
    }
    clocks.middle.harm = ways[kind]
    before = len(clocks.taken)
    clocks.measure(2)
    assert clocks.steps() == 0
    for error, bound in clocks.errors():
        assert error <= bound <= 20 * MS
    for one in clocks.taken[before:]:
        assert one.sent <= one.heard <= one.answered <= one.received, "a message came before it left"


def test_probes_that_are_not_sealed_are_nobodys(clocks: Any) -> None:
    """As 0.1 sends them, and any other text, from an address that has no key."""
    from multirig.transports.probe import _FORMAT, _MAGIC

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(0.2)
        for number in range(20):
            told = (_MAGIC, 1, LEADER.encode(), RIG.encode(), number, 10**15, 10**15, 1, 0)
            one.sendto(_FORMAT.pack(*told), clocks.middle._rig)
            one.sendto(b"\xf5\x11the-rig." + bytes(44), clocks.middle._rig)
        with pytest.raises(TimeoutError):
            one.recv(2_000)
    assert clocks.taken == []
