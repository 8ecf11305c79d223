"""An operator who follows a script: leads sessions as the product leads them, and presses buttons."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import EventStream, StepBegan
from multirig.conductor.events import StepEnded as StepOver
from multirig.conductor.leading import Choice, Wishes, lead, lead_on, lead_through
from multirig.conductor.rehearsal import TrialRecording
from multirig.conductor.session import Session
from multirig.errors import MultirigError
from multirig.lifecycle.session_states import SessionState, SessionTrigger
from multirig.protocol.messages import Event
from multirig.sim.facts import Fact, MarkerSet, StepAsked, StepEnded

TRIES = 3
"""How often an operator asks the rigs to agree before giving up."""
PATIENCE = 2.0
"""Seconds between two tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What an operator does."""

    sessions: int = 1
    record: float = 2.0
    """Seconds."""
    pause: float = 1.0
    """Seconds between two sessions."""
    interrupt_after: str = ""
    """Step of the first session in which the operator interrupts; none: never."""
    interrupt_delay: float = 0.0
    """Seconds after that step was asked for."""
    begins: float = 0.0
    """Seconds after the beginning of the world."""
    takes_over: bool = False
    """Whether rigs that another conductor leads are taken over."""
    marks_every: float = 0.0
    """Seconds between two markers while a session records; 0: none."""
    rehearses: bool = False
    """Whether a test recording is made before the first session."""
    recovers: str = "stop"
    """What is chosen where a session was open when the program died: go on, stop or clean up."""


class Operator:
    """Somebody at a conductor's PC, who outlives its programs.

    Parameters
    ----------
    name : str
        Of the PC.
    subject : str
        Who is recorded.
    script : Script
        What is done.
    note : callable
        Takes down what is done.
    """

    def __init__(self, name: str, subject: str, script: Script, note: Callable[[Fact], None]) -> None:
        self.session = -1
        """Which of the script's sessions goes on."""
        self._name = name
        self._subject = subject
        self._script = script
        self._note = note
        self._lives = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._markers = itertools.count(1)

    @property
    def is_busy(self) -> bool:
        """Whether something of the script is left."""
        return bool(self._tasks) and not self._tasks[0].done()

    def sit_down(self, conductor: Conductor) -> None:
        """Begin, or go on with another program."""
        self._lives += 1
        self._tasks = []
        self._spawn(self._operate(conductor))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks[1:] = [task for task in self._tasks[1:] if not task.done()]
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    @property
    def _is_first_life(self) -> bool:
        return self._lives == 1

    async def _operate(self, conductor: Conductor) -> None:
        script = self._script
        await conductor.open()
        await asyncio.sleep(script.begins if self._is_first_life else PATIENCE)
        if (session := conductor.current) is not None:
            await self._recover(session)
        elif script.rehearses and self._is_first_life:
            await self._rehearse(conductor)
        while self.session + 1 < script.sessions:
            self.session += 1
            await self._lead(conductor)
            await asyncio.sleep(script.pause)

    async def _lead(self, conductor: Conductor) -> None:
        """Lead one session; ask again where the rigs do not agree."""
        for tries in range(TRIES):
            session = conductor.session(self._subject, takes_over=self._script.takes_over)
            wishes = Wishes(self._script.record)
            self._follow(session, wishes)
            with contextlib.suppress(MultirigError):
                await lead(session, wishes)
                return
            if session.has_touched_rigs or tries + 1 == TRIES:
                return
            await asyncio.sleep(PATIENCE)

    async def _recover(self, session: Session) -> None:
        """Go on where the program has died, as the operator chooses."""

        async def choose() -> Choice:
            return Choice(self._script.recovers)

        wishes = Wishes(self._script.record)
        self._follow(session, wishes)
        with contextlib.suppress(MultirigError):
            await lead_on(session, wishes, choose)
        await session.end("it could not go on")

    async def _rehearse(self, conductor: Conductor) -> None:
        """Make a test recording, with those that know how to."""
        self._ask("rehearse")
        await conductor.request(Event.EXPINFO, 0, {}, limit=35)
        if rigs := [name for name in conductor.rigs if conductor.can_report(name)]:
            trial = TrialRecording(conductor, rigs)
            with contextlib.suppress(MultirigError):
                await lead_through(trial, Wishes(1.0), (trial.init, trial.start))
        self._note(StepEnded(who=self._name, step="rehearse", error=None))

    def _follow(self, session: Session, wishes: Wishes) -> None:
        self._spawn(self._show(session, session.events(), wishes))

    async def _show(self, session: Session, stream: EventStream, wishes: Wishes) -> None:
        """Take down which steps are taken; the operator may press the other button meanwhile."""
        async for event in stream:
            match event:
                case StepBegan(step=step):
                    self._ask(step.value, wishes)
                case StepOver(step=step, error=error):
                    self._note(
                        StepEnded(
                            who=self._name, step=step.value, error=None if error is None else str(error)
                        )
                    )
                    if step is SessionTrigger.START and error is None:
                        self._ask("record", wishes)
                        self._spawn(self._mark(session))

    async def _mark(self, session: Session) -> None:
        """Mark something now and then while the rigs record."""
        while every := self._script.marks_every:
            await asyncio.sleep(every)
            if session.state is not SessionState.RUNNING:
                return
            text = f"marker {next(self._markers)}"
            self._note(MarkerSet(who=self._name, exp_ref=str(session.exp_ref), text=text))
            session.mark(text)

    def _ask(self, step: str, wishes: Wishes | None = None) -> None:
        script = self._script
        self._note(StepAsked(who=self._name, step=step, session=self.session))
        if (
            wishes is not None
            and step == script.interrupt_after
            and self.session == 0
            and self._is_first_life
        ):
            asyncio.get_running_loop().call_later(script.interrupt_delay, wishes.interrupt)
