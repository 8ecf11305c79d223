"""Lets a board know what a conductor notices; in the conductor's own event loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from multirig.conductor.conductor import Conductor
from multirig.dashboard.leading.board import Board
from multirig.dashboard.snapshot import Step
from multirig.errors import ConfigError
from multirig.lifecycle.session_events import Heard, Moved, Progressed
from multirig.lifecycle.session_states import SessionState
from multirig.record.account import account
from multirig.record.history import Happening
from multirig.record.journal import FILE_NAME

LOOK_EVERY = 0.5
"""Seconds between two looks at what no callback reports: findings, clocks, room on the rigs' disks."""


def watch(conductor: Conductor, board: Board) -> asyncio.Task[None]:
    """Tell what happens to a conductor's session from now on; return the task that looks at the figures."""

    def take(happening: Happening) -> None:
        folder = None if conductor.session_folder is None else str(conductor.session_folder)
        board.tell(lambda teller: teller.take_folder(folder))
        board.tell(lambda teller: teller.take(happening, time.time()))

    conductor.on_state(lambda state: take(Moved(state=state, exp_ref=conductor.exp_ref)))
    conductor.on_progress(
        lambda one: take(Progressed(number=0, event=one.event, rig=one.rig, outcome=one.outcome))
    )
    conductor.on_notice(take)
    conductor.on_message(lambda rig, word: take(Heard(rig=rig, word=word)))
    return asyncio.create_task(_look(conductor, board))


async def _look(conductor: Conductor, board: Board) -> None:
    while True:
        tell_figures(conductor, board)
        await asyncio.sleep(LOOK_EVERY)


def tell_figures(conductor: Conductor, board: Board) -> None:
    """Take what changes without a callback."""
    now = time.time()
    board.tell(lambda teller: teller.take_findings(conductor.findings))
    board.tell(lambda teller: teller.take_objections(conductor.objections, now))
    board.tell(lambda teller: teller.take_spread(conductor.start_spread))
    if conductor.state is SessionState.RUNNING:
        board.tell(lambda teller: teller.take_jumps(conductor.clock_jumps(), now))
    board.tell(lambda teller: teller.take_reports(conductor.news(), now))


def find_verdict(board: Board) -> str | None:
    """Return what the session turned out to be, by its journal; None: it got no further than agreeing."""
    now = board.now
    is_ours = now.order.recover is not None or any(one.step is not Step.AGREE for one in now.steps)
    if now.folder is None or not is_ours or not (Path(now.folder) / FILE_NAME).is_file():
        return None
    try:
        return account(Path(now.folder)).verdict.value
    except (ConfigError, OSError):
        return None
