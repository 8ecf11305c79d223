from __future__ import annotations

from typing import Any

import pytest

from multirig.conductor.rehearsal import Rehearsed, is_ready, judge_rehearsal, spare
from multirig.errors import Unconfirmed
from multirig.lifecycle.agreement import THIS_PC
from multirig.pc.finding import Finding, Level
from multirig.protocol.dialect import hear_rig
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Word

INIT = hear_rig(Message(Event.EXPINIT, ({"status": 10},)))
START = hear_rig(Message(Event.EXPSTART, ("ref", {"status": 20, "started_at": 100.0})))
CLEAN = hear_rig(Message(Event.EXPCLEANUP, ({"status": 0},)))
SILENT = Unconfirmed("did not answer")


def stopped(health: dict[str, Any] | None = None, **data: Any) -> Word:
    told = {"bytes_total": 1000, "health": {"frames": 250, "dropped": 0, **(health or {})}, **data}
    return hear_rig(Message(Event.EXPEND, (told,)))


def judged(*steps: Any, cleaned: Any = CLEAN) -> Rehearsed:
    return judge_rehearsal(steps, cleaned, 4.0, ended=105.0)


def test_a_rig_that_recorded_is_ready_and_its_rate_is_that_of_the_time_it_had() -> None:
    one = judged(INIT, START, stopped())
    assert one.is_ready
    assert (one.frames, one.rate, one.bytes_per_second) == (250, 50.0, 200.0)


def test_an_adapter_that_counts_no_frames_is_judged_by_its_bytes() -> None:
    one = judged(INIT, START, stopped({"frames": None}))
    assert one.is_ready
    assert one.rate is None


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((SILENT,), "did not answer"),
        ((INIT, SILENT), "did not answer"),
        ((INIT, START, SILENT), "did not answer"),
        ((INIT,), "did not record"),
        ((INIT, START, stopped(bytes_total=0)), "recorded nothing in 4 s"),
        ((INIT, START, stopped({"frames": 0})), "recorded nothing in 4 s"),
        ((INIT, START, stopped({"dropped": 3})), "dropped 3 frames"),
        ((INIT, START, stopped(failure="the cable fell out")), "the cable fell out"),
    ],
)
def test_a_rig_is_not_ready_for_a_reason(steps: tuple[Any, ...], words: str) -> None:
    one = judged(*steps)
    assert not one.is_ready
    assert words in " ".join(one.problems)


def test_a_rig_that_may_still_record_is_not_ready() -> None:
    assert not judged(INIT, START, stopped(), cleaned=SILENT).is_ready


def test_a_rig_that_would_make_a_real_session_of_it_is_spared_and_not_judged() -> None:
    one = spare([Finding(check="answer", level=Level.NOTE, text="cannot be asked")])
    assert one is not None
    assert not one.was_tried
    assert is_ready({}, {"foreign": one})


@pytest.mark.parametrize("check", ["disk", "folder", "adapter"])
def test_a_rig_that_could_not_record_is_spared_and_not_ready(check: str) -> None:
    one = spare([Finding(check=check, level=Level.FAILURE, text="no")])
    assert one is not None
    assert not is_ready({}, {"rig": one})


def test_a_rig_that_is_well_is_let_rehearse() -> None:
    assert spare([Finding(check="sleep", level=Level.WARNING, text="sleeps")]) is None


def test_nobody_is_ready_where_this_pc_is_not() -> None:
    full = Finding(check="folder", level=Level.FAILURE, text="cannot be written")
    assert not is_ready({THIS_PC: [full]}, {})
