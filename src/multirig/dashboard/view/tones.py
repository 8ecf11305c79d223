"""How good something is: a colour, and with it always an icon and a word, for those who see no colours."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

from multirig.pc.finding import Level
from multirig.record.verdict import Word


class Tone(str, enum.Enum):
    """How good something is, the best first."""

    PLAIN = "plain"
    """Neither good nor bad."""
    GOOD = "good"
    BUSY = "busy"
    """On its way: wait."""
    RECORDING = "recording"
    WARNING = "warning"
    """Look after it; the session goes on."""
    BAD = "bad"
    """Something is lost unless somebody does something."""

    def __str__(self) -> str:
        return self.value


ICONS: Mapping[Tone, str] = {
    Tone.PLAIN: "info",
    Tone.GOOD: "check_circle",
    Tone.BUSY: "hourglass_top",
    Tone.RECORDING: "fiber_manual_record",
    Tone.WARNING: "warning",
    Tone.BAD: "error",
}
"""Name of a Material icon for each."""

VERDICT_TONES: Mapping[str, Tone] = {
    Word.GOOD.value: Tone.GOOD,
    Word.DEGRADED.value: Tone.WARNING,
    Word.INCOMPLETE.value: Tone.BAD,
    Word.INTERRUPTED.value: Tone.WARNING,
    Word.ABORTED.value: Tone.BAD,
}

LEVEL_TONES: Mapping[str, Tone] = {
    Level.OK.value: Tone.GOOD,
    Level.NOTE.value: Tone.PLAIN,
    Level.WARNING.value: Tone.WARNING,
    Level.FAILURE.value: Tone.BAD,
}


def worst_tone(tones: Iterable[Tone]) -> Tone:
    """Return the gravest; PLAIN without any."""
    order = list(Tone)
    return order[max((order.index(one) for one in tones), default=0)]
