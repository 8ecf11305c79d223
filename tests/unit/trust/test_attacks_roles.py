"""Which words are for whom: all that a rig understands, said by each role."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.trust.lab import boot, certify, keys

from multirig.keyring.door import Access, make_leading_door
from multirig.lifecycle.watchers import MAX_WATCHERS, Watchers
from multirig.protocol import holdings, words
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import Address, Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.holdings import AskHoldings
from multirig.protocol.messages import Event, Message, Status
from multirig.protocol.rights import object_to, object_to_asker, object_to_led
from multirig.protocol.sealing import needs_a_rig
from multirig.protocol.words import (
    AlyxToken,
    AskInfo,
    AskStatus,
    AskToken,
    Greeting,
    Lease,
    Report,
    WantPictures,
    Word,
)
from multirig.trust.channel import Standing
from multirig.trust.roles import Role

pytestmark = pytest.mark.attack

REF = ExpRef.parse("2024-05-06_2_x")
LOOKS = [
    AskInfo(),
    AskInfo(whose=True),
    AskInfo(greeting=Greeting(wire=2, boot="1", name="x")),
    AskStatus(),
    Lease(seconds=30.0),
    WantPictures(),
    AskHoldings(sessions=(REF,)),
]
ASKS: dict[str, Any] = {
    "take_over": True,
    "would_take_over": True,
    "recover": True,
    "exp_ref": REF,
    "subject": "SP_01",
    "min_sequence": 10**9,
    "main_sync": True,
    "experiment_description": {"devices": {}},
    "more": {"x": 1},
}


def standing(role: Role) -> Standing:
    return Standing(certify("office-pc", role), boot("office-pc"), "office-pc")


def say(event: Event, *args: Any) -> Word:
    """Return what a rig hears."""
    return hear_rig(Message(event, args))


COMMANDS = [
    say(Event.EXPINIT, {"exp_ref": str(REF)}),
    say(Event.EXPINIT, {"exp_ref": str(REF), "rehearsal": True}),
    say(Event.EXPSTART, str(REF), {"start_at": 5}),
    say(Event.EXPSTART, str(REF), {"resume": True}),
    say(Event.EXPEND, {}),
    say(Event.EXPINTERRUPT, {"take_over": True}),
    say(Event.EXPCLEANUP, {}),
    say(Event.EXPSTATUS, 0, {"mark": {"text": "x", "at": 1.0, "data": {}}}),
    say(Event.EXPSTATUS, 20, {"exp_ref": str(REF)}),
    say(Event.EXPSTATUS, 0, {"collect": {"to": "/mnt/lab", "sessions": []}}),
    say(Event.EXPSTATUS, 0, {"collect": {"to": None}}),
    say(Event.EXPSTATUS, 0, {"clear": {"to": "/mnt/lab", "sessions": [str(REF)]}}),
    say(Event.ALYX, "https://alyx.example.org", {"anna": {"token": "x"}}),
    say(Event.ALYX, "https://alyx.example.org", {}),
    say(Event.ERROR, "x", 0),
    say(Event.EXPINFO, 0, {"check": {"seconds": 60}}),
    *[AskInfo(**{name: value}) for name, value in ASKS.items()],
]


@pytest.mark.parametrize("word", LOOKS, ids=repr)
def test_who_may_look_on_may_ask_how_it_is_and_a_rig_may_not(word: Word) -> None:
    assert object_to(standing(Role.LOOK), word) == ""
    assert object_to(standing(Role.LEAD), word) == ""
    assert "is led, and may neither lead nor look on" in object_to(standing(Role.RIG), word)


@pytest.mark.parametrize("word", COMMANDS, ids=lambda word: repr(word)[:60])
def test_nothing_that_changes_anything_is_for_who_may_look_on_or_be_led(word: Word) -> None:
    assert not (isinstance(word, AskInfo) and word == AskInfo()), "the rig does not understand what it hears"
    for role in (Role.LOOK, Role.RIG):
        assert "office-pc" in object_to(standing(role), word)
    assert object_to(standing(Role.LEAD), word) == ""


def test_a_kind_of_word_that_is_new_is_for_who_leads_until_it_is_said_otherwise() -> None:
    named = [*vars(words).values(), *vars(holdings).values()]
    kinds = {one for one in named if isinstance(one, type) and issubclass(one, Word)}
    assert len(kinds) > 20
    allowed = {AskInfo, AskStatus, AskHoldings, Lease, WantPictures}
    for kind in kinds - allowed - {Word}:
        made = kind.__new__(kind)
        if not hasattr(made, "event"):
            object.__setattr__(made, "event", Event.EXPINIT)
        assert object_to(standing(Role.LOOK), made) != "", kind


def test_every_question_of_an_expinfo_is_looked_at_here() -> None:
    plain = {"greeting", "spec_version", "whose", "event"}
    fields = set(AskInfo.__dataclass_fields__) - plain - {"check"}
    assert fields == set(ASKS)
    for name, value in ASKS.items():
        assert object_to(standing(Role.LOOK), replace(AskInfo(), **{name: value})) != "", name


def test_who_may_only_look_on_is_no_rig() -> None:
    assert "no rig's word" in needs_a_rig(standing(Role.LOOK))
    assert needs_a_rig(standing(Role.RIG)) == needs_a_rig(standing(Role.LEAD)) == ""


def test_a_rig_hands_no_token_to_who_leads_it_and_may_ask_for_one() -> None:
    """What leads shares the token that it has with other rigs: a rig's own would go round."""
    token = AlyxToken(url="https://alyx.example.org", credentials={"anna": "x"})
    assert "may not hand over an Alyx token" in object_to_led(standing(Role.RIG), token)
    assert object_to_led(standing(Role.LEAD), token) == ""
    assert object_to_led(standing(Role.RIG), AskToken()) == ""
    door = make_leading_door(Access(keys=lambda: keys("behaviour-pc")), boot="1", name="behaviour-pc")
    assert "may not hand over" in door._objects(standing(Role.RIG), token)


def test_a_pc_that_looks_on_as_a_thousand_programs_takes_no_other_ones_lease() -> None:
    watchers = Watchers()
    screen, other = (Address("udp", f"192.168.1.{number}", 5) for number in (40, 30))
    watchers.watch(Token(screen, 2, 1, "a screen"), 30.0, 0)
    watchers.watch(Token(Address("udp", "192.168.1.41", 5), 2, 1, "another"), 30.0, 0)
    for number in range(1_000):
        watchers.watch(Token(other, 2, 1, f"program {number}"), 30.0, 0)
    report = Report(status=Status.CONNECTED)
    told = [one.address for one in watchers.tell(report, 1, is_news=False, besides=None)]
    assert len(told) == MAX_WATCHERS
    assert screen in told


def test_the_alyx_token_of_a_rig_goes_by_the_key_of_who_asks_and_by_its_address_where_it_has_none() -> None:
    """A PC of the lab may write any address into its datagrams, and read what is sealed for it."""
    asker = standing(Role.LEAD)
    for named in ("office-pc", asker.certificate.id):
        assert not object_to_asker(asker, "192.168.1.77", {named})
        assert object_to_asker(None, "192.168.1.77", {named})
        assert object_to_asker(standing(Role.LOOK), "192.168.1.77", {named})
    why = object_to_asker(asker, "192.168.1.10", {"192.168.1.10", "other-pc"})
    assert why.startswith("office-pc may not be given the Alyx token: name it in 'alyx_token_to'")
    assert not object_to_asker(None, "192.168.1.10", {"192.168.1.10"})
    assert "name its address" in object_to_asker(None, "192.168.1.77", {"192.168.1.10"})
