"""Clocks are measured over real sockets, and what is no probe does no harm."""

import random
import socket
import threading
import time

import pytest

from multirig.errors import ConfigError, TrustError
from multirig.protocol.clock import ClockMap
from multirig.transports.probe import BURST, ClockPort, ClockProber, Exchange, Target
from multirig.trust.clock_seal import ANSWER, PROBE, STAMPS, ClockSeal, ProbeStamps

RIG, CONDUCTOR = "1111111111111111", "2222222222222222"


class Ends:
    """A rig's port and a conductor's prober, and what both have measured."""

    def __init__(self, host="127.0.0.1", permits=lambda host: True, is_sealed=False):
        self.at_rig = []
        self.came = threading.Event()
        keys = bytes([1]) * 32, bytes([2]) * 32
        self.at_pc, self.of_rig = b"conducts", b"recorder"
        self.seal = ClockSeal(self.at_pc, self.of_rig, keys, RIG) if is_sealed else None
        self.seals = {self.of_rig: ClockSeal(self.of_rig, self.at_pc, keys[::-1], CONDUCTOR)}
        self.port = ClockPort(RIG, permits=permits, report=self.note, find_seal=self.seals.get)
        self.number = self.port.open(host)
        self.prober = ClockProber(CONDUCTOR)
        self.target = Target(RIG, "127.0.0.1" if host == "0.0.0.0" else host, self.number, self.seal)

    def note(self, boot, exchange):
        self.at_rig.append((boot, exchange))
        if len(self.at_rig) >= BURST // 2:
            self.came.set()

    def measure(self, *targets):
        return self.prober.measure(targets or [self.target]).result(20)

    def close(self):
        self.prober.close()
        self.port.close()


@pytest.fixture
def ends(request):
    made = Ends(**getattr(request, "param", {}))
    yield made
    made.close()


def follow(exchanges):
    clock = ClockMap()
    for sent, heard, answered, received, slack in exchanges:
        clock.add(sent, heard, answered, received, slack=slack)
    return clock.read(time.perf_counter_ns())


@pytest.mark.parametrize(
    "ends",
    [
        {"host": "127.0.0.1"},
        {"host": "0.0.0.0"},
        {"host": "::1"},
        {"host": "127.0.0.1", "is_sealed": True, "permits": lambda host: False},
        {"host": "::1", "is_sealed": True, "permits": lambda host: False},
    ],
    indirect=True,
    ids=lambda one: one["host"] + (" sealed" if "is_sealed" in one else ""),
)
def test_both_sides_of_a_burst_find_that_one_clock_is_no_further_off_than_the_bound(ends):
    exchanges = ends.measure()[RIG]
    assert len(exchanges) > BURST // 2
    assert ends.came.wait(10)
    assert {boot for boot, _ in ends.at_rig} == {CONDUCTOR}
    for measured in (exchanges, [one for _, one in ends.at_rig]):
        reading = follow(measured)  # both ends have the same clock: the truth is 0
        assert abs(reading.offset) <= reading.bound
        assert reading.round_trip >= 0


def test_bursts_follow_each_other_and_their_exchanges_do_not_mix(ends):
    for _ in range(3):
        ends.measure()
    assert ends.came.wait(10)
    for _, one in ends.at_rig:
        assert one.sent <= one.received
        assert one.received - one.sent < 5_000_000_000


def test_a_rig_that_is_not_there_costs_little_and_hides_nobody(ends):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        absent = Target("3" * 16, "127.0.0.1", deaf.getsockname()[1])
        measured = ends.measure(absent, ends.target)
    assert measured["3" * 16] == []
    assert len(measured[RIG]) > BURST // 2


def test_another_program_at_the_port_of_a_dead_one_is_not_taken_for_it(ends):
    assert ends.measure(Target("4" * 16, "127.0.0.1", ends.number)) == {"4" * 16: []}
    assert ends.at_rig == []


@pytest.mark.parametrize("ends", [{"permits": lambda host: False}], indirect=True, ids=["nobody may"])
def test_who_may_not_speak_to_the_rig_may_not_measure_its_clock(ends):
    assert ends.measure()[RIG] == []


def test_rubbish_at_the_port_is_ignored(ends):
    dice = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for length in [0, 1, 40, 64, 65, 66, 1400] * 30:
            stranger.sendto(dice.randbytes(length), ("127.0.0.1", ends.number))
    assert len(ends.measure()[RIG]) > BURST // 2


def test_a_port_on_an_address_of_another_pc_is_refused_in_words():
    port = ClockPort(RIG, permits=lambda host: True, report=lambda boot, exchange: None)
    with pytest.raises(ConfigError, match=r"no port to measure clocks at on 192\.0\.2\.1 cannot be had"):
        port.open("192.0.2.1")
    port.close()


def test_what_is_closed_answers_no_more_and_closes_twice(ends):
    ends.port.close()
    ends.port.close()
    assert ends.measure()[RIG] == []


def test_an_exchange_is_what_a_clock_map_takes():
    assert Exchange._fields == ("sent", "heard", "answered", "received", "slack")


SEALED = pytest.mark.parametrize(
    "ends", [{"is_sealed": True, "permits": lambda host: False}], indirect=True, ids=["sealed"]
)


@SEALED
@pytest.mark.attack
def test_who_has_no_key_moves_no_clock_and_gets_no_answer(ends):
    assert ends.measure(Target(RIG, "127.0.0.1", ends.number)) == {RIG: []}
    stranger = ClockSeal(ends.at_pc, ends.of_rig, (b"x" * 32, b"y" * 32), RIG)
    assert ends.measure(Target(RIG, "127.0.0.1", ends.number, stranger)) == {RIG: []}
    assert ends.at_rig == []
    assert len(ends.measure()[RIG]) > BURST // 2


@SEALED
@pytest.mark.attack
def test_probes_that_are_heard_and_said_again_are_answered_once(ends):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.settimeout(0.3)
        probes = [ends.seal.seal(PROBE, number) for number in (7, 8, 9)]
        for one in probes:
            opened.sendto(one, ("127.0.0.1", ends.number))
        came = [opened.recv(2_000) for _ in range(6)]
        assert [one[1] for one in came] == [ANSWER, STAMPS] * 3
        assert {len(one) for one in came} == {len(probes[0])}
        for one in (*probes, *came, probes[0][:-1], b"\xf5", b""):
            opened.sendto(one, ("127.0.0.1", ends.number))
        with pytest.raises(TimeoutError):
            opened.recv(2_000)


def test_what_is_sealed_is_sealed_for_one_direction_and_one_number():
    keys = bytes([1]) * 32, bytes([2]) * 32
    here, there = (
        ClockSeal(b"conducts", b"recorder", keys, RIG),
        ClockSeal(b"recorder", b"conducts", keys[::-1], ""),
    )
    probe = here.seal(PROBE, 5, ProbeStamps(-3, 4, 2**40))
    assert there.open(probe) == (-3, 4, 2**32 - 1)
    for wrong in (probe, probe[:1] + bytes([ANSWER]) + probe[2:], here.seal(PROBE, 5), here.seal(PROBE, 4)):
        with pytest.raises(TrustError):
            there.open(wrong)
    with pytest.raises(TrustError):
        here.open(here.seal(PROBE, 6))
    assert there.open(here.seal(PROBE, 6)) == (0, 0, 0)
