"""A card for each rig: what it does, in a word that is read from three metres, and what is the matter."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from multirig.dashboard.snapshot import RigNow
from multirig.dashboard.view import words
from multirig.dashboard.view.tones import Tone
from multirig.lifecycle.policy import Role
from multirig.lifecycle.rig_states import RigState
from multirig.pc.wording import size

LITTLE_ROOM = 1.0
"""Hours of recording below which a disk is worth a warning."""
NO_ROOM = 0.1
"""Hours below which it is about to end a recording."""
ROLES: Mapping[str, str] = {
    Role.ESSENTIAL.value: "essential: without it everything is interrupted",
    Role.EXPECTED.value: "expected: the others go on, and the session is DEGRADED",
    Role.OPTIONAL.value: "optional: the session goes on as if nothing had happened",
}
"""What the loss of a rig means to a session, to choose from."""
WIDE_BOUND = 0.010
"""Seconds by which a clock may be unsure without a remark: less than a frame of most cameras."""

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
    can_clean_up: bool
    """Whether something is left on it that a clean-up would end, and nobody leads it."""

    @property
    def alarm(self) -> str:
        """What is wrong, with the rig's name, as a sentence."""
        joint = " " if self.word == _WORDS[None][0] else ": "
        return f"{self.name}{joint}{self.trouble}" if self.trouble else self.name


_WORDS: Mapping[str | None, tuple[str, Tone, str]] = {
    None: ("Not heard", Tone.BAD, "cloud_off"),
    RigState.CONNECTED.value: ("Ready", Tone.GOOD, "check_circle"),
    RigState.INITIALIZING.value: ("Getting ready", Tone.BUSY, "hourglass_top"),
    RigState.INITIALIZED.value: ("Set to start", Tone.BUSY, "flag"),
    RigState.STARTING.value: ("Starting", Tone.BUSY, "play_circle"),
    RigState.RUNNING.value: ("Recording", Tone.RECORDING, "fiber_manual_record"),
    RigState.STOPPING.value: ("Stopping", Tone.BUSY, "hourglass_bottom"),
    RigState.STOPPED.value: ("Stopped", Tone.BUSY, "stop_circle"),
    RigState.CLEANING.value: ("Cleaning up", Tone.BUSY, "hourglass_bottom"),
    RigState.FAILING.value: ("Failing", Tone.BAD, "error"),
    RigState.BROKEN.value: ("Broken", Tone.BAD, "error"),
}
"""What each state is called, how good it is, and its icon; None: no state is known."""
_LOOKING = ("Looking for it", Tone.PLAIN, "search")
_LEFT_OVER = frozenset({RigState.BROKEN.value, RigState.STOPPED.value, RigState.INITIALIZED.value})
"""States that nobody's session should leave behind."""


def make_card(rig: RigNow, *, is_selected: bool, led_here: bool) -> Card:
    """Return how a rig is shown.

    Parameters
    ----------
    rig : RigNow
        What is known of it.
    is_selected : bool
        Whether it is chosen for the next session.
    led_here : bool
        Whether the session that this console leads takes it along.
    """
    word, tone, icon = _WORDS.get(rig.state, (rig.state or "", Tone.PLAIN, "help"))
    if rig.state is None and rig.problem is None:
        word, tone, icon = _LOOKING
    if rig.problem is not None:  # what it last said may have been long ago
        word, tone, icon = _WORDS[None]
    trouble = next(_find_troubles(rig), None)
    return Card(
        name=rig.name,
        uri=rig.uri,
        role=rig.role,
        word=word,
        tone=tone if trouble is None or tone in (Tone.BAD, Tone.RECORDING) else trouble[0],
        icon=icon,
        about=_about(rig, led_here=led_here),
        trouble=None if trouble is None else trouble[1],
        trouble_tone=Tone.PLAIN if trouble is None else trouble[0],
        facts=tuple(_facts(rig)),
        pictures=tuple(rig.pictures) if rig.problem is None else (),
        is_selected=is_selected,
        can_clean_up=rig.problem is None and not led_here and rig.state in _LEFT_OVER,
    )


def _find_troubles(rig: RigNow) -> Iterator[tuple[Tone, str]]:
    """Yield what is wrong, the gravest first; each says what to do next."""
    runs = rig.state == RigState.RUNNING.value
    if rig.problem is not None:
        yield Tone.BAD, rig.problem
    if rig.failure is not None:
        yield Tone.BAD, rig.failure
    if rig.gap is not None:
        yield Tone.BAD, f"has not recorded since {rig.gap[11:19] or rig.gap}: look at its program"
    if rig.stalled is not None:
        yield (
            Tone.BAD,
            f"nothing has come in for {rig.stalled:.0f} s: look at its device, its trigger and its disk",
        )
    if rig.hours_left is not None and rig.hours_left < LITTLE_ROOM:
        urgent = runs and rig.hours_left < NO_ROOM
        text = f"its disk has room for {words.room(rig.hours_left)} only: free space in its data folder"
        yield Tone.BAD if urgent else Tone.WARNING, text
    if runs and rig.dropped:
        text = f"{words.count(rig.dropped, 'frame')} lost so far: its disk or processor is too slow"
        yield Tone.WARNING, text
    if rig.bound is not None and rig.bound > WIDE_BOUND:
        text = f"its clock is known within {rig.bound * 1000:.0f} ms only: check the network to it"
        yield Tone.WARNING, text
    if rig.state in _LEFT_OVER and rig.conductor is None and not rig.is_foreign:
        yield Tone.WARNING, "an earlier session was not cleaned up here: press Clean up"


def _about(rig: RigNow, *, led_here: bool) -> str:
    """Return what a rig is, or for whom it works."""
    if rig.exp_ref is not None and rig.state != RigState.CONNECTED.value:
        if led_here:
            return f"{rig.exp_ref}, led from here"
        return rig.exp_ref if rig.conductor is None else f"{rig.exp_ref}, led by {rig.conductor}"
    if rig.is_foreign:
        return "speaks IBL's protocol: it tells its state only"
    kind = rig.adapter or ""
    if rig.role != Role.EXPECTED.value:
        kind = f"{kind}, {rig.role}" if kind else rig.role
    if rig.main_sync:
        kind = f"{kind}, main sync" if kind else "main sync"
    if rig.subject is not None:
        kind = f"{kind}, set up for {rig.subject}" if kind else f"set up for {rig.subject}"
    return kind


def _facts(rig: RigNow) -> Iterator[Fact]:
    """Yield the figures of a card that are known, in the order of `FACTS`."""
    if rig.frames is not None:
        yield Fact(label="frames", value=words.grouped(rig.frames))
    elif rig.bytes:
        yield Fact(label="written", value=size(rig.bytes))
    if rig.rate is not None and rig.state == RigState.RUNNING.value:
        yield Fact(label="rate", value=f"{rig.rate:.1f}/s")
    if rig.dropped is not None and rig.state == RigState.RUNNING.value:
        tone = Tone.WARNING if rig.dropped else Tone.PLAIN
        yield Fact(label="dropped", value=words.grouped(rig.dropped), tone=tone)
    if rig.disk_free is not None:
        left = "" if rig.hours_left is None else f", {words.room(rig.hours_left)} left"
        little = rig.hours_left is not None and rig.hours_left < LITTLE_ROOM
        tone = Tone.WARNING if little else Tone.PLAIN
        yield Fact(label="disk", value=f"{size(rig.disk_free)} free{left}", tone=tone)
    if rig.offset is not None:
        wide = rig.bound is not None and rig.bound > WIDE_BOUND
        tone = Tone.WARNING if wide else Tone.PLAIN
        yield Fact(label="clock", value=words.offset(rig.offset, rig.bound), tone=tone)
    if rig.heard_ago is not None:
        tone = Tone.BAD if rig.problem is not None else Tone.PLAIN
        fresh = rig.problem is None
        yield Fact(label="heard", value=words.ago(rig.heard_ago, is_fresh=fresh), tone=tone)


def make_cards(rigs: Collection[RigNow], *, selected: Collection[str], led: Collection[str]) -> list[Card]:
    """Return a card for each rig, in the order of the rigs file."""
    return [make_card(one, is_selected=one.name in selected, led_here=one.name in led) for one in rigs]
