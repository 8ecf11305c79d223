"""When a program that has ended is started again. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

USAGE, INTERRUPTED = 2, 130
"""Exit codes of multirig: a wrong file or option, which no restart mends; Ctrl-C."""
ASKED = (0, INTERRUPTED, 143, -2, -15, 0xC000013A)
"""Somebody wanted it: also by a signal before anybody listened, and by a closed window of Windows."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds from a crash to the next start; the last one from then on."""
STEADY = 600.0
"""Seconds after which a crash is one of its own, not the next of a row."""


class Next(enum.Enum):
    """What is done after an end."""

    AGAIN = "again"
    DONE = "done"
    GIVEN_UP = "given up"


@dataclass(slots=True)
class Restarts:
    """The crashes of one program, in a row."""

    crashes: int = 0
    pause: float = PAUSES[0]
    """Seconds until it is started again, after `judge` has said so."""

    def judge(self, code: int, ran_for: float) -> Next:
        """Return what is to be done.

        Parameters
        ----------
        code : int
            Its exit code; negative: the signal that has killed it.
        ran_for : float
            Seconds from its start.
        """
        if code in ASKED:
            return Next.DONE
        if code == USAGE:
            return Next.GIVEN_UP
        self.crashes = 1 if ran_for > STEADY else self.crashes + 1
        self.pause = PAUSES[min(self.crashes, len(PAUSES)) - 1]
        return Next.AGAIN
