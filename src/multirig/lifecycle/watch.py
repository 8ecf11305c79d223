"""Who is heard, who records, who does not: heartbeats, judged while a session goes on."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Notice(str, enum.Enum):
    """What a conductor notices of a rig by itself while a session goes on."""

    SILENT = "silent"
    """Nothing was heard of it for a while; it may record on."""
    BACK = "back"
    """It is heard again, and is what it was."""
    LOST = "lost"
    """It has been silent for so long that the session goes on, or ends, without it."""
    BROKEN = "broken"
    """It says that its recording failed."""
    STOPPED = "stopped"
    """It says that it does not record any more, and nobody here has asked for that."""
    STALLED = "stalled"
    """It says that it records, but nothing comes in."""
    GROWING = "growing"
    """What was stalled grows again."""
    RESTARTED = "restarted"
    """Its program was started anew in the middle of the session."""
    RESUMED = "resumed"
    """It records again, after a gap."""
    TAKEN_OVER = "taken over"
    """Another conductor leads it now."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """A change in what is known of a rig; an input that the journal holds, and news for the operator."""

    rig: str
    notice: Notice
    text: str
    """One line: what is the matter, what is done about it, and what to do next."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the rig last said of itself: state, exp_ref, failure, health, stalled, gap."""
