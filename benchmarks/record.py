"""A long session afterwards: what its account and all of its page cost, by a journal of 60,000 lines."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from multirig.lifecycle.session_events import AgreeRequested, ClockRead, Marked, RigsChosen, StepRequested
from multirig.lifecycle.session_states import SessionTrigger
from multirig.protocol.dialect import hear_rig
from multirig.protocol.events import SECOND, Address, Replied
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import AskInfo
from multirig.record.account import account, account_of
from multirig.record.entries import beginning_line, input_line
from multirig.record.journal import FILE_NAME, read_history
from multirig.record.plot import compose
from multirig.record.recount import summarise
from multirig.record.story import tell

LINES = 60_000
CLAIM = 3.0
"""Times the account that all of a page may cost."""
RIGS = {
    name: Address("udp", "10.0.0.1", 11001 + place) for place, name in enumerate(("ephys", "left", "right"))
}
EXP_REF = "2026-01-31_1_bench"


def write_journal(length: int = LINES) -> bytes:
    """Return the journal of a session with a marker every quarter of a second, of so many lines."""
    lines = [beginning_line(0), input_line(RigsChosen(rigs=RIGS), SECOND)]
    day = datetime.date(2026, 1, 31)
    lines.append(
        input_line(
            AgreeRequested(number=1, subject="bench", date=day, ask=AskInfo(subject="bench")), 2 * SECOND
        )
    )
    for name in RIGS:
        lines.append(_reply(name, 1, Event.EXPINFO, 0, {"main_sync": name == "ephys", "exp_ref": EXP_REF}))
    for number, trigger, event in (
        (2, SessionTrigger.INIT, Event.EXPINIT),
        (3, SessionTrigger.START, Event.EXPSTART),
    ):
        lines.append(input_line(StepRequested(number=number, trigger=trigger), 3 * SECOND))
        lines += [_reply(name, number, event, {"status": 10 * (number - 1)}) for name in RIGS]
    at = 10 * SECOND
    while len(lines) < length:
        at += SECOND // 4
        lines.append(input_line(Marked(text=f"trial {len(lines) % 500}", at=at, data={"side": "left"}), at))
        if len(lines) % 16 == 0:
            lines += [input_line(_clock_of(name, at), at) for name in RIGS]
    return b"".join(lines)


def _clock_of(rig: str, at: int) -> ClockRead:
    return ClockRead(rig=rig, at=at, offset=3 * SECOND, bound=40_000, drift=-12.5, round_trip=80_000)


def _reply(rig: str, number: int, event: Event, *args: object) -> bytes:
    """Return the answer to the first round of a step; EXPSTART names the session first."""
    said = (EXP_REF, *args) if event is Event.EXPSTART else args
    reply = Replied(address=RIGS[rig], key=(-4 * number - 1, rig), word=hear_rig(Message(event, said)))
    return input_line(reply, 4 * SECOND)


def measure() -> dict[str, float]:
    """Return seconds of processor time, the best of three."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / FILE_NAME).write_bytes(write_journal())
        return {
            "account": _time(lambda: account(folder)),
            "account, picture and journal of a page": _time(lambda: _read_page(folder)),
        }


def _read_page(folder: Path) -> None:
    history = read_history(folder)
    summary, lines = summarise(history.moments, history.unreadable), list(tell(history.moments))
    account_of(summary, folder)
    compose(history, summary, lines)


def _time(action: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        before = time.process_time()
        action()
        took.append(time.process_time() - before)
    return min(took)
