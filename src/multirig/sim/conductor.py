"""A conductor's PC: the product's own conductor, an operator who follows a script, and a disk."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from multirig.conductor.conductor import Conductor
from multirig.conductor.surroundings import Surroundings
from multirig.config import Uri
from multirig.errors import MultirigError
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.session import SessionMachine
from multirig.lifecycle.session_events import ClockRead, Moved, Progressed
from multirig.lifecycle.session_states import UNTOUCHED
from multirig.lifecycle.watch import Noticed
from multirig.protocol.events import Address, Received
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Recorded, Stopped
from multirig.record.recount import summarise
from multirig.record.summary import Summary
from multirig.sim.facts import ClockSeen, Fact, FilesTold, RigJudged, RigNoticed, SessionMoved
from multirig.sim.journals import JournalData, JournalDisk
from multirig.sim.operator import Operator, Script
from multirig.sim.world import Clock, Computer, World, overhear

MORNING = datetime.time(10, tzinfo=datetime.timezone.utc)
"""When the world begins."""


class _Sleepless:
    """A PC that does not sleep."""

    def keep(self, wanted: bool) -> None:  # noqa: FBT001  as Awake has it
        """Be awake."""

    def close(self) -> None:
        """Be awake."""


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
        self.operator = Operator(name, subject, script, world.note)
        """Leads its sessions."""
        self.disk = JournalDisk()
        """It survives."""
        self.conductor: Conductor | None = None
        """Of its program; None while that is dead."""
        self.machine = SessionMachine()
        self._ports = itertools.count(address.port + 1)

    # -- life -------------------------------------------------------------------------------------------

    def start(self, boot: str) -> None:
        """Begin a new program, which has a port of its own, and let the operator begin."""
        if self.lives > 1:
            self.address = self.address._replace(port=next(self._ports))
        pc = Surroundings(
            clock=self.read_clock,
            wall=self._read_wall,
            name=self.name,
            boot=boot,
            access=self.access,
            awake=_Sleepless(),
        )
        folder = self.disk.find_newest(_is_open)
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
                Progressed: self._note_progress,
                Noticed: self._note_as(_noticed),
                Moved: self._note_as(_moved),
                ClockRead: self._note_as(_clock_seen),
            },
        )
        self.operator.sit_down(self.conductor)

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

    def summaries(self) -> dict[ExpRef, Summary]:
        """Return what happened in each session, by its journal."""
        return {
            exp_ref: summarise(journal.replay().moments)
            for exp_ref, journal in self.journals.items()
            if journal.data
        }

    def _note_progress(self, event: Progressed) -> None:
        self.world.note(_judged(self.name, event))
        match event.outcome:
            case Stopped(files_total=int(total), recorded=Recorded() as recorded):
                paths = tuple(one.path for one in recorded.files or ())
                self.world.note(FilesTold(who=self.name, rig=event.rig, paths=paths, total=total))

    def _note_as(self, make: Callable[[str, Any], Fact]) -> Callable[[Any], None]:
        """Return what notes an event of its machine as a fact."""
        return lambda event: self.world.note(make(self.name, event))


def _judged(who: str, progressed: Progressed) -> Fact:
    failure = str(progressed.outcome) if isinstance(progressed.outcome, MultirigError) else None
    return RigJudged(who=who, rig=progressed.rig, event=progressed.event.name, failure=failure)


def _noticed(who: str, noticed: Noticed) -> Fact:
    return RigNoticed(who=who, rig=noticed.rig, notice=str(noticed.notice), text=noticed.text)


def _moved(who: str, moved: Moved) -> Fact:
    reference = str(moved.exp_ref) if moved.exp_ref else None
    return SessionMoved(who=who, state=moved.state, exp_ref=reference)


def _clock_seen(who: str, read: ClockRead) -> Fact:
    return ClockSeen(who=who, rig=read.rig, at=read.at, offset=read.offset, bound=read.bound)


def _is_open(machine: SessionMachine) -> bool:
    return machine.state not in UNTOUCHED and machine.exp_ref is not None
