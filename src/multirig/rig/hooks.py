"""The order in which a rig calls its adapter's hooks, and what is kept before which."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import Any

from multirig.errors import AdapterError
from multirig.lifecycle.rig_events import Armed, Broke, Done, Failed, Mark, Memory, Pulsed, Restored
from multirig.lifecycle.rig_states import RigState
from multirig.protocol.events import SECOND, Call
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import ClockOffset, Gap, Recorded, RigStart
from multirig.rig.adapter import Left, Session, TakesBack
from multirig.rig.background import Background
from multirig.rig.explaining import explain
from multirig.rig.limits import CANCEL_LIMIT, HookLimits, widen
from multirig.rig.markers import MarkerTable
from multirig.rig.memory import MemoryKeeper, end_gap
from multirig.rig.parts import Parts
from multirig.rig.pulses import Pulser
from multirig.rig.recording import Recording
from multirig.rig.rehearsal import RehearsalLimit
from multirig.rig.session_clock import SessionClock
from multirig.wording import discreet

ROOM_LIMIT = 1.0
"""Seconds that the free space may take to be measured as a recording is stopped."""
QUIET_AFTER = 0.001
"""Seconds after the start for which this PC does nothing else before it."""

log = logging.getLogger("multirig.rig")


class Hooks:
    """Carries out what the rig's rules call for, one call after the other, and tells them what came of it.

    Parameters
    ----------
    parts : Parts
        The rig.
    clock : SessionClock
        What is known of the conductor's clock.
    background : Background
        For what nobody waits for.

    Raises
    ------
    ConfigError
        The config wants sync pulses that the adapter cannot give.
    """

    def __init__(self, parts: Parts, clock: SessionClock, background: Background) -> None:
        config, adapter, computer, storage = parts.config, parts.adapter, parts.computer, parts.storage
        self.recording = Recording(adapter, computer.read_clock, clock.find_jumps)
        self._name = config.name
        self._adapter = adapter
        self._machine = parts.machine
        self._computer = computer
        self._storage = storage
        self._feed = parts.feed
        self._clock = clock
        self._background = background
        self._warn = parts.warn
        self._limits = HookLimits(widen(config.limits, adapter.least_limits()))
        self._expected = config.expect.to_expected()
        self._memory = MemoryKeeper(storage.keep)
        self._markers = MarkerTable(config.name, adapter, storage.append_marker)
        self._rehearsal = RehearsalLimit(parts.machine, parts.feed)
        self.pipeline = parts.pipeline
        """Prepares what is recorded for IBL's."""
        self._pulser = Pulser(
            config.name,
            adapter,
            config.sync_pulses,
            computer=computer,
            read_session_clock=clock.read,
            write=storage.append_pulse,
            report=lambda pulse: parts.feed(Pulsed(at=pulse.at)),
        )
        self._work: asyncio.Task[None] | None = None
        """The last call: the hooks that run now, or ran last."""
        self._watcher: asyncio.Task[None] | None = None

    # -- what the rules want ------------------------------------------------------------------------------

    def keep(self, memory: Memory) -> None:
        """Keep what must survive the death of the program: soon, and before the hooks of a later call."""
        self._memory.newest = memory
        self._background.spawn(self._memory.keep_newest())

    def call(self, call: Call) -> None:
        """Run the hooks of a call, after those of the call before it, or instead of them."""
        self._clock.note_command()
        self._work = asyncio.create_task(self._run(call, self._work))

    def mark(self, effect: Mark) -> None:
        """Write down what has happened in the experiment, and tell the adapter."""
        session = self.recording.session
        if session is not None:
            self._background.spawn(self._markers.write(session, effect.marker))
            self._markers.hand_over(effect.marker)

    async def settled(self) -> None:
        """Wait until no hook runs."""
        while self._work is not None and not self._work.done():
            await asyncio.wait([self._work])
            await asyncio.sleep(0)  # let what was fed start the next call

    async def restore(self) -> None:
        """Find out what this rig was doing when its program died, if it did."""
        memory = await self._storage.recall()
        if memory is not None:
            self._memory.note_written(memory)
        left = await self._find_left()
        if memory is None:
            if left.own is None:
                return
            memory = Memory(state=RigState.CONNECTED, exp_ref=None, started=(), stopped=())
        recorded, gap = Recorded(), None
        if memory.is_recording and memory.exp_ref is not None and await self._take_back(memory.exp_ref):
            self._feed(Restored(memory=memory, goes_on=True))
            return
        if memory.has_recorded and memory.exp_ref is not None:
            session = self._make_session(memory.exp_ref)
            self.recording.enter(session, is_rehearsal=False, was_started=True)
            if memory.is_recording:
                gap = await self._storage.find_gap(session, self._computer.read_wall_clock())
            try:
                recorded = await self._account()
            except AdapterError as error:
                log.error("%s", error)
        if left.exp_ref is not None and not memory.has_recorded:  # of that it is, as far as others see
            memory = replace(memory, exp_ref=left.exp_ref)
        self._feed(Restored(memory=memory, recorded=recorded, gap=gap, left=left.own))

    async def _find_left(self) -> Left:
        """Return what was left here, and is watched by nobody."""
        if not isinstance(self._adapter, TakesBack):
            return Left()
        left = await asyncio.to_thread(self._adapter.find_left)
        for text in left.others:
            log.warning("%s", text)
            self._warn(text)
        return left

    async def _take_back(self, exp_ref: ExpRef) -> bool:
        """Let the adapter go on with what has gone on without this program, if something has."""
        if not isinstance(self._adapter, TakesBack):
            return False
        self.recording.enter(self._make_session(exp_ref), is_rehearsal=False, was_started=True)
        try:
            goes_on = await self._limits.run("start", self._adapter.take_back())
        except AdapterError as error:
            log.error("%s", error)
            return False
        if goes_on:
            self._clock.begin()
            self._markers.begin()
            self._storage.note_begin()
            self._storage.keep_log(self._adapter.session)
            self._go_on()
        return goes_on

    def end(self) -> list[asyncio.Task[Any]]:
        """Begin nothing more; return what has still to end before the program can."""
        self._rehearsal.end()
        return [*self._limits.stuck(), *(one for one in (self._work, self._watcher) if one is not None)]

    # -- one call -----------------------------------------------------------------------------------------

    async def _run(self, call: Call, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            if call.preempts:
                before.cancel()
            await asyncio.wait([before])
        recorded = Recorded()
        gap: Gap | None = None
        failures: list[str] = []
        if reason := await self._memory.keep():
            log.error("%s", reason)
            if {"start", "resume"} & {*call.hooks}:  # it might be started twice
                self._feed(Failed(number=call.number, reason=f"start: {reason}"))
                return
        for position, hook in enumerate(call.hooks):
            try:
                match await self._run_hook(hook, call):
                    case Gap() as gap:
                        pass
                    case Recorded() as news:
                        recorded = recorded.followed_by(news)
            except Exception as error:
                failures.append(explain(hook, error, self._adapter))
                log.error("%s", failures[-1], exc_info=not isinstance(error, AdapterError))
                if hook == "stop":  # what was recorded is still accounted for
                    with contextlib.suppress(Exception):
                        recorded = recorded.followed_by(await self._account())
                    if "cleanup" in call.hooks[position:]:  # letting go of the device ends it for certain
                        continue
                reason = "; then ".join(failures)
                self._feed(Failed(number=call.number, reason=reason, recorded=recorded))
                return
        failure = failures[0] if failures else None
        self._feed(Done(number=call.number, recorded=recorded, gap=gap, failure=failure))

    async def _run_hook(self, hook: str, call: Call) -> Recorded | Gap:
        """Run one hook, and return what it has to tell."""
        match hook:
            case "initialise":
                await self._initialise(call)
            case "start":
                return await self._start(call)
            case "resume":
                return await self._resume()
            case "stop":
                return await self._stop()
            case "cleanup":
                return await self._clean_up()
        return Recorded()

    async def _initialise(self, call: Call) -> None:
        if call.exp_ref is None:  # there is no folder yet; EXPSTART brings the reference
            return
        self._rehearsal.begin()
        session = self._make_session(call.exp_ref)
        self.recording.enter(session, is_rehearsal=self._machine.rehearses)
        self._clock.begin()
        self._markers.begin()
        try:
            await self._storage.make_folder(session)
        except AdapterError:
            self.recording.leave()  # the device has not been touched
            raise
        self._storage.note_begin()
        await self._limits.run("initialise", self._adapter.initialise())

    async def _start(self, call: Call) -> Recorded:
        """Arm the adapter, wait for the instant that is agreed, and let it record."""
        if self.recording.session is None:
            await self._initialise(call)
        self.recording.was_started = True
        self._storage.keep_log(self._adapter.session)
        await self._limits.run("start", self._adapter.arm())
        self._feed(Armed(number=call.number))
        called = await self._start_at(call.start_at)
        returned = self._computer.read_clock()
        self.recording.note_start()
        planned = None if call.start_at is None else call.start_at / SECOND
        self._storage.note_start(self._adapter.session, planned)
        self._watcher = asyncio.create_task(self._watch())
        self.pipeline.begin(self.recording)
        return self._describe_start(call, called, returned)

    async def _start_at(self, planned: int | None) -> int:
        """Start the adapter at an instant; return when that was."""
        computer, find = self._computer, self._clock.find_instant
        left = max(0.0, (find(planned) - computer.read_clock()) / SECOND)
        called = 0

        async def begin() -> None:
            nonlocal called
            with contextlib.ExitStack() as quiet:
                quiet.enter_context(computer.keep_quiet())  # before: on a busy PC the loop itself wakes late
                asyncio.get_running_loop().call_later(left + QUIET_AFTER, quiet.close)  # a hook may take long
                start = self._adapter.start
                await computer.wait_for_instant(lambda: find(planned))
                called = computer.read_clock()
                await start()

        await self._limits.run("start", begin(), more=left)
        return called

    async def _resume(self) -> Gap:
        """Let the adapter go on after a restart, and return the gap that is over now."""
        self.recording.was_started = True
        await self._limits.run("start", self._adapter.resume())
        self._go_on()
        return end_gap(self._machine.recording.gaps[-1], self._computer.read_wall_clock())

    async def _stop(self) -> Recorded:
        await self._end_watch()
        if self.recording.session is None:
            return Recorded()
        self.recording.note_stop()
        await self._limits.run("stop", self._adapter.stop())
        self._limits.check()
        await self._look_at_room()
        recorded = await self._account()
        if recorded.manifest is not None:
            await self.pipeline.finish(self.recording)
        return recorded

    async def _look_at_room(self) -> None:
        """Look whether the disk took all: what a program writes as it is stopped may be the most of it."""
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            self.recording.note_room(await asyncio.wait_for(self._storage.measure_space(), ROOM_LIMIT))
        self.recording.is_open = False

    async def _clean_up(self) -> Recorded:
        await self._end_watch()
        recording, storage = self.recording, self._storage
        if recording.session is None:
            if isinstance(self._adapter, TakesBack):
                await self._limits.run("cleanup", self._adapter.end_orphan())
                self._limits.check()
            return Recorded()
        await self._limits.run("cleanup", self._adapter.cleanup())
        self._limits.check()
        await self._markers.settled()
        if recording.is_rehearsal:
            await storage.remove_rehearsal()
        elif not recording.was_started:
            await storage.release_folder(recording.session)
        storage.note_end()
        await self.pipeline.finish(self.recording)
        recording.leave()
        if recording.was_started and not recording.is_rehearsal:
            return Recorded(digests=await storage.late_digests())
        return Recorded()

    # -- the recording --------------------------------------------------------------------------------------

    def _make_session(self, exp_ref: ExpRef) -> Session:
        folder = self._storage.place(exp_ref, rehearses=self._machine.rehearses)
        return Session(
            exp_ref=exp_ref,
            session_folder=folder,
            folder=folder / self._adapter.collection,
            to_session_time=self._clock.to_session_time,
            rig=self._name,
        )

    def _go_on(self) -> None:
        """Watch what has begun before, and goes on."""
        self.recording.is_open = True
        self._watcher = asyncio.create_task(self._watch())
        self.pipeline.begin(self.recording)

    async def _watch(self) -> None:
        """Wait for the end that the adapter makes by itself, and give pulses meanwhile."""
        try:
            async with self._pulser.going():
                await self._adapter.watch()
        except Exception as error:
            reason = explain("recording", error, self._adapter)
            log.error("%s", reason, exc_info=not isinstance(error, AdapterError))
            self._watcher = None
            self._feed(Broke(reason=reason))

    async def _end_watch(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.wait([watcher], timeout=CANCEL_LIMIT)

    async def _account(self) -> Recorded:
        """Return what was recorded, file by file."""
        try:
            found = await self._limits.run("stop", asyncio.to_thread(self._adapter.files))
            found = await self.recording.complete(found, self._expected)
            recorded = Recorded(files=tuple(found))
        except Exception as error:
            log.exception("the adapter's list of files failed")
            reason = discreet(f"{type(error).__name__}: {error}")
            raise AdapterError(
                f"stopped, but its files cannot be listed ({reason}): look into the session's folder"
            ) from None
        recording, storage = self.recording, self._storage
        now = self._computer.read_clock()
        stopped_at, reading = self._clock.to_session_time(now) / SECOND, self._clock.read(now)
        if (seconds := recording.take_seconds()) is not None:
            await storage.remember_rate(sum(one.bytes for one in found), seconds)
        if recording.was_started and recording.session is not None and not recording.is_rehearsal:
            recorded = await storage.account(recording.session, found)
            self.pipeline.note(found)
            recording.add([*(recorded.findings or ()), *self.pipeline.findings(stopped_at)])
        recording.look()
        if not self._adapter.owns():  # its data lie where nobody counts them
            recorded = replace(recorded, files=None)
        clock = ClockOffset(
            offset=0.0 if reading is None else reading.offset / SECOND,
            bound=None if reading is None else reading.bound / SECOND,
        )
        return replace(
            recorded,
            health=recording.health,
            stopped_at=stopped_at,
            clock=clock,
            findings=recording.findings or None,
        )

    def _describe_start(self, call: Call, called: int, returned: int) -> Recorded:
        """Return how the start went, on the session clock."""
        reading, to_session_time = self._clock.read(called), self._clock.to_session_time
        planned = call.start_at
        late = 0 if planned is None or reading is None else to_session_time(called) - planned
        start = RigStart(
            planned=None if planned is None else planned / SECOND,
            heard=None if call.heard_at is None else to_session_time(call.heard_at) / SECOND,
            called=to_session_time(called) / SECOND,
            returned=to_session_time(returned) / SECOND,
            late=late / SECOND,
            bound=None if reading is None else reading.bound / SECOND,
        )
        return Recorded(started_at=to_session_time(returned) / SECOND, start=start)
