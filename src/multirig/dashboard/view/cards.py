"""A card for each rig: what it does, in a word that is read from three metres, and what is the matter."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from multirig import wording
from multirig.conductor.sighting import Sighting
from multirig.dashboard.view.tones import Tone
from multirig.lifecycle.defects import LITTLE_ROOM, Kind, judge
from multirig.lifecycle.policy import Role
from multirig.protocol.words import RigState
from multirig.record.verdict import WIDE_BOUND
from multirig.wording import size

ROLES: Mapping[str, str] = {
    Role.ESSENTIAL.value: "essential: without it everything is interrupted",
    Role.EXPECTED.value: "expected: the others go on, and the session is DEGRADED",
    Role.OPTIONAL.value: "optional: the session goes on as if nothing had happened",
}
"""What the loss of a rig means to a session, to choose from."""

WHO_OPERATES = "an account that may operate"
"""Who can press the buttons that an account which may only look has not."""
FACTS = ("frames", "written", "rate", "dropped", "disk", "clock", "heard")
"""Labels of the figures of a card, in the order in which they stand there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A figure on a card."""

    label: str
    value: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One rig, as it is shown."""

    name: str
    uri: str
    role: str
    word: str
    """Its state."""
    tone: Tone
    icon: str
    """Name of a Material icon."""
    about: str
    """Whom it records for whom, or what it is, in one line."""
    trouble: str | None
    """What is wrong, and what to do next: one sentence."""
    trouble_tone: Tone
    facts: tuple[Fact, ...]
    pictures: tuple[str, ...]
    """Labels of the cameras to show."""
    is_selected: bool
    is_locked: bool
    """Whether it cannot be selected or left out now, since a session runs."""
    can_clean_up: bool
    """Whether something is left on it that a clean-up would end, and nobody leads it."""
    can_stop: bool
    """Whether it records, and not for the session of this console."""
    wanted_by: str | None
    """Who wants to take it over, where that can be let or refused here."""

    @property
    def alarm(self) -> str:
        """What is wrong, with the rig's name, as a sentence."""
        joint = " " if self.word == _NOT_HEARD[0] else ": "
        return f"{self.name}{joint}{self.trouble}" if self.trouble else self.name


_WORDS: Mapping[RigState, tuple[str, Tone, str]] = {
    RigState.CONNECTED: ("Ready", Tone.GOOD, "check_circle"),
    RigState.INITIALIZING: ("Getting ready", Tone.BUSY, "hourglass_top"),
    RigState.INITIALIZED: ("Set to start", Tone.BUSY, "flag"),
    RigState.STARTING: ("Starting", Tone.BUSY, "play_circle"),
    RigState.RUNNING: ("Recording", Tone.RECORDING, "fiber_manual_record"),
    RigState.STOPPING: ("Stopping", Tone.BUSY, "hourglass_bottom"),
    RigState.STOPPED: ("Stopped", Tone.BUSY, "stop_circle"),
    RigState.CLEANING: ("Cleaning up", Tone.BUSY, "hourglass_bottom"),
    RigState.FAILING: ("Failing", Tone.BAD, "error"),
    RigState.BROKEN: ("Broken", Tone.BAD, "error"),
}
"""What each state is called, how good it is, and its icon."""
_LOOKING = ("Looking for it", Tone.PLAIN, "search")
_NOT_HEARD = ("Not heard", Tone.BAD, "cloud_off")
_LEFT_OVER = frozenset({RigState.BROKEN, RigState.STOPPED, RigState.INITIALIZED})
"""States that nobody's session should leave behind."""
_RECORDING = frozenset({RigState.STARTING, RigState.RUNNING, RigState.STOPPING})


def make_card(
    rig: Sighting,
    role: Role = Role.EXPECTED,
    *,
    is_selected: bool,
    led_here: bool,
    is_locked: bool = False,
    operates: bool = True,
) -> Card:
    """Return how a rig is shown.

    Parameters
    ----------
    rig : Sighting
        What is seen of it.
    role : Role
        What its loss means to a session.
    is_selected, is_locked : bool
        As the card has it.
    led_here : bool
        Whether the session of this console takes it along.
    operates : bool
        Whether who sees the card may press its buttons; else it is said who can.
    """
    report, is_heard = rig.report, rig.problem is None
    state = report.doing
    word, tone, icon = _LOOKING if state is None else _WORDS[state]
    if not is_heard:  # what it last said may have been long ago
        word, tone, icon = _NOT_HEARD
    trouble = next(_find_troubles(rig, operates=operates), None)
    return Card(
        name=rig.name,
        uri=rig.uri,
        role=role.value,
        word=word,
        tone=tone if trouble is None or tone in (Tone.BAD, Tone.RECORDING) else trouble[0],
        icon=icon,
        about=_about(rig, role, led_here=led_here),
        trouble=None if trouble is None else trouble[1],
        trouble_tone=Tone.PLAIN if trouble is None else trouble[0],
        facts=tuple(_facts(rig)),
        pictures=report.cameras if is_heard else (),
        is_selected=is_selected,
        is_locked=is_locked,
        can_clean_up=is_heard and not led_here and state in _LEFT_OVER,
        can_stop=is_heard and not led_here and state in _RECORDING,
        wanted_by=report.wanted_by if is_heard and rig.is_here else None,
    )


def _find_troubles(rig: Sighting, *, operates: bool) -> Iterator[tuple[Tone, str]]:
    """Yield what is wrong, the gravest first; each says what to do next."""
    if rig.problem is not None:
        yield Tone.BAD, rig.problem
    defects = [*judge(rig.report)]
    if rig.report.wanted_by is not None and not any(one.is_grave for one in defects):
        yield Tone.WARNING, _say_wanted(rig, operates=operates)
    for defect in defects:
        action = ": press Clean up" if operates else f": {WHO_OPERATES} can clean it up"
        text = defect.text + (action if defect.kind is Kind.LEFT_OVER else "")
        yield Tone.BAD if defect.is_grave else Tone.WARNING, text
    if rig.report.is_open:
        yield Tone.WARNING, "is open: whoever reaches it may command it (open: true in its file)"
    if rig.bound is not None and rig.bound > WIDE_BOUND:
        text = f"its clock is known within {rig.bound * 1000:.0f} ms only: check the network to it"
        yield Tone.WARNING, text


def _say_wanted(rig: Sighting, *, operates: bool) -> str:
    """Return who wants to take it over, for how long that is asked, and who says yes or no where."""
    report = rig.report
    left = "" if report.asking is None else f" ({report.asking:.0f} s)"
    who = "say" if operates else f"{WHO_OPERATES} can say"
    here = f"{who} yes or no here, or type it" if rig.is_here else "type yes or no"
    return f"{report.wanted_by} wants to take it over{left}: {here} at its keyboard"


def _about(rig: Sighting, role: Role, *, led_here: bool) -> str:
    """Return what a rig is, or for whom it works."""
    report = rig.report
    if report.exp_ref is not None and report.doing is not RigState.CONNECTED:
        if led_here:
            return f"{report.exp_ref}, led from here"
        return str(report.exp_ref) if report.led_by is None else f"{report.exp_ref}, led by {report.led_by}"
    if rig.is_foreign:
        return "speaks IBL's protocol: it tells its state only"
    parts = [
        report.adapter,
        role.value if role is not Role.EXPECTED else None,
        "main sync" if report.main_sync else None,
        f"set up for {report.subject}" if report.subject else None,
    ]
    return ", ".join(part for part in parts if part)


def _facts(rig: Sighting) -> Iterator[Fact]:
    """Yield the figures of a card that are known, in the order of `FACTS`."""
    report = rig.report
    runs = report.doing is RigState.RUNNING
    if (health := report.health) is not None:
        if health.frames is not None:
            yield Fact(label="frames", value=wording.grouped(health.frames))
        elif health.bytes:
            yield Fact(label="written", value=size(health.bytes))
        if health.rate is not None and runs:
            yield Fact(label="rate", value=wording.rate(health.rate))
        if runs:
            tone = Tone.WARNING if health.dropped else Tone.PLAIN
            yield Fact(label="dropped", value=wording.grouped(health.dropped), tone=tone)
    if report.disk_free is not None:
        hours = report.hours_left
        left = "" if hours is None else f", {wording.about(hours * 3600)} left"
        tone = Tone.WARNING if hours is not None and hours < LITTLE_ROOM else Tone.PLAIN
        yield Fact(label="disk", value=f"{size(report.disk_free)} free{left}", tone=tone)
    if rig.offset is not None:
        wide = rig.bound is not None and rig.bound > WIDE_BOUND
        tone = Tone.WARNING if wide else Tone.PLAIN
        yield Fact(label="clock", value=wording.clock_offset(rig.offset, rig.bound), tone=tone)
    if rig.heard_ago is not None:
        is_heard = rig.problem is None
        tone = Tone.PLAIN if is_heard else Tone.BAD
        yield Fact(label="heard", value=wording.ago(rig.heard_ago, is_fresh=is_heard), tone=tone)


def make_cards(
    rigs: Collection[Sighting],
    roles: Mapping[str, Role],
    *,
    selected: Collection[str],
    led: Collection[str],
    is_locked: bool = False,
    operates: bool = True,
) -> list[Card]:
    """Return a card for each rig, in the order of the rigs file; see `make_card`."""
    return [
        make_card(
            rig,
            roles.get(rig.name, Role.EXPECTED),
            is_selected=rig.name in selected,
            led_here=rig.name in led,
            is_locked=is_locked,
            operates=operates,
        )
        for rig in rigs
    ]
