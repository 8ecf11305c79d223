"""The session that is led from here: how far each rig is, what went wrong, what may be pressed."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from multirig import wording
from multirig.dashboard.snapshot import Alarm, Outcome, SessionNow, Step, StepNow
from multirig.dashboard.view.tones import ICONS, VERDICT_TONES, Tone
from multirig.lifecycle.session_states import SessionState as S
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Health, Report
from multirig.record.verdict import Word, say_meaning, say_short, say_unverified

SHOWN_ALARMS = 20
SHOWN_MARKERS = 20


class Phase(str, enum.Enum):
    """Which part of the page is shown."""

    STARTING = "starting"
    RECORDING = "recording"
    ENDING = "ending"
    OVER = "over"


STARTING, RECORDING, ENDING, OVER = Phase

_TITLES: Mapping[str, tuple[Phase, str, Tone]] = {
    S.IDLE.value: (STARTING, "Preparing", Tone.BUSY),
    S.AGREEING.value: (STARTING, "Asking the rigs", Tone.BUSY),
    S.AGREED.value: (STARTING, "The rigs agree", Tone.BUSY),
    S.INITIALIZING.value: (STARTING, "Getting the rigs ready", Tone.BUSY),
    S.INITIALIZED.value: (STARTING, "The rigs are ready", Tone.BUSY),
    S.STARTING.value: (STARTING, "Starting", Tone.BUSY),
    S.RUNNING.value: (RECORDING, "Recording", Tone.RECORDING),
    S.STOPPING.value: (ENDING, "Stopping", Tone.BUSY),
    S.INTERRUPTING.value: (ENDING, "Interrupting", Tone.WARNING),
    S.STOPPED.value: (ENDING, "Stopped", Tone.BUSY),
    S.CLEANING.value: (ENDING, "Cleaning up", Tone.BUSY),
    S.ABORTING.value: (ENDING, "The start failed: stopping the rigs", Tone.WARNING),
    S.ROLLING_BACK.value: (ENDING, "It could not begin: cleaning up", Tone.WARNING),
    S.RECOVERING.value: (STARTING, "Asking the rigs what they do", Tone.BUSY),
    S.RECOVERED.value: (STARTING, "Taking the session up again", Tone.BUSY),
}
"""Of each state of a session: which part of the page, what it is called, how good it is."""

BEGINNING = (Step.AGREE, Step.INITIALISE, Step.ARM, Step.START)
"""The columns of the table while a session begins."""
_MARKS: Mapping[Outcome | None, tuple[str, str, Tone]] = {
    None: ("remove", "not yet", Tone.PLAIN),
    Outcome.WAITING: ("hourglass_top", "waiting", Tone.BUSY),
    Outcome.DONE: ("check_circle", "done", Tone.GOOD),
    Outcome.FAILED: ("error", "failed", Tone.BAD),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How far a rig is in one step."""

    word: str
    icon: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How far a rig is."""

    rig: str
    cells: tuple[Cell, ...]
    """One for each of `SessionView.columns`."""
    reason: str | None
    """Why its last step failed, or what keeps it from hearing us."""
    progress: str
    """What it has recorded so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the alarms, or of the markers."""

    when: str
    who: str
    text: str
    tone: Tone
    icon: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session, as it is shown."""

    phase: Phase
    title: str
    tone: Tone
    icon: str
    exp_ref: str
    subtitle: str
    """Who, on which rigs, with which task."""
    elapsed: str | None
    """Stopwatch since all rigs record."""
    progress: float | None
    """0 to 1, where a duration is planned."""
    remaining: str | None
    """What is left of it."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    alarms: tuple[Entry, ...]
    """Newest first."""
    markers: tuple[Entry, ...]
    """Newest first."""
    spread: str | None
    trouble: str | None
    """What went wrong and what to do next, in one line."""
    causes: tuple[tuple[str, str], ...]
    """Rig by rig."""
    verdict: str | None
    meaning: str | None
    reasons: tuple[str, ...]
    """Why it is not GOOD, the gravest first."""
    doubt: str | None
    """Which rigs are not verified, and why."""
    can_mark: bool
    can_stop: bool
    can_interrupt: bool
    is_over: bool
    page: str | None
    """Where all of it can be read, once it is over."""
    newest_alarm: int
    """Number of the newest alarm that is bad, for those who are notified."""


def view_session(session: SessionNow, now: float, reports: Mapping[str, Report]) -> SessionView:
    """Return how a session is shown, `now` in seconds since 1970.

    `reports` are what each rig last reported in this session to those who look on.
    """
    phase, title, tone = _TITLES.get(session.state, (STARTING, session.state.capitalize(), Tone.BUSY))
    if session.is_over:
        phase, title, tone = OVER, *_name_end(session)
    order = session.order
    columns = BEGINNING if phase is STARTING or _failed_to_begin(session) else ()
    elapsed = None
    if session.began_at is not None:
        elapsed = max(0.0, (session.ended_at or now) - session.began_at)
    progress, remaining = _progress(session, elapsed, phase)
    return SessionView(
        phase=phase,
        title=title,
        tone=tone,
        icon=ICONS[tone],
        exp_ref=session.exp_ref or "",
        subtitle=_subtitle(session),
        elapsed=None if elapsed is None else wording.stopwatch(elapsed),
        progress=progress,
        remaining=remaining,
        columns=tuple(one.value for one in columns),
        rows=tuple(_row(session, rig, columns, reports.get(rig)) for rig in order.rigs),
        alarms=tuple(_alarm_entry(one, session) for one in reversed(session.alarms[-SHOWN_ALARMS:])),
        markers=tuple(
            Entry(
                when=wording.stopwatch(one.seconds), who="", text=one.text, tone=Tone.PLAIN, icon="bookmark"
            )
            for one in reversed(session.markers[-SHOWN_MARKERS:])
        ),
        spread=session.spread,
        trouble=session.trouble.text if session.trouble is not None else None,
        causes=tuple(session.trouble.causes.items()) if session.trouble is not None else (),
        verdict=session.verdict,
        meaning=(
            say_meaning(Word(session.verdict), session.unverified) if session.verdict in _VERDICTS else None
        ),
        reasons=tuple(session.reasons),
        doubt=say_unverified(session.unverified) if session.unverified else None,
        can_mark=not session.is_over and session.state == S.RUNNING.value,
        can_stop=not session.is_over and session.state == S.RUNNING.value,
        can_interrupt=not session.is_over and phase is not OVER and session.state not in _ENDING_ANYWAY,
        is_over=session.is_over,
        page=_page(session) if session.is_over else None,
        newest_alarm=max((one.number for one in session.alarms if one.is_bad), default=0),
    )


_VERDICTS = frozenset(one.value for one in Word)
_ENDING_ANYWAY = frozenset(
    {S.INTERRUPTING.value, S.ABORTING.value, S.ROLLING_BACK.value, S.CLEANING.value, S.STOPPED.value}
)


def _page(session: SessionNow) -> str | None:
    if session.exp_ref is None or session.folder is None:
        return None
    subject, date, number = ExpRef.parse(session.exp_ref).folder_parts()
    return f"/session/{subject}/{date}/{number}"


def _name_end(session: SessionNow) -> tuple[str, Tone]:
    if session.verdict is not None:
        title = say_short(session.verdict, len(session.unverified))
        return title, VERDICT_TONES.get(session.verdict, Tone.PLAIN)
    if session.trouble is not None:
        return "It did not begin", Tone.BAD
    return "Over", Tone.PLAIN


def _failed_to_begin(session: SessionNow) -> bool:
    return session.began_at is None and session.trouble is not None


def _subtitle(session: SessionNow) -> str:
    order = session.order
    parts = [order.subject, f"on {wording.listed(list(order.rigs))}" if order.rigs else ""]
    if order.task is not None:
        parts.append(f"task {order.task}")
    return ", ".join(part for part in parts if part)


def _progress(session: SessionNow, elapsed: float | None, phase: Phase) -> tuple[float | None, str | None]:
    planned = session.order.seconds
    if elapsed is None or not planned or phase is not RECORDING:
        return None, None
    left = planned - elapsed
    if left < 0:
        return 1.0, f"{wording.stopwatch(-left)} longer than planned"
    end = "stops by itself" if session.order.ends_itself and session.order.task is None else "planned end"
    return elapsed / planned, f"{end} in {wording.stopwatch(left)}"


def _row(session: SessionNow, rig: str, columns: tuple[Step, ...], report: Report | None) -> Row:
    latest: dict[Step, StepNow] = {one.step: one for one in session.steps if one.rig == rig}
    said = [
        f"{one.step.value}: {one.reason}" + (" (it is tried on)" if one.outcome is Outcome.WAITING else "")
        for one in latest.values()
        if one.outcome is Outcome.FAILED or one.reason is not None
    ]
    outcomes = {step: one.outcome for step, one in latest.items()}
    if (armed := _find_armed(outcomes.get(Step.START), report)) is not None:
        outcomes[Step.ARM] = armed
    cells = []
    for step in columns:
        icon, word, tone = _MARKS[outcomes.get(step)]
        cells.append(Cell(word=word, icon=icon, tone=tone))
    return Row(
        rig=rig,
        cells=tuple(cells),
        reason=said[-1] if said else None,
        progress=", ".join(_say_progress(session, rig, report)),
    )


def _find_armed(started: Outcome | None, report: Report | None) -> Outcome | None:
    """Return whether a rig has done all that takes time before its start."""
    if started is Outcome.DONE or (report is not None and report.armed):
        return Outcome.DONE
    return started if started is Outcome.WAITING else None


def _say_progress(session: SessionNow, rig: str, report: Report | None) -> Iterator[str]:
    """Yield what a rig has recorded so far; of a session that is over, what its account says."""
    if (told := session.recorded.get(rig)) is not None:
        if (frames := told.get("frames")) is not None:
            yield f"{wording.grouped(frames)} frames"
        yield wording.size(told.get("bytes") or 0)
        if dropped := told.get("dropped"):
            yield f"{wording.grouped(dropped)} dropped"
    elif report is not None and report.health is not None:
        yield from _say_health(report.health)


def _say_health(health: Health) -> Iterator[str]:
    if health.frames is not None:
        yield f"{wording.grouped(health.frames)} frames"
    if health.rate is not None:
        yield wording.rate(health.rate)
    if health.dropped:
        yield f"{wording.grouped(health.dropped)} dropped"


def _alarm_entry(alarm: Alarm, session: SessionNow) -> Entry:
    tone = Tone.BAD if alarm.is_bad else Tone.GOOD
    when = "" if session.began_at is None else wording.stopwatch(max(0.0, alarm.at - session.began_at))
    return Entry(when=when, who=alarm.rig or "this PC", text=alarm.text, tone=tone, icon=ICONS[tone])
