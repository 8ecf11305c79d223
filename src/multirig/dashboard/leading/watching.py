"""Shows on a board what happens to a session; in its own event loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from multirig.conductor.conductor import Conductor
from multirig.conductor.events import EventStream, SessionEvent, StepEnded
from multirig.conductor.session import Session
from multirig.dashboard.leading.board import Board
from multirig.dashboard.snapshot import Step
from multirig.errors import ConfigError
from multirig.lifecycle.session_events import HandingTold, Heard, Marked, Moved, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.lifecycle.watch import Noticed
from multirig.record.account import Account, account
from multirig.record.journal import FILE_NAME
from multirig.record.left import say_left

NEWS_EVERY = 0.5
"""Seconds between two looks at what the rigs last said: nobody reads four heartbeats a second."""


async def watch(conductor: Conductor, stream: EventStream, board: Board) -> None:
    """Show on a board what happens to a conductor's session, as long as the stream goes on."""
    looking: asyncio.Task[None] | None = None
    session = conductor.current
    try:
        async for event in stream:
            if (now := conductor.current) is not None and now is not session:
                session = now
            if session is None:
                continue
            if looking is None:
                looking = asyncio.create_task(_look(session, board))
            _show(session, event, board)
    finally:
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        if session is not None:
            tell_figures(session, board)


def _show(session: Session, event: SessionEvent, board: Board) -> None:
    match event:
        case Moved() | Progressed() | Noticed() | HandingTold() | Heard() | Marked():
            folder = None if session.folder is None else str(session.folder)
            board.tell(lambda teller: teller.take_folder(folder))
            board.tell(lambda teller: teller.take(event, time.time()))
        case StepEnded():
            tell_figures(session, board)


async def _look(session: Session, board: Board) -> None:
    while True:
        tell_figures(session, board)
        await asyncio.sleep(NEWS_EVERY)


def tell_figures(session: Session, board: Board) -> None:
    """Tell what changes without anybody saying so."""
    now, refused = time.time(), session.conductor.exchange.runtime.refused()
    board.tell(lambda teller: teller.take_findings(session.findings))
    board.tell(lambda teller: teller.take_objections(session.objections, now))
    board.tell(lambda teller: teller.take_spread(session.start_spread))
    board.tell(lambda teller: teller.take_obstacles(session.conductor.obstacle))
    if session.state is SessionState.RUNNING:
        board.tell(lambda teller: teller.take_jumps(session.conductor.clock_jumps(), now))
    board.tell(lambda teller: teller.take_refused(refused, now))
    board.tell(lambda teller: teller.take_reports(session.news()))


def tell_end(board: Board) -> None:
    """Tell what the session turned out to be, by its journal, and who may still record."""
    told = _find_account(board)
    left = say_left(told) if told is not None else None
    board.tell(lambda teller: teller.finish(told, left))


def _find_account(board: Board) -> Account | None:
    """Return the account of the session; None: it got no further than agreeing."""
    now = board.now
    is_ours = now.order.recover is not None or any(one.step is not Step.AGREE for one in now.steps)
    if now.folder is None or not is_ours or not (Path(now.folder) / FILE_NAME).is_file():
        return None
    try:
        return account(Path(now.folder))
    except (ConfigError, OSError):
        return None
