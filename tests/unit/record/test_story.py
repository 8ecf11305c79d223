"""A journal in words, sorted by who and what."""

from __future__ import annotations

import datetime
import json

from multirig.lifecycle.session_events import AgreeRequested, ClockRead, Marked, RigsChosen, StepRequested
from multirig.lifecycle.session_states import SessionTrigger
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import Address, Received, Refused, Replied, TimedOut, Token
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import AskInfo
from multirig.record.entries import RECOVERY, beginning_line, input_line, parse_lines
from multirig.record.history import retrace
from multirig.record.story import CONDUCTOR, Kind, Line, choose, tell
from multirig.version import __version__

CAMERAS = Address("udp", "10.0.0.2", 1)
KEY = (1, "cameras")


def lines_of(*inputs: object) -> list[Line]:
    data = beginning_line(1) + b"".join(input_line(one, 2) for one in inputs)
    return list(tell(retrace(parse_lines(data)).moments))


def say(event: Event, **data: object) -> Received:
    return Received(address=CAMERAS, token=Token(CAMERAS, 2, 1), word=hear_rig(Message(event, (30, data))))


def test_each_line_has_a_kind() -> None:
    lines = lines_of(
        RigsChosen(rigs={"cameras": CAMERAS}),
        AgreeRequested(subject="SP_01", date=datetime.date(2026, 1, 31), number=1, ask=AskInfo()),
        Replied(address=CAMERAS, key=KEY, word=hear_rig(Message(Event.EXPINFO, (10, {})))),
        Refused(address=CAMERAS, key=KEY, reason="no"),
        TimedOut(address=CAMERAS, key=KEY, confirmed=True),
        say(Event.EXPSTATUS, state="running"),
        say(Event.EXPSTATUS, state="broken", failure="camera left is gone"),
        Noticed(rig="cameras", notice=Notice.BACK, text="is back"),
        ClockRead(rig="cameras", at=1, offset=1, bound=1, drift=0.0, round_trip=1, steps=0),
        Marked(text="drug", at=1, data={}),
    )
    assert [str(one.kind) for one in lines] == [
        *("other", "other", "step", "answer", "alarm", "alarm", "news", "alarm", "alarm", "clock", "marker"),
    ]


def test_lines_are_chosen_by_rig_and_kind_and_all_are_where_none_is_named() -> None:
    lines = lines_of(
        RigsChosen(rigs={"cameras": CAMERAS}),
        Noticed(rig="cameras", notice=Notice.LOST, text="is lost"),
        Marked(text="drug", at=1, data={}),
    )
    assert list(choose(lines)) == lines
    assert [one.what for one in choose(lines, who=["cameras"])] == ["is lost"]
    assert [one.what for one in choose(lines, kinds=[Kind.MARKER, Kind.ALARM])] == ["is lost", "marked: drug"]
    assert list(choose(lines, who=[CONDUCTOR], kinds=[Kind.ALARM])) == []


def test_what_a_rig_says_of_a_take_over_is_told() -> None:
    def info(**data: object) -> Replied:
        return Replied(address=CAMERAS, key=KEY, word=hear_rig(Message(Event.EXPINFO, (20, data))))

    asked, kept, given = lines_of(
        info(led_by="pc (10.0.0.1)", asking=30.0),
        info(led_by="pc (10.0.0.1)", decided="'no' was typed there"),
        info(decided="'yes' was typed there"),
    )[1:]
    assert "led by pc (10.0.0.1), asks the person there whether it may be taken over" in asked.what
    assert "led by pc (10.0.0.1), not handed over: 'no' was typed there" in kept.what
    assert "may be taken over: 'yes' was typed there" in given.what


def test_who_led_and_who_asked_is_said_where_it_is_known() -> None:
    leader = {"pc": "behaviour", "person": "ada"}
    data = beginning_line(1, leader=leader) + input_line(
        StepRequested(number=1, trigger=SessionTrigger.AGREE, data={"by": "bob", "message": "it is late"}), 2
    )
    data += beginning_line(3, kind=RECOVERY, leader={"pc": "office"}) + beginning_line(4, kind=RECOVERY)
    said = [one.what for one in tell(retrace(parse_lines(data)).moments)]
    died = "took the place of the program that led the session and had died"
    assert said == [
        f"opened the journal (multirig {__version__}, led by ada on behaviour)",
        "asked for the step 'agree', by bob: it is late",
        f"{died} (on office)",
        died,
    ]


def test_what_a_journal_says_of_who_led_is_taken_only_where_it_is_a_name() -> None:
    odd = json.dumps(
        {"at": 1, "wall": "2026-01-31T12:00:00+00:00", "kind": "Opened", "data": {"person": [1]}}
    )
    history = retrace(parse_lines(odd.encode() + b"\n"))
    assert (history.unreadable, history.moments[0].person) == ([], None)
