"""What the pages talk to: the lab as it is seen from here, and the session that is led from here.

It holds no rule of a session: those are the `Conductor`'s, in the session's own process. It brings together
what the observer sees, what that process tells and what is filled in, lets the pure `view` make of it what is
shown, and tells the pages when that has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from multirig.conductor.conductor import Conductor
from multirig.conductor.observer import Observer
from multirig.conductor.roster import Roster, RosterEntry, add_rig, remove_rig, set_role
from multirig.config import Uri
from multirig.config.conductor import ConsoleRules
from multirig.dashboard.leading.client import Leader, read_last
from multirig.dashboard.pictures import plan_round
from multirig.dashboard.seeing import see
from multirig.dashboard.snapshot import Order, RigNow, SessionNow
from multirig.dashboard.task_forms import Form, read_form
from multirig.dashboard.view.lab import Abandoned, LabNow, LabView, view_lab
from multirig.dashboard.view.start import Draft, make_order
from multirig.errors import ConfigError, MultirigError
from multirig.folders import subjects_folder
from multirig.lifecycle.policy import Role
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.messages import Event
from multirig.record.catalogue import Catalogue
from multirig.record.recovery import find_open

GATHER = 0.02
"""Seconds for which changes are gathered before they are shown: far below what anybody sees."""
REST = 0.05
"""Seconds between two showings, at least: each has a browser render the whole page anew, and one that is
told faster than it renders falls behind.
"""
REST_AT_START = 0.2
"""The same while a session begins: browsers that draw on this PC shall not hold up a start."""
TICK = 1.0
"""Seconds between two looks at what no message tells: the time, the rigs file."""
PICTURES_LIMIT = 1.0
"""Seconds that a rig has to send its pictures."""
CLEAN_UP_LIMIT = 40.0
"""Seconds that a rig has to let go of its device."""

_BEGINNING = frozenset(
    {SessionState.INITIALIZING.value, SessionState.INITIALIZED.value, SessionState.STARTING.value}
)

log = logging.getLogger("multirig.console")


@dataclass(frozen=True, slots=True)
class Shot:
    """The newest picture of a camera."""

    number: int
    """Counts up with each picture."""
    jpeg: bytes


class Console:
    """The lab and the session, for any number of pages.

    Parameters
    ----------
    rigs_file : pathlib.Path
        The list of rigs; read again whenever it changes.
    data_folder : pathlib.Path
        Where this PC's part of the sessions goes, and where past ones are looked for.
    lab : str
        Name of the lab's folder.
    rules : ConsoleRules, optional
        What ``multirig.yaml`` says of the console: tasks, subjects, projects, procedures to offer.
    state_file : pathlib.Path, optional
        Where the session's process notes how it is reached; one of the user's own, for this rigs file, if it
        is not said.
    """

    def __init__(
        self,
        rigs_file: Path,
        data_folder: Path,
        lab: str = "mylab",
        *,
        rules: ConsoleRules | None = None,
        state_file: Path | None = None,
    ) -> None:
        self.rigs_file = rigs_file.absolute()
        self.data_folder = data_folder.absolute()
        self.lab = lab
        self.rules = rules or ConsoleRules()
        self.state_file = state_file or default_state_file(self.rigs_file)
        self.subjects_folder = subjects_folder(self.data_folder, lab)
        self.catalogue = Catalogue(self.subjects_folder)
        self.subjects: list[str] = []
        """Who may be recorded: those of the config and those seen before."""
        self.projects: list[str] = []
        self.procedures: list[str] = []
        self._observer = Observer()
        self._leader: Leader | None = None
        self._last: SessionNow | None = None
        """Of the session whose process is not there any more."""
        self._is_beginning = False
        self._was_led = False
        """Whether a session was led at the last look, or has begun since."""
        self._draft = Draft()
        self.form: Form | None = None
        """What the chosen task asks for; None: no task, or it is not known yet."""
        self.task_problem: str | None = None
        """Why the chosen task cannot be loaded, in one line."""
        self._entries: Mapping[str, RosterEntry] = {}
        self._stamp: tuple[int, int] | None = None
        self._problem: str | None = None
        self._abandoned: tuple[Abandoned, ...] = ()
        self._findings: Mapping[str, list[dict[str, str]]] = {}
        self._is_checking = False
        self._shots: dict[tuple[str, str], Shot] = {}
        self._pages: list[Callable[[], None]] = []
        self._changed = asyncio.Event()
        self._view: LabView | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to watch the lab, and come back to a session that goes on."""
        await self._observer.open()
        self._observer.on_change(lambda _: self._note())
        await self._follow_rigs_file()
        await self._come_back()
        await self._look_into_folders()
        await self._begin_form()
        self._tasks = [
            asyncio.create_task(one) for one in (self._tick(), self._show(), self._take_pictures())
        ]

    async def close(self) -> None:
        """Watch no more; a session that goes on goes on."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._leader is not None:
            await self._leader.close()
        await self._observer.close()

    async def __aenter__(self) -> Console:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- what is shown ----------------------------------------------------------------------------------

    @property
    def view(self) -> LabView:
        """What the page shows now."""
        if self._view is None:
            self._view = view_lab(self._now())
        return self._view

    @property
    def is_led(self) -> bool:
        """Whether a session is led from here now."""
        leader = self._leader
        return self._is_beginning or (leader is not None and leader.is_alive and not leader.session.is_over)

    @property
    def _is_beginning_to_record(self) -> bool:
        """Whether the rigs of a session that is led from here get ready, or start."""
        return self.is_led and (session := self.session) is not None and session.state in _BEGINNING

    @property
    def session(self) -> SessionNow | None:
        """The session that is led from here, or the last one until it is dismissed."""
        return self._leader.session if self._leader is not None else self._last

    def attend(self, page: Callable[[], None]) -> Callable[[], None]:
        """Call a page back whenever something has changed; return what ends that."""
        self._pages.append(page)

        def leave() -> None:
            with contextlib.suppress(ValueError):
                self._pages.remove(page)

        return leave

    def shot(self, rig: str, label: str) -> Shot | None:
        """Return the newest picture of a camera."""
        return self._shots.get((rig, label))

    def picture(self, rig: str, label: str) -> bytes | None:
        """Return that picture, a JPEG file."""
        shot = self.shot(rig, label)
        return shot.jpeg if shot is not None else None

    def _now(self) -> LabNow:
        session = self.session
        alive = self._is_beginning or (self._leader is not None and self._leader.is_alive)
        return LabNow(
            now=time.time(),
            rigs=self._rigs(),
            draft=self._draft,
            session=session,
            is_lost=session is not None and not session.is_over and not alive,
            abandoned=self._abandoned,
            findings=self._findings,
            is_checking=self._is_checking,
            problem=self._problem,
        )

    def _rigs(self) -> list[RigNow]:
        sightings, now = self._observer.sightings(), self._observer.clock()
        return [see(name, entry, sightings.get(name), now) for name, entry in self._entries.items()]

    def _note(self) -> None:
        """Something has changed."""
        self._view = None
        self._changed.set()

    async def _show(self) -> None:
        """Tell the pages of changes, a few at a time."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER)
            self._changed.clear()
            for page in self._pages[:]:
                try:
                    page()
                except Exception:
                    log.exception("a page could not be shown")
                await asyncio.sleep(0)  # what this page shows leaves before the next one is looked at
            await asyncio.sleep(REST_AT_START if self._is_beginning_to_record else REST)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                await self._follow_rigs_file()
                if self._was_led and not self.is_led:
                    self._was_led = False
                    await self._look_into_folders()
                    self._observer.resume()
            except Exception:
                log.exception("the lab could not be looked at")
            self._note()

    # -- the rigs ---------------------------------------------------------------------------------------

    async def _follow_rigs_file(self) -> None:
        """Read the rigs file where it has changed."""
        try:
            status = self.rigs_file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = (0, 0)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            roster = await asyncio.to_thread(Roster.load, self.rigs_file)
        except ConfigError as error:  # the rigs of before are watched on
            self._problem = str(error)
        else:
            self._problem = None
            self._entries = roster.entries
            await self._observer.follow({name: one.uri for name, one in roster.entries.items()})
            kept = tuple(name for name in self._draft.rigs if name in roster.entries)
            self._draft = replace(self._draft, rigs=kept)
        self._note()

    async def add_rig(
        self, name: str, uri: str, role: str = Role.EXPECTED.value, *, replaces: bool = False
    ) -> None:
        """Enter a rig in the rigs file, or give it another address and role.

        Raises
        ------
        ConfigError
            The name or the address is no good, or the file cannot be changed.
        """
        name = name.strip()
        await asyncio.to_thread(add_rig, self.rigs_file, name, uri.strip(), replaces)
        await asyncio.to_thread(set_role, self.rigs_file, name, Role(role))
        await self._follow_rigs_file()

    async def remove_rig(self, name: str) -> None:
        """Take a rig out of the rigs file. Raises ConfigError if that cannot be done."""
        await asyncio.to_thread(remove_rig, self.rigs_file, name)
        await self._follow_rigs_file()

    async def ping(self, name: str) -> str:
        """Ask a rig now, and return in one line how that went."""
        sighting = await self._observer.ping(name)
        self._note()
        if sighting.problem is not None:
            return sighting.problem
        took = "" if sighting.round_trip is None else f" in {sighting.round_trip * 1000:.1f} ms"
        return f"{name} answers{took}"

    async def clean_up(self, name: str) -> None:
        """Let a rig go that an earlier session has left as it was.

        Raises
        ------
        MultirigError
            It could not be done.
        """
        if self.is_led and name in (self.session.order.rigs if self.session else ()):
            raise MultirigError(f"{name} is in the session that goes on: stop that first")
        async with Conductor({name: self._uri(name)}) as conductor:
            outcomes = await conductor.request(Event.EXPCLEANUP, {}, limit=CLEAN_UP_LIMIT)
        if isinstance(error := outcomes[name], MultirigError):
            raise error

    async def check(self, names: Iterable[str] | None = None) -> None:
        """Look at every PC, as before a session; the page shows what is found.

        Parameters
        ----------
        names : iterable of str, optional
            Some of the rigs only; without it those that are selected, or all if none is.
        """
        if self.is_led:
            raise MultirigError("a session goes on: look at the PCs before the next one")
        chosen = list(names or self._draft.rigs or self._entries)
        self._is_checking = True
        self._note()
        try:
            rigs = {name: self._uri(name) for name in chosen}
            draft = self._draft
            seconds = None if draft.minutes is None else draft.minutes * 60
            gives_number = not any(one.main_sync for one in self._rigs() if one.name in rigs)
            conductor = Conductor(rigs, data_folder=self.data_folder, lab=self.lab, main_sync=gives_number)
            async with conductor:
                found = await conductor.check(seconds)
            self._findings = {pc: [one.to_json() for one in list_] for pc, list_ in found.items()}
        finally:
            self._is_checking = False
            self._note()

    def forget_findings(self) -> None:
        """Show no more what the last look has found."""
        self._findings = {}
        self._note()

    def _uri(self, name: str) -> Uri:
        if name not in self._entries:
            raise ConfigError(f"there is no rig {name} in {self.rigs_file}")
        return self._entries[name].uri

    # -- the form ---------------------------------------------------------------------------------------

    @property
    def draft(self) -> Draft:
        """What is filled in for the next session."""
        return self._draft

    def fill_in(self, **fields: Any) -> None:
        """Change what is filled in; all pages show it."""
        draft = replace(self._draft, **fields)
        if draft != self._draft:
            self._draft = draft
            self._note()

    def select(self, name: str, is_selected: bool) -> None:
        """Take a rig along in the next session, or not."""
        others = tuple(one for one in self._draft.rigs if one != name)
        if name in self._entries:
            self.fill_in(rigs=(*others, name) if is_selected else others)

    async def choose_task(self, task: str) -> None:
        """Take a task, and find out what it asks for; empty: the rigs alone record."""
        task = task.strip()
        if task == self._draft.task:
            return
        self.fill_in(task=task, parameters={})
        self.form, self.task_problem = None, None
        if task:
            form: Form | None = None
            problem: str | None = None
            try:
                form = await read_form(task)
            except MultirigError as error:
                problem = str(error)
            if self._draft.task != task:  # another one was chosen meanwhile
                return
            self.form, self.task_problem = form, problem
            fields = form.fields if form is not None else ()
            self.fill_in(parameters={one.name: one.default for one in fields if one.default is not None})
        self._note()

    # -- the session ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin what is filled in.

        Raises
        ------
        MultirigError
            It is not complete, or the session's process does not come up.
        """
        said = self.view.start
        if not said.can_start:
            raise MultirigError(said.why_not or "a session goes on")
        await self._begin(
            make_order(
                self._draft,
                self._rigs(),
                rigs_file=str(self.rigs_file),
                data_folder=str(self.data_folder),
                lab=self.lab,
            )
        )

    async def recover(self, folder: str, *, ends: bool = False) -> None:
        """Lead a session on whose program has died, or end it.

        Parameters
        ----------
        folder : str
            The session folder, as the page shows it.
        ends : bool
            Stop its rigs and let them go.

        Raises
        ------
        MultirigError
            It is over, or led by a program that lives; or the session's process does not come up.
        """
        found = next((one for one in self._abandoned if one.folder == folder), None)
        if found is None:
            raise MultirigError("that session is over, or led by a program that lives")
        subject = found.exp_ref.split("_", 2)[-1]
        await self._begin(
            Order(
                subject=subject,
                rigs=found.rigs,
                rigs_file=str(self.rigs_file),
                data_folder=str(self.data_folder),
                lab=self.lab,
                recover=folder,
                recover_ends=ends,
            )
        )

    async def _begin(self, order: Order) -> None:
        if self.is_led:
            raise MultirigError("a session goes on: it has to end first")
        self._is_beginning = True
        try:
            if self._leader is not None:
                await self._leader.close()
            self._leader, self._last = None, SessionNow(order=order)
            self._findings = {}
            self._note()
            self._observer.suspend(order.rigs)
            self._was_led = True
            leader = await Leader.begin(order, self.state_file)
        except BaseException:
            self._last = None
            self._observer.resume()
            raise
        else:
            self._lead(leader)
        finally:
            self._is_beginning = False
            self._note()

    def _lead(self, leader: Leader) -> None:
        self._leader, self._last = leader, None
        leader.on_change(self._note)

    async def stop(self) -> None:
        """End the recording in good order. Raises MultirigError if it cannot be done."""
        await self._leading().stop()

    async def interrupt(self, why: str) -> None:
        """End everything at once, and say why. Raises MultirigError if it cannot be done."""
        await self._leading().interrupt(" ".join(why.split()) or "the operator interrupted it")

    async def mark(self, text: str) -> None:
        """Set a marker, for now. Raises MultirigError if it cannot be done."""
        await self._leading().mark(text)

    async def dismiss(self) -> None:
        """Take note of the end of a session; the form is shown again."""
        if self.is_led:
            raise MultirigError("the session goes on: stop it first")
        leader = self._leader
        if leader is not None:
            await leader.dismiss()
        await self._look_into_folders()  # before the form comes: beside it stands what was never ended
        if self._is_beginning or self._leader is not leader:  # another browser has begun the next one
            return
        self._leader = self._last = None
        with contextlib.suppress(OSError):
            self.state_file.unlink()
        self._note()

    def _leading(self) -> Leader:
        if self._leader is None or not self._leader.is_alive:
            raise MultirigError("no session is led from here now")
        return self._leader

    async def _begin_form(self) -> None:
        """Select the rigs of the last session: mostly it is the same ones again."""
        if self._draft.rigs:
            return
        try:
            last = await asyncio.to_thread(self.catalogue.search, limit=1)
        except MultirigError as error:
            log.warning("%s", error)
            return
        if last:
            self.fill_in(rigs=tuple(name for name in last[0].rigs if name in self._entries))

    async def _come_back(self) -> None:
        """Find the session that this console led before it was started anew."""
        leader = await Leader.attach(self.state_file)
        if leader is not None:
            self._lead(leader)
            if not leader.session.is_over:
                self._was_led = True
                # those who tell how they are are multirigs; nobody of this program has heard them yet
                told = leader.session.news
                self._observer.suspend(one for one in leader.session.order.rigs if one not in told)
        else:
            self._last = await asyncio.to_thread(read_last, self.state_file)
        if self.session is not None:
            known = tuple(one for one in self.session.order.rigs if one in self._entries)
            self._draft = replace(self._draft, subject=self.session.order.subject, rigs=known)

    # -- what was -----------------------------------------------------------------------------------------

    async def _look_into_folders(self) -> None:
        """Take up what was recorded, and what was never ended."""
        try:
            await asyncio.to_thread(self.catalogue.refresh)
            rules, catalogue = self.rules, self.catalogue
            self.subjects = _merged(await asyncio.to_thread(catalogue.subjects), rules.subjects)
            self.projects = _merged(rules.projects, await asyncio.to_thread(catalogue.projects))
            self.procedures = _merged(rules.procedures, await asyncio.to_thread(catalogue.procedures))
            found = await asyncio.to_thread(find_open, self.subjects_folder)
        except Exception:
            log.exception("the session folders could not be looked into")
            return
        self._abandoned = tuple(
            Abandoned(folder=str(one.folder), exp_ref=str(one.exp_ref), state=str(one.state), rigs=one.rigs)
            for one in found
        )
        self._note()

    # -- pictures -----------------------------------------------------------------------------------------

    async def _take_pictures(self) -> None:
        """Ask for pictures while a page is open."""
        while True:
            seen = self._rigs() if self._pages else ()
            cameras = {one.name: len(one.pictures) for one in seen if one.pictures and one.problem is None}
            length, turns = plan_round(cameras)
            await asyncio.gather(
                asyncio.sleep(length), *(self._take(name, delay) for name, delay in turns.items())
            )

    async def _take(self, name: str, delay: float) -> None:
        """Ask a rig for its pictures after so many seconds."""
        await asyncio.sleep(delay)
        try:
            found = await asyncio.wait_for(self._observer.pictures(name), PICTURES_LIMIT)
        except (MultirigError, asyncio.TimeoutError):
            return  # the next one may come
        except Exception:
            log.exception("the pictures of %s could not be shown", name)
            return
        for one in found:
            before = self._shots.get((name, one.label))
            if before is None or before.jpeg != one.jpeg:
                number = 1 if before is None else before.number + 1
                self._shots[name, one.label] = Shot(number, one.jpeg)
                self._changed.set()


def default_state_file(rigs_file: Path) -> Path:
    """Return where a session's process notes how it is reached: one place for each rigs file."""
    name = hashlib.sha256(str(rigs_file).encode()).hexdigest()[:16]
    return platformdirs.user_state_path("multirig", appauthor=False) / "console" / f"{name}.json"


def _merged(first: Iterable[str], then: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *then]))


async def tell(work: Awaitable[Any]) -> str | None:
    """Do something, and return in one line why that was not possible, if it was not."""
    try:
        await work
    except MultirigError as error:
        return str(error)
    return None
