"""A session in which the rigs alone record, and one whose conductor has died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from multirig.conductor.conductor import Conductor
from multirig.conductor.roster import Roster, find_rigs_file
from multirig.config import load_conductor_config
from multirig.dashboard.leading.board import Board
from multirig.dashboard.leading.watching import tell_figures, watch
from multirig.dashboard.snapshot import Order, Step
from multirig.errors import ConfigError, IllegalTransition, MultirigError, SessionFailed
from multirig.ibl import description
from multirig.lifecycle.session_states import SessionState
from multirig.record.journal import read_history
from multirig.record.recount import summarise

PREPARE = "prepare"
"""What is done before the first step, in words."""
RECOVER = "recover"
GONE = "ended before anything was recorded; every rig has been let go"

log = logging.getLogger("multirig.console")


class _Ended(Exception):
    """The operator wants an end before the rigs record."""


class PlainSession:
    """Leads rigs from agreement to clean-up, or from the death of their conductor on.

    Parameters
    ----------
    order : Order
        What is asked for, without a task.
    board : Board
        Where it is told.
    """

    def __init__(self, order: Order, board: Board) -> None:
        self._order = order
        self._board = board
        self._conductor: Conductor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        """The operator wants an end, or it has come by itself."""
        self._interrupted = asyncio.Event()
        """The operator wants it at once."""
        self._why: str | None = None
        self._step = PREPARE

    def run(self) -> None:
        """Lead the session to its end; whatever goes wrong is told as its trouble."""
        asyncio.run(self._run())

    # -- what is asked, in other threads ------------------------------------------------------------------

    def stop(self) -> None:
        """End the recording in good order; before it, let the rigs go."""
        self._want(self._ended)

    def interrupt(self, why: str) -> None:
        """Stop every rig at once."""
        self._why = self._why or why
        self._want(self._interrupted)
        self._want(self._ended)

    def mark(self, text: str) -> None:
        """Set a marker."""
        conductor, loop = self._conductor, self._loop
        if conductor is None or loop is None:
            raise MultirigError("cannot set a marker yet: set it once the rigs have been started")
        marked = conductor.make_marked(text, {})
        loop.call_soon_threadsafe(conductor.take_marked, marked)
        self._board.tell(lambda teller: teller.take(marked, time.time()))

    def _want(self, event: asyncio.Event) -> None:
        if self._loop is None:  # it is only just beginning, and will look
            event.set()
            return
        try:
            self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:
            raise MultirigError("the session is over: begin another one") from None

    # -- how it goes --------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await (
                self._record() if self._order.recover is None else self._recover(Path(self._order.recover))
            )
        except _Ended:
            why = f" ({self._why})" if self._why else ""
            self._tell_trouble(MultirigError(GONE + why))
        except MultirigError as error:
            log.info("the session has failed", exc_info=True)
            self._tell_trouble(error)
        except Exception as error:
            log.exception("a fault of multirig itself")
            self._tell_trouble(MultirigError(f"a fault of multirig itself: {type(error).__name__}: {error}"))

    def _tell_trouble(self, error: Exception) -> None:
        self._board.tell(lambda teller: teller.take_trouble(error, self._step))

    async def _record(self) -> None:
        order = self._order
        rigs_file = find_rigs_file(order.rigs_file)
        if not order.rigs:
            raise ConfigError("no rig takes part: choose at least one")
        roster = Roster.load(rigs_file)
        conductor = Conductor(
            roster.select(order.rigs),
            policies=roster.policies(order.rigs),
            data_folder=order.data_folder,
            lab=order.lab,
            main_sync=order.main_sync,
            clock_gate=load_conductor_config(rigs_file).clock.to_gate(),
        )
        uris = {name: str(uri) for name, uri in conductor.rigs.items()}
        own = {
            "devices": {},
            "procedures": list(order.procedures),
            "projects": list(order.projects),
            "tasks": [],
        }
        self._step = Step.AGREE.value
        async with self._watching(conductor):
            agreeing = conductor.agree(
                order.subject,
                info={"experiment_description": {**own, "remote_rigs": uris}},
                takes_over=order.takes_over,
                checks=order.checks,
                seconds=order.seconds,
            )
            await self._take(Step.AGREE, agreeing)
            await self._describe(conductor, own, uris)
            await self._take(Step.INITIALISE, conductor.init())
            await self._take(Step.START, conductor.start())
            await self._watch_and_end(conductor)

    async def _describe(self, conductor: Conductor, own: Mapping[str, Any], uris: Mapping[str, str]) -> None:
        """Write the experiment description, as a task would."""
        folder = conductor.session_folder
        if folder is not None:
            whole = description.describe_rigs(own, conductor.information, uris)
            await asyncio.to_thread(description.write_into, folder, whole)

    async def _recover(self, folder: Path) -> None:
        self._step = RECOVER
        conductor = await asyncio.to_thread(Conductor.from_journal, folder)
        history = await asyncio.to_thread(read_history, folder)
        told = summarise(history.moments)
        order = replace(
            self._order,
            rigs=tuple(conductor.rigs),
            subject=told.subject or self._order.subject,
            main_sync=False,
            task=None,
        )
        self._board.tell(lambda teller: teller.follow(order))
        self._board.tell(lambda teller: teller.catch_up(history))
        async with self._watching(conductor):
            await conductor.recover(takes_over=order.takes_over)
            if order.recover_ends:
                await self._let_go(conductor)
                return
            try:
                await conductor.go_on()
            except MultirigError:
                await self._let_go(conductor)
                raise
            await self._watch_and_end(conductor)

    async def _let_go(self, conductor: Conductor) -> None:
        """End a session with which nobody can go on."""
        with contextlib.suppress(MultirigError):
            await conductor.stop()
            await conductor.cleanup()

    @contextlib.asynccontextmanager
    async def _watching(self, conductor: Conductor) -> AsyncIterator[None]:
        """Tell what the conductor does, and leave the network when it is done."""
        telling = watch(conductor, self._board)
        try:
            async with conductor:
                self._conductor = conductor
                conductor.on_state(self._look_for_end)
                try:
                    yield
                finally:
                    self._conductor = None
                    tell_figures(conductor, self._board)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    def _look_for_end(self, state: SessionState) -> None:
        """Notice that a recording has ended by itself."""
        conductor = self._conductor
        if conductor is not None and conductor.lost is not None and state is not SessionState.RUNNING:
            self._ended.set()

    async def _take(self, step: Step, doing: Coroutine[Any, Any, Any]) -> None:
        """Take a step of the beginning, until it is done or the operator wants an end."""
        self._step = step.value
        conductor = self._conductor
        going, enough = asyncio.ensure_future(doing), asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({going, enough}, return_when=asyncio.FIRST_COMPLETED)
        enough.cancel()
        if conductor is None or going.done() or conductor.state is SessionState.STARTING:
            await going  # nothing stops a start half-way: it ends by its limit, and is stopped then
            return
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        if conductor.is_busy:
            with contextlib.suppress(IllegalTransition):  # it is being rolled back anyway
                await conductor.interrupt(self._why or "stopped by the operator before the start")
        raise _Ended

    async def _watch_and_end(self, conductor: Conductor) -> None:
        """Watch a recording until it is time, or somebody wants an end; then stop it and let the rigs go."""
        self._step = "recording"
        seconds = self._order.seconds if self._order.ends_itself else None
        tell_figures(conductor, self._board)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        self._step = Step.STOP.value
        lost = conductor.lost
        if self._interrupted.is_set():
            await conductor.interrupt(self._why or "interrupted by the operator")
        else:
            await self._stop(conductor)
        self._step = Step.CLEAN_UP.value
        await conductor.cleanup()
        if lost is not None:
            consequence = "it is essential: all rigs were interrupted"
            raise SessionFailed("recording", {lost.rig: MultirigError(lost.text)}, consequence)

    async def _stop(self, conductor: Conductor) -> None:
        """Stop every rig; an operator who cannot wait for the slow ones interrupts them."""
        stopping = asyncio.ensure_future(conductor.stop())
        impatience = asyncio.ensure_future(self._interrupted.wait())
        await asyncio.wait({stopping, impatience}, return_when=asyncio.FIRST_COMPLETED)
        impatience.cancel()
        if not stopping.done() and conductor.state is SessionState.STOPPING:
            await conductor.interrupt(self._why or "interrupted by the operator")
        try:
            await stopping
        except SessionFailed:
            if conductor.state is not SessionState.STOPPED:
                raise
