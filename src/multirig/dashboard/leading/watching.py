"""Lets a board know what a conductor notices; in the conductor's own event loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from multirig.conductor.conductor import Conductor
from multirig.dashboard.leading.board import Board
from multirig.dashboard.snapshot import Step
from multirig.errors import ConfigError
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.dialect import read_report
from multirig.record.account import account
from multirig.record.journal import FILE_NAME

LOOK_EVERY = 0.5
"""Seconds between two looks at what no callback reports: findings, clocks, room on the rigs' disks."""


def watch(conductor: Conductor, board: Board) -> asyncio.Task[None]:
    """Tell what happens to a conductor's session from now on; return the task that looks at the figures."""

    def tell_state(state: SessionState) -> None:
        exp_ref, folder = conductor.exp_ref, conductor.session_folder
        board.tell(
            lambda teller: teller.take_state(
                state,
                None if exp_ref is None else str(exp_ref),
                None if folder is None else str(folder),
                time.time(),
            )
        )

    conductor.on_state(tell_state)
    conductor.on_progress(lambda progress: board.tell(lambda teller: teller.take_progress(progress)))
    conductor.on_notice(lambda noticed: board.tell(lambda teller: teller.take_notice(noticed, time.time())))
    conductor.on_message(
        lambda rig, message: board.tell(lambda teller: teller.take_message(rig, message, time.time()))
    )
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
    reports = {rig: read_report(news) for rig, news in conductor.news().items()}
    board.tell(lambda teller: teller.take_reports(reports, now))


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
