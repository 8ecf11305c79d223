"""A conductor that wants rigs of another one: what it asks, how long it waits, what it tells."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.lifecycle.test_session import (
    DATE,
    NAMES,
    REF,
    Session,
    address,
    hear,
    noticed,
    running,
    session_in,
)

from multirig.errors import AgreementError
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.session_events import AgreeRequested, HandingTold
from multirig.lifecycle.session_states import SessionState as S
from multirig.lifecycle.session_states import SessionTrigger as T
from multirig.lifecycle.step import ASK_EVERY, ASKING_LIMIT
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import hear_rig, write
from multirig.protocol.events import SECOND, Replied, Send, Upgraded
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import AskInfo
from multirig.record.recount import HARMLESS

LEADER = "behaviour-pc (10.0.0.1)"


def info(status: int = 20, **more: Any) -> Message:
    """Return what a rig says that another PC leads, or that was handed over."""
    state = "running" if status == 20 else "initialised"
    return Message(Event.EXPINFO, (status, {"state": state, "exp_ref": str(REF), **more}))


def asks(seconds: float = 30.0) -> Message:
    return info(led_by=LEADER, asking=seconds)


def said(session: Session) -> list[str]:
    return [f"{one.rig} {one.text}" for one in session.out if isinstance(one, HandingTold)]


def begin(*names: str, **options: Any) -> tuple[Session, int]:
    """Agree with rigs of which the first is the main sync and cam is led by another PC."""
    session = Session(*(names or NAMES), **options)
    session.feed(
        AgreeRequested(number=1, subject="SP_01", date=DATE, ask=AskInfo(subject="SP_01"), takes_over=True)
    )
    for name in names or NAMES:
        session.feed(Upgraded(address=address(name), boot=name, name=""))
    assert not any("would_take_over" in str(write(one.word).args) for one in session.open.values())
    for key in list(session.open):
        session.reply(key[1], info(led_by=LEADER) if key[1] == "cam" else None)
    return session, 1


def test_it_asks_for_leave_once_all_else_is_agreed_and_touches_nobody_before() -> None:
    session, number = begin()
    assert session.state is S.AGREEING
    asked = write(session.now("cam").word).args[1]
    assert asked["would_take_over"] is True
    assert asked["exp_ref"] == str(REF)
    for name in NAMES:
        if name != "cam":
            session.reply(name)
    session.reply("cam", info(decided="'yes' was typed there"))
    assert session.state is S.AGREED
    assert session.finished(number).error is None
    assert said(session) == ["cam may be taken over: 'yes' was typed there"]
    assert {event for name in NAMES for event in session.sends(name)} == {Event.EXPINFO}
    session.request(T.INIT)
    assert write(session.now("cam").word).args[0]["take_over"] is True


def test_a_session_that_takes_nothing_from_anybody_asks_nobody_for_leave() -> None:
    session = Session(*NAMES)
    session.feed(
        AgreeRequested(number=1, subject="SP_01", date=DATE, ask=AskInfo(subject="SP_01"), takes_over=True)
    )
    session.reply_all()
    assert session.state is S.AGREED
    assert session.sends("cam") == [Event.EXPINFO]


def test_while_the_person_there_is_asked_it_asks_again_every_second_and_says_so_once() -> None:
    session, _ = begin("main", "cam")
    session.reply("main")
    for second in range(30):
        session.reply("cam", asks(30.0 - second))
        assert session.state is S.AGREEING
        at = session.machine.get_timer()
        assert at is not None
        sent = session.tick(ASK_EVERY)
        assert [one.address for one in sent if isinstance(one, Send)] == [address("cam")]
    assert said(session) == [
        f"cam asks the person there whether this PC may take it over from {LEADER} (30 s)"
    ]
    session.reply("cam", info(decided="'yes' was typed there"))
    assert session.state is S.AGREED


def test_a_no_ends_the_agreement_with_the_words_of_the_rig() -> None:
    session, number = begin("main", "cam")
    session.reply("main")
    session.reply("cam", asks())
    session.tick(ASK_EVERY)
    session.reply("cam", info(led_by=LEADER, decided="'no' was typed there"))
    error = session.finished(number).error
    assert isinstance(error, AgreementError)
    assert str(error).startswith(
        f"cam is led by {LEADER} and was not handed over: 'no' was typed there; end the session there"
    )
    assert session.state is S.IDLE
    assert {*session.sends("cam")} == {Event.EXPINFO}


def test_a_rig_that_asks_for_ever_is_not_waited_for_for_ever() -> None:
    session, number = begin("main", "cam")
    session.reply("main")
    session.reply("cam", asks())
    session.tick(ASK_EVERY)
    send = session.now("cam")
    del session.open[send.key]
    session.feed(Replied(address=send.address, key=send.key, word=hear_rig(asks())), ASKING_LIMIT + SECOND)
    assert session.state is not S.AGREEING
    assert session.finished(number)


def test_a_rig_of_an_older_version_is_taken_over_as_it_was() -> None:
    """It knows no such question, and tells nothing of a decision."""
    session, _ = begin("main", "cam")
    session.reply("main")
    session.reply("cam", info(led_by=LEADER))
    assert session.state is S.AGREED
    session.request(T.INIT)
    assert write(session.now("cam").word).args[0]["take_over"] is True


def test_a_multirig_that_answers_on_wire_2_greets_no_more_and_is_no_peer_of_ibl() -> None:
    session, _ = begin("main", "cam")
    session.reply("main")
    session.reply("cam", info(decided="'yes' was typed there"))
    assert not session.machine.members.foreign


def test_an_optional_rig_that_asks_its_person_is_waited_for() -> None:
    session, _ = begin("main", "cam", policies={"cam": RigPolicy(role=Role.OPTIONAL)})
    session.reply("cam", asks())
    session.reply("main")
    session.tick(ASK_EVERY)
    assert session.state is S.AGREEING
    session.tick(20 * SECOND)
    assert session.state is S.AGREEING
    session.reply("cam", info(decided="'yes' was typed there"))
    assert session.state is S.AGREED


def test_what_another_leads_only_since_the_first_question_is_ended_where_the_beginning_fails() -> None:
    """A person said yes in the middle of another's start."""
    names = ("main", "ephys", "cam")
    session, _ = begin(*names)
    session.reply("main", info(main_sync=True, decided="'yes' was typed there"))
    session.reply("ephys")
    session.reply("cam", info(decided="'yes' was typed there"))
    session.request(T.INIT)
    session.reply("main")
    session.reply("cam")
    session.refuse("ephys", "is starting")
    assert session.state is S.ROLLING_BACK
    assert {session.sends(name)[-1] for name in names} == {Event.EXPCLEANUP}


def test_what_was_taken_over_is_ended_where_the_beginning_fails() -> None:
    session, _ = begin("main", "cam")
    session.reply("main")
    session.reply("cam", info(decided="'yes' was typed there"))
    assert session.machine.members.spared == frozenset()


@pytest.mark.parametrize("yes", [True, False])
def test_who_comes_to_recover_waits_for_the_person_too(*, yes: bool) -> None:
    session = session_in(S.RUNNING, "main", "cam")
    number = session.request(T.RECOVER, take_over=True)
    session.open = {key: one for key, one in session.open.items() if "recover=True" in str(one)}
    session.reply("main")
    session.reply("cam", asks())
    assert session.state is S.RECOVERING
    session.tick(ASK_EVERY)
    assert write(session.now("cam").word).args[1]["take_over"] is True
    word = "yes" if yes else "no"
    more: dict[str, Any] = {} if yes else {"led_by": LEADER}
    session.reply("cam", info(decided=f"'{word}' was typed there", **more))
    assert session.state is S.RECOVERED
    assert session.finished(number).error is None
    gone = session.request(T.GO_ON)
    if not yes:
        assert "'no' was typed there" in str([one for one in session.out if hasattr(one, "notice")])
    assert session.finished(gone).error is None


def test_a_rig_that_was_not_heard_learns_who_comes_back_as_soon_as_it_is_known_as_a_multirig() -> None:
    """On wire 1.0 only the greeting was sent: what the question was about, nobody there knows."""
    session = session_in(S.RUNNING, "main", "cam")
    session.request(T.RECOVER)
    session.open = {key: one for key, one in session.open.items() if "recover=True" in str(one)}
    session.reply("main")
    session.time_out("cam", confirmed=False)
    assert session.state is S.RECOVERED
    [send] = [one for one in session.feed(Upgraded(address=address("cam"), boot="b", name="")) if one]
    assert isinstance(send, Send)
    assert write(send.word).args[1] == {"exp_ref": str(REF), "recover": True}
    assert not session.feed(Upgraded(address=address("main"), boot="b", name=""))


def test_the_pc_that_leads_is_told_once_who_wants_its_rig_and_its_session_is_none_the_worse() -> None:
    session = running()
    for at in range(0, 2 * SECOND, SECOND // 4):
        hear(session, "cam", at, wanted_by="scanner-pc (10.0.0.9)")
    assert noticed(session) == [("cam", Notice.WANTED)]
    [one] = [one for one in session.out if isinstance(one, Noticed)]
    assert one.text == "scanner-pc (10.0.0.9) wants to take it over: the person there is asked"
    hear(session, "cam", 2 * SECOND)
    hear(session, "cam", 3 * SECOND, wanted_by="scanner-pc (10.0.0.9)")
    assert noticed(session) == [("cam", Notice.WANTED)] * 2
    assert Notice.WANTED in HARMLESS
    hear(session, "cam", 4 * SECOND, "failing", wanted_by="scanner-pc (10.0.0.9)", failure="no light")
    assert noticed(session)[-1] == ("cam", Notice.BROKEN)
