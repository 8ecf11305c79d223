"""What a session was, drawn from its journal and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from multirig.conductor.journal import BEGINNING, Entry
from multirig.lifecycle.session import (
    AgreeRequested,
    RigsChosen,
    SessionMachine,
    SessionState,
    SessionTrigger,
    StepRequested,
)
from multirig.protocol.events import Received, Refused, Replied, TimedOut, Unreached
from multirig.protocol.messages import Event, Message

_ENDS = (Event.EXPEND, Event.EXPINTERRUPT)


@dataclass(slots=True, kw_only=True)
class RigSummary:
    """What one rig recorded."""

    address: str
    files: list[dict[str, Any]] = field(default_factory=list)
    """path, bytes, frames, first and last (seconds on the conductor's clock), as the rig reported them."""
    files_total: int = 0
    bytes_total: int = 0
    started_at: float | None = None
    """Seconds on the conductor's clock."""
    stopped_at: float | None = None
    dropped: int | None = None
    """Frames that could not be written."""
    clock_offset: float | None = None
    """Seconds that were added to the rig's own clock to get the conductor's."""
    clock_bound: float | None = None
    """Seconds by which the rig's times may be off the conductor's clock; None: not measured."""
    problems: list[str] = field(default_factory=list)
    """What went wrong on this rig, oldest first."""


@dataclass(slots=True, kw_only=True)
class StepSummary:
    """One step of the session."""

    name: str
    seconds: float
    """From the request until the last rig had its outcome."""


@dataclass(slots=True, kw_only=True)
class Summary:
    """A session as its journal tells it."""

    exp_ref: str | None = None
    subject: str | None = None
    began: str | None = None
    """ISO time of day on the conductor's PC."""
    state: str = SessionState.IDLE.value
    """Where the session was when the journal ended."""
    rigs: dict[str, RigSummary] = field(default_factory=dict)
    steps: list[StepSummary] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return asdict(self)

    @property
    def zero(self) -> float:
        """When the first rig began, in seconds on the conductor's clock: its first frame, or its start."""
        firsts = [
            one["first"] for rig in self.rigs.values() for one in rig.files if one.get("first") is not None
        ]
        starts = [rig.started_at for rig in self.rigs.values() if rig.started_at is not None]
        return float(min([*firsts, *starts], default=0.0))

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known to have gone wrong."""
        return not any(rig.problems for rig in self.rigs.values())


def summarise(entries: Iterable[Entry]) -> Summary:
    """Return what a journal's entries say of the session."""
    summary = Summary()
    machine = SessionMachine()
    step: tuple[str, int, int] | None = None
    for entry in entries:
        if entry.kind == BEGINNING:
            machine = SessionMachine()
        event = entry.to_input()
        if event is None:
            continue
        list(machine.handle(event, entry.at))
        match event:
            case RigsChosen(rigs=rigs):
                summary.rigs = {name: RigSummary(address=str(address)) for name, address in rigs.items()}
            case AgreeRequested(subject=subject):
                # a number that was given back is tried again: only the last attempt is the session
                summary.rigs = {name: RigSummary(address=one.address) for name, one in summary.rigs.items()}
                summary.steps, step = [], None
                summary.subject, summary.began = subject, entry.wall
            case Replied(key=(_, str(rig)), message=message) if rig in summary.rigs:
                _take_reply(summary.rigs[rig], message)
            case Refused(key=(_, str(rig)), reason=reason) if rig in summary.rigs:
                _note(summary.rigs[rig], reason)
            case TimedOut(key=(_, str(rig))) if rig in summary.rigs:
                _note(summary.rigs[rig], f"no answer in the step '{step[0] if step else '?'}'")
            case Unreached(key=(_, str(rig)), reason=reason) if rig in summary.rigs:
                _note(summary.rigs[rig], reason)
            case Received():
                _take_news(summary, event, is_running=machine.state is SessionState.RUNNING)
        match event:
            case AgreeRequested() | StepRequested():
                _finish_step(summary, step)
                trigger = event.trigger if isinstance(event, StepRequested) else SessionTrigger.AGREE
                step = (trigger.value, entry.at, entry.at)
            case Replied() | Refused() | TimedOut() | Unreached() if step is not None:
                step = (step[0], step[1], entry.at)
        if machine.exp_ref is not None:
            summary.exp_ref = str(machine.exp_ref)
    _finish_step(summary, step)
    summary.state = machine.state.value
    return summary


def _finish_step(summary: Summary, step: tuple[str, int, int] | None) -> None:
    if step is not None:
        name, asked, done = step
        summary.steps.append(StepSummary(name=name, seconds=(done - asked) / 1e9))


def _take_reply(rig: RigSummary, message: Message) -> None:
    data = next((one for one in message.args if isinstance(one, dict)), {})
    if message.event is Event.EXPSTART and isinstance(data.get("started_at"), float):
        rig.started_at = data["started_at"]
    if message.event not in _ENDS:
        return
    rig.files = data.get("files", rig.files) if isinstance(data.get("files"), list) else rig.files
    rig.files_total = data.get("files_total", rig.files_total)
    rig.bytes_total = data.get("bytes_total", rig.bytes_total)
    rig.stopped_at = data.get("stopped_at", rig.stopped_at)
    health, clock = data.get("health"), data.get("clock")
    if isinstance(health, dict):
        rig.dropped = health.get("dropped")
    if isinstance(clock, dict):
        rig.clock_offset, rig.clock_bound = clock.get("offset"), clock.get("bound")
    if data.get("failure"):
        _note(rig, str(data["failure"]))


def _take_news(summary: Summary, event: Received, *, is_running: bool) -> None:
    rig = next((one for one in summary.rigs.values() if one.address == str(event.address)), None)
    data = next((one for one in event.message.args if isinstance(one, dict)), {})
    if rig is not None and (trouble := find_trouble(event.message, data, is_running=is_running)):
        _note(rig, trouble)


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


def _note(rig: RigSummary, problem: str) -> None:
    if problem not in rig.problems:
        rig.problems.append(problem)
