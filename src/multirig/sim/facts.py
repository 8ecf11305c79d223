"""What really happens in the false lab, whatever its programs believe: for trace and invariants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multirig.lifecycle.rig_states import RigState
from multirig.lifecycle.session_states import SessionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something happened to somebody."""

    who: str
    """Name of the PC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookBegan(Fact):
    """An adapter is called."""

    hook: str
    exp_ref: str | None
    is_rehearsal: bool = False

    def __str__(self) -> str:
        return f"its adapter is asked to {self.hook} for {self.exp_ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFailed(Fact):
    """An adapter could not do it."""

    hook: str
    reason: str

    def __str__(self) -> str:
        return f"its adapter fails to {self.hook}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumped(Fact):
    """A PC's clock jumps."""

    def __str__(self) -> str:
        return "its clock jumps"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSeen(Fact):
    """A conductor says what it knows of a rig's clock."""

    rig: str
    at: int
    """On the conductor's clock; ns."""
    offset: int
    bound: int

    def __str__(self) -> str:
        return f"knows the clock of {self.rig} within {self.bound / 1e6:.3f} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCalled(Fact):
    """An adapter is told to start, at the instant that was agreed or as soon as the command was heard."""

    exp_ref: str
    leader: str | None
    """IP address of whoever leads."""
    planned: int | None
    """The instant, on the leader's clock; ns."""
    bound: int | None
    """How wrong the rig may be about that clock, as it says; ns."""
    waited: int | None
    """Since the command was heard; ns."""
    was_ready: bool = True
    """Whether it had been initialised before."""
    armed: int | None = None
    """For how long it has been armed; ns."""

    def __str__(self) -> str:
        return f"starts {self.exp_ref}{'' if self.planned is None else ' at the agreed instant, or late'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceArmed(Fact):
    """The device could begin to record at once."""

    exp_ref: str

    def __str__(self) -> str:
        return f"its device is armed for {self.exp_ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseGiven(Fact):
    """The device has raised its sync line."""

    folder: Path
    """Of the session that its rig is in."""

    def __str__(self) -> str:
        return "gives a sync pulse"


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesMade(Fact):
    """The adapter is asked for live pictures."""

    def __str__(self) -> str:
        return "its adapter is asked for live pictures"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerSet(Fact):
    """An operator marks something."""

    exp_ref: str
    text: str

    def __str__(self) -> str:
        return f"marks {self.text} in {self.exp_ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingBegan(Fact):
    """The device records."""

    exp_ref: str
    resumed: bool = False

    def __str__(self) -> str:
        return f"its device records {self.exp_ref}{', again' if self.resumed else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesFell(Fact):
    """The device has given frames times that are not later than the ones before."""

    exp_ref: str

    def __str__(self) -> str:
        return f"the times of its frames do not rise in {self.exp_ref}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEnded(Fact):
    """The device records no more."""

    exp_ref: str
    why: str
    is_rehearsal: bool = False

    def __str__(self) -> str:
        return f"its device has ended {self.exp_ref}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RigEntered(Fact):
    """A rig's program is in another state."""

    state: RigState
    exp_ref: str | None
    failure: str | None

    def __str__(self) -> str:
        failure = f": {self.failure}" if self.failure else ""
        return f"is {self.state}{f' {self.exp_ref}' if self.exp_ref else ''}{failure}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RigRefused(Fact):
    """A rig does not do what it was asked."""

    event: str
    reason: str

    def __str__(self) -> str:
        return f"refuses {self.event}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAnswered(Fact):
    """The person at a rig says whether another PC may take it over."""

    asker: str
    """In words, with its IP address."""
    allows: bool

    def __str__(self) -> str:
        return f"its person types {'yes' if self.allows else 'no'} to {self.asker}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RigHandedOver(Fact):
    """A rig is led by another conductor than before."""

    by: str
    """IP address of who leads it now."""
    before: str | None
    """IP address of who led it."""
    was_heard: bool
    """Whether datagrams of that one have come in the last moments."""

    def __str__(self) -> str:
        heard = "" if self.was_heard else ", which was not heard,"
        return f"is led by {self.by}, and not by {self.before}{heard} any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAsked(Fact):
    """An operator presses a button."""

    step: str
    session: int
    """Which of the operator's sessions, from 0."""

    def __str__(self) -> str:
        return f"its operator asks for: {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded(Fact):
    """An operator is told how it went."""

    step: str
    error: str | None

    def __str__(self) -> str:
        return f"{self.step} is over: {self.error or 'done'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMoved(Fact):
    """A conductor's session is in another state."""

    state: SessionState
    exp_ref: str | None

    def __str__(self) -> str:
        return f"says that the session{f' {self.exp_ref}' if self.exp_ref else ''} is {self.state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RigJudged(Fact):
    """A conductor knows how a rig took a step."""

    rig: str
    event: str
    failure: str | None

    def __str__(self) -> str:
        return f"knows of {self.rig} and {self.event}: {self.failure or 'done'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesTold(Fact):
    """A conductor hears which files a rig has recorded."""

    rig: str
    paths: tuple[str, ...]
    total: int

    def __str__(self) -> str:
        return f"hears of {len(self.paths)} of {self.total} files of {self.rig}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RigNoticed(Fact):
    """A conductor notices something of a rig by itself."""

    rig: str
    notice: str
    text: str

    def __str__(self) -> str:
        return f"notices that {self.rig} {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultBegan(Fact):
    """Something breaks, as the scenario wants it."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"FAULT {self.kind}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Fact):
    """A request of another PC reaches a program's rules."""

    by: str
    """Name of the asking PC."""
    event: str
    wire: int
    peer: str
    """Boot id of the asking program, on wire 2."""
    number: int

    def __str__(self) -> str:
        return f"is asked {self.event} by {self.by} (wire {self.wire}, number {self.number})"


@dataclass(frozen=True, slots=True, kw_only=True)
class WronglyTaken(Fact):
    """A program takes what nobody of its lab has said to it."""

    text: str

    def __str__(self) -> str:
        return f"takes {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swayed(Fact):
    """A program is changed by what has proved nothing."""

    what: str
    text: str

    def __str__(self) -> str:
        return f"is changed by a stranger: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Died(Fact):
    """A program is dead."""

    def __str__(self) -> str:
        return "its program is dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted(Fact):
    """A program runs anew."""

    boot: str

    def __str__(self) -> str:
        return f"its program is started again as {self.boot}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated(Fact):
    """A line of the trace that no invariant looks at."""

    text: Any

    def __str__(self) -> str:
        return str(self.text)
