"""Leads a session over several rigs; the CLI, the web page and IBL's NetworkSession are faces of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import itertools
import logging
import platform
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from multirig.conductor import numbering, preflight
from multirig.conductor.clocks import Clocks
from multirig.conductor.marking import check_markable, make_marked
from multirig.config import Uri
from multirig.errors import (
    AgreementError,
    ConfigError,
    IllegalTransition,
    MultirigError,
    RigUnreachable,
    SessionFailed,
    Unconfirmed,
)
from multirig.folders import next_exp_ref_in, subjects_folder
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.clock_gate import ClockGate, Objection, Reaction, judge_clocks
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import (
    AgreeRequested,
    AskRequested,
    Complained,
    Finished,
    Heard,
    Limits,
    Marked,
    Moved,
    Progressed,
    RigsChosen,
    StepRequested,
    TokenShared,
)
from multirig.lifecycle.session_states import (
    EVENT_OF,
    REQUESTS,
    SESSION_TABLE,
    UNTOUCHED,
    SessionState,
    SessionTrigger,
    next_state,
)
from multirig.lifecycle.watch import Noticed
from multirig.pc.awake import Awake
from multirig.pc.checking import Check, run_checks
from multirig.pc.disk import check_folder, check_space
from multirig.pc.finding import Finding
from multirig.pc.reader import this_pc
from multirig.pc.system import check_clock, check_restart, check_sleep
from multirig.protocol.allow import AllowList
from multirig.protocol.codec import plain
from multirig.protocol.dialect import ask_info_with, hear_rig
from multirig.protocol.events import SECOND, Address, Ignored, Record
from multirig.protocol.exp_ref import ExpRef, check_subject
from multirig.protocol.messages import Event, Status
from multirig.protocol.node import Node
from multirig.protocol.words import AlyxToken, AskInfo, Info, Report, Started, Verbatim, Word
from multirig.record.account import write_verdict
from multirig.record.entries import RECOVERY
from multirig.record.journal import Journal, replay
from multirig.record.timing import Spread, find_start_spread
from multirig.runtime import Runtime
from multirig.transports.base import allow_open_sockets
from multirig.transports.memory import MemoryNetwork
from multirig.version import __version__

CONNECT_LIMIT = 5.0
"""Seconds for the names of all rigs to be resolved."""
CHECK_LIMIT = 10.0
"""Seconds that a rig has to look at its PC and to answer: as many as for the agreement."""

log = logging.getLogger("multirig.conductor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A rig has its outcome in a step, for whoever shows it."""

    event: Event
    rig: str
    outcome: Outcome


class Conductor:
    """Leads one session after another over a set of rigs.

    Use it as an asynchronous context manager::

        async with Conductor({"cameras": "udp://192.168.1.20"}) as conductor:
            await conductor.agree("SP_01")
            await conductor.init()
            await conductor.start()
            ...
            await conductor.stop()
            await conductor.cleanup()

    Parameters
    ----------
    rigs : mapping of str to str or Uri
        Name of each rig and where it listens, in the order in which they are started.
    data_folder : path, optional
        Where the journal is written, in IBL's folder layout; without it the session has no journal.
    lab : str
        Name of the lab, for the folder.
    main_sync : bool
        Whether this PC owns the experiment's number; needs ``data_folder``.
    limits : Limits, optional
        How long each step may take on a rig.
    policies : mapping of str to RigPolicy, optional
        What rigs mean to the session (role, order, time limits), where that is not the usual.
    may_have_token : iterable of str
        Names of rigs that may be given the Alyx token when they ask for it.
    clock_gate : ClockGate, optional
        When clocks are good enough for a start.
    network : MemoryNetwork, optional
        For rehearsal and tests without a network; the rigs' addresses are then those on it.
    """

    def __init__(
        self,
        rigs: Mapping[str, str | Uri],
        *,
        data_folder: str | Path | None = None,
        lab: str = "mylab",
        main_sync: bool = False,
        limits: Limits | None = None,
        policies: Mapping[str, RigPolicy] | None = None,
        may_have_token: Iterable[str] = (),
        clock_gate: ClockGate | None = None,
        network: MemoryNetwork | None = None,
    ) -> None:
        self.policies = dict(policies or {})
        """What those rigs mean to the session of which something else is said than usual."""
        self.rigs = {name: Uri.parse(uri) for name, uri in rigs.items()}
        self.main_sync = False
        """Whether this PC owns the experiment's number."""
        self.subjects_folder: Path | None = None
        """Where this PC's part of a session goes; None: it keeps no journal."""
        self.record_in(
            None if data_folder is None else subjects_folder(Path(data_folder), lab), main_sync=main_sync
        )
        self.information: dict[str, Info] = {}
        """What each rig said of itself in the last agreement, by name."""
        self.clock_gate = clock_gate or ClockGate()
        """What follows from what may be wrong with clocks at a start."""
        self.start_spread: Spread | None = None
        """How near to each other the rigs began at the last start; None where fewer than two can tell."""
        self.objections: Sequence[Objection] = ()
        """What was wrong with clocks at the last start, and did not keep it from happening."""
        self.findings: dict[str, list[Finding]] = {}
        """What the check at the last agreement found, by PC."""
        self._network = network
        self._follow(SessionMachine(limits=limits, may_have_token=frozenset(may_have_token)))
        self.addresses: dict[str, Address] = {}
        self._journal: Journal | None = None
        """Of the session that is agreed or led; None without a data folder and between sessions."""
        self._journal_failed = False
        self._judging: asyncio.Task[None] | None = None
        """Writes the verdict on the session that is over."""
        self._awake = Awake("a session is led")
        self._moved = asyncio.Event()
        self._is_closed = False
        self._scheme = "memory" if network is not None else None
        self._waiting: dict[int, asyncio.Future[Finished]] = {}
        self._on_progress: list[Callable[[Progress], None]] = []
        self._on_notice: list[Callable[[Noticed], None]] = []
        self._on_message: list[Callable[[str, Word], None]] = []
        self._on_state: list[Callable[[SessionState], None]] = []
        self._awaited: list[tuple[frozenset[Event], asyncio.Future[tuple[str, Word]]]] = []
        self._unreached: set[str] = set()
        self._agreed_on = datetime.date.today()
        """The day on this PC when the rigs last agreed."""

    @classmethod
    def from_journal(cls, folder: Path, *, network: MemoryNetwork | None = None) -> Conductor:
        """Return a conductor that takes the place of one that has died; `recover` then asks the rigs.

        Parameters
        ----------
        folder : pathlib.Path
            The session folder, with the journal.
        network : MemoryNetwork, optional
            For rehearsal and tests without a network.

        Raises
        ------
        ConfigError
            There is no journal, it cannot be read, the session in it is over, or it is led by a program that
            lives.
        """
        machine = replay(folder)
        if machine.state in UNTOUCHED:
            raise ConfigError(f"the session in {folder} is over, or never touched a rig: nothing to recover")
        rigs = {name: Uri(_real(one.scheme), one.host, one.port) for name, one in machine.rigs.items()}
        conductor = cls(rigs, policies=machine.policies, network=network)
        conductor.subjects_folder = folder.absolute().parents[2]
        conductor._follow(machine)
        conductor._journal = Journal(beginning=RECOVERY)
        conductor._journal.open(folder)
        return conductor

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Find every rig's address.

        Raises
        ------
        SessionFailed
            Names that are not known on this network, all at once.
        """
        try:
            await self._find_rigs()
        except BaseException:
            await self.runtime.close()
            self._close_journal()
            raise
        self._clocks.follow(self.addresses)
        self.runtime.feed(self._chosen())

    def _follow(self, machine: SessionMachine) -> None:
        """Lead by this machine: a new one, or one that a journal has brought where it is."""
        self.machine = machine
        self.node = Node(
            boot=secrets.token_hex(8),
            name=platform.node() or "conductor",
            machine=machine,
            hears=hear_rig,
            # whoever we have chosen as a rig may answer from wherever it is
            permits=AllowList(anybody=True).permits,
        )
        self.runtime = Runtime(self.node, self._perform, network=self._network)
        self._clocks = Clocks(self.runtime, machine.watch.reports, report=self.runtime.feed)
        self._numbers = itertools.count(machine.last_number + 1)

    def _chosen(self) -> RigsChosen:
        return RigsChosen(rigs=self.addresses, policies=self.policies)

    async def _find_rigs(self) -> None:
        allow_open_sockets(len(self.rigs) + 64)
        names = list(self.rigs)
        tries = [
            self.runtime.connect(self._scheme or uri.scheme, uri.host, uri.port) for uri in self.rigs.values()
        ]
        results = await asyncio.gather(
            *(asyncio.wait_for(one, CONNECT_LIMIT) for one in tries), return_exceptions=True
        )
        causes: dict[str, Exception] = {}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, Address):
                self.addresses[name] = result
            elif isinstance(result, MultirigError):
                causes[name] = result
            elif isinstance(result, asyncio.TimeoutError):
                causes[name] = RigUnreachable(
                    f"the name {self.rigs[name].host!r} is not found: use the IP address"
                )
            elif isinstance(result, BaseException):
                raise result
        if clashes := _twice(self.addresses):
            raise ConfigError(f"{' and '.join(clashes)} have the same address: correct the rigs file")
        if causes:
            raise SessionFailed("connect", causes)

    async def close(self) -> None:
        """Leave the network; a session that is still open is interrupted first."""
        try:
            while self.is_busy and not self._is_closed:
                await self._leave_session()
        finally:
            await self.detach()

    async def detach(self) -> None:
        """Leave the network, and the rigs as they are; `from_journal` takes an open session up again."""
        try:
            self._is_closed = True
            waiting: list[asyncio.Future[Any]] = [*self._waiting.values()]
            waiting += [future for _, future in self._awaited]
            for future in waiting:
                if not future.done():
                    future.set_exception(MultirigError("the conductor was closed"))
            await self._clocks.close()
            await self.runtime.close()
        finally:
            self._close_journal()
            await self._judged()
            await _in_thread(self._awake.close)

    async def _leave_session(self) -> None:
        """Take one step towards the end, or wait for the one that is being taken."""
        state = self.state
        with contextlib.suppress(MultirigError):
            if state is SessionState.STOPPED:
                await self.cleanup()
            elif state is not SessionState.STOPPING and (state, SessionTrigger.INTERRUPT) in SESSION_TABLE:
                await self.interrupt("the conductor was closed")
            else:  # every step ends by its limit
                self._moved.clear()
                await self._moved.wait()

    async def __aenter__(self) -> Conductor:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        await self.close()

    # -- what is --------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """Where the session is."""
        return self.machine.state

    @property
    def is_busy(self) -> bool:
        """Whether rigs have been touched and not been cleaned up."""
        return self.state not in UNTOUCHED

    @property
    def exp_ref(self) -> ExpRef | None:
        """The reference of the session, once it is agreed."""
        return self.machine.exp_ref

    @property
    def session_folder(self) -> Path | None:
        """Where this PC's part of the session lies; None without a data folder or before the agreement."""
        if self.subjects_folder is None or self.exp_ref is None:
            return None
        return self.subjects_folder.joinpath(*self.exp_ref.folder_parts())

    def expects(self, event: Event) -> bool:
        """Whether an event is a step that the session can take now."""
        return any(
            state is self.state and EVENT_OF.get(after) is event and trigger in REQUESTS
            for (state, trigger), after in SESSION_TABLE.items()
        )

    def is_reached(self, rig: str) -> bool:
        """Whether nothing is known that keeps a rig from hearing us: its last outcome was not silence."""
        return rig in self.addresses and rig not in self._unreached

    # -- the steps of a session -------------------------------------------------------------------------

    def record_in(self, subjects: Path | None, *, main_sync: bool = False) -> None:
        """Say where this PC's part of the next session goes, for whoever learns it after connecting.

        Parameters
        ----------
        subjects : pathlib.Path or None
            The folder ``…/Subjects``; without it the session has no journal.
        main_sync : bool
            Whether this PC owns the experiment's number; needs the folder, to count in.

        Raises
        ------
        ConfigError
            A main sync without a folder.
        """
        if main_sync and subjects is None:
            raise ConfigError("this PC can only be the main sync with a data folder to count sessions in")
        self.subjects_folder, self.main_sync = subjects, main_sync

    async def check(
        self, seconds: float | None = None, *, rigs: Iterable[str] | None = None
    ) -> dict[str, list[Finding]]:
        """Ask every rig what speaks for and against a session, and look at this PC; nobody is touched.

        Parameters
        ----------
        seconds : float, optional
            How long the session shall be; without it, until it is ended.
        rigs : iterable of str, optional
            Some of the rigs only.

        Returns
        -------
        dict of str to list of Finding
            By rig, and ``this PC`` at last. `multirig.conductor.preflight.find_hindrance` tells whether a
            session can begin.
        """
        here = asyncio.ensure_future(run_checks(self._checks()))
        heard: dict[str, datetime.datetime] = {}

        def note(progress: Progress) -> None:
            if progress.event is Event.EXPINFO:
                heard.setdefault(progress.rig, _now())

        asked = _now()
        self._on_progress.append(note)
        try:
            told = {"subject": None, "check": {"seconds": seconds}}
            outcomes = await self.request(
                Event.EXPINFO, int(Status.CONNECTED), told, rigs=rigs, limit=CHECK_LIMIT
            )
            await self.reports()  # nothing is looked up for these: they measure the way
        finally:
            self._on_progress.remove(note)
            found = await here
        answers = {
            name: preflight.Answer(
                outcome=one, asked=asked, heard=heard.get(name, _now()), round_trip=self._round_trip(name)
            )
            for name, one in outcomes.items()
        }
        version, is_main_sync = __version__, self.main_sync
        return preflight.judge(answers, found, version=version, is_main_sync=is_main_sync)

    def _checks(self) -> dict[str, Check]:
        """Return what is looked at on this PC."""
        pc, folder = this_pc(), self.subjects_folder
        checks: dict[str, Check] = {}
        if folder is not None:
            checks = {"disk": lambda: check_space(folder), "folder": lambda: check_folder(folder, None)}
        return {
            **checks,
            "clock": lambda: check_clock(pc, _now()),
            "sleep": lambda: check_sleep(pc),
            "restart": lambda: check_restart(pc),
        }

    def _round_trip(self, rig: str) -> float | None:
        """Return the seconds that a message and its receipt take, at best."""
        clock = self.node.clock(self.addresses[rig])
        reading = clock.read(self.runtime.clock()) if clock is not None else None
        return reading.round_trip / SECOND if reading is not None else None

    async def agree(
        self,
        subject: str,
        *,
        date: datetime.date | None = None,
        info: Mapping[str, Any] | None = None,
        appends: bool = False,
        takes_over: bool = False,
        checks: bool = False,
        seconds: float | None = None,
    ) -> ExpRef:
        """Ask all rigs who they are, and find the experiment reference; nobody is touched.

        Parameters
        ----------
        subject : str
            Nickname of the animal.
        date : datetime.date, optional
            Today, if not given.
        info : mapping, optional
            More for the rigs to know (``experiment_description``).
        appends : bool
            Go on in a session that this PC has data of already.
        takes_over : bool
            Lead rigs that another conductor leads, from the next step on; it is told.
        checks : bool
            Look also at every PC, and do not begin where nothing would be recorded; see `findings`.
        seconds : float, optional
            How long the session shall be, for the check; without it, until it is ended.

        Raises
        ------
        AgreementError
            No main sync, several, another subject or another date; names each rig concerned. Or this PC has
            data under that number already, or, where it appends, has none.
        SessionFailed
            Rigs that did not answer, or PCs on which nothing would be recorded.
        """
        check_subject(subject)
        self._agreed_on = datetime.date.today()
        today = date or self._agreed_on
        here = None
        least = 1
        if self.subjects_folder is not None and self.main_sync:
            here = await asyncio.to_thread(next_exp_ref_in, self.subjects_folder, subject, today)
        elif self.subjects_folder is not None and not appends:
            least = await asyncio.to_thread(numbering.first_free, self.subjects_folder, subject, today)
        ask = AskInfo(
            exp_ref=here,
            subject=subject,
            main_sync=self.main_sync,
            experiment_description={},
            spec_version="1.0.0",
            min_sequence=least if least > 1 else None,
        )
        ask = ask_info_with(ask, plain(info or {}, "info"))
        await self._judged()  # the next attempt may have the same folder
        next_state(self.state, SessionTrigger.AGREE)  # else the journal goes on as it is
        journal = self._begin_journal()
        number = next(self._numbers)
        request = AgreeRequested(
            number=number,
            subject=subject,
            date=today,
            ask=ask,
            here=here,
            takes_over=takes_over or appends,  # the task before may still hold what it has begun
        )
        agreed = await self._do(request)
        self.information = {name: info for name, info in agreed.items() if isinstance(info, Info)}
        exp_ref = self.exp_ref
        if exp_ref is None:
            raise IllegalTransition(self.state, "agree", "another agreement was asked for meanwhile")
        try:
            await self._clocks.measure()
            self._clocks.begin()
            if checks:
                await self._check_before_start(seconds)
            if journal is not None and (folder := self.session_folder) is not None:
                joins = self.machine.joins
                if objection := await asyncio.to_thread(numbering.object_to, exp_ref, folder, joins, appends):
                    raise AgreementError(objection)
                await asyncio.to_thread(journal.open, folder)
        except (ConfigError, AgreementError, SessionFailed):
            with contextlib.suppress(IllegalTransition):
                await self._do(self._step(SessionTrigger.ABANDON))
            raise
        return exp_ref

    async def _check_before_start(self, seconds: float | None) -> None:
        """Look at every PC that can be asked: IBL's peers cannot, and have been asked enough."""
        self.findings = await self.check(
            seconds, rigs=[one for one in self.addresses if self.can_report(one)]
        )
        if (hindrance := preflight.find_hindrance(self.findings, self.policies)) is not None:
            raise hindrance

    def _judge_clocks(self) -> None:
        """Look whether the clocks are good enough for a start, by the rules of this PC.

        Raises
        ------
        SessionFailed
            They are not; the rigs stay as they are.
        """
        dates = {name: info.date for name, info in self.information.items()}
        taking_part = {
            name: one for name, one in self._clocks.known(dates).items() if name in self.information
        }
        self.objections = judge_clocks(
            self.clock_gate, taking_part, date=self._agreed_on, today=datetime.date.today()
        )
        for one in self.objections:
            log.warning("%s: %s", one.rig, one.text)
        refused = {
            one.rig: AgreementError(one.text) for one in self.objections if one.reaction is Reaction.REFUSE
        }
        if refused:
            raise SessionFailed("start", refused, "nobody has begun to record; see clock in multirig.yaml")

    async def init(self, data: Mapping[str, Any] | None = None) -> dict[str, Word]:
        """Get every rig ready; if one fails, all are cleaned up.

        Raises
        ------
        SessionFailed
            Names each rig that failed, with its cause.
        """
        return await self._begin(SessionTrigger.INIT, data)

    async def start(self, data: Mapping[str, Any] | None = None) -> dict[str, Word]:
        """Let every rig record, at one instant; if one fails, all are stopped and cleaned up.

        Raises
        ------
        SessionFailed
            Names each rig that failed, with its cause. Or clocks are not good enough for this PC's rules
            (`clock_gate`): then the rigs are as ready as before.
        """
        if self.state is SessionState.INITIALIZED:
            await self._clocks.measure()
            self._judge_clocks()
        self.start_spread = None
        replies = await self._begin(SessionTrigger.START, data)
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
        if self.machine.lost is not None:
            while self.state is SessionState.INTERRUPTING:
                self._moved.clear()
                await self._moved.wait()
            if self.state is SessionState.STOPPED:
                return dict(self.machine.ended)
        outcomes = await self._end(SessionTrigger.STOP, data)
        await self._clocks.measure()  # what was recorded lies between two readings
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
        return await self._end(SessionTrigger.INTERRUPT, {"error": "interrupted", **data, "message": message})

    async def recover(self, *, takes_over: bool = False) -> dict[str, Outcome]:
        """Ask every rig what it does, and lead it from now on; see `from_journal`.

        Parameters
        ----------
        takes_over : bool
            Lead also rigs that another conductor leads by now; without it, they are its.

        Returns
        -------
        dict of str to Word or MultirigError
            Each rig's EXPINFO: its status, and what it records; or why that is not known.
        """
        return await self._end(SessionTrigger.RECOVER, {"take_over": True} if takes_over else None)

    async def go_on(self) -> None:
        """Go on with a session that was recovered, with the rigs that record it still.

        Raises
        ------
        SessionFailed
            Nobody does, or an essential rig does not; the session can be stopped or cleaned up.
        """
        await self._do(self._step(SessionTrigger.GO_ON))

    async def cleanup(self, data: Mapping[str, Any] | None = None) -> dict[str, Outcome]:
        """Let every rig go; it is ready for another session then."""
        return await self._end(SessionTrigger.CLEANUP, data)

    async def request(
        self,
        event: Event,
        *args: Any,
        rigs: Iterable[str] | None = None,
        limit: float = 10.0,
        needs_reply: bool = True,
    ) -> dict[str, Outcome]:
        """Send a message to all rigs at once and wait for every outcome; the session is not moved by it.

        Parameters
        ----------
        event : Event
            What to ask.
        *args
            What goes with it; anything that JSON can carry.
        rigs : iterable of str, optional
            Some of the rigs only.
        limit : float
            Seconds that each rig may take.
        needs_reply : bool
            False where the receipt is all that can be expected (an Alyx token).

        Returns
        -------
        dict of str to Word or MultirigError
            Each rig's reply, or why there is none.
        """
        chosen = None if rigs is None else tuple(rigs)
        unknown = [name for name in chosen or () if name not in self.addresses]
        if unknown:
            raise ConfigError(f"no rig is called {', '.join(unknown)}; known: {', '.join(self.addresses)}")
        event = Event.parse(event)
        asked = AskRequested(
            number=next(self._numbers),
            word=Verbatim(event, tuple(plain(args, event.name))),
            rigs=chosen,
            limit=round(limit * SECOND),
            needs_reply=needs_reply,
        )
        return await self._do(asked)

    def complain(self, rig: str, event: Event, reason: str) -> None:
        """Tell a rig that what it said could not be handled here; nothing is waited for.

        Parameters
        ----------
        rig : str
            Who said it.
        event : Event
            What it said.
        reason : str
            One line, for the rig's screen and log.
        """
        self._check_open()
        self.runtime.feed(Complained(rig=rig, event=event, reason=reason))

    def share_token(self, url: str | None, token: Mapping[str, Any], names: Iterable[str]) -> None:
        """Have an Alyx token ready for the rigs that may be given it in clear, for when they ask."""
        word = AlyxToken(url=url, credentials=dict(token))
        self.runtime.feed(TokenShared(token=word, rigs=frozenset(names)))

    def can_report(self, rig: str) -> bool:
        """Whether a rig is a multirig, which can be asked how it is at any time."""
        return self.node.speaks_wire_2(self.addresses[rig])

    async def reports(self, limit: float = 1.0) -> dict[str, Report]:
        """Ask what the rigs record now; IBL's peers are not asked, since many know no EXPSTATUS.

        Returns
        -------
        dict of str to Report
            How each multirig is that answers in time.
        """
        asked = [name for name in self.addresses if self.can_report(name)]
        outcomes = await self.request(Event.EXPSTATUS, int(Status.CONNECTED), rigs=asked, limit=limit)
        return {name: report for name, report in outcomes.items() if isinstance(report, Report)}

    @property
    def lost(self) -> Noticed | None:
        """Why the session has ended by itself: what happened to an essential rig; None if it has not."""
        return self.machine.lost

    def news(self) -> dict[str, Report]:
        """Return what each multirig last said of itself while it records, without asking."""
        return self.machine.watch.reports()

    def clock_jumps(self) -> dict[str, int]:
        """Return how often each rig's clock has jumped since this PC hears it, as far as it was noticed."""
        return {name: read.steps for name, read in self.machine.clocks.items()}

    # -- markers ------------------------------------------------------------------------------------------

    def mark(self, text: str, /, **data: Any) -> float:
        """Set a marker, for now: it goes into the journal, and to all multirigs; nothing is waited for.

        Parameters
        ----------
        text : str
            What has happened, in one line of at most 300 characters.
        **data
            More on it; anything that JSON can carry, 8 kB in all.

        Returns
        -------
        float
            When it was set: seconds on the session clock, this PC's ``time.perf_counter()``.

        Raises
        ------
        IllegalTransition
            The rigs have not been started yet, or the session is over.
        ConfigError
            The text is no line, or the data are too many.
        LocalProtocolError
            JSON cannot carry the data.
        """
        marked = self.make_marked(text, data)
        self.take_marked(marked)
        return marked.at / SECOND

    def make_marked(self, text: str, data: Mapping[str, Any]) -> Marked:
        """Return a marker of now, for `take_marked`; may be called from any thread. Raises as `mark` does."""
        at = self.runtime.clock()
        self._check_open()
        check_markable(self.state)
        return make_marked(text, data, at)

    def take_marked(self, marked: Marked) -> None:
        """Write down a marker and tell it to the rigs; in the thread of the event loop."""
        self.runtime.feed(marked)

    # -- who listens ----------------------------------------------------------------------------------------

    def on_notice(self, callback: Callable[[Noticed], None]) -> None:
        """Call back whenever something is noticed of a rig that records: it is silent, broken, back…"""
        self._on_notice.append(callback)

    def on_progress(self, callback: Callable[[Progress], None]) -> None:
        """Call back whenever a rig has its outcome in a step."""
        self._on_progress.append(callback)

    def on_state(self, callback: Callable[[SessionState], None]) -> None:
        """Call back whenever the session comes to another state, as soon as it is there."""
        self._on_state.append(callback)

    def on_message(self, callback: Callable[[str, Word], None]) -> None:
        """Call back with (rig, message) whenever a rig says something by itself."""
        self._on_message.append(callback)

    async def next_message(self, *events: Event) -> tuple[str, Word]:
        """Wait for what a rig says by itself; without events, for anything.

        Returns
        -------
        rig : str
        word : Word
        """
        self._check_open()
        future: asyncio.Future[tuple[str, Word]] = asyncio.get_running_loop().create_future()
        entry = (frozenset(events or Event), future)
        self._awaited.append(entry)
        try:
            return await future
        finally:
            if entry in self._awaited:
                self._awaited.remove(entry)

    # -- inside ---------------------------------------------------------------------------------------------

    async def _begin(self, trigger: SessionTrigger, data: Mapping[str, Any] | None) -> dict[str, Word]:
        step = self._step(trigger, data)
        if self._journal is not None:
            # what led to this step survives even the death of the PC before a rig is touched
            await asyncio.to_thread(self._journal.sync)
        outcomes = await self._do(step)
        return {name: one for name, one in outcomes.items() if isinstance(one, Word)}

    async def _end(self, trigger: SessionTrigger, data: Mapping[str, Any] | None) -> dict[str, Outcome]:
        outcomes = await self._do(self._step(trigger, data))
        await self._judged()
        if self._journal is not None:
            try:
                await _in_thread(self._journal.sync)
            except ConfigError as error:  # what the rigs have done is done, and told
                log.error("%s", error)
        return outcomes

    def _step(self, trigger: SessionTrigger, data: Mapping[str, Any] | None = None) -> StepRequested:
        number = next(self._numbers)
        return StepRequested(number=number, trigger=trigger, data=plain(data or {}, trigger.value))

    async def _do(self, event: AgreeRequested | StepRequested | AskRequested) -> dict[str, Outcome]:
        """Give the machine a request, wait for its end and return each rig's outcome."""
        self._check_open()
        future: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()
        self._waiting[event.number] = future
        try:
            self.runtime.feed(event)
            finished = await future
        finally:
            self._waiting.pop(event.number, None)
        if finished.error is not None:
            raise finished.error
        return dict(finished.outcomes)

    def _check_open(self) -> None:
        if self._is_closed:
            raise MultirigError("the conductor is closed; make another one")

    # -- the journal ----------------------------------------------------------------------------------------

    def _begin_journal(self) -> Journal | None:
        """Begin a new one, with the rigs; it gets a folder when they have agreed."""
        self._close_journal()
        if self.subjects_folder is not None:
            self._journal = Journal()
            self._journal_failed = False
            self.runtime.feed(self._chosen())
        return self._journal

    def _judge(self) -> None:
        """Close the journal of a session that is over, and write the verdict on it."""
        folder = self._journal.folder if self._journal is not None else None
        self._close_journal()
        if folder is not None:
            self._judging = asyncio.create_task(_in_thread(functools.partial(write_verdict, folder)))

    async def _judged(self) -> None:
        """Return when the verdict on a session that is over has been written."""
        if self._judging is not None:
            await asyncio.wait([self._judging])

    def _close_journal(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            try:
                journal.close()
            except ConfigError as error:
                log.error("%s", error)

    def _write_down(self, event: Any, at: int) -> None:
        """Write an input into the journal; a full disk here does not end a recording there."""
        if self._journal is None:
            return
        try:
            self._journal.append(event, at)
        except (OSError, ValueError) as error:
            if not self._journal_failed:
                log.error("the journal misses lines: %s; the session goes on", error)
            self._journal_failed = True

    # -- effects ----------------------------------------------------------------------------------------

    def _perform(self, effect: Any) -> None:
        match effect:
            case Record(event=event, at=at):
                self._write_down(event, at)
            case Finished(number=number):
                if (future := self._waiting.get(number)) and not future.done():
                    future.set_result(effect)
            case Progressed(event=event, rig=rig, outcome=outcome):
                if isinstance(outcome, Word):
                    self._unreached.discard(rig)
                    if isinstance(outcome, Info):
                        self._clocks.note_port(rig, outcome.clock_port)
                elif isinstance(outcome, RigUnreachable | Unconfirmed):
                    self._unreached.add(rig)
                self._call_all(self._on_progress, Progress(event=event, rig=rig, outcome=outcome))
            case Noticed():
                log.warning("%s %s", effect.rig, effect.text)
                self._call_all(self._on_notice, effect)
            case Moved(state=state, exp_ref=exp_ref):
                log.info("the session %s is %s", exp_ref or "", state)
                self._moved.set()
                self._awake.keep(self.is_busy)
                self._clocks.keep(self.is_busy)
                if state is SessionState.IDLE:
                    self._judge()
                self._call_all(self._on_state, state)
            case Heard(rig=rig, word=word):
                self._hear(rig, word)
            case Ignored(address=address, reason=reason, first=first):
                log.log(logging.WARNING if first else logging.DEBUG, "ignored from %s: %s", address, reason)
            case _:
                log.debug("%s", effect)

    def _hear(self, rig: str, word: Word) -> None:
        self._unreached.discard(rig)
        log.info("%s says %s: %r", rig, word, word)
        self._call_all(self._on_message, rig, word)
        for events, future in self._awaited[:]:
            if word.event in events and not future.done():
                future.set_result((rig, word))

    @staticmethod
    def _call_all(callbacks: Iterable[Callable[..., None]], *args: Any) -> None:
        """Call everybody; one that raises does not keep the others from hearing."""
        for callback in list(callbacks):
            try:
                callback(*args)
            except Exception:
                log.exception("a callback failed")


async def _in_thread(work: Callable[[], None]) -> None:
    """Do what blocks beside the event loop; in it where the program is ending and begins no more threads."""
    try:
        await asyncio.to_thread(work)
    except RuntimeError:
        work()


def _now() -> datetime.datetime:
    """Return the time of day, with its zone."""
    return datetime.datetime.now().astimezone()


def _real(scheme: str) -> str:
    """Return a scheme that a URI may have; the memory network's addresses have one of their own."""
    return "udp" if scheme == "memory" else scheme


def _twice(addresses: Mapping[str, Address]) -> list[str]:
    """Return two names that mean the same rig, if there are such."""
    seen: dict[Address, str] = {}
    for name, address in addresses.items():
        if address in seen:
            return [seen[address], name]
        seen[address] = name
    return []
