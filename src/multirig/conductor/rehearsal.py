"""A recording of a few seconds on every rig, to see that it works; the rigs remove it again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import EventStream
from multirig.conductor.leading import Wishes, lead_through
from multirig.conductor.preflight import is_hindrance
from multirig.errors import MultirigError
from multirig.lifecycle.agreement import THIS_PC
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.session_events import Limits
from multirig.lifecycle.session_states import SessionState
from multirig.pc.finding import Finding, Level
from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import Health, Started, Stopped, Word

SUBJECT = "rehearsal"
SECONDS = 5.0
"""As long as a rehearsal records if nothing else is said."""
LONGEST = 60.0
"""Seconds; rigs end a rehearsal by themselves two minutes after it has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What came of the rehearsal on a rig."""

    frames: int | None = None
    """None: the adapter cannot tell, or nothing was tried."""
    bytes: int = 0
    rate: float | None = None
    """Frames a second."""
    bytes_per_second: float = 0.0
    dropped: int = 0
    problems: tuple[str, ...] = ()
    """Why the rig is not ready; empty: it is."""
    was_tried: bool = True
    """False: nothing was recorded, since the rig knows no rehearsals or is not fit for one."""

    @property
    def is_ready(self) -> bool:
        """Whether the rig has recorded as it should."""
        return self.was_tried and not self.problems


async def rehearse(
    conductor: Conductor,
    seconds: float = SECONDS,
    *,
    planned: float | None = None,
    wishes: Wishes | None = None,
) -> tuple[dict[str, list[Finding]], dict[str, Rehearsed]]:
    """Check every rig, let those that are fit for it record for a few seconds, and let them remove it.

    Nobody needs to be the main sync, no number is used up and no journal is written. Whatever happens, rigs
    that were told to record are told to clean up.

    Parameters
    ----------
    conductor : Conductor
        Open, and between sessions.
    seconds : float
        How long to record.
    planned : float, optional
        How long the session is to be for which this is a rehearsal; for the check.
    wishes : Wishes, optional
        By which the operator can end it before its time.

    Returns
    -------
    findings : dict of str to list of Finding
        As `Conductor.check` returns them.
    rehearsed : dict of str to Rehearsed
        By rig.

    Raises
    ------
    MultirigError
        A session goes on, or the duration is not possible.
    """
    if (session := conductor.current) is not None and session.is_busy:
        raise MultirigError(f"the session {session.exp_ref} goes on: rehearse when it is over")
    if not 0 < seconds <= LONGEST:
        raise MultirigError(f"{seconds:g} s cannot be rehearsed: give more than 0 and at most {LONGEST:g} s")
    found = await conductor.check(planned)
    spared = {name: one for name in conductor.rigs if (one := spare(found[name])) is not None}
    names = [name for name in conductor.rigs if name not in spared]
    recorded = await _record(conductor, names, seconds, wishes or Wishes()) if names else {}
    return found, {name: spared.get(name) or recorded[name] for name in conductor.rigs}


def spare(findings: Sequence[Finding]) -> Rehearsed | None:
    """Return why a rig is not let rehearse; None: it is."""
    reasons = [one.text for one in findings if is_hindrance(one) or one.check == "state"]
    if reasons:
        return Rehearsed(problems=tuple(reasons), was_tried=False)
    if any(one.check == "answer" and one.level is Level.NOTE for one in findings):
        return Rehearsed(was_tried=False)  # it would make a real session of it
    return None


def judge_rehearsal(steps: Sequence[Outcome], cleaned: Outcome, seconds: float, *, ended: float) -> Rehearsed:
    """Return what came of the rehearsal on a rig.

    Parameters
    ----------
    steps : sequence of Word or MultirigError
        Its answers to EXPINIT, EXPSTART and EXPEND, as far as it was asked.
    cleaned : Word or MultirigError
        Its answer to EXPCLEANUP.
    seconds : float
        For how long all rigs were to record together.
    ended : float
        When they were told to stop: seconds on the conductor's clock, on which they say when they began.
    """
    problems = [str(one) for one in (*steps, cleaned) if not isinstance(one, Word)]
    last = steps[-1]
    if len(steps) < 3 or not isinstance(last, Stopped):
        return Rehearsed(problems=tuple(problems) or ("did not record",))
    first = steps[1]
    began = first.recorded.started_at if isinstance(first, Started) else None
    lasted = max(seconds, ended - began) if began is not None else seconds
    health = (last.recorded.health if last.recorded is not None else None) or Health()
    frames, size, dropped = health.frames, last.bytes_total or 0, health.dropped
    if last.failure:
        problems.append(last.failure)
    elif not size or frames == 0:
        problems.append(f"recorded nothing in {seconds:g} s: look at its device or program")
    if dropped:
        problems.append(f"dropped {dropped} frames in {seconds:g} s: its disk or processor is too slow")
    return Rehearsed(
        frames=frames,
        bytes=size,
        rate=frames / lasted if frames is not None else None,
        bytes_per_second=size / lasted,
        dropped=dropped,
        problems=tuple(problems),
    )


class TrialRecording:
    """A recording by plain questions: no session knows of it, no number is used, nobody is rolled back.

    Parameters
    ----------
    conductor : Conductor
        Open, and between sessions.
    names : sequence of str
        The rigs that take part.
    """

    lost = None
    """No rig is essential to it."""

    def __init__(self, conductor: Conductor, names: Sequence[str]) -> None:
        self.state = SessionState.IDLE
        """Where it is."""
        self.steps: dict[str, list[Outcome]] = {name: [] for name in names}
        """Each rig's answers to EXPINIT, EXPSTART and EXPEND, as far as it was asked."""
        self.cleaned: dict[str, Outcome] = {}
        """Each rig's answer to EXPCLEANUP."""
        self.ended = 0.0
        """When all were told to stop, on this PC's ``time.perf_counter()``."""
        self.seconds = 0.0
        """For how long all were to record."""
        self._conductor = conductor
        self._began = 0.0
        exp_ref = str(ExpRef(conductor.pc.wall().date(), 1, SUBJECT))
        self._exp_ref = exp_ref
        self._told = {"exp_ref": exp_ref, "rehearsal": True}

    def events(self) -> EventStream:
        """Return a stream of what happens; nothing moves it but its own steps."""
        return self._conductor.events()

    async def init(self) -> None:
        """Get every rig ready."""
        self.state = SessionState.INITIALIZING
        await self._ask(Event.EXPINIT, self._told, limit=self._limits.initialise)

    async def start(self) -> None:
        """Let those record that are ready."""
        self.state = SessionState.STARTING
        await self._ask(Event.EXPSTART, self._exp_ref, {"rehearsal": True}, limit=self._limits.start)
        self.state, self._began = SessionState.RUNNING, self._conductor.exchange.now() / SECOND

    async def stop(self, data: Mapping[str, Any] | None = None) -> None:
        """End the recording."""
        self.state, self.ended = SessionState.STOPPING, self._conductor.exchange.now() / SECOND
        self.seconds = self.ended - self._began
        await self._ask(Event.EXPEND, self._told, limit=self._limits.stop)
        self.state = SessionState.STOPPED

    async def interrupt(self, message: str) -> None:
        """Wait for no slow rig any more: the clean-up ends whatever goes on."""
        self.state = SessionState.STOPPED

    async def cleanup(self) -> None:
        """Release every rig, and let it remove what it has recorded."""
        if self.state is SessionState.IDLE:
            return
        self.state = SessionState.CLEANING
        limit = self._limits.cleanup / SECOND
        names = tuple(self.steps)
        asked = self._conductor.request(Event.EXPCLEANUP, self._told, rigs=names, limit=limit)
        self.cleaned = await asked
        self.state = SessionState.IDLE

    async def end(self, why: str) -> None:
        """Release every rig that was told to begin, also where this is cancelled meanwhile."""
        releasing = asyncio.ensure_future(self.cleanup())
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(releasing)
        await releasing

    @property
    def _limits(self) -> Limits:
        return self._conductor.exchange.machine.limits

    async def _ask(self, event: Event, *args: Any, limit: int) -> None:
        """Take a step with all rigs that could take the one before."""
        able = [name for name, said in self.steps.items() if all(isinstance(one, Word) for one in said)]
        outcomes = await self._conductor.request(event, *args, rigs=able, limit=limit / SECOND)
        for name, outcome in outcomes.items():
            self.steps[name].append(outcome)


async def _record(
    conductor: Conductor, names: Sequence[str], seconds: float, wishes: Wishes
) -> dict[str, Rehearsed]:
    trial = TrialRecording(conductor, names)
    wishes.seconds = seconds
    await lead_through(trial, wishes, (trial.init, trial.start))
    return {
        name: judge_rehearsal(trial.steps[name], trial.cleaned[name], trial.seconds, ended=trial.ended)
        for name in names
    }


def is_ready(found: Mapping[str, Sequence[Finding]], rehearsed: Mapping[str, Rehearsed]) -> bool:
    """Whether nothing is known that would keep a session from recording; foreign rigs are not judged."""
    here = not any(is_hindrance(one) for one in found.get(THIS_PC, ()))
    return here and not any(one.problems for one in rehearsed.values())
