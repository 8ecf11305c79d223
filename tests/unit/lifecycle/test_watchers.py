from __future__ import annotations

import itertools
from typing import Any

import pytest

from multirig.lifecycle.handing_over import HandingRule
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import Done, Measured, SpaceMeasured, SubjectChosen
from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.watchers import LONGEST_LEASE, MAX_WATCHERS, TELL_AGAIN, TELL_EVERY
from multirig.protocol.codec import encode_text
from multirig.protocol.dialect import hear_leader, read_health, write
from multirig.protocol.events import SECOND, Address, Call, Fail, Received, Reply, Settle, Tell, Token, Told
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Health, Report

CONDUCTOR, SCREEN = Address("udp", "10.0.0.1", 50_000), Address("udp", "10.0.2.1", 50_000)
ONE = "2024-05-06_1_SP_01"
MTU = 1_400
"""Bytes of a datagram that goes in one piece."""


class Rig:
    """A rig's machine, a conductor and those who look on."""

    def __init__(self, **options: Any) -> None:
        self.machine = RigMachine(name="cam", about=Report(adapter="fake", version="1.0"), **options)
        self.now = 0
        self._numbers = itertools.count(1)

    def hear(self, address: Address, event: Event, *args: Any, wire: int = 2, boot: str = "") -> list[Any]:
        token = Token(address, wire, next(self._numbers), boot or address.host)
        word = hear_leader(Message(event, args))
        return [*self.machine.handle(Received(address=address, word=word, token=token), self.now)]

    def watch(self, seconds: object = 15, address: Address = SCREEN, **more: Any) -> list[Any]:
        return self.hear(address, Event.EXPSTATUS, 0, {"watch": seconds}, **more)

    def feed(self, event: Any) -> list[Any]:
        return [*self.machine.handle(event, self.now)]

    def lead(self, event: Event, *args: Any) -> list[Any]:
        """Command as a conductor; the adapter does it at once."""
        out = self.hear(CONDUCTOR, event, *args)
        for call in [one for one in out if isinstance(one, Call)]:
            out += self.feed(Done(number=call.number))
        return out

    def record(self) -> list[Any]:
        return [*self.lead(Event.EXPINIT, {"exp_ref": ONE}), *self.lead(Event.EXPSTART, ONE, None)]

    def pass_time(self, seconds: float) -> list[Any]:
        """Let timers ring until then."""
        until, out = self.now + round(seconds * SECOND), []
        while (at := self.machine.get_timer()) is not None and at <= until:
            self.now = max(self.now, at)
            out += self.machine.handle_timer(self.now)
        self.now = until
        return out


def told(actions: list[Any], address: Address = SCREEN) -> list[Any]:
    """Return what somebody was told of the rig."""
    return [write(one.word).args[1] for one in actions if isinstance(one, Tell) and one.address == address]


def test_whoever_wants_to_watch_is_answered_with_the_report() -> None:
    rig = Rig(main_sync=True, subject="SP_01")
    rig.feed(SpaceMeasured(free=10**12, hours_left=27.5))
    [answer] = rig.watch()
    assert isinstance(answer, Reply)
    news = write(answer.word).args[1]
    expected = {
        "state": "connected",
        "adapter": "fake",
        "version": "1.0",
        "main_sync": True,
        "subject": "SP_01",
        "disk_free": 10**12,
        "hours_left": 27.5,
        "led_by": None,
    }
    assert {key: news[key] for key in expected} == expected


def test_it_is_told_every_second_for_as_long_as_the_lease_lasts() -> None:
    rig = Rig()
    rig.watch(5)
    assert len(told(rig.pass_time(20))) == 4
    assert rig.machine.get_timer() is None


def test_a_lease_that_is_renewed_goes_on() -> None:
    rig = Rig()
    beats = []
    for _ in range(4):
        rig.watch(15)
        beats += told(rig.pass_time(5))
    assert len(beats) == 20


def test_a_lease_of_nothing_ends_it_and_wants_no_answer() -> None:
    rig = Rig()
    rig.watch()
    assert [type(one) for one in rig.watch(0)] == [Settle]
    assert rig.pass_time(60) == []


@pytest.mark.parametrize("seconds", [10**15, 1e15, 3600])
def test_no_lease_is_longer_than_the_longest(seconds: object) -> None:
    rig = Rig()
    rig.watch(seconds)
    assert len(told(rig.pass_time(300))) == LONGEST_LEASE - 1


@pytest.mark.parametrize("seconds", [10**400, float("inf"), float("nan")])
def test_a_lease_without_end_is_refused(seconds: object) -> None:
    rig = Rig()
    answer, _ = rig.watch(seconds)
    assert isinstance(answer, Fail)
    assert rig.machine.get_timer() is None


@pytest.mark.parametrize("seconds", [None, True, "15", [15], {}])
def test_what_is_no_lease_is_a_question_for_the_status(seconds: object) -> None:
    rig = Rig()
    [answer] = rig.watch(seconds)
    assert isinstance(answer, Reply)
    assert rig.machine.get_timer() is None


def test_a_foreign_peer_gets_no_lease() -> None:
    rig = Rig()
    [answer] = rig.watch(wire=1)
    assert write(answer.word) == Message(Event.EXPSTATUS, (0,))
    assert rig.machine.get_timer() is None


def test_the_one_that_has_asked_longest_ago_makes_room_for_another() -> None:
    rig = Rig()
    screens = [Address("udp", f"10.0.2.{index}", 50_000) for index in range(MAX_WATCHERS + 1)]
    for screen in screens[:-1]:
        rig.watch(address=screen)
    rig.watch(address=screens[0])
    rig.watch(address=screens[-1])
    beats = rig.pass_time(TELL_EVERY / SECOND)
    assert {one.address for one in beats} == {*screens} - {screens[1]}


def test_a_screen_that_asks_again_from_elsewhere_is_told_there_only() -> None:
    rig = Rig()
    elsewhere = Address("udp", "10.0.2.7", 60_000)
    rig.watch(boot="screen")
    rig.watch(address=elsewhere, boot="screen")
    assert {one.address for one in rig.pass_time(1)} == {elsewhere}


def test_every_change_of_state_is_told_at_once() -> None:
    rig = Rig()
    rig.watch()
    states = [news["state"] for news in told(rig.record())]
    assert states == ["initialising", "initialised", "starting", "running"]


def test_a_change_is_told_again_soon_since_a_heartbeat_may_be_lost() -> None:
    rig = Rig()
    rig.watch()
    rig.record()
    assert [one["state"] for one in told(rig.pass_time(TELL_AGAIN / SECOND))] == ["running"]
    assert told(rig.pass_time(0.9)) == []
    assert len(told(rig.pass_time(0.1))) == 1


def test_a_change_of_leader_or_subject_is_told_at_once() -> None:
    rig = Rig(take_over=HandingRule(ask=None, allows=True))
    rig.watch()
    [news] = told(rig.feed(SubjectChosen(subject="SP_01")))
    assert news["subject"] == "SP_01"
    rig.record()
    other = Address("udp", "10.0.0.2", 50_000)
    [news] = told(rig.hear(other, Event.EXPINFO, 0, {"take_over": True}))
    assert news["led_by"] == str(other)


def test_a_recording_that_ends_by_itself_for_want_of_a_conductor_is_told_at_once() -> None:
    rig = Rig(stop_after=2 * SECOND)
    rig.record()
    rig.watch()
    beats = told(rig.pass_time(3))
    assert "stopped by itself" in next(one["failure"] for one in beats if one["state"] == "stopping")


def test_what_changes_nothing_is_told_with_the_next_heartbeat() -> None:
    rig = Rig()
    rig.record()
    rig.watch()
    assert rig.feed(Measured(health=read_health({"frames": 7}) or Health())) == []
    assert [one["health"]["frames"] for one in told(rig.pass_time(1))] == [7]


def test_whoever_leads_and_watches_is_told_once() -> None:
    rig = Rig()
    rig.watch(address=CONDUCTOR, boot=CONDUCTOR.host)
    out = rig.record()
    states = [one["state"] for one in told(out, CONDUCTOR)]
    assert states == [*dict.fromkeys(states)]


def test_the_conductor_hears_as_often_as_without_a_screen() -> None:
    with_screen, without = Rig(), Rig()
    with_screen.watch()
    for rig in (with_screen, without):
        rig.record()
    beats = [told(rig.pass_time(10), CONDUCTOR) for rig in (with_screen, without)]
    assert len(beats[0]) == len(beats[1])


def test_a_screen_leads_nobody_and_keeps_no_recording_alive() -> None:
    rig = Rig(stop_after=5 * SECOND)
    rig.record()
    for _ in range(10):
        rig.watch()
        rig.feed(Told(address=SCREEN, word=hear_leader(Message(Event.EXPSTATUS, (0, {}))), boot=SCREEN.host))
        rig.pass_time(1)
    assert rig.machine.leader is not None
    assert rig.machine.leader.address == CONDUCTOR
    assert rig.machine.state is RigState.STOPPING


def test_a_screen_may_look_on_where_it_may_not_command() -> None:
    rig = Rig()
    rig.record()
    assert isinstance(rig.watch()[0], Reply)
    assert rig.machine.state is RigState.RUNNING
    assert rig.machine.leader is not None
    assert rig.machine.leader.address == CONDUCTOR


def test_a_report_goes_in_one_piece_through_any_network() -> None:
    rig = Rig(main_sync=True, subject="a_subject_with_quite_a_long_name")
    rig.feed(SpaceMeasured(free=10**14, hours_left=12345.67))
    rig.record()
    rig.feed(
        Measured(
            health=read_health({"frames": 10**9, "bytes": 10**14, "dropped": 10**6, "rate": 499.98765})
            or Health()
        )
    )
    [answer] = rig.watch()
    assert len(encode_text(write(answer.word))) < MTU // 2
