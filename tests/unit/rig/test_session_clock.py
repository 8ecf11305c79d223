"""What a rig knows of the session clock, and that it tells where that has jumped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from multirig.protocol.clock import ClockMap
from multirig.protocol.door import Door
from multirig.protocol.words import Level
from multirig.rig.session_clock import SessionClock

MS = 1_000_000
SECOND = 1000 * MS


def measure(clock: ClockMap, begin: int, end: int, offset: int) -> None:
    """Let exchanges tell an offset twice a second; times are of this PC, ns."""
    for at in range(begin, end, SECOND // 2):
        clock.add(at, at + MS + offset, at + MS + offset, at + 2 * MS)


def make(*clocks: ClockMap) -> tuple[SessionClock, Any]:
    """Return a session clock, and the leader whose map is chosen by its number."""
    leader = SimpleNamespace(address=0)
    peers = SimpleNamespace(clock=lambda number: clocks[number])
    node: Any = SimpleNamespace(boot="0" * 16, door=Door(name="rig"), peers=peers)
    machine: Any = SimpleNamespace(leader=leader, name="cam")
    return SessionClock(node, machine, lambda: 60 * SECOND), leader


def test_a_clock_that_goes_evenly_is_not_told_of() -> None:
    clock = ClockMap()
    measure(clock, 0, 60 * SECOND, 5 * SECOND)
    assert make(clock)[0].find_jumps(0) == ()


def test_a_jump_of_the_map_that_stamps_is_found_since_the_recording_began() -> None:
    clock = ClockMap()
    measure(clock, 0, 30 * SECOND, 0)
    measure(clock, 30 * SECOND, 60 * SECOND, -100 * MS)
    session_clock, _ = make(clock)
    (found,) = session_clock.find_jumps(10 * SECOND)
    assert (found.level, found.kind) == (Level.WARNING, "clock")
    assert found.text.startswith("its view of the leading PC's clock jumped by 100.0 ms:")
    assert session_clock.find_jumps(40 * SECOND) == ()


def test_another_leader_with_another_clock_is_a_jump_and_with_the_same_is_none() -> None:
    one, same, other = ClockMap(), ClockMap(), ClockMap()
    for clock, offset in ((one, 0), (same, 0), (other, 7 * SECOND)):
        measure(clock, 0, 60 * SECOND, offset)
    session_clock, leader = make(one, same, other)
    session_clock.find()
    leader.address = 1
    assert session_clock.find_jumps(0) == ()
    leader.address = 2
    (found,) = session_clock.find_jumps(0)
    assert "jumped by 7" in found.text
    session_clock.begin()
    assert session_clock.find_jumps(0) == ()
