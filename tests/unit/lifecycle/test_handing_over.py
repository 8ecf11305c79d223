"""A rig whose leader is heard: who is asked, who decides, and what the asker hears."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.lifecycle.test_rig import ALLOW, ONE, PEER, TWO, Rig, info_of, refusal, reply, rig_in

from multirig.errors import IllegalTransition
from multirig.lifecycle.handing_over import GONE_AFTER, GOOD_FOR, REMEMBERED, HandingRule
from multirig.lifecycle.rig_events import (
    Answered,
    AskedHere,
    Attended,
    DecidedHere,
    Describe,
    Described,
    LedBy,
)
from multirig.lifecycle.rig_states import RigState
from multirig.protocol.dialect import hear_leader
from multirig.protocol.events import (
    SECOND,
    Address,
    Fail,
    Received,
    Reply,
    Send,
    Settle,
    Tell,
    Token,
    Told,
    Upgraded,
)
from multirig.protocol.messages import Event, Message

S = RigState
REFUSE = HandingRule(ask=None, allows=False)
SCANNER, THIRD = Address("udp", "10.0.0.9", 50_000), Address("udp", "10.0.0.8", 50_000)


class Lab:
    """A rig that records for one conductor, which beats, and others that want it."""

    def __init__(self, state: RigState = S.RUNNING, *, attended: bool = True, **options: Any) -> None:
        self.rig = rig_in(state, **options)
        self.machine = self.rig.machine
        self.now = 0
        self.out: list[Any] = []
        self.is_heard = True
        if attended:
            self.feed(Attended(is_attended=True))
        self.feed(Upgraded(address=SCANNER, boot="scanner", name="scanner-pc"))

    def feed(self, event: Any) -> list[Any]:
        out = list(self.machine.handle(event, self.now))
        self.out += out
        return out

    def say(
        self, event: Event, *args: Any, who: Address = SCANNER, boot: str = "scanner", wire: int = 2
    ) -> list[Any]:
        token = Token(who, wire, 1, boot)
        return self.feed(Received(address=who, word=hear_leader(Message(event, args)), token=token))

    def ask(self, **more: Any) -> dict[str, Any]:
        """Ask who the rig is, and whether it may be taken over; return what it says."""
        who = {key: more.pop(key) for key in ("who", "boot") if key in more}
        out = self.say(Event.EXPINFO, 0, {"would_take_over": True, **more}, **who)
        [describe] = [one for one in out if isinstance(one, Describe)]
        answer: dict[str, Any] = reply(self.feed(Described(token=describe.token, info=info_of({})))).args[1]
        return answer

    def wait(self, seconds: float, *, asks: bool = True) -> None:
        """Let time pass; the leader beats, and the scanner's PC goes on asking."""
        end = self.now + round(seconds * SECOND)
        beat = hear_leader(Message(Event.EXPSTATUS, (20, {"state": "running", "exp_ref": str(ONE)})))
        while self.now < end:
            self.now += SECOND // 4
            if self.is_heard:
                self.feed(Told(address=PEER, word=beat, boot="boot"))
            at = self.machine.get_timer()
            if at is not None and at <= self.now:
                self.out += self.machine.handle_timer(self.now)
            if asks and self.now % SECOND == 0:
                self.ask()

    def news(self, kind: type) -> list[Any]:
        return [one for one in self.out if isinstance(one, kind)]

    @property
    def leader(self) -> str:
        assert self.machine.leader is not None
        return self.machine.leader.token.peer


def test_the_person_at_the_rig_is_asked_in_clear_words_and_nothing_is_touched() -> None:
    lab = Lab()
    said = lab.ask()
    [asked] = lab.news(AskedHere)
    assert str(asked) == (
        "scanner-pc (10.0.0.9) wants to take over from udp://10.0.0.1:50000: type yes or no (30 s)"
    )
    assert said["asking"] == 30.0
    assert said["led_by"] == "udp://10.0.0.1:50000"
    assert "decided" not in said
    lab.wait(10)
    assert lab.machine.handing.say(lab.now) == str(asked).replace("30 s", "20 s")
    assert lab.ask()["asking"] == 20.0
    assert len(lab.news(AskedHere)) == 1
    assert (lab.leader, lab.rig.state) == ("boot", S.RUNNING)
    assert not lab.news(LedBy)
    assert lab.machine.leadership.is_led_by(Token(PEER, 2, 5, "boot"))


def test_a_yes_lets_it_take_over_by_its_next_command_and_the_leader_is_told_only_then() -> None:
    lab = Lab()
    lab.ask()
    lab.feed(Answered(allows=True))
    said = lab.ask()
    assert "led_by" not in said
    assert "asking" not in said
    assert said["decided"] == "'yes' was typed there"
    assert lab.leader == "boot"
    lab.say(Event.EXPINIT, {"exp_ref": str(ONE), "take_over": True})
    assert lab.leader == "scanner"
    [news] = [one for one in lab.news(Send) if one.address == PEER]
    assert news.word.taken_over_by == "scanner-pc (10.0.0.9)"
    assert str(lab.news(DecidedHere)[0]) == "scanner-pc (10.0.0.9) may take over: 'yes' was typed there"


def test_who_comes_to_recover_leads_with_the_question_that_follows_a_yes() -> None:
    lab = Lab()
    recover = {"recover": True, "take_over": True, "exp_ref": str(ONE)}
    assert lab.ask(**recover)["asking"] == 30.0
    assert lab.leader == "boot"
    lab.feed(Answered(allows=True))
    said = lab.ask(**recover)
    assert lab.leader == "scanner"
    assert said["decided"] == "'yes' was typed there"
    assert "led_by" not in said


def test_a_no_is_told_with_the_words_and_remembered_for_a_while() -> None:
    lab = Lab()
    lab.ask()
    lab.feed(Answered(allows=False))
    said = lab.ask()
    assert said["led_by"] == "udp://10.0.0.1:50000"
    assert said["decided"] == "'no' was typed there"
    text = refusal(lab.say(Event.EXPINIT, {"exp_ref": str(ONE), "take_over": True}))
    assert (
        "is led by udp://10.0.0.1:50000 and was not handed over: 'no' was typed there; end the session"
        in text
    )
    assert len(lab.news(AskedHere)) == 1
    lab.wait(REMEMBERED / SECOND + 1, asks=False)
    assert lab.ask()["asking"] == 30.0


@pytest.mark.parametrize("allows", [True, False])
def test_the_rule_decides_when_nobody_has_answered_in_time(*, allows: bool) -> None:
    lab = Lab(take_over=HandingRule(ask=7 * SECOND, allows=allows))
    lab.ask()
    lab.wait(8)
    [decided] = lab.news(DecidedHere)
    says = "allow" if allows else "refuse"
    assert decided.why == f"nobody has answered there within 7 s, and its config says {says} (take_over)"
    assert decided.allows is allows
    assert lab.leader == "boot"
    lab.say(Event.EXPINTERRUPT, {"exp_ref": str(ONE), "take_over": True})
    assert lab.leader == ("scanner" if allows else "boot")
    assert lab.rig.state is (S.STOPPING if allows else S.RUNNING)


@pytest.mark.parametrize("rule", [ALLOW, REFUSE])
def test_a_rule_without_a_question_asks_nobody(rule: HandingRule) -> None:
    lab = Lab(take_over=rule)
    said = lab.ask()
    assert ("led_by" in said) is (not rule.allows)
    assert said["decided"] == f"its config says {'allow' if rule.allows else 'refuse'} (take_over)"
    assert not lab.news(AskedHere)


@pytest.mark.parametrize("allows", [True, False])
def test_where_nobody_can_be_asked_the_rule_decides_at_once(*, allows: bool) -> None:
    lab = Lab(attended=False, take_over=HandingRule(allows=allows))
    said = lab.ask()
    assert said["decided"].startswith("nobody can be asked there, and its config says")
    assert ("led_by" in said) is not allows


def test_a_keyboard_that_is_taken_away_leaves_the_decision_to_the_rule() -> None:
    lab = Lab()
    lab.ask()
    lab.feed(Attended(is_attended=False))
    assert lab.ask()["decided"] == "nobody can be asked there, and its config says refuse (take_over)"


def test_a_leader_that_is_silent_is_taken_over_without_a_question_also_in_the_middle_of_one() -> None:
    lab = Lab()
    lab.is_heard = False
    lab.wait(3, asks=False)
    assert "led_by" not in lab.ask()
    assert not lab.news(AskedHere)
    lab = Lab()
    lab.ask()
    lab.is_heard = False
    lab.wait(2)
    lab.say(Event.EXPINIT, {"exp_ref": str(ONE), "take_over": True})
    assert lab.leader == "scanner"
    assert lab.machine.handing.asker is None
    assert [one.why for one in lab.news(DecidedHere)] == ["nobody leads it any more who is heard"]


def test_a_program_of_the_leading_pc_that_comes_back_to_its_session_asks_nobody() -> None:
    lab = Lab()
    same_pc = Address("udp", PEER.host, 50_001)
    said = lab.ask(who=same_pc, boot="next", recover=True, exp_ref=str(ONE))
    assert not lab.news(AskedHere)
    assert "led_by" not in said
    lab = Lab()
    lab.say(Event.EXPINIT, {"exp_ref": str(ONE), "take_over": True}, who=same_pc, boot="next")
    assert lab.leader == "next"
    assert not lab.news(AskedHere)


def test_another_session_of_the_leading_pc_is_asked_about() -> None:
    """A console leads for several people."""
    lab = Lab(S.INITIALIZED)
    same_pc = Address("udp", PEER.host, 50_001)
    assert lab.ask(who=same_pc, boot="next", exp_ref=str(TWO))["asking"] == 30.0


def test_whoever_asks_no_more_is_not_asked_about_any_more() -> None:
    lab = Lab()
    lab.ask()
    lab.wait(GONE_AFTER / SECOND, asks=False)
    [decided] = lab.news(DecidedHere)
    assert decided.allows is None
    assert lab.machine.handing.say(lab.now) is None
    with pytest.raises(IllegalTransition, match="nobody wants to take the rig over"):
        lab.feed(Answered(allows=True))
    assert lab.leader == "boot"


def test_a_yes_where_nothing_was_asked_gives_nobody_anything() -> None:
    lab = Lab()
    with pytest.raises(IllegalTransition):
        lab.feed(Answered(allows=True))
    assert lab.ask()["asking"] == 30.0


def test_a_yes_is_void_for_another_pc_another_session_and_after_a_while() -> None:
    lab = Lab()
    lab.ask()
    lab.feed(Answered(allows=True))
    assert "asking" in lab.ask(who=THIRD, boot="third")
    lab = Lab()
    lab.ask()
    lab.feed(Answered(allows=True))
    lab.wait(GOOD_FOR / SECOND + 1, asks=False)
    assert "asking" in lab.ask()
    lab = Lab()
    lab.ask()
    lab.feed(Answered(allows=True))
    for step in ("end", "done", "cleanup", "done"):
        getattr(lab.rig, step)()
    lab.rig.init(TWO)
    lab.rig.done()
    assert lab.ask(exp_ref=str(TWO))["asking"] == 30.0


def test_of_two_that_want_it_one_is_asked_about_and_the_other_told_to_wait() -> None:
    lab = Lab()
    lab.ask()
    said = lab.ask(who=THIRD, boot="third")
    assert said["decided"] == (
        "the person there is asked about scanner-pc (10.0.0.9) already: try again in 30 s"
    )
    assert "asking" not in said
    assert len(lab.news(AskedHere)) == 1
    lab.wait(2)
    lab.feed(Answered(allows=False))
    assert lab.ask(who=THIRD, boot="third")["asking"] == 30.0


def test_who_only_looks_is_not_asked_about_and_hears_nothing_of_it() -> None:
    lab = Lab()
    lab.ask()
    out = lab.say(Event.EXPINFO, 0, {}, who=THIRD, boot="third")
    [describe] = [one for one in out if isinstance(one, Describe)]
    said = reply(lab.feed(Described(token=describe.token, info=info_of({})))).args[1]
    assert said["led_by"]
    assert not {"asking", "decided"} & said.keys()


def test_screens_and_the_leader_hear_who_wants_the_rig() -> None:
    lab = Lab()
    lab.say(Event.EXPSTATUS, 0, {"watch": 10}, who=THIRD, boot="screen")
    lab.out.clear()
    lab.ask()
    [news] = [one for one in lab.news(Tell) if one.address == THIRD]
    assert news.word.wanted_by == "scanner-pc (10.0.0.9)"
    lab.wait(0.5)
    assert lab.news(Tell)[-1].word.wanted_by == "scanner-pc (10.0.0.9)"
    lab.out.clear()
    lab.feed(Answered(allows=False))
    [news] = [one for one in lab.news(Tell) if one.address == THIRD]
    assert news.word.wanted_by is None


@pytest.mark.parametrize("state", [S.INITIALIZED, S.RUNNING, S.STOPPED])
@pytest.mark.parametrize(
    "event", [Event.EXPINIT, Event.EXPSTART, Event.EXPEND, Event.EXPINTERRUPT, Event.EXPCLEANUP]
)
def test_no_command_takes_over_by_itself(state: RigState, event: Event) -> None:
    lab = Lab(state)
    named = [str(ONE), {"take_over": True}] if event is Event.EXPSTART else [{"take_over": True}]
    out = lab.say(event, *named)
    [answer] = [one for one in out if isinstance(one, Fail)]
    assert "the person there is asked now (30 s), try again" in answer.word.text
    assert lab.leader == "boot"
    assert lab.rig.state is state


def test_of_ibls_conductor_nothing_tells_whether_it_is_there_so_it_is_asked_about() -> None:
    lab = Lab(wire=1)
    lab.wait(3600, asks=False)
    assert lab.ask()["asking"] == 30.0


def test_a_rig_that_nobody_leads_asks_nobody() -> None:
    rig = Rig()
    lab = Lab()
    lab.rig, lab.machine = rig, rig.machine
    lab.feed(Attended(is_attended=True))
    assert "asking" not in lab.ask()
    assert not lab.news(AskedHere)


def test_who_was_let_lead_it_once_is_not_told_so_when_another_one_leads() -> None:
    lab = Lab()
    lab.ask()
    lab.feed(Answered(allows=True))
    lab.say(Event.EXPINIT, {"exp_ref": str(ONE), "take_over": True})
    assert lab.ask()["decided"] == "'yes' was typed there"
    lab.wait(3, asks=False)  # it is silent, and a third one goes on
    lab.say(Event.EXPINIT, {"exp_ref": str(ONE)}, who=THIRD, boot="third")
    assert lab.leader == "third"
    said = lab.ask()
    assert said["asking"] == 30.0
    assert "decided" not in said


def test_a_command_that_does_not_take_over_is_refused_as_ever_also_after_a_yes() -> None:
    lab = Lab()
    lab.ask()
    lab.feed(Answered(allows=True))
    text = refusal(lab.say(Event.EXPEND, {"exp_ref": str(ONE)}))
    assert text.startswith("is led by udp://10.0.0.1:50000: end the session there, or take it over")


# -- on the page ---------------------------------------------------------------------------------------------

PAGE, ELSEWHERE = Address("udp", "127.0.0.1", 50_001), Address("udp", "10.0.0.2", 50_001)
"""A console on the rig's PC, and one on another PC of the lab."""
WANTS = "scanner-pc (10.0.0.9)"


def decide(lab: Lab, allows: bool, who: Address = PAGE, **more: Any) -> list[Any]:
    said = {"hand_over": allows, "asker": WANTS, "by": "anna", **more}
    return lab.say(Event.EXPSTATUS, 0, said, who=who, boot="console")


@pytest.mark.parametrize("allows", [True, False])
def test_who_is_at_a_page_of_the_rigs_own_pc_says_yes_or_no(*, allows: bool) -> None:
    lab = Lab()
    assert lab.ask()["asking"] == 30
    lab.wait(10)
    shown = lab.machine.report()
    assert (shown.wanted_by, shown.asking) == (WANTS, 20)
    assert [one for one in decide(lab, allows) if isinstance(one, Settle | Fail)] == [
        Settle(token=Token(PAGE, 2, 1, "console"))
    ]
    said = lab.ask()
    assert said["decided"] == f"'{'yes' if allows else 'no'}' was said on the page there by anna"
    assert ("led_by" in said) is not allows
    [decided] = lab.news(DecidedHere)
    assert (decided.asker, decided.allows) == (WANTS, allows)
    assert (lab.machine.report().wanted_by, lab.machine.report().asking) == (None, None)
    assert "does not want to take it over any more" in refusal(decide(lab, allows))


def test_a_page_of_another_pc_decides_nothing_and_neither_does_an_answer_about_somebody_else() -> None:
    lab = Lab()
    lab.ask()
    assert "on the page of a console on its own PC" in refusal(decide(lab, allows=True, who=ELSEWHERE))
    assert "does not want to take it over any more" in refusal(decide(lab, allows=True, asker="other-pc"))
    assert lab.ask()["asking"] == 30
    assert not lab.news(DecidedHere)
    [answer] = lab.say(Event.EXPSTATUS, 0, {"hand_over": True, "asker": WANTS}, who=PAGE, wire=1)
    assert isinstance(answer, Reply)  # IBL's wire has no such word
    assert lab.ask()["asking"] == 30


def test_a_rig_without_a_keyboard_asks_where_somebody_is_at_a_page_of_its_pc_and_no_longer() -> None:
    def look(lab: Lab, who: Address, *, attends: bool) -> None:
        lab.say(Event.EXPSTATUS, 0, {"watch": 15, "attends": attends}, who=who, boot="console")

    for who, attends in ((ELSEWHERE, True), (PAGE, False)):
        lab = Lab(attended=False)
        look(lab, who, attends=attends)
        assert lab.ask()["decided"].startswith("nobody can be asked there")
    lab = Lab(attended=False)
    look(lab, PAGE, attends=True)
    assert lab.ask()["asking"] == 30
    lab.feed(Attended(is_attended=False))  # of the terminal
    assert lab.ask()["asking"] == 30
    lab = Lab(attended=False)
    look(lab, PAGE, attends=True)
    lab.wait(16, asks=False)
    assert lab.ask()["decided"].startswith("nobody can be asked there")
