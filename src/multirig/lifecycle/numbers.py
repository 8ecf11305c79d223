"""Which numbers a rig has used, and which one it offers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Command, Interrupt, Start, Stop

MAX_REMEMBERED = 256
"""References that are remembered as recorded or given up; a lab needs weeks for so many."""


class Numbers:
    """Keeps the references that must not be used again."""

    def __init__(self) -> None:
        self.offered: ExpRef | None = None
        """As main sync: the number that was last offered, until it is started."""
        self.started: deque[ExpRef] = deque(maxlen=MAX_REMEMBERED)
        """Never started again: there is data under them."""
        self.stopped: deque[ExpRef] = deque(maxlen=MAX_REMEMBERED)
        """Never offered again: other rigs may have data under them."""

    def restore(self, started: Iterable[ExpRef], stopped: Iterable[ExpRef]) -> None:
        """Take what was known before the program died."""
        self.started.extend(started)
        self.stopped.extend(stopped)

    def note(self, command: Command, exp_ref: ExpRef | None) -> None:
        """Note what a command that is obeyed makes of the session's reference."""
        match command:
            case Start() if exp_ref is not None:
                self.started.append(exp_ref)
                self.offered = None if self.offered == exp_ref else self.offered
            case Stop() | Interrupt() if exp_ref is not None and exp_ref not in self.stopped:
                self.stopped.append(exp_ref)

    def withdraw_other(self, subject: str | None) -> None:
        """Offer no number of another subject."""
        if self.offered is not None and subject not in (None, self.offered.subject):
            self.offered = None

    def skip_used(self, exp_ref: ExpRef) -> ExpRef:
        """Return the reference, or the first after it that was neither started nor stopped here.

        A folder may have been moved away, and what was stopped here may have been started on another rig.

        Raises
        ------
        LocalProtocolError
            The day's numbers are used up.
        """
        while exp_ref in self.started or exp_ref in self.stopped:
            exp_ref = replace(exp_ref, sequence=exp_ref.sequence + 1)
        return exp_ref
