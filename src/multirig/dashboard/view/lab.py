"""The whole page: one sentence on the lab, the cards, the form, and the session that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from multirig import wording
from multirig.conductor.sighting import Sighting
from multirig.dashboard.snapshot import SessionNow
from multirig.dashboard.view.cards import WHO_OPERATES, Card, make_cards
from multirig.dashboard.view.session import OVER, RECORDING, SessionView, view_session
from multirig.dashboard.view.start import Draft, StartView, view_start
from multirig.dashboard.view.tones import ICONS, LEVEL_TONES, Tone, worst_tone
from multirig.lifecycle.policy import Role
from multirig.protocol.words import Report, RigState


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """A session whose program has died: it can be taken up again."""

    folder: str
    exp_ref: str
    state: str
    rigs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNow:
    """All that the console knows at a moment."""

    now: float
    """Seconds since 1970."""
    rigs: Sequence[Sighting] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    """What the loss of a rig means to a session, where the rigs file says it."""
    draft: Draft = field(default_factory=Draft)
    session: SessionNow | None = None
    """The session that is led from here, or was until somebody has taken note of its end."""
    reports: Mapping[str, Report] = field(default_factory=dict)
    """What each rig last reported in that session."""
    is_lost: bool = False
    """Whether the process of that session has died before it was over."""
    abandoned: Sequence[Abandoned] = ()
    subjects: Sequence[str] = ()
    """Who was recorded before, or stands in multirig.yaml."""
    findings: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    """What the last look at each PC found: check, level, text."""
    is_checking: bool = False
    problem: str | None = None
    """What is wrong with the rigs file, or with this PC."""
    caution: str | None = None
    """What this PC believes without a proof, or soon can prove no more."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """How many messages of each address were refused lately."""
    operates: bool = True
    """Whether who sees the page may press its buttons; else it is said who can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The lab in one sentence, with the next action."""

    text: str
    tone: Tone
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A line of what the look at each PC has found."""

    pc: str
    check: str
    text: str
    tone: Tone
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """What a look at each PC has found, as it is shown."""

    summary: str
    """What it comes to, in one sentence."""
    tone: Tone
    icon: str
    troubles: tuple[Found, ...]
    """What speaks against a session, the gravest first."""
    rest: tuple[Found, ...]
    """What is well, and what is good to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabView:
    """The page, as it is shown."""

    headline: Headline
    refused: str | None
    """Who was refused lately."""
    cards: tuple[Card, ...]
    start: StartView
    draft: Draft
    session: SessionView | None
    abandoned: tuple[Abandoned, ...]
    check: CheckView | None
    is_checking: bool
    title: str
    """For the browser's tab."""


def view_lab(lab: LabNow) -> LabView:
    """Return what the page shows."""
    session = None if lab.session is None else view_session(lab.session, lab.now, lab.reports)
    is_led = session is not None and not session.is_over and not lab.is_lost
    led = lab.session.order.rigs if lab.session is not None and is_led else ()
    cards = make_cards(
        lab.rigs,
        lab.roles,
        selected=led if is_led else lab.draft.rigs,
        led=led,
        is_locked=is_led,
        operates=lab.operates,
    )
    headline = _find_headline(lab, cards, session)
    return LabView(
        headline=headline,
        refused=wording.refused(lab.refused),
        cards=tuple(cards),
        start=view_start(lab.draft, lab.rigs, is_led=is_led, subjects=lab.subjects),
        draft=lab.draft,
        session=session,
        abandoned=tuple(lab.abandoned) if not is_led else (),
        check=view_check(lab.findings) if lab.findings else None,
        is_checking=lab.is_checking,
        title=_title(session, headline),
    )


def _find_headline(lab: LabNow, cards: Sequence[Card], session: SessionView | None) -> Headline:
    tone, text = _find_sentence(lab, cards, session)
    return Headline(text=text, tone=tone, icon=ICONS[tone])


def _find_sentence(lab: LabNow, cards: Sequence[Card], session: SessionView | None) -> tuple[Tone, str]:
    if lab.problem is not None:
        return Tone.BAD, lab.problem
    if session is not None and lab.is_lost:
        died = f"The program that led {session.exp_ref or 'the session'} has died"
        return Tone.BAD, f"{died}: {_advise(lab, 'take it up again', 'can take it up again')}"
    if session is not None and session.phase is not OVER:
        led = lab.session.order.rigs if lab.session is not None else ()
        sick = [one for one in cards if one.name in led and one.trouble_tone is Tone.BAD]
        if sick:
            return Tone.BAD, _say_trouble(sick)
        if session.phase is RECORDING:
            return Tone.RECORDING, f"Recording {session.subtitle}"
        return session.tone, f"{session.title}: {session.subtitle}"
    if lab.abandoned:
        one = lab.abandoned[0]
        ends = "take it up again, or clean it up"
        return Tone.WARNING, f"{one.exp_ref} was never ended: {_advise(lab, ends, f'can {ends}')}"
    if not cards:
        adds = _advise(lab, "press Add a rig, and give its name and address", "can add one")
        return Tone.PLAIN, f"No rigs yet: {adds}"
    sick = [one for one in cards if one.trouble is not None]
    if sick:
        return worst_tone(one.trouble_tone for one in sick), _say_trouble(sick)
    looking = [rig.name for rig in lab.rigs if rig.report.doing is None]
    if looking:
        return Tone.PLAIN, f"Looking for {wording.listed(looking)}"
    if lab.caution is not None:
        return Tone.WARNING, lab.caution
    busy = [rig.name for rig in lab.rigs if rig.report.doing is not RigState.CONNECTED]
    if busy:
        return Tone.BUSY, f"{wording.listed(busy)} {'is' if len(busy) == 1 else 'are'} in a session"
    ready = wording.count(len(cards), "rig")
    return Tone.GOOD, f"All is well: {ready} ready"


def _advise(lab: LabNow, todo: str, can: str) -> str:
    """Return what to do next, or who can."""
    return todo if lab.operates else f"{WHO_OPERATES} {can}"


def _say_trouble(sick: Sequence[Card]) -> str:
    gravest = max(sick, key=lambda one: one.trouble_tone is Tone.BAD)
    more = len(sick) - 1
    others = f" (and {wording.count(more, 'more rig')} with trouble)" if more else ""
    return f"{gravest.alarm}{others}"


def view_check(findings: Mapping[str, Sequence[Mapping[str, str]]]) -> CheckView:
    """Return how it is shown what a look at each PC has found."""
    order = list(Tone)
    lines = [_found(pc, one) for pc, found in findings.items() for one in found]
    troubles = [one for one in lines if one.tone in (Tone.WARNING, Tone.BAD)]
    tone = worst_tone(one.tone for one in troubles)
    pcs = wording.count(len(findings), "PC")
    bad = [one for one in troubles if one.tone is Tone.BAD]
    if bad:
        who = wording.listed(list(dict.fromkeys(one.pc for one in bad)))
        summary = f"A session would fail on {who}: put this right first"
    elif troubles:
        summary = (
            f"{pcs} looked at: a session can begin, and {wording.count(len(troubles), 'thing')} to look after"
        )
    else:
        tone, summary = Tone.GOOD, f"{pcs} looked at: nothing speaks against a session"
    return CheckView(
        summary=summary,
        tone=tone,
        icon=ICONS[tone],
        troubles=tuple(sorted(troubles, key=lambda one: -order.index(one.tone))),
        rest=tuple(one for one in lines if one not in troubles),
    )


def _found(pc: str, one: Mapping[str, str]) -> Found:
    tone = LEVEL_TONES.get(one.get("level", ""), Tone.PLAIN)
    return Found(pc=pc, check=one.get("check", ""), text=one.get("text", ""), tone=tone, icon=ICONS[tone])


def _title(session: SessionView | None, headline: Headline) -> str:
    mark = "⚠ " if headline.tone in (Tone.BAD, Tone.WARNING) else ""
    if session is None:
        return f"{mark}multirig"
    what = f"● {session.elapsed}" if session.phase is RECORDING and session.elapsed else session.title
    return f"{mark}{what} – multirig"
