from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from multirig.conductor.marking import MAX_DATA, MAX_TEXT, check_markable, make_marked
from multirig.errors import ConfigError, IllegalTransition, LocalProtocolError
from multirig.lifecycle.session_events import Marked
from multirig.lifecycle.session_states import SessionState


def test_a_marker_holds_what_json_can_carry() -> None:
    marked = make_marked("laser\n  on ", {"where": Path("a"), "power": float("nan")}, 7)
    assert marked == Marked(text="laser on", at=7, data={"where": "a", "power": None})


@pytest.mark.parametrize("text", ["", " \n", None, 7, "x" * (MAX_TEXT + 1), "\x1b[2J"])
def test_what_is_no_line_is_refused(text: Any) -> None:
    with pytest.raises(ConfigError, match="the text of a marker is"):
        make_marked(text, {}, 0)


def test_data_that_no_message_can_carry_are_refused_by_the_name_of_their_key() -> None:
    with pytest.raises(LocalProtocolError, match=r"marker\.frame holds a object"):
        make_marked("frame", {"frame": object()}, 0)


def test_data_that_are_too_many_are_refused() -> None:
    with pytest.raises(ConfigError, match="save them in a file"):
        make_marked("image", {"pixels": "x" * MAX_DATA}, 0)


def test_data_that_hold_themselves_are_refused() -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    with pytest.raises(ConfigError, match="hold themselves"):
        make_marked("loop", loop, 0)


HINTS = {
    SessionState.IDLE: "once the rigs have been started",
    SessionState.INITIALIZED: "once the rigs have been started",
    SessionState.RECOVERED: "let the session go on",
    SessionState.CLEANING: "begin another one",
}


@pytest.mark.parametrize("state", list(HINTS))
def test_a_marker_outside_of_a_recording_is_refused_and_says_what_to_do(state: SessionState) -> None:
    with pytest.raises(IllegalTransition, match=rf"session is {state}: .*{HINTS[state]}"):
        check_markable(state)


def test_a_task_may_set_a_marker_until_its_session_is_over() -> None:
    for state in (SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPED):
        check_markable(state)
