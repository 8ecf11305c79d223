"""Whether a rig is handed over whose leader is heard: the person there is asked, else a rule decides. Pure.

A leader that is heard is at work: whoever wants its rig is mistaken, or in a hurry. So the person at the rig
says yes or no, and where nobody does in time, the rule of the rig's config. Nothing that goes on is touched
meanwhile. No question is needed where nobody leads the rig, where its leader is silent, or where the PC that
leads it, or that has begun what it records, comes back to the same session.

A yes is for one PC, one leader and one session: whatever changes of these, it is void.
"""

from __future__ import annotations

from dataclasses import dataclass

from multirig.lifecycle.leader import Leader, Leadership
from multirig.lifecycle.rig_events import AskedHere, DecidedHere
from multirig.lifecycle.watchers import LONGEST_LEASE
from multirig.protocol.events import SECOND, Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Status
from multirig.protocol.words import Decide
from multirig.trust.admission import is_this_pc
from multirig.wording import LONG_NAME, clean

GONE_AFTER = 5 * SECOND
"""Whoever asks says it again every second; one that is not heard for so long has given up."""
GOOD_FOR = 300 * SECOND
"""How long a yes is good: between it and the command there may be a check of all PCs."""
REMEMBERED = 20 * SECOND
"""How long a no is remembered: the same PC has it at once then, and nobody is asked again."""
MAX_DECISIONS = 16
"""Decisions that are remembered."""
SAYS_REFUSE, SAYS_ALLOW = "its config says refuse (take_over)", "its config says allow (take_over)"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingRule:
    """What a rig does when another conductor wants to take it over from one that is heard."""

    ask: int | None = 30 * SECOND
    """Nanoseconds for which the person there is asked; None: nobody is."""
    allows: bool = False
    """What is decided where nobody has answered by then, or nobody can."""

    def __str__(self) -> str:
        return SAYS_ALLOW if self.allows else SAYS_REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What a question, or its answer, is about: it is void when that is another."""

    host: str
    """IP address of the PC that wants the rig."""
    leader: Token
    """Of who leads it."""
    exp_ref: ExpRef | None


@dataclass(slots=True, kw_only=True)
class _Question:
    about: _About
    asker: str
    """In words."""
    leader: str
    until: int
    heard: int
    """When it was asked for last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    about: _About
    allows: bool
    why: str
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether somebody may take the rig over."""

    allows: bool
    asking: float | None = None
    """Seconds for which the person there is still asked."""
    why: str | None = None
    """What was decided, and by whom; None: there was nothing to be decided."""


class HandingOver:
    """Judges who may take over a rig, for its machine.

    Parameters
    ----------
    rule : HandingRule
        Of the rig's config.
    leadership : Leadership
        Who leads it.
    """

    def __init__(self, rule: HandingRule, leadership: Leadership) -> None:
        self.rule = rule
        self._is_attended = False
        """Whether somebody can be asked at the rig's own terminal."""
        self._page_until = 0
        """Until when somebody can be asked on a page of this PC, as its console says now and then."""
        self._leadership = leadership
        self._question: _Question | None = None
        self._decisions: dict[str, _Decision] = {}
        self._handed: tuple[str, str] | None = None
        """Which program was let lead it, and why."""
        self._news: list[AskedHere | DecidedHere] = []

    @property
    def asker(self) -> str | None:
        """Who wants to take the rig over, in words, while the person here is asked."""
        return self._question.asker if self._question is not None else None

    def seconds_left(self, now: int) -> float | None:
        """Return for how long the person here is still asked; None: nothing is."""
        return None if self._question is None else max(0, self._question.until - now) / SECOND

    def say(self, now: int) -> str | None:
        """Return what the person here is asked, for a screen."""
        if (question := self._question) is None:
            return None
        return str(_ask(question, max(0, question.until - now)))

    def take_news(self) -> list[AskedHere | DecidedHere]:
        """Return what was asked here and decided since the last time."""
        news, self._news = self._news, []
        return news

    # -- what comes -----------------------------------------------------------------------------------------

    def judge(
        self, token: Token, exp_ref: ExpRef | None, named: ExpRef | None, status: Status, now: int
    ) -> Judgement:
        """Say whether a conductor that wants to may take over; ask the person here, where one has to.

        Parameters
        ----------
        token : Token
            Of its request.
        exp_ref : ExpRef or None
            The session that the rig is in.
        named : ExpRef or None
            The session that the conductor names.
        status : Status
            Of the rig.
        now : int
        """
        leader = self._leadership.leader
        is_back = exp_ref is not None and named == exp_ref and self._leadership.is_its_own(token)
        if leader is None or is_back or self._leadership.object_to(token, status, now) is None:
            if self._question is not None and self._question.about.host == token.address.host:
                self._close(allows=True, why="nobody leads it any more who is heard")
            return Judgement(allows=True)
        about = _About(host=token.address.host, leader=leader.token, exp_ref=exp_ref)
        self._drop_others(about)
        if (decision := self._find(about, now)) is None:
            decision = self._decide_at_once(about, token, leader, now)
        if decision is not None:
            return Judgement(allows=decision.allows, why=decision.why)
        return self.tell(token, exp_ref, now)

    def tell(self, token: Token, exp_ref: ExpRef | None, now: int) -> Judgement:
        """Return what is known for a conductor; nobody is asked for that."""
        leader = self._leadership.leader
        if leader is None:
            return Judgement(allows=False)
        if self._handed is not None and self._handed[0] == token.peer and self._leadership.is_led_by(token):
            return Judgement(allows=True, why=self._handed[1])
        about = _About(host=token.address.host, leader=leader.token, exp_ref=exp_ref)
        if (decision := self._find(about, now)) is not None:
            return Judgement(allows=decision.allows, why=decision.why)
        question = self._question
        if question is None or not _is_same(question.about, about):
            return Judgement(allows=False)
        return Judgement(allows=False, asking=max(0, question.until - now) / SECOND)

    def explain(self, reason: str, token: Token | None, exp_ref: ExpRef | None, now: int) -> str:
        """Return why a command is refused, with what is asked here, or was decided, of a take-over."""
        judged = self.tell(token, exp_ref, now) if token is not None else Judgement(allows=False)
        why = judged.why if not judged.allows else None
        if judged.asking is not None:
            why = f"the person there is asked now ({judged.asking:.0f} s), try again"
        return reason if why is None else not_handed_over(str(self._leadership.leader), why)

    def answer(self, *, allows: bool) -> bool:
        """Take the word of the person here; return whether it was asked for."""
        if self._question is None:
            return False
        self._close(allows=allows, why=f"'{'yes' if allows else 'no'}' was typed there")
        return True

    def decide(self, word: Decide, token: Token, now: int) -> str | None:
        """Take the word of a person at a page; return why it does not count, if so."""
        if not is_this_pc(token.address.host):
            return "is handed over at its own terminal, or on the page of a console on its own PC"
        question = self._question
        if question is None or clean(question.asker, LONG_NAME) != word.asker:
            return f"{word.asker} does not want to take it over any more, or somebody has answered already"
        said = f"'{'yes' if word.allows else 'no'}' was said on the page there"
        by = f" by {clean(word.by, LONG_NAME)}" if word.by is not None else ""
        self._close(allows=word.allows, why=f"{said}{by}", now=now)
        return None

    def attend_by_page(self, token: Token, seconds: float, now: int) -> None:
        """Note that for so long somebody can be asked on a page, if that is one of this PC."""
        if is_this_pc(token.address.host):
            self._page_until = max(self._page_until, now + round(min(seconds, LONGEST_LEASE) * SECOND))

    def attend(self, *, is_attended: bool, now: int) -> None:
        """Note whether somebody can be asked here; the rule decides what nobody can answer any more."""
        self._is_attended = is_attended
        if not self._can_ask(now) and self._question is not None:
            self._close(allows=self.rule.allows, why=f"nobody can be asked there, and {self.rule}")

    def end(self, taken_by: Token | None = None) -> None:
        """The rig is led by another one, or by nobody: what was asked and decided is of no use any more."""
        self._handed = None
        if taken_by is not None and (decision := self._decisions.get(taken_by.address.host)) is not None:
            self._handed = taken_by.peer, decision.why
        self._decisions.clear()
        if (question := self._question) is not None:
            self._question = None
            why = "it is not led any more by whom it was to be taken over from"
            self._news.append(DecidedHere(asker=question.asker, allows=None, why=why))

    # -- time -----------------------------------------------------------------------------------------------

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        question = self._question
        return None if question is None else min(question.until, question.heard + GONE_AFTER)

    def handle_timer(self, now: int) -> None:
        """Let the rule decide what nobody has; ask no more for who has given up."""
        if (question := self._question) is None:
            return
        if question.until <= now:
            waited = f"nobody has answered there within {(self.rule.ask or 0) / SECOND:g} s"
            self._close(allows=self.rule.allows, why=f"{waited}, and {self.rule}", now=now)
        elif question.heard + GONE_AFTER <= now:
            self._question = None
            self._news.append(
                DecidedHere(asker=question.asker, allows=None, why="it does not ask for it any more")
            )

    # -- inside ---------------------------------------------------------------------------------------------

    def _decide_at_once(self, about: _About, token: Token, leader: Leader, now: int) -> _Decision | None:
        """Return what is decided without a question; else ask, or go on asking."""
        if (question := self._question) is not None:
            if question.about.host == about.host:
                question.heard = now
                return None
            left = max(0, question.until - now) / SECOND
            why = f"the person there is asked about {question.asker} already: try again in {left:.0f} s"
            return self._remember(about, allows=False, why=why, until=now + SECOND)
        asker = self._leadership.name(token)
        if self.rule.ask is None or not self._can_ask(now):
            why = str(self.rule) if self.rule.ask is None else f"nobody can be asked there, and {self.rule}"
            self._news.append(DecidedHere(asker=asker, allows=self.rule.allows, why=why))
            return self._remember(about, allows=self.rule.allows, why=why, until=now + GONE_AFTER)
        until = now + self.rule.ask
        self._question = _Question(about=about, asker=asker, leader=str(leader), until=until, heard=now)
        self._news.append(_ask(self._question, self.rule.ask))
        return None

    def _can_ask(self, now: int) -> bool:
        return self._is_attended or now < self._page_until

    def _close(self, *, allows: bool, why: str, now: int | None = None) -> None:
        question, self._question = self._question, None
        if question is None:
            return
        at = question.heard if now is None else now
        until = at + (GOOD_FOR if allows else REMEMBERED)
        self._remember(question.about, allows=allows, why=why, until=until)
        self._news.append(DecidedHere(asker=question.asker, allows=allows, why=why))

    def _remember(self, about: _About, *, allows: bool, why: str, until: int) -> _Decision:
        self._decisions.pop(about.host, None)
        while len(self._decisions) >= MAX_DECISIONS:
            del self._decisions[next(iter(self._decisions))]
        decision = self._decisions[about.host] = _Decision(about=about, allows=allows, why=why, until=until)
        return decision

    def _find(self, about: _About, now: int) -> _Decision | None:
        decision = self._decisions.get(about.host)
        if decision is None or now > decision.until or not _is_same(decision.about, about):
            return None
        return decision

    def _drop_others(self, about: _About) -> None:
        """Ask no more about a leader, or a session, that is not there any more."""
        question = self._question
        if question is not None and not _is_led_alike(question.about, about):
            self.end()


def say_asking(leader: str, seconds: float) -> str:
    """Return in which words a conductor hears that the person at a rig is asked."""
    return f"asks the person there whether this PC may take it over from {leader} ({seconds:.0f} s)"


def say_handed_over(why: str) -> str:
    """Return in which words a conductor hears that it may take a rig over."""
    return f"may be taken over: {why}"


def not_handed_over(leader: str, why: str) -> str:
    """Return in which words a conductor hears that a rig was not handed over to it."""
    return (
        f"is led by {leader} and was not handed over: {why}; end the session there, or its program: whoever "
        "is silent for 2 s is taken over without a question"
    )


def _ask(question: _Question, left: int) -> AskedHere:
    about = question.about
    return AskedHere(
        asker=question.asker, leader=question.leader, exp_ref=about.exp_ref, seconds=left / SECOND
    )


def _is_same(one: _About, other: _About) -> bool:
    return one.host == other.host and _is_led_alike(one, other)


def _is_led_alike(one: _About, other: _About) -> bool:
    """Whether the same conductor leads the same session; on wire 1.0 a program of the same PC is the same."""
    a, b = one.leader, other.leader
    is_same = a.peer == b.peer if a.wire == b.wire == 2 else a.address.host == b.address.host
    return is_same and one.exp_ref == other.exp_ref
