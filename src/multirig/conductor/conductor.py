"""Knows which rigs there are and talks to them; the sessions that it leads are `Session` objects."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from multirig.conductor.agreeing import Plan
from multirig.conductor.checking import Look, find_hindrance
from multirig.conductor.events import Events, EventStream
from multirig.conductor.exchange import Exchange, make_machine
from multirig.conductor.proofs import share_token
from multirig.conductor.session import Session
from multirig.conductor.storage import Storage, SubjectsFolder, open_storage
from multirig.conductor.surroundings import Surroundings, in_thread
from multirig.config import Uri, check_length
from multirig.errors import ConfigError, IllegalTransition, RigUnreachable, Unconfirmed
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.clock_gate import ClockGate
from multirig.lifecycle.policy import RigPolicy, Role
from multirig.lifecycle.session_events import (
    Complained,
    Heard,
    Limits,
    Moved,
    Progressed,
    RigsChosen,
    SessionFound,
)
from multirig.lifecycle.session_states import UNTOUCHED, SessionTrigger, next_state
from multirig.pc.finding import Finding
from multirig.protocol.events import Ignored, Record
from multirig.protocol.messages import Event, Status
from multirig.protocol.words import Report, Word
from multirig.transports.base import Network


class Conductor:
    """Leads one session after another over a set of rigs.

    Use it as an asynchronous context manager::

        async with Conductor({"cameras": "udp://192.168.1.20"}, data_folder="data") as conductor:
            async with conductor.session("SP_01") as session:
                await session.init()
                await session.start()
                ...
                await session.stop()

    Parameters
    ----------
    rigs : mapping of str to str or Uri
        Name of each rig and where it listens, in the order in which they are started.
    data_folder : path or Storage, optional
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
    network : Network, optional
        For rehearsal and tests without a network; the rigs' addresses are then those on it.
    pc : Surroundings, optional
        The PC that it runs on, for simulation.
    only_looks : bool
        Whether it only looks at rigs: one whose name is not found keeps it from none of the others.
    """

    def __init__(
        self,
        rigs: Mapping[str, str | Uri],
        *,
        data_folder: str | Path | Storage | None = None,
        lab: str = "mylab",
        main_sync: bool = False,
        limits: Limits | None = None,
        policies: Mapping[str, RigPolicy] | None = None,
        may_have_token: Iterable[str] = (),
        clock_gate: ClockGate | None = None,
        network: Network | None = None,
        pc: Surroundings | None = None,
        only_looks: bool = False,
    ) -> None:
        self.rigs = {name: Uri.parse(uri) for name, uri in rigs.items()}
        self.policies = dict(policies or {})
        """What those rigs mean to the session of which something else is said than usual."""
        self.storage = open_storage(data_folder, lab)
        """Where this PC's part of a session goes; None: it keeps no journal."""
        self.main_sync = main_sync
        """Whether this PC owns the experiment's number."""
        self._check_counting(self.storage, main_sync=main_sync)
        self.clock_gate = clock_gate or ClockGate()
        """What follows from what may be wrong with clocks at a start."""
        self.pc = pc or Surroundings()
        """The PC that it runs on."""
        self.all_events = Events()
        """Hands on what happens, in a session or between them."""
        self._session: Session | None = None
        self._unreached: set[str] = set()
        self._only_looks = only_looks
        self._network = network
        machine = make_machine(limits, may_have_token)
        self.exchange = Exchange(machine, self._perform, pc=self.pc, network=network)
        """Talks to the rigs' addresses."""

    @classmethod
    def from_journal(
        cls,
        folder: Path,
        *,
        storage: Storage | None = None,
        network: Network | None = None,
        pc: Surroundings | None = None,
        person: str | None = None,
    ) -> Conductor:
        """Return a conductor that takes the place of one that has died; the open session is `current`.

        Parameters
        ----------
        folder : pathlib.Path
            The session folder, with the journal.
        storage : Storage, optional
            Where it lies, if that is no disk of this PC.
        network : Network, optional
            For rehearsal and tests without a network.
        pc : Surroundings, optional
            The PC that it runs on, for simulation.
        person : str, optional
            Name of who leads it from now on, for the journal.

        Raises
        ------
        ConfigError
            There is no journal, it cannot be read, the session in it is over, or it is led by a program that
            lives.
        """
        storage = storage or SubjectsFolder(folder.absolute().parents[2])
        machine = storage.replay(folder)
        if machine.state in UNTOUCHED or machine.exp_ref is None:
            raise ConfigError(f"the session in {folder} is over, or never touched a rig: nothing to recover")
        # the memory network's addresses have a scheme that no URI has
        rigs = {
            name: Uri("udp" if address.scheme == "memory" else address.scheme, address.host, address.port)
            for name, address in machine.rigs.items()
        }
        conductor = cls(rigs, data_folder=storage, policies=machine.policies, network=network, pc=pc)
        conductor.exchange = Exchange(machine, conductor._perform, pc=conductor.pc, network=network)
        plan = Plan(subject=machine.exp_ref.subject, date=machine.exp_ref.date, person=person)
        session = conductor._session = Session(conductor, plan, storage)
        session.reopen(folder)
        return conductor

    @classmethod
    def from_rigs(
        cls,
        rigs: Mapping[str, str | Uri],
        found: SessionFound,
        *,
        network: Network | None = None,
        pc: Surroundings | None = None,
    ) -> Conductor:
        """Return a conductor that takes the place of one that has left rigs, wherever its journal is.

        Parameters
        ----------
        rigs : mapping of str to str or Uri
            Those that were left.
        found : SessionFound
            In which session; `current` is that.
        network, pc
            As `from_journal` takes them.
        """
        conductor = cls(rigs, network=network, pc=pc)
        machine = conductor.exchange.machine
        machine.handle(found, conductor.exchange.now())
        plan = Plan(subject=found.exp_ref.subject if found.exp_ref is not None else "")
        session = conductor._session = Session(conductor, plan, None)
        session.reopen(None)
        return conductor

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Find every rig's address.

        Raises
        ------
        SessionFailed
            Names that are not known on this network, all at once; without those of optional rigs.
        """
        try:
            optional = {name for name, one in self.policies.items() if one.role is Role.OPTIONAL}
            await self.exchange.find(self.rigs, {*self.rigs} if self._only_looks else optional)
        except BaseException:
            await self.exchange.runtime.close()
            if self._session is not None:
                self._session.release()
            raise
        if self._session is not None:  # taken up again
            self._session.journal.watch_room()
        self.exchange.feed(RigsChosen(rigs=self.exchange.addresses, policies=self.policies))

    async def close(self) -> None:
        """Leave the network; a session that is still open is ended first."""
        try:
            if (session := self.current) is not None and not self.exchange.is_closed:
                await session.end("the conductor was closed")
        finally:
            await self.detach()

    async def detach(self) -> None:
        """Leave the network, and the rigs as they are; `from_journal` takes an open session up again."""
        session = self._session
        try:
            self.exchange.give_up()
            await self.exchange.close()
        finally:
            if session is not None:
                session.release()
                await session.journal.judged()
            self.all_events.end()
            await in_thread(self.pc.awake.close)

    async def __aenter__(self) -> Conductor:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # -- sessions ---------------------------------------------------------------------------------------

    def session(
        self,
        subject: str,
        *,
        date: datetime.date | None = None,
        info: Mapping[str, Any] | None = None,
        appends: bool = False,
        takes_over: bool = False,
        checks: bool = False,
        seconds: float | None = None,
        main_sync: bool | None = None,
        storage: Storage | None = None,
        by_task: bool = False,
        person: str | None = None,
    ) -> Session:
        """Return a session that can begin; see `Session` for how it is led. There is one at a time.

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
            Lead rigs that another conductor leads, from the next step on; it is informed. While it is heard,
            they ask the person there in the agreement.
        checks : bool
            Look also at every PC, and do not begin where nothing would be recorded; see `Session.findings`.
        seconds : float, optional
            How long the session shall be, for the check; without it, until it is ended.
        main_sync : bool, optional
            Whether this PC owns the experiment's number; without it, as the conductor was made.
        storage : Storage, optional
            Where this PC's part of it goes; without it, the conductor's data folder.
        by_task : bool
            A task leads it: should its program die, the session was interrupted, whoever stops the rigs then.
        person : str, optional
            Name of who leads it, for the journal.

        Raises
        ------
        ConfigError
            A main sync without a folder to count in, or a length that no session has.
        """
        storage = storage or self.storage
        counts = self.main_sync if main_sync is None else main_sync
        self._check_counting(storage, main_sync=counts)
        plan = Plan(
            subject=subject,
            date=date,
            info=info or {},
            main_sync=counts,
            appends=appends,
            takes_over=takes_over,
            checks=checks,
            seconds=check_length(seconds),
            by_task=by_task,
            person=person,
        )
        return Session(self, plan, storage)

    @staticmethod
    def _check_counting(storage: Storage | None, *, main_sync: bool) -> None:
        if main_sync and storage is None:
            raise ConfigError("this PC can only be the main sync with a data folder to count sessions in")

    @property
    def current(self) -> Session | None:
        """The session that is led now, from its agreement on; None between sessions."""
        session = self._session
        return session if session is not None and not session.is_over else None

    async def follow(self, session: Session) -> None:
        """Let a session have the rigs; for `Session.agree`, which asks them next.

        Raises
        ------
        IllegalTransition
            Another one has touched them.
        """
        self.exchange.check_open()
        before = self._session
        if session.is_over or session is before:
            raise IllegalTransition(session.state, "agree", "a session agrees once: begin another one")
        if before is not None:
            await before.journal.judged()  # the next attempt may have the same folder
        next_state(self.exchange.machine.state, SessionTrigger.AGREE)
        if before is not None:
            before.release()
        self._session = session

    def events(self) -> EventStream:
        """Return a stream of what happens from now on, in a session or between them; see `Session.events`."""
        return self.all_events.stream()

    # -- checks -----------------------------------------------------------------------------------------

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
            By rig, and ``this PC`` at last. `multirig.conductor.preflight.find_hindrance` says whether a
            session can begin.
        """
        return await self._check(check_length(seconds), rigs, self.storage, is_main_sync=self.main_sync)

    async def check_for(self, session: Session) -> None:
        """Check as `check` does, for a session, those rigs that can be asked at any time.

        Raises
        ------
        SessionFailed
            PCs on which nothing would be recorded.
        """
        plan = session.plan
        asked = [name for name in self.rigs if self.can_report(name)]
        session.findings = await self._check(
            plan.seconds, asked, session.journal.storage, is_main_sync=plan.main_sync
        )
        if (hindrance := find_hindrance(session.findings, self.policies)) is not None:
            raise hindrance

    async def _check(
        self,
        seconds: float | None,
        rigs: Iterable[str] | None,
        storage: Storage | None,
        *,
        is_main_sync: bool,
    ) -> dict[str, list[Finding]]:
        look = Look(self.exchange, self.events(), storage.path if storage is not None else None)
        try:
            outcomes = await look.ask(seconds, rigs)
            await self.reports()  # nothing is looked up for these: they measure the way
            await look.try_paths(outcomes)
            await look.try_pings(outcomes)
        finally:
            here = await look.end()
        return look.judge(outcomes, here, policies=self.policies, is_main_sync=is_main_sync)

    def clock_jumps(self) -> dict[str, int]:
        """Return how often each rig's clock has jumped since this PC hears it, as far as it was noticed."""
        return {name: read.steps for name, read in self.exchange.machine.clocks.items()}

    # -- questions --------------------------------------------------------------------------------------

    async def request(
        self,
        event: Event,
        *args: Any,
        rigs: Iterable[str] | None = None,
        limit: float = 10.0,
        needs_reply: bool = True,
    ) -> dict[str, Outcome]:
        """Send a message to all rigs at once and wait for every outcome; no session is moved by it.

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
        return await self.exchange.request(event, *args, rigs=rigs, limit=limit, needs_reply=needs_reply)

    async def reports(self, limit: float = 1.0) -> dict[str, Report]:
        """Ask what the rigs record now; IBL's peers are not asked, since many know no EXPSTATUS.

        Returns
        -------
        dict of str to Report
            How each multirig is that answers in time.
        """
        asked = [name for name in self.rigs if self.can_report(name)]
        outcomes = await self.request(Event.EXPSTATUS, int(Status.CONNECTED), rigs=asked, limit=limit)
        return {name: report for name, report in outcomes.items() if isinstance(report, Report)}

    def complain(self, rig: str, event: Event, reason: str) -> None:
        """Let a rig know that what it said could not be handled here; nothing is waited for.

        Parameters
        ----------
        rig : str
            Who said it.
        event : Event
            What it said.
        reason : str
            One line, for the rig's screen and log.
        """
        self.exchange.check_open()
        self.exchange.feed(Complained(rig=rig, event=event, reason=reason))

    def share_token(self, url: str | None, token: Mapping[str, Any], names: Iterable[str]) -> None:
        """Have an Alyx token ready for rigs that may have it in clear, and for all whose links are sealed."""
        share_token(self.exchange, url, token, names)

    def can_report(self, rig: str) -> bool:
        """Whether a rig is a multirig, which can be asked how it is at any time."""
        return self.exchange.node.peers.speaks_wire_2(self.exchange.addresses[rig])

    def is_reached(self, rig: str) -> bool:
        """Whether nothing is known that keeps a rig from hearing us: its last outcome was not silence."""
        return rig in self.exchange.addresses and rig not in self._unreached

    def obstacle(self, rig: str) -> str | None:
        """Return why the network does not bring a rig what it is asked, if it says so; it is tried on."""
        address = self.exchange.addresses.get(rig)
        return None if address is None else self.exchange.node.peers.obstacle(address)

    # -- effects ----------------------------------------------------------------------------------------

    def _perform(self, effect: Any) -> None:
        match effect:
            case Progressed(rig=rig, outcome=RigUnreachable() | Unconfirmed()):
                self._unreached.add(rig)
            case Progressed(rig=rig, outcome=Word()) | Heard(rig=rig):
                self._unreached.discard(rig)
            case Moved(state=state):
                self.pc.awake.keep(state not in UNTOUCHED)
                self.exchange.clocks.keep(state not in UNTOUCHED)
        if (session := self.current) is not None:
            session.take(effect)
        elif not isinstance(effect, Record | Ignored):
            self.all_events.publish(effect)
