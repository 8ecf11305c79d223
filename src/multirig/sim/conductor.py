"""A conductor's PC: the shell around its node, an operator who follows a script, and a journal."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.conductor.rehearsal import SUBJECT as REHEARSAL_SUBJECT
from multirig.errors import AgreementError, IllegalTransition, MultirigError
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import (
    AgreeRequested,
    AskRequested,
    ClockRead,
    Finished,
    Marked,
    Moved,
    Progressed,
    RigsChosen,
    StepRequested,
)
from multirig.lifecycle.session_states import (
    SESSION_TABLE,
    UNTOUCHED,
    SessionState,
    SessionTrigger,
    next_state,
)
from multirig.lifecycle.watch import Noticed
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import SECOND, Address, Received, Record
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.node import Node
from multirig.protocol.words import AskInfo, CleanUp, Initialise, Start, Stop, Word
from multirig.record.entries import RECOVERY, beginning_line, input_line, parse_journal
from multirig.record.history import Replay, rebuild
from multirig.record.recount import summarise
from multirig.record.verdict import Verdict, judge
from multirig.sim.disk import next_free
from multirig.sim.facts import ClockSeen, MarkerSet, RigJudged, RigNoticed, SessionMoved, StepAsked, StepEnded
from multirig.sim.work import Signal, Steps, Work
from multirig.sim.world import Clock, NodeComputer, World, overhear

TRIES = 3
"""How often an operator asks the rigs to agree before giving up."""
PATIENCE = 2 * SECOND
"""Between two tries."""
CLOCKS_EVERY = 4 * SECOND
"""As the conductor has it."""


@dataclass(slots=True)
class JournalFile:
    """A journal on a disk that forgets what was not synced when the power fails."""

    data: bytes = b""
    """With the operating system: it survives the death of the program."""
    synced: int = 0
    """Bytes that survive the death of the PC."""

    @property
    def holds_start(self) -> bool:
        """Whether a session was started under its number."""
        return b'"trigger":"start"' in self.data


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


@dataclass(slots=True)
class _Shell:
    """What the memory of a conductor's program holds."""

    waiting: dict[int, Signal] = field(default_factory=dict)
    outcome: dict[int, Finished] = field(default_factory=dict)
    unwritten: bytearray = field(default_factory=bytearray)
    journal: JournalFile | None = None
    keeps_journal: bool = False
    is_begun: bool = False
    beginning: bytes = b""
    """The line with which the next attempt begins."""


class ConductorComputer(NodeComputer):
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
        self.machine = SessionMachine()
        self.journals: dict[ExpRef, JournalFile] = {}
        """By session folder; they survive."""
        self.session = -1
        """Which of the script's sessions goes on."""
        self.shell = _Shell()
        self._work: list[Work] = []
        self._operator: Work | None = None
        self._numbers = itertools.count(1)
        self._markers = itertools.count(1)
        self._ports = itertools.count(address.port + 1)
        self._moved = Signal()

    # -- life -------------------------------------------------------------------------------------------

    def make_node(self, boot: str) -> Node:
        """Return a new program; every one has a port of its own."""
        if self.lives > 1:
            self.address = self.address._replace(port=next(self._ports))
        self.shell = _Shell()
        self.machine = self._recover_machine() or SessionMachine()
        self._numbers = itertools.count(self.machine.last_number + 1)
        overhear(self.machine, {Received: self.hear})
        return Node(boot=boot, name=self.name, machine=self.machine, hears=hear_rig)

    def on_boot(self) -> None:
        """Let the operator begin."""
        self.feed(self._chosen())
        self._operator = self._begin(self._operate(), "operator")
        self._begin(self._keep_clocks(), "clocks")

    def _recover_machine(self) -> SessionMachine | None:
        """Return the machine of a session that was open when the program died, as its journal makes it."""
        for exp_ref, journal in reversed(self.journals.items()):
            machine = rebuild(parse_journal(journal.data))
            if machine.state not in UNTOUCHED and machine.exp_ref is not None:
                self._open_journal(exp_ref)
                self.shell.keeps_journal = True
                self.shell.beginning = beginning_line(self.now, RECOVERY)
                return machine
        return None

    def _chosen(self) -> RigsChosen:
        return RigsChosen(rigs=self.rigs, policies=self.policies)

    def on_death(self) -> None:
        """Lose what only memory held."""
        super().on_death()
        for work in self._work:
            work.kill()
        self._work.clear()

    def lose_power(self, part: float) -> None:
        """Let the whole PC die; of what was not synced only a part is still there, maybe half a line."""
        for journal in self.journals.values():
            kept = journal.synced + int(part * (len(journal.data) - journal.synced))
            journal.data = journal.data[:kept]
        self.die(is_on=False)

    def _begin(self, steps: Steps, name: str) -> Work:
        work = self.world.begin(steps, name)
        self._work = [one for one in self._work if not one.is_done]
        self._work.append(work)
        return work

    # -- effects: as the conductor does -------------------------------------------------------------------

    def perform(self, effect: Any) -> None:
        """Do what the machine wants done."""
        match effect:
            case Record(event=event, at=at):
                self.write_down(event, at)
            case Finished(number=number):
                self.shell.outcome[number] = effect
                if number in self.shell.waiting:
                    self.shell.waiting[number].set()
            case Progressed(event=event, rig=rig, outcome=outcome):
                failure = str(outcome) if isinstance(outcome, MultirigError) else None
                self.world.note(RigJudged(who=self.name, rig=rig, event=event.name, failure=failure))
            case Noticed(rig=rig, notice=notice, text=text):
                self.world.note(RigNoticed(who=self.name, rig=rig, notice=str(notice), text=text))
            case Moved(state=state, exp_ref=exp_ref):
                reference = str(exp_ref) if exp_ref else None
                self.world.note(SessionMoved(who=self.name, state=state, exp_ref=reference))
                self._moved.set()
                self._moved = Signal()
                if state is SessionState.IDLE:
                    self._close_journal()

    # -- the journal ------------------------------------------------------------------------------------

    def write_down(self, event: Any, at: int) -> None:
        """Write an input into the journal, before anything that follows from it leaves."""
        shell = self.shell
        if not shell.keeps_journal:
            return
        if not shell.is_begun:
            shell.is_begun = True
            shell.unwritten += shell.beginning or beginning_line(at)
        shell.unwritten += input_line(event, at)
        self._write()

    def _write(self) -> None:
        shell = self.shell
        if shell.journal is not None:
            shell.journal.data += shell.unwritten
            shell.unwritten.clear()

    def sync(self) -> None:
        """Let the journal survive the death of the PC."""
        if self.shell.journal is not None:
            self.shell.journal.synced = len(self.shell.journal.data)

    def _begin_journal(self) -> None:
        self._close_journal()
        self.shell.keeps_journal = True
        self.feed(self._chosen())

    def _open_journal(self, exp_ref: ExpRef) -> None:
        """Go on in the session's folder, without what a crash left unfinished there."""
        journal = self.journals.setdefault(exp_ref, JournalFile())
        journal.data = journal.data[: journal.data.rfind(b"\n") + 1]
        self.shell.journal = journal
        self._write()

    def _close_journal(self) -> None:
        shell = self.shell
        self.sync()
        shell.journal = None
        shell.unwritten.clear()
        shell.keeps_journal = shell.is_begun = False
        shell.beginning = b""

    def replay(self) -> SessionMachine | None:
        """Return what the open session's journal makes; None where none is open."""
        journal = self.shell.journal
        return rebuild(parse_journal(journal.data)) if journal is not None else None

    def verdicts(self) -> dict[ExpRef, Verdict]:
        """Return what each session turned out to be, by its journal."""
        return {
            exp_ref: judge(summarise(Replay().run(enumerate(parse_journal(journal.data)))))
            for exp_ref, journal in self.journals.items()
            if journal.data
        }

    # -- the operator -----------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether rigs have been touched and not been cleaned up."""
        return self.machine.state not in UNTOUCHED

    @property
    def is_operated(self) -> bool:
        """Whether its operator is still at it."""
        return self._operator is not None and not self._operator.is_done

    def _look_at_clocks(self) -> None:
        """Tell the machine what is known of the rigs' clocks, as the conductor does."""
        node, now = self.node, self.now
        for rig, address in self.rigs.items():
            clock = node.clock(address) if node is not None else None
            if clock is None or (reading := clock.read(now)) is None:
                continue
            self.feed(
                ClockRead(
                    rig=rig,
                    at=now,
                    offset=reading.offset,
                    bound=reading.bound,
                    drift=reading.drift,
                    round_trip=reading.round_trip,
                    steps=len(clock.steps),
                )
            )
            self.world.note(
                ClockSeen(who=self.name, rig=rig, at=now, offset=reading.offset, bound=reading.bound)
            )

    def _keep_clocks(self) -> Steps:
        while True:
            yield CLOCKS_EVERY
            if self.is_busy:
                self._look_at_clocks()

    def _operate(self) -> Steps:
        yield int(self.script.begins * SECOND) if self.lives == 1 else PATIENCE
        if self.is_busy:
            yield from self._recover()
        elif self.script.rehearses and self.lives == 1:
            yield from self._rehearse()
        while self.session + 1 < self.script.sessions:
            self.session += 1
            yield from self._lead()
            yield int(self.script.pause * SECOND)

    def _recover(self) -> Steps:
        """Go on where the program has died, as the operator chooses."""
        try:
            yield from self._take(SessionTrigger.RECOVER)
            if self.script.recovers == "go on":
                yield from self._take(SessionTrigger.GO_ON)
                yield int(self.script.record * SECOND)
            if self.script.recovers != "clean up":
                yield from self._stop()
                yield from self._take(SessionTrigger.CLEANUP)
        except MultirigError:
            pass
        yield from self._leave()

    def _stop(self) -> Steps:
        """Stop; where the session has ended by itself, wait for that."""
        while self.machine.lost is not None and self.machine.state is SessionState.INTERRUPTING:
            yield self._moved
        if self.machine.lost is None or self.machine.state is not SessionState.STOPPED:
            yield from self._take(SessionTrigger.STOP)

    def _lead(self) -> Steps:
        """Lead one session, and leave it in order whatever happens."""
        try:
            for tries in range(TRIES):
                try:
                    yield from self._agree()
                    break
                except MultirigError:
                    if tries + 1 == TRIES:
                        raise
                    yield PATIENCE
            yield from self._take(SessionTrigger.INIT)
            self._look_at_clocks()
            yield from self._take(SessionTrigger.START)
            self._ask("record")
            yield from self._record()
            yield from self._stop()
            yield from self._take(SessionTrigger.CLEANUP)
        except MultirigError:
            yield from self._leave()

    def _record(self) -> Steps:
        """Let the rigs record, and mark something now and then."""
        left, every = self.script.record, self.script.marks_every
        while every and left > every:
            yield int(every * SECOND)
            left -= every
            if self.machine.state is SessionState.RUNNING:
                text = f"marker {next(self._markers)}"
                self.world.note(MarkerSet(who=self.name, exp_ref=str(self.machine.exp_ref), text=text))
                self.feed(Marked(text=text, at=self.now))
        yield int(left * SECOND)

    def _rehearse(self) -> Steps:
        """Make a test recording, with those that know how to."""
        yield from self._request(AskInfo())
        rigs = tuple(
            name
            for name, address in self.rigs.items()
            if self.node is not None and self.node.speaks_wire_2(address)
        )
        if not rigs:
            return
        exp_ref = ExpRef(self.date, 1, REHEARSAL_SUBJECT)
        yield from self._request(Initialise(exp_ref=exp_ref, rehearsal=True), rigs=rigs)
        yield from self._request(Start(exp_ref=exp_ref, rehearsal=True), rigs=rigs)
        yield SECOND
        yield from self._request(Stop(exp_ref=exp_ref), rigs=rigs)
        yield from self._request(CleanUp(exp_ref=exp_ref), rigs=rigs)

    def _request(self, word: Word, *, rigs: tuple[str, ...] | None = None) -> Steps:
        asked = AskRequested(number=next(self._numbers), word=word, rigs=rigs, limit=35 * SECOND)
        yield from self._do(asked, f"rehearse {word}")

    def _leave(self) -> Steps:
        """End a session as `Conductor.close` does."""
        while self.is_busy or self.machine.state is SessionState.AGREED:
            state = self.machine.state
            try:
                if state is SessionState.STOPPED:
                    yield from self._take(SessionTrigger.CLEANUP)
                elif state is SessionState.AGREED:
                    yield from self._take(SessionTrigger.ABANDON)
                elif (
                    state is not SessionState.STOPPING and (state, SessionTrigger.INTERRUPT) in SESSION_TABLE
                ):
                    yield from self._take(SessionTrigger.INTERRUPT)
                else:
                    yield self._moved
            except MultirigError:
                continue

    def _interrupt(self) -> Steps:
        """Be an operator who presses the other button."""
        yield int(self.script.interrupt_delay * SECOND)
        if (self.machine.state, SessionTrigger.INTERRUPT) in SESSION_TABLE:
            yield from self._take(SessionTrigger.INTERRUPT)

    def _agree(self) -> Steps:
        here, least = None, 1
        if self.main_sync:
            here = next_free(self.journals, self.subject, self.date)
        else:
            started = [exp_ref for exp_ref, journal in self.journals.items() if journal.holds_start]
            least = next_free(started, self.subject, self.date).sequence
        ask = AskInfo(
            exp_ref=here,
            main_sync=self.main_sync,
            subject=self.subject,
            min_sequence=least if least > 1 else None,
        )
        next_state(self.machine.state, SessionTrigger.AGREE)
        self._begin_journal()
        number = next(self._numbers)
        request = AgreeRequested(
            number=number,
            subject=self.subject,
            date=self.date,
            ask=ask,
            here=here,
            takes_over=self.script.takes_over,
        )
        yield from self._do(request, "agree")
        exp_ref = self.machine.exp_ref
        if exp_ref is None:
            raise IllegalTransition(self.machine.state, "agree", "another agreement was asked for meanwhile")
        known = self.journals.get(exp_ref)
        if known is not None and known.holds_start and not self.machine.joins:
            yield from self._take(SessionTrigger.ABANDON)
            raise AgreementError(f"{exp_ref} has been recorded already, by the journal here")
        self._open_journal(exp_ref)

    def _take(self, trigger: SessionTrigger) -> Steps:
        if trigger in (SessionTrigger.INIT, SessionTrigger.START):
            self.sync()
        number = next(self._numbers)
        yield from self._do(StepRequested(number=number, trigger=trigger), trigger.value)
        self.sync()

    def _do(self, request: AgreeRequested | AskRequested | StepRequested, step: str) -> Steps:
        """Give the machine a request and wait for its end."""
        self._ask(step)
        shell = self.shell
        over = shell.waiting[request.number] = Signal()
        self.feed(request)
        yield over
        del shell.waiting[request.number]
        finished = shell.outcome.pop(request.number)
        error = str(finished.error) if finished.error is not None else None
        self.world.note(StepEnded(who=self.name, step=step, error=error))
        if finished.error is not None:
            raise finished.error

    def _ask(self, step: str) -> None:
        script = self.script
        self.world.note(StepAsked(who=self.name, step=step, session=self.session))
        if step == script.interrupt_after and self.session == 0 and self.lives == 1:
            self._begin(self._interrupt(), "interrupt")
