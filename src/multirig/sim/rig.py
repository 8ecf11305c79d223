"""A rig's PC: the shell around its node, as `multirig.rig.service` is, and a device that obeys a script."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from multirig.errors import AdapterError, MultirigError
from multirig.lifecycle.leader import Leader
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import (
    Broke,
    Denied,
    Describe,
    Described,
    Done,
    Entered,
    Failed,
    Keep,
    Measured,
    Memory,
    Restored,
)
from multirig.protocol.clock import ClockMap, Reading
from multirig.protocol.events import SECOND, Address, Call
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.node import Node
from multirig.sim.facts import (
    HookBegan,
    HookFailed,
    RecordingBegan,
    RecordingEnded,
    RigEntered,
    RigRefused,
    StartCalled,
)
from multirig.sim.work import Cancelled, Signal, Steps, Work
from multirig.sim.world import Clock, NodeComputer, World, overhear

LIMITS = {
    "initialise": 30 * SECOND,
    "start": 30 * SECOND,
    "stop": 60 * SECOND,
    "cleanup": 30 * SECOND,
}
"""As a rig's config has them where it says nothing."""
WAIT_LIMIT = 5 * SECOND
"""As the service has it."""
LOOK_EVERY = SECOND // 50
"""As `multirig.pc.instant` has it."""
CANCEL_LIMIT = 5 * SECOND
"""As the service has it."""
STALL_AFTER = 10 * SECOND
"""As a rig's config has it where it says nothing."""
HEALTH_EVERY = SECOND // 2
"""As the service has it."""
STUCK_FOR = 8 * SECOND
"""A hook that does not notice that it was cancelled does its work so much later."""
FRAME_EVERY = SECOND // 100
"""The device gives a hundred frames a second."""


@dataclass(slots=True)
class Disk:
    """What is still there after a crash."""

    sessions: dict[ExpRef, list[int]] = field(default_factory=dict)
    """Folders, and the frames of each file that was recorded into them."""
    is_full: bool = False
    memory: Memory | None = None
    """What the rig's program still knows after its death."""
    written_at: int = 0
    """When the last sign of a recording was written; ns of the world."""


class Device:
    """An acquisition program as it really is, whatever the rig's program thinks of it."""

    def __init__(self, rig: RigComputer, pauses: dict[str, float]) -> None:
        self.rig = rig
        self.pauses = pauses
        """Seconds that each hook takes."""
        self.troubles: dict[str, str] = {}
        """What the next call of a hook will do: fail, hang or be stuck."""
        self.exp_ref: str | None = None
        """What it records now."""
        self.is_stalled = False
        self._began = 0
        self._frames = 0

    def run(self, hook: str, exp_ref: str | None) -> Steps:
        """Do what a hook of an adapter does."""
        self.rig.world.note(HookBegan(who=self.rig.name, hook=hook, exp_ref=exp_ref))
        trouble = self.troubles.pop(hook, "")
        yield int(self.pauses.get(hook, 0.0) * SECOND)
        if trouble == "hang":
            yield None
        if trouble == "stuck":
            try:
                yield None
            except Cancelled:
                yield STUCK_FOR
        if trouble == "fail":
            raise AdapterError(f"the scripted failure of {hook}")
        if hook == "start" and exp_ref is not None:
            if self.rig.disk.is_full:
                raise AdapterError("the disk is full: free some space")
            self.begin(exp_ref)
        elif hook == "resume" and exp_ref is not None:
            self.begin(exp_ref, resumed=True)
        elif hook in ("stop", "cleanup"):
            self.end(f"by {hook}")

    def begin(self, exp_ref: str, *, resumed: bool = False) -> None:
        """Record."""
        self.end("for another recording")
        self.exp_ref = exp_ref
        self.is_stalled = False
        self._began, self._frames = self.rig.world.time, 0
        self.rig.disk.sessions.setdefault(ExpRef.parse(exp_ref), []).append(0)
        self.rig.world.note(RecordingBegan(who=self.rig.name, exp_ref=exp_ref, resumed=resumed))

    def end(self, why: str) -> None:
        """Record no more."""
        if self.exp_ref is not None:
            self.rig.disk.sessions[ExpRef.parse(self.exp_ref)][-1] = self.frames
            self._frames = self.frames
            exp_ref, self.exp_ref = self.exp_ref, None
            self.rig.world.note(RecordingEnded(who=self.rig.name, exp_ref=exp_ref, why=why))

    def stall(self) -> None:
        """Give no more frames, and go on as if nothing was."""
        self._frames = self.frames
        self.is_stalled = True

    @property
    def frames(self) -> int:
        """Frames since the recording began."""
        if self.exp_ref is None or self.is_stalled:
            return self._frames
        return (self.rig.world.time - self._began) // FRAME_EVERY

    def health(self) -> dict[str, Any]:
        """Return its proof of recording."""
        frames = self.frames
        return {"frames": frames, "bytes": 1000 * frames, "dropped": 0, "rate": 100.0}


class RigComputer(NodeComputer):
    """A rig.

    Parameters
    ----------
    world, name, address, clock, tells_closed
        As every PC has them.
    main_sync : bool
        Whether it owns the experiment's number.
    wire : int
        1 for a foreign peer, which knows nothing but wire 1.0.
    date : date
        Today, on this PC.
    pauses : dict
        Seconds that each hook of its adapter takes.
    resumes : bool
        Whether its adapter goes on after a restart.
    """

    def __init__(
        self,
        world: World,
        name: str,
        address: Address,
        clock: Clock,
        *,
        tells_closed: bool = True,
        main_sync: bool = False,
        wire: int = 2,
        date: datetime.date,
        pauses: dict[str, float],
        resumes: bool = False,
    ) -> None:
        super().__init__(world, name, address, clock, tells_closed=tells_closed)
        self.main_sync = main_sync
        self.wire = wire
        self.resumes = resumes
        self.date = date
        self.disk = Disk()
        self.device = Device(self, pauses)
        self.machine = RigMachine(name=name)
        self._forget()

    def _forget(self) -> None:
        """Set what only memory holds."""
        self._exp_ref: ExpRef | None = None
        """What the service calls its session."""
        self._recorded = False
        self._start_clock: ClockMap | None = None
        self._start_leader: Leader | None = None
        """Of whoever gave the last command."""
        self._doubt: int | None = None
        """How little the session clock was known while an instant was waited for; ns."""
        self._clock: ClockMap | None = None
        """Of whoever leads this session, or led it last."""
        self._work: Work | None = None
        self._stuck: set[Work] = set()
        self._watcher: Work | None = None
        self._broken = Signal()
        self._memory: Memory | None = None
        self._all: list[Work] = []

    # -- life -------------------------------------------------------------------------------------------

    def make_node(self, boot: str) -> Node:
        """Return a new program of the rig."""
        self.machine = RigMachine(
            name=self.name, main_sync=self.main_sync, stall_after=STALL_AFTER, resumes=self.resumes
        )
        overhear(self.machine, self.hear)
        return Node(boot=boot, name=self.name, machine=self.machine, greets=self.wire == 2)

    def on_boot(self) -> None:
        """Find out what was going on, and begin to look at the device now and then."""
        self._restore()
        self._begin(self._measure(), "measure")

    def on_death(self) -> None:
        """Lose what only memory held; the device dies with its program."""
        super().on_death()
        for work in self._all:
            work.kill()
        self._forget()
        self.device.end("its program died")
        self.device.troubles.clear()

    def _restore(self) -> None:
        memory = self.disk.memory
        if memory is None:
            return
        report: dict[str, Any] = {}
        gap = None
        if memory.has_recorded:
            self._exp_ref, self._recorded = memory.exp_ref, True
            report = self._account()
            if memory.is_recording:
                seconds = (self.world.time - self.disk.written_at) / SECOND
                gap = {"from": "2024-05-06T12:00:00", "to": "2024-05-06T12:00:01", "seconds": seconds}
        self.feed(Restored(memory=memory, report=report, gap=gap))

    def break_recording(self, reason: str) -> None:
        """Let the device fail by itself."""
        if self.device.exp_ref is not None:
            self.device.end(reason)
            self._broken.set()

    def _begin(self, steps: Steps, name: str) -> Work:
        work = self.world.begin(steps, name)
        self._all = [one for one in self._all if not one.is_done]
        self._all.append(work)
        return work

    # -- effects ----------------------------------------------------------------------------------------

    def perform(self, effect: Any) -> None:
        """Do what the machine wants done, as the service does it."""
        match effect:
            case Keep(memory=memory):
                self._memory = memory
                self._begin(self._keep(), "keep")
            case Call():
                self._start_clock = self._session_clock()
                self._start_leader = self.machine.leader
                self._work = self._begin(self._run(effect, self._work), f"call {effect.number}")
            case Describe():
                self._begin(self._describe(effect), "describe")
            case Entered(state=state, exp_ref=exp_ref, failure=failure):
                reference = str(exp_ref) if exp_ref else None
                self.world.note(RigEntered(who=self.name, state=state, exp_ref=reference, failure=failure))
            case Denied(event=event, reason=reason):
                self.world.note(RigRefused(who=self.name, event=event.name, reason=reason))

    # -- hooks: line by line what the service does -------------------------------------------------------

    def _run(self, call: Call, before: Work | None) -> Steps:
        if before is not None and not before.is_done:
            if call.preempts:
                before.cancel()
            yield before
        report: dict[str, Any] = {}
        failures: list[str] = []
        yield from self._keep()
        for position, hook in enumerate(call.hooks):
            try:
                report |= yield from self._hook(hook, call)
            except MultirigError as error:
                failures.append(f"{hook}: {error}")
                self.world.note(HookFailed(who=self.name, hook=hook, reason=str(error)))
                if hook == "stop":
                    report |= self._account()
                    if "cleanup" in call.hooks[position:]:
                        continue
                self.feed(Failed(number=call.number, reason="; then ".join(failures), report=report))
                return
        self.feed(Done(number=call.number, report=report, failure=failures[0] if failures else None))

    def _keep(self) -> Steps:
        yield SECOND // 1000
        self.disk.memory = self._memory
        self.disk.written_at = self.world.time

    def _hook(self, hook: str, call: Call) -> Steps:
        exp_ref = call.exp_ref
        match hook:
            case "initialise":
                if exp_ref is not None:
                    self._prepare(ExpRef.parse(exp_ref))
                    yield from self._limit(hook, exp_ref)
            case "start":
                if self._exp_ref is None:
                    yield from self._hook("initialise", call)
                self._recorded = True
                yield from self._wait(call.start_at)
                called = self.now
                self.world.note(self._describe_start(call))
                yield from self._limit(hook, str(self._exp_ref))
                self._broken = Signal()
                self._watcher = self._begin(self._watch(), "watch")
                return {"started_at": self._session_time(self.now), "start": self._tell_start(call, called)}
            case "resume":
                self._recorded = True
                yield from self._limit(hook, str(self._exp_ref))
                self._broken = Signal()
                self._watcher = self._begin(self._watch(), "watch")
                return {"gap": {**self.machine.gaps[-1], "seconds": 1.0}}
            case "stop":
                yield from self._end_watch()
                if self._exp_ref is not None:
                    yield from self._limit(hook, exp_ref)
                    self._check_stuck()
                    return self._account()
            case "cleanup":
                yield from self._end_watch()
                if self._exp_ref is not None:
                    yield from self._limit(hook, exp_ref)
                    self._check_stuck()
                    if not self._recorded:
                        self.disk.sessions.pop(self._exp_ref, None)
                    self._exp_ref = None
        return {}

    def _limit(self, hook: str, exp_ref: str | None) -> Steps:
        work = self._begin(self.device.run(hook, exp_ref), hook)
        try:
            is_done = yield work, LIMITS.get(hook, LIMITS["start"])
        except Cancelled:
            yield from self._end_hook(work)
            raise
        yield from self._end_hook(work)
        if not is_done:
            raise AdapterError("the adapter did not finish in time; look at its program or device")
        if work.error is not None:
            raise work.error

    def _end_hook(self, work: Work) -> Steps:
        if not work.is_done:
            self._stuck.add(work)
            work.cancel()
            yield work, CANCEL_LIMIT

    def _check_stuck(self) -> None:
        self._stuck = {one for one in self._stuck if not one.is_done}
        if self._stuck:
            hooks = ", ".join(sorted(one.name for one in self._stuck))
            raise AdapterError(f"{hooks} of the adapter still runs though it was cancelled: restart this rig")

    def _prepare(self, exp_ref: ExpRef) -> None:
        self._recorded = False
        if self.disk.is_full:
            self._exp_ref = None
            raise AdapterError("cannot make the folder: no space left on device; check the disk")
        self._exp_ref = exp_ref
        self._clock = None
        self.disk.sessions.setdefault(exp_ref, [])

    def _account(self) -> dict[str, Any]:
        frames = [] if self._exp_ref is None else self.disk.sessions.get(self._exp_ref, [])
        files = [
            {"path": f"part{number}.csv", "bytes": 1000 * count, "frames": count, "first": None, "last": None}
            for number, count in enumerate(frames)
        ]
        reading = self._read_clock(self.now)
        clock = {
            "offset": 0.0 if reading is None else reading.offset / SECOND,
            "bound": None if reading is None else reading.bound / SECOND,
        }
        return {
            "files": files,
            "health": self.device.health(),
            "stopped_at": self._session_time(self.now),
            "clock": clock,
        }

    def _wait(self, planned: int | None) -> Steps:
        """Wait for the instant that is agreed, if it is still to come."""
        self._doubt = None
        clock = self._start_clock
        while planned is not None and clock is not None and (reading := clock.read(self.now)) is not None:
            self._doubt = max(reading.bound, self._doubt or 0)
            left = self.clock.until(planned - reading.offset, self.world.time)
            if not 0 < left <= WAIT_LIMIT:
                break
            yield min(left, LOOK_EVERY)

    def _describe_start(self, call: Call) -> StartCalled:
        """Return what an all-knowing bystander sees of a start."""
        leader = self._start_leader
        return StartCalled(
            who=self.name,
            exp_ref=str(self._exp_ref),
            leader=leader.address.host if leader is not None else None,
            planned=call.start_at,
            bound=self._doubt,
            waited=None if call.heard_at is None else self.now - call.heard_at,
            was_ready="initialise" not in call.hooks,
        )

    def _tell_start(self, call: Call, called: int) -> dict[str, Any]:
        reading, planned = self._read_clock(called), call.start_at
        late = 0.0 if planned is None else self._session_time(called) - planned / SECOND
        return {
            "planned": None if planned is None else planned / SECOND,
            "heard": None if call.heard_at is None else self._session_time(call.heard_at),
            "called": self._session_time(called),
            "returned": self._session_time(self.now),
            "late": late,
            "bound": None if reading is None else reading.bound / SECOND,
        }

    def _session_clock(self) -> ClockMap | None:
        leader = self.machine.leader
        if leader is not None and self.node is not None:
            self._clock = self.node.clock(leader.address) or self._clock
        return self._clock

    def _read_clock(self, local: int) -> Reading | None:
        clock = self._session_clock()
        return clock.read(local) if clock is not None else None

    def _session_time(self, local: int) -> float:
        """Return a time of this PC in seconds on the conductor's clock, as far as that is known."""
        clock = self._session_clock()
        return (clock.to_peer(local) if clock is not None else local) / SECOND

    def _watch(self) -> Steps:
        yield self._broken
        self._watcher = None
        self.feed(Broke(reason="recording: the device failed by itself"))

    def _end_watch(self) -> Steps:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            yield watcher, CANCEL_LIMIT

    # -- what others may know ---------------------------------------------------------------------------

    def _measure(self) -> Steps:
        while True:
            if self._exp_ref is not None:
                self.feed(Measured(health=self.device.health()))
            yield HEALTH_EVERY

    def _describe(self, effect: Describe) -> Steps:
        yield SECOND // 1000
        info: dict[str, Any] = {"name": self.name, "date": self.date.isoformat(), "adapter": "fake"}
        if effect.subject is not None:
            free = next_free(self.disk.sessions, effect.subject, self.date, effect.at_least)
            info["exp_ref"] = str(self.machine.skip_used(free))
        self.feed(Described(token=effect.token, info=info, room=effect.room))


def next_free(sessions: Iterable[ExpRef], subject: str, date: datetime.date, least: int = 1) -> ExpRef:
    """Return the number after the highest folder, as `multirig.folders` does."""
    taken = [one.sequence for one in sessions if one.subject == subject and one.date == date]
    return ExpRef(date, max(least, max(taken, default=0) + 1), subject)
