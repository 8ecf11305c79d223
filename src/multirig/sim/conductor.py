"""A conductor's PC: the product's own conductor, an operator who follows a script, and a disk."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import EventStream, StepBegan
from multirig.conductor.events import StepEnded as StepOver
from multirig.conductor.leading import Choice, Wishes, lead, lead_on, lead_through
from multirig.conductor.rehearsal import TrialRecording
from multirig.conductor.session import Session
from multirig.conductor.surroundings import Surroundings
from multirig.config import Uri
from multirig.errors import MultirigError
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import ClockRead, Moved, Progressed
from multirig.lifecycle.session_states import UNTOUCHED, SessionState, SessionTrigger
from multirig.lifecycle.watch import Noticed
from multirig.protocol.events import Address, Received
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.record.recount import summarise
from multirig.record.verdict import Verdict, judge
from multirig.sim.facts import ClockSeen, MarkerSet, RigJudged, RigNoticed, SessionMoved, StepAsked, StepEnded
from multirig.sim.journals import JournalData, JournalDisk
from multirig.sim.world import Clock, Computer, World, overhear

TRIES = 3
"""How often an operator asks the rigs to agree before giving up."""
PATIENCE = 2.0
"""Seconds between two tries."""
MORNING = datetime.time(10, tzinfo=datetime.timezone.utc)
"""When the world begins."""


class _Sleepless:
    """A PC that does not sleep."""

    def keep(self, wanted: bool) -> None:  # noqa: FBT001  as Awake has it
        """Be awake."""

    def close(self) -> None:
        """Be awake."""


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


class ConductorComputer(Computer):
    """A conductor.

    Parameters
    ----------
    world, name, address, clock, tells_closed
        As every PC has them.
    rigs : dict of str to Address
        The rigs that it leads.
    policies : dict of str to RigPolicy
        What each of them means.
    main_sync : bool
        Whether this PC owns the experiment's number.
    date : date
        Today, on this PC.
    subject : str
        Who is recorded.
    script : Script
        What its operator does.
    """

    def __init__(
        self,
        world: World,
        name: str,
        address: Address,
        clock: Clock,
        *,
        tells_closed: bool = True,
        rigs: Mapping[str, Address],
        policies: Mapping[str, RigPolicy],
        main_sync: bool = False,
        date: datetime.date,
        subject: str,
        script: Script,
    ) -> None:
        super().__init__(world, name, address, clock, tells_closed=tells_closed)
        self.rigs = dict(rigs)
        self.policies = dict(policies)
        self.main_sync = main_sync
        self.date = date
        self.subject = subject
        self.script = script
        self.disk = JournalDisk()
        """It survives."""
        self.session = -1
        """Which of the script's sessions goes on."""
        self.conductor: Conductor | None = None
        """Of its program; None while that is dead."""
        self.machine = SessionMachine()
        self._tasks: list[asyncio.Task[None]] = []
        self._ports = itertools.count(address.port + 1)
        self._markers = itertools.count(1)

    # -- life -------------------------------------------------------------------------------------------

    def start(self, boot: str) -> None:
        """Begin a new program, which has a port of its own, and let the operator begin."""
        if self.lives > 1:
            self.address = self.address._replace(port=next(self._ports))
        pc = Surroundings(
            clock=self.read_clock, wall=self._read_wall, name=self.name, boot=boot, awake=_Sleepless()
        )
        folder = self.disk.find_open(_is_open)
        if folder is not None:
            self.conductor = Conductor.from_journal(folder, storage=self.disk, network=self, pc=pc)
        else:
            self.conductor = Conductor(
                {name: Uri("udp", address.host, address.port) for name, address in self.rigs.items()},
                data_folder=self.disk,
                policies=self.policies,
                main_sync=self.main_sync,
                network=self,
                pc=pc,
            )
        self.node, self.machine = self.conductor.exchange.node, self.conductor.exchange.machine
        overhear(
            self.machine,
            {
                Received: self.hear,
                Progressed: self._see_outcome,
                Noticed: self._see_notice,
                Moved: self._see_state,
                ClockRead: self._see_clock,
            },
        )
        self._tasks = [asyncio.get_running_loop().create_task(self._operate(self.conductor))]

    def die(self, *, is_on: bool = True) -> None:
        """End the program at once, or the whole PC."""
        if self.conductor is not None:
            self.conductor.exchange.give_up()  # nothing of its last breath is a deed
        super().die(is_on=is_on)

    def on_death(self) -> None:
        """Lose what only memory held."""
        self.disk.lose_program()
        self.conductor = None

    def lose_power(self, part: float) -> None:
        """Let the whole PC die; of what was not synced only a part is still there."""
        self.disk.lose_power(part)
        self.die(is_on=False)

    def _read_wall(self) -> datetime.datetime:
        begun = datetime.datetime.combine(self.date, MORNING)
        return begun + datetime.timedelta(microseconds=self.world.time // 1000)

    # -- what is ----------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether rigs have been touched and not been cleaned up."""
        return self.machine.state not in UNTOUCHED

    @property
    def is_operated(self) -> bool:
        """Whether its operator is still at it."""
        return bool(self._tasks) and not self._tasks[0].done()

    @property
    def journals(self) -> dict[ExpRef, JournalData]:
        """By session."""
        return self.disk.journals

    @property
    def open_journal(self) -> JournalData | None:
        """Of the session that is led."""
        return self.disk.opened.journal if self.disk.opened is not None else None

    def replay(self) -> SessionMachine | None:
        """Return what the open session's journal makes; None where none is open."""
        return journal.replay().machine if (journal := self.open_journal) is not None else None

    def verdicts(self) -> dict[ExpRef, Verdict]:
        """Return what each session turned out to be, by its journal."""
        return {
            exp_ref: judge(summarise(journal.replay().moments))
            for exp_ref, journal in self.journals.items()
            if journal.data
        }

    # -- what is seen of it -----------------------------------------------------------------------------

    def _see_outcome(self, progressed: Progressed) -> None:
        failure = str(progressed.outcome) if isinstance(progressed.outcome, MultirigError) else None
        self.world.note(
            RigJudged(who=self.name, rig=progressed.rig, event=progressed.event.name, failure=failure)
        )

    def _see_notice(self, noticed: Noticed) -> None:
        self.world.note(
            RigNoticed(who=self.name, rig=noticed.rig, notice=str(noticed.notice), text=noticed.text)
        )

    def _see_state(self, moved: Moved) -> None:
        reference = str(moved.exp_ref) if moved.exp_ref else None
        self.world.note(SessionMoved(who=self.name, state=moved.state, exp_ref=reference))

    def _see_clock(self, read: ClockRead) -> None:
        self.world.note(
            ClockSeen(who=self.name, rig=read.rig, at=read.at, offset=read.offset, bound=read.bound)
        )

    # -- the operator -----------------------------------------------------------------------------------

    async def _operate(self, conductor: Conductor) -> None:
        script = self.script
        await conductor.open()
        await asyncio.sleep(script.begins if self.lives == 1 else PATIENCE)
        if (session := conductor.current) is not None:
            await self._recover(session)
        elif script.rehearses and self.lives == 1:
            await self._rehearse(conductor)
        while self.session + 1 < script.sessions:
            self.session += 1
            await self._lead(conductor)
            await asyncio.sleep(script.pause)

    async def _lead(self, conductor: Conductor) -> None:
        """Lead one session; ask again where the rigs do not agree."""
        for tries in range(TRIES):
            session = conductor.session(self.subject, takes_over=self.script.takes_over)
            wishes = Wishes(self.script.record)
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
            return Choice(self.script.recovers)

        wishes = Wishes(self.script.record)
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
        self.world.note(StepEnded(who=self.name, step="rehearse", error=None))

    def _follow(self, session: Session, wishes: Wishes) -> None:
        following = self._show(session, session.events(), wishes)
        self._tasks[1:] = [task for task in self._tasks[1:] if not task.done()]
        self._tasks.append(asyncio.get_running_loop().create_task(following))

    async def _show(self, session: Session, stream: EventStream, wishes: Wishes) -> None:
        """Take down which steps are taken; the operator may press the other button meanwhile."""
        async for event in stream:
            match event:
                case StepBegan(step=step):
                    self._ask(step.value, wishes)
                case StepOver(step=step, error=error):
                    self.world.note(
                        StepEnded(who=self.name, step=step.value, error=None if error is None else str(error))
                    )
                    if step is SessionTrigger.START and error is None:
                        self._ask("record", wishes)
                        self._tasks.append(asyncio.get_running_loop().create_task(self._mark(session)))

    async def _mark(self, session: Session) -> None:
        """Mark something now and then while the rigs record."""
        while every := self.script.marks_every:
            await asyncio.sleep(every)
            if session.state is not SessionState.RUNNING:
                return
            text = f"marker {next(self._markers)}"
            self.world.note(MarkerSet(who=self.name, exp_ref=str(session.exp_ref), text=text))
            session.mark(text)

    def _ask(self, step: str, wishes: Wishes | None = None) -> None:
        script = self.script
        self.world.note(StepAsked(who=self.name, step=step, session=self.session))
        if wishes is not None and step == script.interrupt_after and self.session == 0 and self.lives == 1:
            asyncio.get_running_loop().call_later(script.interrupt_delay, wishes.interrupt)


def _is_open(machine: SessionMachine) -> bool:
    return machine.state not in UNTOUCHED and machine.exp_ref is not None
