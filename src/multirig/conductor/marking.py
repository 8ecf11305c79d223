"""What may be a marker: one line of text, and data that every rig can be told of in one message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multirig.errors import ConfigError, IllegalTransition
from multirig.lifecycle.session_events import Marked
from multirig.lifecycle.session_states import MARKABLE, UNTOUCHED, SessionState
from multirig.protocol.codec import encode_array, plain
from multirig.protocol.messages import Event, Message

MAX_TEXT = 300
"""Characters: a line on a screen, and a cell in a table."""
MAX_DATA = 8_000
"""Bytes as JSON: a marker is told at once, in one datagram, and perhaps many times a second."""


def make_marked(text: str, data: Mapping[str, Any], at: int) -> Marked:
    """Return a marker that can be written down and told.

    Parameters
    ----------
    text : str
        At most 300 characters; line breaks become spaces.
    data : mapping of str to Any
        More on it.
    at : int
        When it happened, on the session clock; ns.

    Raises
    ------
    ConfigError
        The text is none, or too long, or the data are too many.
    LocalProtocolError
        JSON cannot carry the data; names the key.
    """
    line = " ".join(text.split()) if isinstance(text, str) else ""
    if not line:
        raise ConfigError(f"the text of a marker is {text!r:.80}: say in a line what has happened")
    if len(line) > MAX_TEXT or not line.isprintable():
        raise ConfigError(
            f"the text of a marker is {line!r:.40}…, which is no line of at most {MAX_TEXT} printable "
            "characters: put the rest into its data"
        )
    try:
        told: dict[str, Any] = plain(data, "marker")
        size = len(encode_array(Message(Event.EXPSTATUS, (told,)), compact=True))
    except RecursionError:
        raise ConfigError(f"the data of the marker {line!r} hold themselves: give plain values") from None
    if size > MAX_DATA:
        raise ConfigError(
            f"the data of the marker {line!r} have {size:,} bytes, the limit is {MAX_DATA:,}: "
            "save them in a file, and mark that"
        )
    return Marked(text=line, at=at, data=told)


def check_markable(state: SessionState) -> None:
    """See to it that a marker has its place; IllegalTransition if the session has not begun, or is over."""
    if state in MARKABLE:
        return
    if state in UNTOUCHED or state in (SessionState.INITIALIZING, SessionState.INITIALIZED):
        hint = "set it once the rigs have been started"
    elif state in (SessionState.RECOVERING, SessionState.RECOVERED):
        hint = "let the session go on first"
    else:
        hint = "the session is over; begin another one"
    raise IllegalTransition(state, "mark", f"cannot set a marker while the session is {state}: {hint}")
