"""One session over several rigs: what is led, from the agreement to the clean-up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from multirig.conductor.agreeing import Plan, find_wishes
from multirig.conductor.events import Events, EventStream, StepBegan, StepEnded
from multirig.conductor.marking import Remarks, check_markable, make_marked, settle
from multirig.conductor.session_journal import FolderInUse, SessionJournal
from multirig.conductor.storage import Storage
from multirig.errors import AgreementError, ConfigError, IllegalTransition, MultirigError, SessionFailed
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.clock_gate import Objection
from multirig.lifecycle.session_events import Marked, Moved, Progressed, RigsChosen
from multirig.lifecycle.session_states import (
    EVENT_OF,
    REQUESTS,
    SESSION_TABLE,
    UNTOUCHED,
    SessionState,
    SessionTrigger,
)
from multirig.lifecycle.watch import Notice, Noticed, notice_here
from multirig.pc.finding import Finding
from multirig.protocol.events import SECOND, Ignored, Record
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import Info, Report, Started, Word
from multirig.record.timing import Spread, find_start_spread

if TYPE_CHECKING:
    from multirig.conductor.conductor import Conductor


MORE_NUMBERS = 3
"""How often this PC counts on where other programs on it begin the same subject's session meanwhile."""


class Session:
    """One session, made by `Conductor.session`; also one that `Conductor.from_journal` has found open.

    Use it as an asynchronous context manager: entering agrees with the rigs, and leaving ends the session in
    good order, whatever has happened in between::

        async with conductor.session("SP_01") as session:
            await session.init()
            await session.start()
            ...
            outcomes = await session.stop()

    Parameters
    ----------
    conductor : Conductor
        Who leads it.
    plan : Plan
        What it is to be.
    storage : Storage, optional
        Where this PC's part of it goes; without it there is no journal.
    """

    def __init__(self, conductor: Conductor, plan: Plan, storage: Storage | None) -> None:
        self.conductor = conductor
        self.plan = plan
        self.journal = SessionJournal(
            storage,
            conductor.pc.wall,
            lambda notice, text: self._exchange.feed_from_any_thread(notice_here(notice, text)),
            conductor.pc.describe_leader(plan.person),
        )
        self.state = SessionState.IDLE
        """Where it is."""
        self.exp_ref: ExpRef | None = None
        """Its reference, once it is agreed."""
        self.is_over = False
        """Whether nothing can be done with it any more."""
        self.remarks = Remarks()
        """Where a marker could not stay as it was set."""
        self.on_refused: Callable[[str], None] = lambda reason: None
        """Is given a line on whoever was refused while this is led; the log has it in any case."""
        self.lost: Noticed | None = None
        """Why it has ended by itself: what happened to an essential rig; None: it has not."""
        self.information: dict[str, Info] = {}
        """What each rig said of itself in the agreement, by name."""
        self.findings: dict[str, list[Finding]] = {}
        """What the check in the agreement found, by PC."""
        self.objections: Sequence[Objection] = ()
        """What was wrong with clocks at the start, and did not keep it from happening."""
        self.start_spread: Spread | None = None
        """How near to each other the rigs began; None where fewer than two say when."""
        self._exchange = conductor.exchange
        self.agreed_on = conductor.pc.wall().date()
        """The day on this PC when the rigs agreed."""
        self._events = Events(conductor.all_events)
        self._open_steps = 0
        self._moved = asyncio.Event()
        self.has_touched_rigs = False
        """Whether a rig was told to get ready."""

    async def __aenter__(self) -> Session:
        await self.agree()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        try:
            if error is None and self.state in (SessionState.RUNNING, SessionState.INTERRUPTING):
                await self.stop()
            if error is None and self.state in (SessionState.INITIALIZED, SessionState.STOPPED):
                await self.cleanup()
        finally:
            await self.end(f"{type(error).__name__}: {error}" if error is not None else "it was left")

    # -- what is ----------------------------------------------------------------------------------------

    def events(self) -> EventStream:
        """Return a stream of what happens to this session from now on; it ends when the session is over.

        Examples
        --------
        >>> async for event in session.events():
        ...     match event:
        ...         case Moved(state=state):
        ...             print(f"the session is {state}")
        ...         case Noticed(rig=rig, text=text):
        ...             print(f"{rig} {text}")
        """
        return self._events.stream()

    @property
    def is_busy(self) -> bool:
        """Whether rigs have been touched and not been cleaned up."""
        return self.state not in UNTOUCHED

    @property
    def folder(self) -> Path | None:
        """Where this PC's part of it lies; None without a data folder or before the agreement."""
        storage = self.journal.storage
        return storage.folder(self.exp_ref) if storage is not None and self.exp_ref is not None else None

    def expects(self, event: Event) -> bool:
        """Whether an event is a step that the session can take now."""
        return any(
            state is self.state and EVENT_OF.get(after) is event and trigger in REQUESTS
            for (state, trigger), after in SESSION_TABLE.items()
        )

    def news(self) -> dict[str, Report]:
        """Return what each multirig last said of itself while it records, without asking."""
        return {} if self.is_over else self._exchange.machine.watch.reports()

    # -- the steps --------------------------------------------------------------------------------------

    async def agree(self) -> ExpRef:
        """Ask all rigs who they are, and find the experiment reference; nobody is touched.

        Raises
        ------
        AgreementError
            No main sync, several, another subject or another date; names each rig concerned. Or this PC has
            data under that number already, or, where it appends, has none. Or the rigs are in a session that
            this PC has begun itself, and never ended.
        SessionFailed
            Rigs that did not answer, or PCs on which nothing would be recorded.
        """
        with self._taking(SessionTrigger.AGREE):
            for attempt in range(MORE_NUMBERS):
                try:
                    return await self._agree(attempt)
                except FolderInUse:  # begun here in the same moment: the next number is free
                    if self.is_over:
                        raise
            return await self._agree(MORE_NUMBERS)

    async def _agree(self, attempt: int) -> ExpRef:
        """Agree on a reference; where its folder is in use and may be counted on, stay open for that."""
        conductor, exchange, plan = self.conductor, self._exchange, self.plan
        now = conductor.pc.wall()
        self.agreed_on = now.date()
        wishes = await find_wishes(plan, self.journal.storage, now)
        if not attempt:
            await conductor.follow(self)
        if self.journal.begin():
            exchange.feed(RigsChosen(rigs=exchange.addresses, policies=conductor.policies))
        self.information = {}
        try:
            agreed = await exchange.do(exchange.new_agreement(**wishes))
        except AgreementError as error:
            await self.journal.check_own(self.information)
            if error.busy is not None:
                address = exchange.addresses[error.busy]
                raise type(error)(f"{error} ('multirig stop {address}' does, from any PC)") from None
            raise
        self.information = {name: info for name, info in agreed.items() if isinstance(info, Info)}
        exp_ref = self.exp_ref
        if exp_ref is None or self.is_over:
            raise IllegalTransition(self.state, "agree", "another agreement was asked for meanwhile")
        try:
            if exchange.machine.joins and not wishes["takes_over"]:
                await self.journal.check_own(self.information)
            await exchange.clocks.measure()
            exchange.clocks.begin()
            if plan.checks:  # IBL's peers cannot be asked, and have been asked enough
                await conductor.check_for(self)
            await self.journal.open(exp_ref, joins=exchange.machine.joins, appends=plan.appends)
        except (ConfigError, AgreementError, SessionFailed) as error:
            counts_on = plan.main_sync and not plan.appends and attempt < MORE_NUMBERS
            if not (counts_on and isinstance(error, FolderInUse)):
                with contextlib.suppress(IllegalTransition):
                    await self._step(SessionTrigger.ABANDON)
            raise
        return exp_ref

    async def init(self, data: Mapping[str, Any] | None = None) -> dict[str, Word]:
        """Get every rig ready; if one fails, all are cleaned up.

        Raises
        ------
        SessionFailed
            Names each rig that failed, with its cause.
        """
        return _answers(await self._step(SessionTrigger.INIT, data))

    async def start(self, data: Mapping[str, Any] | None = None) -> dict[str, Word]:
        """Let every rig record, at one instant; if one fails, all are stopped and cleaned up.

        Raises
        ------
        SessionFailed
            Names each rig that failed, with its cause. Or clocks are not good enough for this PC's rules
            (`clock_gate`): then the rigs are as ready as before.
        """
        if self.state is SessionState.INITIALIZED:
            await self._exchange.clocks.measure()
            self.objections = self._exchange.clocks.judge(
                self.conductor.clock_gate,
                self.information,
                date=self.agreed_on,
                now=self.conductor.pc.wall(),
            )
        self.start_spread = None
        replies = _answers(await self._step(SessionTrigger.START, data))
        self.start_spread = find_start_spread(
            {name: word.recorded.start for name, word in replies.items() if isinstance(word, Started)}
        )
        return replies

    async def stop(self, data: Mapping[str, Any] | None = None) -> dict[str, Outcome]:
        """End the recording on every rig; a sick rig does not hold up the others.

        Returns
        -------
        dict of str to Word or MultirigError
            What each rig recorded, or why that is not known. Where the session has ended by itself, since an
            essential rig was lost, this is what came of that.
        """
        if self.lost is not None:
            while self.state is SessionState.INTERRUPTING:
                await self._moves()
            if self.state is SessionState.STOPPED:
                return dict(self._exchange.machine.ended)
        for noticed in await settle(self._exchange.machine):
            self._exchange.feed(noticed)
        outcomes = await self._step(SessionTrigger.STOP, data)
        await self._exchange.clocks.measure()  # what was recorded lies between two readings
        return outcomes

    async def interrupt(self, message: str, **data: Any) -> dict[str, Outcome]:
        """Stop every rig now, overtaking whatever goes on, and say why.

        Parameters
        ----------
        message : str
            The reason, for the operator of each rig.
        **data
            More on it: error, traceback, file, line_no.
        """
        reason = {"error": "interrupted", **data, "message": message}
        return await self._step(SessionTrigger.INTERRUPT, reason)

    async def recover(self, *, takes_over: bool = False) -> dict[str, Outcome]:
        """Ask every rig what it does, and lead it from now on; see `Conductor.from_journal`.

        Parameters
        ----------
        takes_over : bool
            Lead also rigs that another conductor leads by now; while that is heard, they ask the person there
            first. Without it, they are its.

        Returns
        -------
        dict of str to Word or MultirigError
            Each rig's EXPINFO: its status, and what it records; or why that is not known.
        """
        return await self._step(SessionTrigger.RECOVER, {"take_over": True} if takes_over else None)

    async def go_on(self) -> None:
        """Go on with a session that was recovered, with the rigs that record it still.

        Raises
        ------
        SessionFailed
            Nobody does, or an essential rig does not; the session can be stopped or cleaned up.
        """
        await self._step(SessionTrigger.GO_ON)

    async def cleanup(self, data: Mapping[str, Any] | None = None) -> dict[str, Outcome]:
        """Release every rig, and write the verdict; the rigs are ready for another session then."""
        return await self._step(SessionTrigger.CLEANUP, data)

    async def end(self, why: str = "the session was ended") -> None:
        """End it from wherever it is: interrupt what goes on, release the rigs, write the verdict.

        Parameters
        ----------
        why : str
            For the operator of each rig, where it has to be interrupted.
        """
        while self.is_busy and not self.is_over and not self._exchange.is_closed:
            with contextlib.suppress(MultirigError):
                if self.state is SessionState.STOPPED:
                    await self.cleanup()
                elif (
                    self.state is not SessionState.STOPPING
                    and (self.state, SessionTrigger.INTERRUPT) in SESSION_TABLE
                ):
                    await self.interrupt(why)
                else:  # every step ends by its limit
                    await self._moves()
        if self.state is SessionState.AGREED and not self.is_over:
            with contextlib.suppress(MultirigError):
                await self._step(SessionTrigger.ABANDON)
        self.release()
        await self.journal.judged()

    def mark(self, text: str, /, **data: Any) -> float:
        """Set a marker, for now: it goes into the journal, and to all multirigs; nothing is waited for.

        It may be called from any thread. What a marker cannot hold is shortened or converted, which is told.

        Parameters
        ----------
        text : str
            What has happened, in one line of at most 300 characters.
        **data
            More on it, 8 kB in all: numbers, text, lists, arrays, key: value; anything else becomes text.

        Returns
        -------
        float
            When it was set: seconds on the session clock, this PC's ``time.perf_counter()``.

        Raises
        ------
        IllegalTransition
            The rigs have not been started yet, or the session is over.
        """
        at = self._exchange.now()
        self._exchange.check_open()
        check_markable(self.state)
        marked, notes = make_marked(text, data, at)
        self._exchange.feed_from_any_thread(marked)
        self.remarks.take(marked, notes)
        return at / SECOND

    # -- for the conductor ------------------------------------------------------------------------------

    def reopen(self, folder: Path | None) -> None:
        """Be led on from where the conductor before has left it, and its journal, where there is one."""
        machine = self._exchange.machine
        self.state, self.exp_ref, self.lost = machine.state, machine.exp_ref, machine.lost
        self.has_touched_rigs = True
        if folder is not None:
            self.journal.reopen(folder)

    def take(self, effect: Any) -> None:
        """Take an effect of the machine while this session is led: write it down, let it be seen."""
        match effect:
            case Record(event=event, at=at):
                self.journal.append(event, at)
                if isinstance(event, Marked):
                    self._events.publish(event)
                return
            case Ignored(reason=reason):
                self.on_refused(reason)
                return
            case Moved(state=state, exp_ref=exp_ref):
                self.state, self.exp_ref, self.lost = state, exp_ref, self._exchange.machine.lost
                self.has_touched_rigs |= self.is_busy
                self._moved.set()
            case Progressed(rig=rig, outcome=Info() as info) if self.state is SessionState.AGREEING:
                self.information[rig] = info
        self._events.publish(effect)
        if self.state is SessionState.IDLE:
            self.release()

    def release(self) -> None:
        """Be over for this PC: nothing more is written, and what was led to its end is judged."""
        self.is_over = True
        self.journal.close(is_over=self.state is SessionState.IDLE and self.has_touched_rigs)
        self._moved.set()
        if not self._open_steps:
            self._events.end()

    # -- inside -----------------------------------------------------------------------------------------

    async def _step(self, step: SessionTrigger, data: Mapping[str, Any] | None = None) -> dict[str, Outcome]:
        with self._taking(step):
            is_beginning = step in (SessionTrigger.INIT, SessionTrigger.START)
            if is_beginning:  # what led to it survives even the death of the PC before a rig is touched
                await self.journal.sync()
            outcomes = await self._exchange.step(step, data)
            if not is_beginning:  # nobody waits for the disk when the rigs have begun
                await self.journal.judged()
                await self.journal.try_to_sync()
                for text in self.journal.losses:
                    self._events.publish(notice_here(Notice.DISK, text))
            return outcomes

    @contextlib.contextmanager
    def _taking(self, step: SessionTrigger) -> Iterator[None]:
        """Let it be seen that a step is taken, and how it went."""
        self._open_steps += 1
        event = EVENT_OF.get(SESSION_TABLE.get((self.state, step), self.state))
        slow = {} if event is None else self._exchange.machine.members.slow(event)
        self._events.publish(StepBegan(step=step, slow=slow))
        error: MultirigError | None = MultirigError("it was given up")
        try:
            yield
            error = None
        except MultirigError as failure:
            error = failure
            raise
        finally:
            self._open_steps -= 1
            self._events.publish(StepEnded(step=step, error=error))
            if self.is_over and not self._open_steps:
                self._events.end()

    async def _moves(self) -> None:
        """Wait until the session has come to another state, or is over."""
        self._moved.clear()
        await self._moved.wait()


def _answers(outcomes: Mapping[str, Outcome]) -> dict[str, Word]:
    """Return the outcomes that are answers; optional rigs may have failed."""
    return {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Word)}
