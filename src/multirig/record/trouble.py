"""What is wrong with a rig, by what it says unasked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multirig.protocol.messages import Event, Message

_ENDS = (Event.EXPEND, Event.EXPINTERRUPT)


def find_data(message: Message) -> dict[str, Any]:
    """Return what a message says beside its status: the first mapping in it."""
    return next((one for one in message.args if isinstance(one, dict)), {})


def find_trouble(message: Message, data: Mapping[str, Any], *, is_running: bool) -> str | None:
    """Return what is wrong with a rig by what it said unasked, if something is."""
    if data.get("failure"):
        return str(data["failure"])
    if not is_running:
        return None
    if message.event in _ENDS:
        return f"said {message}: it was stopped at its own screen"
    if message.event is Event.EXPSTATUS and data.get("state", "running") != "running":
        return f"is {data['state']}: it was stopped at its own keyboard"
    return None
