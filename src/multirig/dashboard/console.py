"""What all pages share: the rooms of the console together, and word to the pages when something has changed.

No rule of a session is in here: those are the `Conductor`'s, in the session's own process. What is shown is
made by the pure `view` of what the rooms know.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path

from multirig.config.conductor import ConsoleRules
from multirig.dashboard.gallery import Gallery
from multirig.dashboard.led import LedSession
from multirig.dashboard.past import PastSessions
from multirig.dashboard.rigs import WatchedRigs
from multirig.dashboard.snapshot import Order
from multirig.dashboard.upkeep import Upkeep
from multirig.dashboard.view.lab import LabNow, LabView, view_lab
from multirig.dashboard.view.start import Draft, make_order
from multirig.errors import MultirigError
from multirig.folders import subjects_folder
from multirig.state import state_folder

GATHER = 0.02
"""Seconds for which changes are gathered before they are shown: far below what anybody sees."""
REST = 0.05
"""Seconds between two showings, at least: each has a browser render the whole page anew, and one that is
notified faster than it renders falls behind.
"""
REST_AT_START = 0.2
"""The same while a session begins: browsers that draw on this PC shall not hold up a start."""
TICK = 1.0
"""Seconds between two looks at what no message says: the time, the rigs file."""

log = logging.getLogger("multirig.console")


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
        self.data_folder = data_folder.absolute()
        self.lab = lab
        self.rules = rules or ConsoleRules()
        self.rigs = WatchedRigs(rigs_file.absolute(), self._note)
        """Who is seen."""
        self.proposal = Draft()
        """With what a page's form begins: mostly it is the last session's subject and rigs again."""
        self.session = LedSession(
            state_file or default_state_file(self.rigs.file), self.rigs.observer, self._note
        )
        """What is led."""
        self.past = PastSessions(subjects_folder(self.data_folder, lab), self.rules, self._note)
        """What was."""
        self.upkeep = Upkeep(
            self.rigs, self.session, data_folder=self.data_folder, lab=lab, on_change=self._note
        )
        """What is done between sessions."""
        self._changed = asyncio.Event()
        self.gallery = Gallery(self.rigs.observer, self._count_cameras, self._changed.set)
        """What cameras see."""
        self._pages: list[Callable[[], None]] = []
        self._operated = 0
        """How many pages are open by which the console is operated."""
        self._tasks: list[asyncio.Task[None]] = []

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to watch the lab, and come back to a session that is running."""
        await self.rigs.open()
        await self.session.come_back()
        if (last := self.session.now) is not None:
            self._propose(last.order)
        await self.past.refresh()
        if not self.proposal.rigs:
            rigs = self.rigs.only_known(await self.past.last_rigs())
            self.proposal = replace(self.proposal, rigs=rigs)
        jobs: Sequence[Coroutine[None, None, None]]
        jobs = (self._tick(), self._show(), self.gallery.keep_asking())
        self._tasks = [asyncio.create_task(job) for job in jobs]

    async def close(self) -> None:
        """Watch no more; a session that is running keeps running."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.session.close()
        await self.rigs.close()

    async def __aenter__(self) -> Console:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- what is shown ----------------------------------------------------------------------------------

    def view(self, draft: Draft, *, operates: bool = True) -> LabView:
        """Return what a page shows now in which this is filled in, to who may press its buttons or not."""
        return view_lab(
            LabNow(
                now=time.time(),
                rigs=self.rigs.now(),
                roles=self.rigs.roles(),
                draft=draft,
                session=self.session.now,
                reports=self.session.keep_reports(self.rigs.now()),
                is_lost=self.session.is_lost,
                abandoned=self.past.abandoned,
                subjects=self.past.subjects,
                findings=self.upkeep.findings,
                is_checking=self.upkeep.is_checking,
                problem=self.rigs.problem,
                caution=next(iter(self.rigs.cautions), None),
                refused=self.rigs.observer.runtime.refused(),
                operates=operates,
            )
        )

    def attend(self, page: Callable[[], None], *, operates: bool = False) -> Callable[[], None]:
        """Call a page back whenever something has changed; return what ends that.

        Whoever is before one by which the console is operated can be asked whether a rig is handed over.
        """
        self._pages.append(page)
        self._operated += operates
        self.rigs.attend(is_attended=self._operated > 0)

        def leave() -> None:
            with contextlib.suppress(ValueError):
                self._pages.remove(page)
                self._operated -= operates
                self.rigs.attend(is_attended=self._operated > 0)

        return leave

    def _note(self) -> None:
        """Something has changed."""
        self._changed.set()

    def _count_cameras(self) -> dict[str, int]:
        """Return how many cameras each rig has whose pictures are wanted: some, while a page is open."""
        seen = [rig for rig in self.rigs.now() if rig.problem is None] if self._pages else ()
        return {rig.name: len(rig.report.cameras) for rig in seen if rig.report.cameras}

    async def _show(self) -> None:
        """Notify the pages of changes, a few at a time."""
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
            await asyncio.sleep(REST_AT_START if self.session.is_beginning_to_record else REST)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            try:
                await self.rigs.follow_file()
                if self.session.note_end():
                    await self.past.refresh()
            except Exception:
                log.exception("the lab could not be looked at")
            self._note()

    # -- what concerns several rooms ----------------------------------------------------------------------

    async def check(self, names: Sequence[str] = (), minutes: float | None = None) -> None:
        """Look at some PCs, or at all, for a session of so many minutes. Raises MultirigError."""
        await self.upkeep.check(names, None if minutes is None else minutes * 60)

    async def start(self, draft: Draft, *, by: str | None = None) -> None:
        """Begin what is filled in.

        Parameters
        ----------
        draft : Draft
            Of the page on which the button was pressed.
        by : str, optional
            Name of who has pressed it, here and below.

        Raises
        ------
        MultirigError
            It is not complete, or the session's process does not come up.
        """
        start = self.view(draft).start
        if not start.can_start:
            raise MultirigError(start.why_not or "a session goes on")
        order = make_order(
            draft,
            self.rigs.now(),
            rigs_file=str(self.rigs.file),
            data_folder=str(self.data_folder),
            lab=self.lab,
        )
        await self._begin(replace(order, by=by))

    async def recover(self, folder: str, *, ends: bool = False, by: str | None = None) -> None:
        """Lead a session on whose program has died, or end it.

        Parameters
        ----------
        folder : str
            The session folder, as the page shows it.
        ends : bool
            Stop its rigs and release them.

        Raises
        ------
        MultirigError
            It is over, or led by a program that lives; or the session's process does not come up.
        """
        found = next((session for session in self.past.abandoned if session.folder == folder), None)
        if found is None:
            raise MultirigError("that session is over, or led by a program that lives")
        order = Order(
            subject=found.exp_ref.split("_", 2)[-1],
            rigs=found.rigs,
            rigs_file=str(self.rigs.file),
            data_folder=str(self.data_folder),
            lab=self.lab,
            recover=folder,
            recover_ends=ends,
            by=by,
        )
        await self._begin(order)

    async def _begin(self, order: Order) -> None:
        self.upkeep.forget_findings()
        await self.session.begin(order)
        if order.recover is None:
            self._propose(order)

    def _propose(self, order: Order) -> None:
        """Let forms begin with those who were just recorded, on the same rigs."""
        rigs = self.rigs.only_known(tuple(order.rigs))
        self.proposal = Draft(subject=order.subject, rigs=rigs)

    async def dismiss(self) -> None:
        """Take note of the end of a session; the form is shown again. Raises MultirigError."""
        await self.session.dismiss(self.past.refresh)  # beside the form stands what was never ended


def default_state_file(rigs_file: Path) -> Path:
    """Return where a session's process notes how it is reached: one place for each rigs file."""
    name = hashlib.sha256(str(rigs_file).encode()).hexdigest()[:16]
    return state_folder() / "console" / f"{name}.json"
