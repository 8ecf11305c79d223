"""Looks on: whom to ask when, and what is known of each rig, whoever leads it.

Who has never been heard is asked who it is, again and again. A multirig then tells how it is by itself, for
as long as its lease lasts; a foreign peer is asked now and then, since it may do its work in the thread that
answers. Nothing that is said here makes the sender a conductor, and no rig is changed by it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from multirig.lifecycle.leader import SILENT_AFTER
from multirig.protocol.events import (
    RESTARTED,
    SECOND,
    WITHDRAWN,
    Address,
    Rebooted,
    Received,
    Refused,
    Relocated,
    Replied,
    Send,
    Settle,
    TimedOut,
    Told,
    Unreached,
    Upgraded,
)
from multirig.protocol.words import (
    AskInfo,
    Decide,
    Info,
    Lease,
    Picture,
    Report,
    RigState,
    WantPictures,
    Word,
)
from multirig.trust.admission import is_this_pc

LEASE = 15
"""Seconds for which a rig is asked to tell how it is: two renewals may get lost."""
RENEW_EVERY = 5 * SECOND
QUIET_AFTER = SECOND * 7 // 2
"""A multirig that is not heard for so long, three heartbeats, is missed."""
ASK_LIMIT = 2 * SECOND
FOREIGN_LIMIT = 5 * SECOND
"""A foreign peer may be at work, and answers when it has done it."""
FOREIGN_EVERY = 10 * SECOND
"""Between two questions to a foreign peer that answers."""
FOREIGN_BUSY_EVERY = 30 * SECOND
"""… and is in a session: iblutil's server is deaf to all once a single echo is lost (W5)."""
PAUSES = (2 * SECOND, 3 * SECOND, 5 * SECOND)
"""From one question without an answer to the next; the last one for ever: who is back is soon seen."""
PICTURES_EVERY = SECOND // 2
"""Between two wishes for a rig's pictures, however many look at them: it makes none sooner."""
_WHO_ARE_YOU = AskInfo()
_WATCHED, _LEFT = Lease(seconds=LEASE), Lease(seconds=0)
_SHOW = WantPictures()
_ATTENDED = Lease(seconds=LEASE, attends=True)
_LOOK, _ASKED, _PICTURES, _DECIDED = "look", "asked", "pictures", "decided"
"""Kinds of questions: by itself, and for somebody who waits."""
_IS_IT_ON = "is that PC on, its network cable in, and multirig serve running there?"
_IS_IT_RUNNING = "is multirig serve running there?"
_LOOK_AT_IT = "its program has the question; look at its screen"
_WHOLE = ("does not ", "answers ", "is an older ")
"""How what is said of a rig begins that needs no words before it."""
_IN_SESSION = frozenset({RigState.INITIALIZED, RigState.RUNNING})


# -- events from whoever looks at the screen -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """These are the rigs of now."""

    addresses: frozenset[Address]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """Of these, whoever is no multirig is left alone: a session with it is led from this PC."""

    addresses: frozenset[Address]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Somebody wants to know now; the outcome comes as `Answered`."""

    address: Address
    number: int
    limit: int
    """Nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesAsked:
    """Somebody wants to see what its cameras see now; the outcome comes as `PicturesAnswered`."""

    address: Address
    number: int
    limit: int
    """Nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Somebody has said whether a rig may be taken over; the outcome comes as `DecisionTaken`."""

    address: Address
    number: int
    word: Decide
    limit: int
    """Nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attending:
    """Somebody is before the screen who may say so, or nobody is any more."""

    is_attended: bool


# -- effects -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A rig's state, reference, failure or leader is another one, or it is heard again or not any more."""

    address: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was asked has its outcome."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesAnswered:
    """What a rig's cameras see, or that nothing is known of it."""

    number: int
    pictures: tuple[Picture, ...] = ()
    """None of them where it has not answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTaken:
    """A rig has heard whether it may be taken over."""

    number: int
    problem: str = ""
    """Why that does not count; empty: it does."""


# -- what is known of a rig ------------------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """One rig, as it was last heard."""

    ask_at: int
    """When it is asked next."""
    asked: tuple[int, int] | None = None
    """The question that waits for its outcome: its number, and when it was asked."""
    tries: int = 0
    """Questions in a row that had no answer."""
    is_multirig: bool = False
    is_known: bool = False
    """Whether this program has said who it is."""
    is_watched: bool = False
    """Whether it tells by itself how it is."""
    is_renewed: bool = False
    """Whether it was asked last to tell that; who answers, and does not, is not asked again at once."""
    is_stream: bool = False
    """Whether it is spoken to over TCP."""
    is_let_be: bool = False
    """Whether it is not to be asked unless it is a multirig."""
    picturing: list[int] = field(default_factory=list)
    """Who waits for its pictures, by the numbers of their questions: it is asked once for all of them."""
    wish: tuple[int, int] | None = None
    """A question for its pictures that is still to be put: its number, and when its time is up."""
    show_at: int = 0
    """When it may be asked for pictures again."""
    heard_at: int | None = None
    info: Info | None = None
    """Who it last said that it is."""
    report: Report = field(default_factory=Report)
    """What it last said of itself."""
    trouble: str | None = None
    """What to do about it, where it is not heard."""

    @property
    def is_spared(self) -> bool:
        """Whether it is left alone now."""
        return self.is_let_be and not self.is_multirig

    @property
    def is_asked_by_itself(self) -> bool:
        """Whether it is asked without anybody's wish.

        A server of iblutil on TCP answers everybody on the connection that was made last (W12), and that may
        have become ours in the middle of a session: who has said once that it is none of us is asked no more.
        """
        is_one_of_many = self.is_multirig or not self.is_stream
        return not self.is_spared and (is_one_of_many or not self.is_known or self.trouble is not None)

    def problem(self, now: int) -> str | None:
        """Return why it is not heard, in words that follow its name."""
        if self.trouble is None:
            return None
        if self.heard_at is None:
            is_whole = self.trouble.startswith(_WHOLE)
            return self.trouble if is_whole else f"does not answer: {self.trouble}"
        return f"has not been heard for {(now - self.heard_at) / SECOND:.0f} s: {self.trouble}"

    def gist(self) -> tuple[Any, ...]:
        """Return what is news when it changes."""
        said = self.report
        return (
            self.heard_at is None,
            self.trouble is None,
            said.stalled is None,
            said.gap is None,
            said.doing,
            said.exp_ref,
            said.failure,
            said.led_by,
            said.subject,
            said.wanted_by,
        )

    def due(self) -> int | None:
        """Return when something is to be done about it, or None."""
        if not self.is_asked_by_itself:
            return None
        times = [self.ask_at] if self.asked is None else []
        if self.is_multirig and self.trouble is None and self.heard_at is not None:
            times.append(self.heard_at + (SILENT_AFTER if self.asked is None else QUIET_AFTER))
        return min(times, default=None)

    @property
    def pause(self) -> int:
        """Nanoseconds from a question that has its outcome to the next one."""
        if self.tries:
            return PAUSES[min(self.tries, len(PAUSES)) - 1]
        if not self.is_multirig:
            return FOREIGN_BUSY_EVERY if self.report.doing in _IN_SESSION else FOREIGN_EVERY
        return RENEW_EVERY if self.is_watched or self.is_renewed else 0

    def note_sign(self, now: int) -> None:
        """Note that something came of it."""
        if self.trouble is not None and self.is_multirig:
            self.ask_at = now
        self.heard_at, self.trouble = now, None

    def miss(self, hint: str) -> None:
        """Note that it is not heard, and what to do about it."""
        if not self.is_spared:
            self.trouble, self.is_watched = hint, False

    def is_missed(self, now: int) -> bool:
        """Whether it should have been heard by now; one that has never been tells nothing by its silence."""
        return self.is_multirig and self.heard_at is not None and now - self.heard_at >= QUIET_AFTER


class ObserverMachine:
    """The rules of whoever looks on, pure."""

    def __init__(self) -> None:
        self.seen: dict[Address, Seen] = {}
        """What is known of each rig that is followed."""
        self._let_be: frozenset[Address] = frozenset()
        self._is_attended = False
        """Whether somebody is there who may say whether a rig of this PC is handed over."""
        self._number = 0
        self._now = 0

    def handle(self, event: Any, now: int) -> Iterable[Any]:
        """Take what happened; return questions and news."""
        self._now = now
        match event:
            case Followed(addresses=addresses):
                return self._follow(addresses)
            case Suspended(addresses=addresses):
                self._suspend(addresses)
                return []
            case Relocated(address=old, now_at=now_at) if old in self.seen:
                self.seen[now_at] = self.seen.pop(old)
                return []
            case Asked():
                return self._ask_for(event)
            case PicturesAsked():
                return self._ask_for_pictures(event)
            case Decided(number=number, word=word, limit=limit):
                key = (_DECIDED, number)
                return [Send(address=event.address, word=word, key=key, limit=limit, needs_reply=False)]
            case Attending(is_attended=is_attended):
                self._attend(is_attended=is_attended)
                return []
        if (taken := _find_decision(event)) is not None:
            return [taken]
        out: list[Any] = [Settle(token=event.token)] if isinstance(event, Received) else []
        address = getattr(event, "address", None)
        if not isinstance(address, Address) or (seen := self.seen.get(address)) is None:
            return out
        before = seen.gist()
        out += self._take(seen, event)
        return out if seen.gist() == before else [*out, Changed(address=address)]

    def get_timer(self) -> int | None:
        """Return when `handle_timer` wants to be called, or None."""
        times = [one.due() for one in self.seen.values()]
        times += [one.show_at for one in self.seen.values() if one.wish is not None]
        return min((one for one in times if one is not None), default=None)

    def handle_timer(self, now: int) -> Iterable[Any]:
        """Ask who is to be asked, and notice who is not heard."""
        self._now = now
        out: list[Any] = []
        for address, seen in self.seen.items():
            out += self._put_wish(address, seen)
            if (at := seen.due()) is None or at > now:
                continue
            if seen.is_missed(now) and seen.trouble is None:
                seen.miss(_IS_IT_RUNNING)
                out.append(Changed(address=address))
            if seen.asked is None:
                out.append(self._ask(address, seen))
        return out

    # -- asking -----------------------------------------------------------------------------------------

    def _follow(self, addresses: frozenset[Address]) -> list[Any]:
        out: list[Any] = []
        for address in [one for one in self.seen if one not in addresses]:
            if self.seen.pop(address).is_multirig:
                left = Send(
                    address=address,
                    word=_LEFT,
                    key=None,
                    limit=ASK_LIMIT,
                    needs_reply=False,
                    gives_up=True,
                )
                out.append(left)
        for address in addresses - self.seen.keys():
            self.seen[address] = Seen(
                ask_at=self._now, is_stream=address.scheme == "tcp", is_let_be=address in self._let_be
            )
        return out

    def _suspend(self, addresses: frozenset[Address]) -> None:
        self._let_be = addresses
        for address, seen in self.seen.items():
            if seen.is_let_be and address not in addresses:
                seen.ask_at = self._now
            seen.is_let_be = address in addresses

    def _attend(self, *, is_attended: bool) -> None:
        """Tell the rigs of this PC soon that somebody can be asked here now."""
        if is_attended and not self._is_attended:
            for address, seen in self.seen.items():
                if seen.asked is None and is_this_pc(address.host):
                    seen.ask_at = self._now
        self._is_attended = is_attended

    def _ask(self, address: Address, seen: Seen) -> Send:
        """Renew the lease, or ask who it is."""
        self._number += 1
        seen.asked = self._number, self._now
        renews = seen.is_renewed = seen.is_multirig and seen.is_known and seen.trouble is None
        is_foreign = seen.is_known and not seen.is_multirig
        watched = _ATTENDED if self._is_attended and is_this_pc(address.host) else _WATCHED
        return Send(
            address=address,
            word=watched if renews else _WHO_ARE_YOU,
            key=(_LOOK, self._number),
            limit=FOREIGN_LIMIT if is_foreign else ASK_LIMIT,
            gives_up=True,
        )

    def _ask_for(self, event: Asked) -> list[Any]:
        seen = self.seen.get(event.address)
        if seen is None or seen.is_spared:
            return [Answered(number=event.number)]
        key = (_ASKED, event.number)
        return [Send(address=event.address, word=_WHO_ARE_YOU, key=key, limit=event.limit, gives_up=True)]

    def _ask_for_pictures(self, event: PicturesAsked) -> list[Any]:
        seen = self.seen.get(event.address)
        if seen is None or not seen.is_multirig or seen.trouble is not None:
            return [PicturesAnswered(number=event.number)]
        seen.picturing.append(event.number)
        if len(seen.picturing) > 1:
            return []  # what comes is for all who wait
        seen.wish = (event.number, self._now + event.limit)
        return self._put_wish(event.address, seen)

    def _put_wish(self, address: Address, seen: Seen) -> list[Any]:
        """Ask for pictures, where somebody wants them and it is time for other ones."""
        if seen.wish is None or self._now < seen.show_at:
            return []
        (number, until), seen.wish = seen.wish, None
        seen.show_at = self._now + PICTURES_EVERY
        key, limit = (_PICTURES, number), max(0, until - self._now)
        return [Send(address=address, word=_SHOW, key=key, limit=limit, gives_up=True)]

    # -- hearing ------------------------------------------------------------------------------------------

    def _take(self, seen: Seen, event: Any) -> list[Any]:
        """Take what comes of a rig, or of a question to it."""
        match event:
            case Received(word=word) | Told(word=word):
                self._hear(seen, word)
            case Replied(word=word, key=(kind, _)) if kind == _PICTURES:
                seen.note_sign(self._now)  # what it says of itself it tells by itself, without the pictures
                pictures = word.pictures if isinstance(word, Report) else None
                return self._show(seen, pictures or ())
            case Refused(key=(kind, _)) if kind == _PICTURES:
                return self._show(seen)
            case Replied(word=word, key=key):
                self._hear(seen, word)
                return self._end(seen, key, answered=True)
            case Refused(reason=reason, key=key):
                if reason not in (RESTARTED, WITHDRAWN):
                    seen.note_sign(self._now)
                    seen.is_known = True
                    seen.report = replace(seen.report, failure=reason)
                return self._end(seen, key, answered=False)
            case TimedOut(confirmed=confirmed, key=key):
                if not seen.is_multirig or seen.is_missed(self._now):
                    unheard = _IS_IT_ON if seen.heard_at is None else _IS_IT_RUNNING
                    seen.miss(_LOOK_AT_IT if confirmed else unheard)
                return self._end(seen, key, answered=False)
            case Unreached(reason=reason, key=key):
                seen.miss(reason)
                return self._end(seen, key, answered=False)
            case Upgraded():
                seen.is_multirig = True
            case Rebooted():
                seen.is_known = seen.is_watched = False
                seen.asked, seen.ask_at = None, self._now
        return []

    def _end(self, seen: Seen, key: Hashable, *, answered: bool) -> list[Any]:
        """Note that a question has its outcome, and plan the next one."""
        match key:
            case (kind, int(number)) if kind == _ASKED:
                return [Answered(number=number)]
            case (kind, _) if kind == _PICTURES:
                return self._show(seen)
            case (_, int(number)) if seen.asked is not None and number == seen.asked[0]:
                asked_at, seen.asked = seen.asked[1], None
                seen.tries = 0 if answered else seen.tries + 1
                seen.ask_at = max(self._now, asked_at + seen.pause)
        return []

    @staticmethod
    def _show(seen: Seen, pictures: tuple[Picture, ...] = ()) -> list[Any]:
        """Give pictures, or none, to all who wait for them."""
        waiting, seen.picturing = seen.picturing, []
        return [PicturesAnswered(number=number, pictures=pictures) for number in waiting]

    def _hear(self, seen: Seen, word: Word) -> None:
        """Take what a rig says."""
        seen.note_sign(self._now)
        match word:
            case Info():
                is_known = seen.is_multirig and word.state is not None
                seen.is_multirig = word.greeting is not None or is_known
                seen.is_known = True
                seen.info = word
                seen.report = replace(
                    seen.report,
                    status=word.status,
                    state=word.state,
                    exp_ref=word.exp_ref,
                    failure=word.failure,
                    led_by=word.led_by,
                    subject=word.subject,
                )
            case Report(state=RigState()) if seen.is_multirig:
                seen.report = word
                seen.is_watched = True


def _find_decision(event: Any) -> DecisionTaken | None:
    """Return what became of a person's decision, if that is what has come."""
    match event:
        case Replied(key=(kind, int(number))) if kind == _DECIDED:
            return DecisionTaken(number=number)
        case Refused(key=(kind, int(number)), reason=reason) if kind == _DECIDED:
            return DecisionTaken(number=number, problem=reason)
        case Unreached(key=(kind, int(number)), reason=reason) if kind == _DECIDED:
            return DecisionTaken(number=number, problem=reason)
        case TimedOut(key=(kind, int(number))) if kind == _DECIDED:
            return DecisionTaken(number=number, problem="has not heard it: look at its screen")
    return None
