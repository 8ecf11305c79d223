"""A session in which the rigs alone record, and one whose conductor has died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import EventStream, StepBegan
from multirig.conductor.leading import Choice, Wishes, lead, lead_on, taken_up
from multirig.conductor.roster import Roster, find_rigs_file
from multirig.conductor.session import Session
from multirig.config import load_conductor_config
from multirig.dashboard.leading.board import Board
from multirig.dashboard.leading.watching import watch
from multirig.dashboard.snapshot import Order, Step
from multirig.errors import ConfigError, MultirigError, SessionFailed
from multirig.ibl.plain_description import PlainDescription
from multirig.lifecycle.session_events import BY, Moved
from multirig.lifecycle.session_states import SessionState, SessionTrigger
from multirig.record.journal import read_history
from multirig.record.recount import summarise

PREPARE = "prepare"
"""What is done before the first step, in words."""
RECOVER = "recover"
_STEPS = {
    SessionTrigger.AGREE: Step.AGREE.value,
    SessionTrigger.INIT: Step.INITIALISE.value,
    SessionTrigger.START: Step.START.value,
    SessionTrigger.STOP: Step.STOP.value,
    SessionTrigger.CLEANUP: Step.CLEAN_UP.value,
}
"""What the operator reads of the steps."""

log = logging.getLogger("multirig.console")


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
        self._session: Session | None = None
        self._wishes = Wishes(order.seconds if order.ends_itself else None)
        self._step = PREPARE

    def run(self) -> None:
        """Lead the session to its end; what goes wrong is shown as its trouble."""
        asyncio.run(self._run())

    # -- what is asked, in other threads ------------------------------------------------------------------

    def stop(self, by: str | None = None) -> None:
        """End the recording in good order; before it, release the rigs."""
        self._wishes.stop(by)

    def interrupt(self, why: str, by: str | None = None) -> None:
        """Stop every rig at once."""
        self._wishes.interrupt(why, by)

    def press_ctrl_c(self) -> None:
        """Stop, and interrupt the second time: what asks the process to end is no other wish than Ctrl-C."""
        self._wishes.press_ctrl_c()

    def mark(self, text: str, by: str | None = None) -> None:
        """Set a marker."""
        if self._session is None:
            raise MultirigError("cannot set a marker yet: set it once the rigs have been started")
        self._session.mark(text, **({BY: by} if by is not None else {}))

    # -- how it goes --------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            lost = await (
                self._record() if self._order.recover is None else self._recover(Path(self._order.recover))
            )
            if lost is not None:
                self._tell_trouble(lost)
        except MultirigError as error:
            log.info("the session has failed", exc_info=True)
            self._tell_trouble(error)
        except Exception as error:
            log.exception("a fault of multirig itself")
            self._tell_trouble(MultirigError(f"a fault of multirig itself: {type(error).__name__}: {error}"))

    def _tell_trouble(self, error: Exception) -> None:
        self._board.tell(lambda teller: teller.take_trouble(error, self._step))

    async def _record(self) -> SessionFailed | None:
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
        described = PlainDescription(conductor.rigs, order.procedures, order.projects)
        session = conductor.session(
            order.subject,
            info=described.info,
            takes_over=order.takes_over,
            checks=order.checks,
            seconds=order.seconds,
            person=order.by,
        )

        self._step = Step.AGREE.value
        async with self._showing(session), conductor:
            return await lead(session, self._wishes, prepare=partial(described.write, session))

    async def _recover(self, folder: Path) -> SessionFailed | None:
        self._step = RECOVER
        conductor = await asyncio.to_thread(Conductor.from_journal, folder, person=self._order.by)
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

        async def choose() -> Choice:
            return Choice.STOP if order.recover_ends else Choice.GO_ON

        async with taken_up(conductor) as session, self._showing(session):
            return await lead_on(session, self._wishes, choose, takes_over=order.takes_over)

    @contextlib.asynccontextmanager
    async def _showing(self, session: Session) -> AsyncIterator[None]:
        """Show what happens to the session, and which step it takes."""
        shown = asyncio.create_task(watch(session.conductor, session.events(), self._board))
        followed = asyncio.create_task(self._follow(session.events()))
        self._session = session
        try:
            yield
        finally:
            session.release()  # else nothing says that there is nothing more to show
            await asyncio.gather(shown, followed)

    async def _follow(self, stream: EventStream) -> None:
        async for event in stream:
            if isinstance(event, StepBegan) and (step := _STEPS.get(event.step)) is not None:
                self._step = step
            elif isinstance(event, Moved) and event.state is SessionState.RUNNING:
                self._step = "recording"
