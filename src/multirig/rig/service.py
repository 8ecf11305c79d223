"""A rig at work: runs the rig's node, and the adapter's hooks when the node says so."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from multirig.config import RigConfig
from multirig.errors import AdapterError, ConfigError, MultirigError
from multirig.folders import next_exp_ref, session_folder
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import (
    PREFLIGHT,
    Armed,
    Broke,
    Commanded,
    Denied,
    Describe,
    Described,
    Done,
    Entered,
    Failed,
    Keep,
    LedBy,
    Mark,
    Measured,
    Memory,
    NotHandled,
    PicturesOffered,
    PicturesTaken,
    Pulsed,
    Restored,
    SpaceMeasured,
    SubjectChosen,
    TakePictures,
)
from multirig.lifecycle.rig_states import RigState
from multirig.pc.awake import Awake
from multirig.pc.finding import plain_findings
from multirig.pc.instant import come_near, undisturbed, wait_for
from multirig.protocol.allow import AllowList
from multirig.protocol.clock import ClockMap, Reading
from multirig.protocol.codec import plain
from multirig.protocol.events import SECOND, Address, Call, Ignored, Token, Upgraded
from multirig.protocol.exp_ref import ExpRef, check_subject
from multirig.protocol.messages import Event
from multirig.protocol.node import Node
from multirig.rig.adapter import Adapter, Health, Marker, Session
from multirig.rig.loading import build_adapter
from multirig.rig.manifest import Ledger
from multirig.rig.markers import append_marker, markers_name
from multirig.rig.memory import find_gap, mark_alive, memory_file, read_memory, write_memory
from multirig.rig.preflight import check_rig
from multirig.rig.pulses import Pulser, check_pulses
from multirig.rig.rate import rate_file, rate_since, recall_rate, remember_rate
from multirig.rig.rehearsal import LIMIT as REHEARSAL_LIMIT
from multirig.rig.rehearsal import rehearsal_folder, remove_rehearsal
from multirig.rig.viewfinder import Viewfinder
from multirig.runtime import Runtime
from multirig.transports.memory import MemoryNetwork
from multirig.transports.probe import ClockPort, Exchange
from multirig.version import __version__

HEALTH_EVERY = 0.5
"""Seconds between two looks at the adapter's proof of recording."""
QUIET_AFTER = 0.001
"""Seconds after the start for which this PC does nothing else before it."""
WAIT_LIMIT = 5 * SECOND
"""An instant that is further away is none: one of the clocks is wrong."""
CANCEL_LIMIT = 5.0
"""Seconds that a hook may take to notice that it was cancelled."""
T = TypeVar("T")

log = logging.getLogger("multirig.rig")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a rig is doing, for a status line."""

    name: str
    state: RigState
    exp_ref: ExpRef | None
    failure: str | None
    health: Health
    disk_free: int
    """Bytes free where the data goes."""
    conductor: str | None
    """Name or address of whoever leads this rig now."""
    conductor_silent: float | None = None
    """Seconds for which it was not heard, where that is too long."""
    subject: str | None = None
    """Whom the rig is set up for; None: whoever a conductor asks for."""


class RigService:
    """One rig: a node on the network and the adapter that it drives.

    Parameters
    ----------
    config : RigConfig
        Name, addresses, folders, limits and the adapter with its options.
    adapter : Adapter, optional
        Instead of the one that the config names.
    network : MemoryNetwork, optional
        For rehearsal and tests without a network.
    on_news : callable, optional
        Called after each change of state.
    subject : str, optional
        Who is recorded here; a conductor with another subject is refused.
    """

    def __init__(
        self,
        config: RigConfig,
        *,
        adapter: Adapter | None = None,
        network: MemoryNetwork | None = None,
        on_news: Callable[[], None] = lambda: None,
        subject: str | None = None,
    ) -> None:
        self.config = config
        self.adapter = adapter if adapter is not None else build_adapter(config.adapter, config.name)
        check_pulses(config.name, config.sync_pulses, self.adapter)
        self.machine = RigMachine(
            name=config.name,
            main_sync=config.main_sync,
            may_have_token=frozenset(config.alyx_token_to).__contains__,
            subject=None if subject is None else check_subject(subject),
            stop_after=_nanoseconds(config.on_lost_conductor.stop_after),
            stall_after=_nanoseconds(config.stall_after),
            resumes=self.adapter.resumes,
            about={"adapter": config.adapter.type, "version": __version__},
        )
        allowed = AllowList(config.allow, anybody=config.allow_any)
        self.node = Node(
            boot=secrets.token_hex(8),
            name=config.name,
            machine=self.machine,
            permits=(lambda host: True) if network is not None else allowed.permits,
        )
        self.runtime = Runtime(self.node, self._perform, network=network)
        self.addresses: list[Address] = []
        """Where the rig listens, once it is open."""
        self._scheme = "memory" if network is not None else None
        self._on_news = on_news
        self._session: Session | None = None
        self._recorded = False
        """Whether this session's adapter was told to start: then its number is used up."""
        self._work: asyncio.Task[None] | None = None
        """The last call: the hooks that run now, or ran last."""
        self._stuck: set[asyncio.Task[Any]] = set()
        """Hooks that went on though they were cancelled."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._health = Health()
        self._health_failed = False
        """Whether this session's log says already that the adapter cannot tell it."""
        self._marking = asyncio.Lock()
        """Held while a marker is written: one after the other, as they came."""
        self._mark_failures: set[str] = set()
        """What could not be done with this session's markers, and stands in the log already."""
        self._disk_free = 0
        self._usual_rate: float | None = None
        """Bytes a second, as the last recordings had; None: not known yet."""
        self._is_alone = False
        """Whether whoever leads is not heard."""
        self._ledger = Ledger(config.name, config.adapter.type)
        self._pulser = Pulser(
            config.name,
            self.adapter,
            config.sync_pulses,
            read_clock=self._read_clock,
            tell=lambda pulse: self.runtime.feed(Pulsed(at=pulse.at)),
        )
        # a start has its instant, which nothing is to come near
        self._viewfinder = Viewfinder(self.adapter, is_busy=lambda: self.machine.state is RigState.STARTING)
        self._memory_file = memory_file(config.data_folder, config.name)
        self._rate_file = rate_file(config.data_folder, config.name)
        self._memory: Memory | None = None
        """What must survive the death of this program."""
        self._written: Memory | None = None
        self._writing = asyncio.Lock()
        self._rehearsals = rehearsal_folder(config.data_folder, config.name)
        self._rehearsal_end: asyncio.TimerHandle | None = None
        """In a rehearsal: when it is ended, if nobody else does."""
        self._began: float | None = None
        """When this session's adapter had begun to record."""
        self._awake = Awake(f"{config.name} is in a session")
        self._checking = asyncio.Lock()
        self._clock: ClockMap | None = None
        """The clock of whoever leads this session, or led it last."""
        self._start_clock: ClockMap | None = None
        """The clock of whoever gave the last command: another one may lead before it is carried out."""
        self._clock_port = ClockPort(self.node.boot, permits=allowed.permits, report=self._take_exchange)
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen at every address of the config; ConfigError if one cannot be had."""
        try:
            self.config.data_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"rig {self.config.name}: cannot make data_folder {self.config.data_folder}: "
                f"{error.strerror or error}; choose a folder that you may write"
            ) from None
        await asyncio.to_thread(remove_rehearsal, self._rehearsals)
        await self._restore()
        try:
            for uri in self.config.uri:
                self.addresses += await self.runtime.listen(self._scheme or uri.scheme, uri.host, uri.port)
        except ConfigError as error:
            await self.runtime.close()
            raise ConfigError(f"rig {self.config.name}: {error}") from None
        self._open_clock_port()
        self._usual_rate = await asyncio.to_thread(recall_rate, self._rate_file, self.config.adapter)
        await self._look_at_disk()
        self._spawn(self._measure())
        log.info("%s listens at %s", self.config.name, ", ".join(map(str, self.addresses)))

    def _open_clock_port(self) -> None:
        """Let conductors measure this PC's clock; without it they have what the messages tell."""
        self._loop = asyncio.get_running_loop()
        if self._scheme == "memory":
            return
        try:
            self.machine.clock_port = self._clock_port.open(self.addresses[0].host, self.config.clock_port)
        except ConfigError as error:
            log.warning("%s: %s; its clock is measured less closely", self.config.name, error)

    async def _restore(self) -> None:
        """Find out what this rig was doing when its program died, if it did."""
        memory = await asyncio.to_thread(read_memory, self._memory_file)
        if memory is None:
            return
        self._written = memory
        report: dict[str, Any] = {}
        gap = None
        if memory.has_recorded and memory.exp_ref is not None:
            session = self._make_session(memory.exp_ref)
            self._session = self.adapter.session = session
            self._recorded = True
            if memory.is_recording:
                now = datetime.datetime.now().astimezone()
                gap = await asyncio.to_thread(find_gap, self._memory_file, session.folder, now)
            try:
                report = await self._account()
            except AdapterError as error:
                log.error("%s", error)
        self.runtime.feed(Restored(memory=memory, report=report, gap=gap))

    async def close(self) -> None:
        """Stop what is being recorded, let go of the device and leave the network."""
        self._ledger.close()
        if self.machine.state is not RigState.CONNECTED:
            self._command(Event.EXPINTERRUPT)
            await self._settled()
            self._command(Event.EXPCLEANUP)
            await self._settled()
        await asyncio.to_thread(self._clock_port.close)
        await self.runtime.close()
        self._end_rehearsal()
        await asyncio.to_thread(self._awake.close)
        tasks = {*self._tasks, *self._stuck, *(one for one in (self._work, self._watcher) if one is not None)}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_LIMIT)
        log.info("%s is closed", self.config.name)

    def snapshot(self) -> Snapshot:
        """Return what the rig is doing, without waiting."""
        machine = self.machine
        leader, now = machine.leader, self.runtime.clock()
        silent = leader is not None and leader.is_silent(now)
        return Snapshot(
            name=self.config.name,
            state=machine.state,
            exp_ref=machine.exp_ref,
            failure=machine.failure,
            health=self._health,
            disk_free=self._disk_free,
            conductor=str(leader) if leader is not None else None,
            conductor_silent=(now - leader.heard) / SECOND if leader is not None and silent else None,
            subject=machine.subject,
        )

    # -- the rig's own keyboard -----------------------------------------------------------------------------

    async def start_here(self, subject: str) -> ExpRef:
        """Begin a recording without a conductor, under the next free number of the subject.

        Raises
        ------
        MultirigError
            The subject cannot name a folder or is not the one that the rig is set up for, the rig is in
            another session, or it could not start.
        """
        check_subject(subject)
        if self.machine.state is not RigState.CONNECTED:
            raise MultirigError(f"the rig is {self.machine.state}; 'stop' ends what it is doing")
        if self.machine.subject not in (None, subject):
            raise MultirigError(
                f"the rig is set up for subject {self.machine.subject}; type 'subject {subject}' first"
            )
        exp_ref = await asyncio.to_thread(self._next_exp_ref, subject)
        self.runtime.feed(Commanded(event=Event.EXPSTART, exp_ref=exp_ref))
        await self._settled()
        now = self.snapshot()
        if now.state is not RigState.RUNNING or now.exp_ref != exp_ref:
            raise MultirigError(now.failure or f"the rig is {now.state} instead")
        return exp_ref

    async def stop_here(self) -> None:
        """End whatever is being recorded, close its files and let go of the device.

        Raises
        ------
        MultirigError
            The adapter could not do it.
        """
        known = self.machine.failure
        self._command(Event.EXPEND)
        await self._settled()
        failure = self.machine.failure
        self._command(Event.EXPCLEANUP)
        await self._settled()
        failure = self.machine.failure or failure
        if failure is not None and failure != known:
            raise MultirigError(failure)

    def choose_subject(self, subject: str | None) -> None:
        """Say who is recorded here; None: whoever a conductor asks for.

        Raises
        ------
        MultirigError
            The subject cannot name a folder, or another one's session goes on.
        """
        self.runtime.feed(SubjectChosen(subject=None if subject is None else check_subject(subject)))
        log.info("%s is set up for %s", self.config.name, subject or "any subject")

    def _command(self, event: Event) -> None:
        self.runtime.feed(Commanded(event=event))

    async def _settled(self) -> None:
        """Wait until no hook runs."""
        while self._work is not None and not self._work.done():
            await asyncio.wait([self._work])
            await asyncio.sleep(0)  # let what was fed start the next call

    # -- effects ----------------------------------------------------------------------------------------

    def _perform(self, effect: Any) -> None:
        match effect:
            case Keep(memory=memory):
                self._memory = memory
                self._spawn(self._keep())
            case LedBy(leader=leader, before=before):
                log.warning(
                    "%s is led by %s now, and not by %s", self.config.name, leader, before or "anybody"
                )
            case Call():
                self._start_clock = self._session_clock()
                self._work = asyncio.create_task(self._run(effect, self._work))
            case Mark():
                self._mark(effect)
            case Describe():
                self._spawn(self._describe(effect))
            case TakePictures(token=token):
                self._spawn(self._take_pictures(token))
            case Entered(state=state, exp_ref=exp_ref, failure=failure):
                self._awake.keep(state is not RigState.CONNECTED)
                level = logging.ERROR if failure else logging.INFO
                log.log(
                    level,
                    "%s is %s %s%s",
                    self.config.name,
                    state,
                    exp_ref or "",
                    f": {failure}" if failure else "",
                )
                try:
                    self._on_news()
                except Exception:  # whoever shows the news must not hold up the rig
                    log.exception("showing the news failed")
            case Denied(event=event, reason=reason):
                log.warning("%s refuses %s: %s", self.config.name, event.name, reason)
            case NotHandled(about=about, reason=reason):
                log.warning("the conductor could not handle %s: %s", about, reason)
            case Ignored(address=address, reason=reason, first=first):
                log.log(logging.WARNING if first else logging.DEBUG, "ignored from %s: %s", address, reason)
            case Upgraded(address=address, name=name):
                log.info("%s at %s is a multirig: wire 2", name or "the peer", address)
            case _:
                log.debug("%s", effect)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- hooks ------------------------------------------------------------------------------------------

    async def _run(self, call: Call, before: asyncio.Task[None] | None) -> None:
        """Run the hooks of a call, after those of the call before it, or instead of them."""
        if before is not None and not before.done():
            if call.preempts:
                before.cancel()
            await asyncio.wait([before])
        report: dict[str, Any] = {}
        failures: list[str] = []
        if reason := await self._keep():
            log.error("%s", reason)
            if {"start", "resume"} & {*call.hooks}:  # it might be started twice
                self.runtime.feed(Failed(number=call.number, reason=f"start: {reason}"))
                return
        for position, hook in enumerate(call.hooks):
            try:
                report |= await self._hook(hook, call)
            except Exception as error:
                failures.append(self._reason(hook, error))
                log.error("%s", failures[-1], exc_info=not isinstance(error, AdapterError))
                if hook == "stop":  # what was recorded is still accounted for
                    with contextlib.suppress(Exception):
                        report |= await self._account()
                    if "cleanup" in call.hooks[position:]:  # letting go of the device ends it for certain
                        continue
                self.runtime.feed(Failed(number=call.number, reason="; then ".join(failures), report=report))
                return
        self.runtime.feed(Done(number=call.number, report=report, failure=failures[0] if failures else None))

    async def _keep(self) -> str | None:
        """Put on the disk what must survive; return why that was not possible."""
        async with self._writing:
            memory = self._memory
            if memory is None or memory == self._written:
                return None
            try:
                await asyncio.to_thread(write_memory, self._memory_file, memory)
            except AdapterError as error:
                return str(error)
            self._written = memory
        return None

    def _reason(self, hook: str, error: Exception) -> str:
        """Return in one line what a hook could not do."""
        if isinstance(error, AdapterError):
            text = error.message
        else:
            text = f"{type(error).__name__}: {error} (details are in this rig's log)"
        return " ".join(f"{hook}: {text}".split())

    async def _hook(self, hook: str, call: Call) -> dict[str, Any]:
        """Run one hook of the adapter within its limit, and return what it has to tell."""
        exp_ref = call.exp_ref
        match hook:
            case "initialise":
                if exp_ref is not None:  # without a reference there is no folder yet; EXPSTART brings it
                    await self._prepare(ExpRef.parse(exp_ref))
                    await self._limit(hook, self.adapter.initialise())
            case "start":
                if self._session is None:
                    await self._hook("initialise", call)
                self._recorded = True
                return await self._start(call)
            case "resume":
                self._recorded = True
                await self._limit("start", self.adapter.resume())
                self._watcher = asyncio.create_task(self._watch())
                return {"gap": self._end_gap()}
            case "stop":
                await self._end_watch()
                if self._session is not None:
                    await self._limit(hook, self.adapter.stop())
                    self._check_stuck()
                    return await self._account()
            case "cleanup":
                await self._end_watch()
                if self._session is not None:
                    await self._limit(hook, self.adapter.cleanup())
                    self._check_stuck()
                    async with self._marking:  # those that came before are written
                        await asyncio.to_thread(self._release_folder)
                    self._ledger.end()
                    self._session = None
                    self._health = Health()
                    if self._recorded and self._rehearsal_end is None:
                        return {"digests": await self._ledger.rest()}
        return {}

    async def _start(self, call: Call) -> dict[str, Any]:
        """Arm the adapter, wait for the instant that is agreed, and let it record."""
        await self._limit("start", self.adapter.arm())
        self.runtime.feed(Armed(number=call.number))
        planned = call.start_at
        instant = self._find_instant(planned)
        left = max(0.0, (instant - time.perf_counter_ns()) / SECOND)
        called = 0

        async def begin() -> None:
            nonlocal called
            with contextlib.ExitStack() as quiet:
                quiet.enter_context(undisturbed())  # before the wait: on a busy PC the loop itself wakes late
                asyncio.get_running_loop().call_later(left + QUIET_AFTER, quiet.close)  # a hook may take long
                start = self.adapter.start
                wait_for(await come_near(lambda: self._find_instant(planned)))
                called = time.perf_counter_ns()
                await start()

        await self._limit("start", begin(), more=left)
        returned = time.perf_counter_ns()
        self._began = time.perf_counter()
        self._ledger.start(self.adapter.session)
        self._watcher = asyncio.create_task(self._watch())
        reading = self._read_clock(called)
        on_session_clock = self._to_session_time
        late = 0 if planned is None or reading is None else on_session_clock(called) - planned
        return {
            "started_at": on_session_clock(returned) / SECOND,
            "start": {
                "planned": None if planned is None else planned / SECOND,
                "heard": None if call.heard_at is None else on_session_clock(call.heard_at) / SECOND,
                "called": on_session_clock(called) / SECOND,
                "returned": on_session_clock(returned) / SECOND,
                "late": late / SECOND,
                "bound": None if reading is None else reading.bound / SECOND,
            },
        }

    def _find_instant(self, planned: int | None) -> int:
        """Return when an instant on the session clock is on this PC's, as far as is known now."""
        now, clock = time.perf_counter_ns(), self._start_clock
        if planned is None or clock is None or (reading := clock.read(now)) is None:
            return now
        at = planned - reading.offset
        if at - now > WAIT_LIMIT:
            log.warning(
                "%s was to start %.1f s from now: it starts at once", self.config.name, (at - now) / 1e9
            )
            return now
        return at

    def _end_gap(self) -> dict[str, Any]:
        """Return the gap that is over now."""
        gap = dict(self.machine.gaps[-1])
        now = datetime.datetime.now().astimezone()
        since = datetime.datetime.fromisoformat(gap["from"])
        until = now.isoformat(timespec="milliseconds")
        return {**gap, "to": until, "seconds": round((now - since).total_seconds(), 3)}

    async def _limit(self, hook: str, work: Coroutine[Any, Any, T], *, more: float = 0.0) -> T:
        """Run a hook in a task of its own; whatever it does, this ends."""
        limit = getattr(self.config.limits, hook) + more
        task = asyncio.create_task(work, name=hook)
        task.add_done_callback(self._retire)
        try:
            done, _ = await asyncio.wait([task], timeout=limit)
        finally:  # also when a stop preempts it
            if not task.done():
                self._stuck.add(task)  # at once, since a stop may preempt the wait for its end too
                task.cancel()
                await asyncio.wait([task], timeout=CANCEL_LIMIT)
            if not task.done():
                log.error("%s of the adapter does not notice that it was cancelled", hook)
        if not done:
            raise AdapterError(
                f"the adapter did not finish within {limit:g} s; look at its program or device"
            )
        if task.cancelled():
            raise AdapterError("the adapter gave up by itself (details are in this rig's log)")
        return task.result()

    def _retire(self, task: asyncio.Task[Any]) -> None:
        self._stuck.discard(task)
        if not task.cancelled():
            task.exception()  # one that nobody waits for any more is no news

    def _check_stuck(self) -> None:
        """Refuse to call a rig idle while a hook that was cancelled may still begin to record."""
        if self._stuck:
            hooks = ", ".join(sorted({task.get_name() for task in self._stuck}))
            raise AdapterError(f"{hooks} of the adapter still runs though it was cancelled: restart this rig")

    async def _prepare(self, exp_ref: ExpRef) -> None:
        self._recorded = False
        self._began = None
        self._clock = None  # another conductor's
        self._health = Health()
        self._health_failed = False
        self._mark_failures.clear()
        self._session = self.adapter.session = self._make_session(exp_ref)
        self._begin_rehearsal()
        collection = self._session.folder
        making = asyncio.ensure_future(asyncio.to_thread(collection.mkdir, parents=True, exist_ok=True))
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:  # a folder that comes late would keep its number used
            await asyncio.wait([making], timeout=CANCEL_LIMIT)
            raise
        except OSError as error:
            self._session = None  # the device has not been touched
            raise AdapterError(
                f"cannot make {collection}: {error.strerror or error}; check data_folder and the disk"
            ) from None
        self._ledger.begin()

    def _make_session(self, exp_ref: ExpRef) -> Session:
        data = self.config.data_folder
        if self.machine.rehearses:  # a new folder: adapters go on counting in one that they know
            data = self._rehearsals / secrets.token_hex(4)
        folder = session_folder(data, self.config.lab, exp_ref)
        return Session(
            exp_ref=exp_ref,
            session_folder=folder,
            folder=folder / self.adapter.collection,
            to_session_time=self._to_session_time,
        )

    def _release_folder(self) -> None:
        """Give the number back if nothing was recorded under it."""
        if self._rehearsal_end is not None:
            remove_rehearsal(self._rehearsals)
        if self._session is None or self._recorded:
            return
        folder = self._session.folder
        with contextlib.suppress(OSError):  # a folder that holds something stays
            folder.rmdir()
            while folder != self._session.session_folder:
                folder = folder.parent
                folder.rmdir()

    async def _account(self) -> dict[str, Any]:
        """Return what was recorded, file by file."""
        try:
            found = await self._limit("stop", asyncio.to_thread(self.adapter.files))
            files: dict[str, Any] = {"files": [asdict(one) for one in found]}
        except Exception as error:
            log.exception("the adapter's list of files failed")
            reason = f"{type(error).__name__}: {error}"
            raise AdapterError(
                f"stopped, but its files cannot be listed ({reason}): look into the session's folder"
            ) from None
        self._look_at_health()
        now = time.perf_counter_ns()
        stopped_at = self._to_session_time(now) / SECOND
        reading = self._read_clock(now)
        if self._began is not None:
            seconds, self._began = time.perf_counter() - self._began, None
            recorded = sum(one.bytes for one in found)
            kept, adapter = self._rate_file, self.config.adapter
            await asyncio.to_thread(remember_rate, kept, adapter, recorded, seconds)
            self._usual_rate = await asyncio.to_thread(recall_rate, kept, adapter)
        if self._recorded and self._session is not None and self._rehearsal_end is None:
            files = await self._ledger.account(self._session, found)
        return {
            **files,
            "health": asdict(self._health),
            "stopped_at": stopped_at,
            "clock": {
                "offset": 0.0 if reading is None else reading.offset / SECOND,
                "bound": None if reading is None else reading.bound / SECOND,
            },
        }

    def _look_at_health(self) -> None:
        """Ask the adapter for its proof of recording; an adapter that cannot tell leaves the last one."""
        try:
            health = self.adapter.health()
            asdict(health)
        except Exception:
            if not self._health_failed:
                log.exception("the adapter's health report failed")
            self._health_failed = True
        else:
            self._health = health

    async def _watch(self) -> None:
        try:
            async with self._pulser.going():
                await self.adapter.watch()
        except Exception as error:
            reason = self._reason("recording", error)
            log.error("%s", reason, exc_info=not isinstance(error, AdapterError))
            self._watcher = None
            self.runtime.feed(Broke(reason=reason))

    async def _end_watch(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await asyncio.wait([watcher], timeout=CANCEL_LIMIT)

    # -- markers ----------------------------------------------------------------------------------------

    def _mark(self, effect: Mark) -> None:
        """Write down a marker and hand it to the adapter; whatever it does, the recording goes on."""
        if self._session is None:
            return
        marker = Marker(text=effect.text, data=effect.data, at=effect.at, received=effect.received)
        self._spawn(self._write_marker(self._session.session_folder, marker))
        try:
            self.adapter.mark(marker)
        except Exception:
            if "adapter" not in self._mark_failures:
                log.exception("the adapter could not take the marker %r; the recording goes on", marker.text)
            self._mark_failures.add("adapter")

    async def _write_marker(self, folder: Path, marker: Marker) -> None:
        path = folder / markers_name(self.config.name)
        async with self._marking:
            try:
                await asyncio.to_thread(append_marker, path, marker)
            except OSError as error:
                if "disk" not in self._mark_failures:
                    reason = error.strerror or error
                    log.error("%s misses markers: %s; the conductor's journal has them", path, reason)
                self._mark_failures.add("disk")

    # -- clock ------------------------------------------------------------------------------------------

    def _session_clock(self) -> ClockMap | None:
        """Return what is known of the clock of whoever leads; of who led last, if nobody does."""
        leader = self.machine.leader
        if leader is not None and (clock := self.node.clock(leader.address)) is not None:
            self._clock = clock
        return self._clock

    def _read_clock(self, local: int) -> Reading | None:
        """Return what was known of the session clock at a time of this PC; ns."""
        clock = self._session_clock()
        return clock.read(local) if clock is not None else None

    def _to_session_time(self, local: int) -> int:
        """Return a time of this PC on the conductor's clock; both in nanoseconds."""
        clock = self._session_clock()
        return clock.to_peer(local) if clock is not None else local

    def _take_exchange(self, boot: str, exchange: Exchange) -> None:
        """Take what the clock port has measured, from its thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the program ends
                self._loop.call_soon_threadsafe(self.node.note_exchanges, boot, [exchange])

    # -- what others may know ------------------------------------------------------------------------------

    async def _measure(self) -> None:
        """Look at the adapter and the disk now and then."""
        while True:
            await self._look_at_disk()
            self._look_at_leader()
            if (labels := self._viewfinder.labels()) != self.machine.pictures:
                self.runtime.feed(PicturesOffered(labels=labels))
            if self.machine.state is RigState.RUNNING:
                mark_alive(self._memory_file)
            if self._session is not None:
                self._look_at_health()
                self.runtime.feed(Measured(health=asdict(self._health)))
            await asyncio.sleep(HEALTH_EVERY)

    async def _look_at_disk(self) -> None:
        """Look how much is free, and for how many hours of recording that is enough."""
        with contextlib.suppress(OSError):
            self._disk_free = await asyncio.to_thread(_free, self.config.data_folder)
            rate = self._rate_of_now() or self._usual_rate
            hours = None if rate is None else round(self._disk_free / rate / 3600, 2)
            self.runtime.feed(SpaceMeasured(free=self._disk_free, hours_left=hours))

    def _rate_of_now(self) -> float | None:
        """Return how many bytes a second are recorded; None while that is not known."""
        if self._began is None or self.machine.state is not RigState.RUNNING:
            return None
        return rate_since(self._health.bytes, time.perf_counter() - self._began)

    def _look_at_leader(self) -> None:
        """Say once that whoever leads is not heard, and once that it is again."""
        leader = self.machine.leader
        silent = leader is not None and leader.is_silent(self.runtime.clock())
        if silent and not self._is_alone:
            wait = self.config.on_lost_conductor.stop_after
            then = "the rig goes on" if wait is None else f"a recording is stopped after {wait:g} s"
            log.warning("%s: %s is not heard any more; %s", self.config.name, leader, then)
        elif self._is_alone and leader is not None and not silent:
            log.warning("%s: %s is heard again", self.config.name, leader)
        self._is_alone = silent

    def _next_exp_ref(self, subject: str, at_least: int = 1) -> ExpRef:
        today = datetime.date.today()
        free = next_exp_ref(self.config.data_folder, self.config.lab, subject, today)
        return self.machine.skip_used(replace(free, sequence=max(free.sequence, at_least)))

    async def _describe(self, effect: Describe) -> None:
        info: dict[str, Any] = {
            "name": self.config.name,
            "date": datetime.date.today().isoformat(),
            "adapter": self.config.adapter.type,
            "collection": self.adapter.collection,
            "disk_free": self._disk_free,
            "version": __version__,
        }
        try:
            info["device"] = plain(self.adapter.describe(), "device")
        except Exception:
            log.exception("the adapter's description of its device failed")
        try:
            info["experiment_description"] = plain(self._experiment_description(), "experiment_description")
        except Exception:
            log.exception("the adapter's part of the experiment description failed")
        if effect.subject is not None:
            try:
                free = await asyncio.to_thread(self._next_exp_ref, effect.subject, effect.at_least)
                info["exp_ref"] = str(free)
            except (MultirigError, OSError) as error:
                log.error("no number for subject %r: %s", effect.subject, error)
                info["failure"] = str(error)
        if effect.check is not None:
            info[PREFLIGHT] = await self._check(effect.check.get("seconds"))
            info["time"] = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        self.runtime.feed(Described(token=effect.token, info=info, room=effect.room))

    async def _take_pictures(self, token: Token) -> None:
        self.runtime.feed(PicturesTaken(token=token, pictures=await self._viewfinder.look()))

    async def _check(self, seconds: object) -> list[Any]:
        """Return what speaks for and against a session of that length on this PC."""
        planned = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
        is_idle = self.machine.state is RigState.CONNECTED
        async with self._checking:  # whoever asks a hundred times has no hundred threads
            found = await check_rig(self.config, self.adapter, planned, is_idle=is_idle)
        return plain_findings(found)

    def _begin_rehearsal(self) -> None:
        """Note whether this session is a rehearsal, which is not to go on for ever."""
        self._end_rehearsal()
        if self.machine.rehearses:
            loop = asyncio.get_running_loop()
            self._rehearsal_end = loop.call_later(REHEARSAL_LIMIT, self._break_off_rehearsal)

    def _end_rehearsal(self) -> None:
        timer, self._rehearsal_end = self._rehearsal_end, None
        if timer is not None:
            timer.cancel()

    def _break_off_rehearsal(self) -> None:
        """End a rehearsal whose conductor has not done it."""
        if self.machine.rehearses:
            log.warning("%s ends a rehearsal that nobody has ended", self.config.name)
            self._command(Event.EXPCLEANUP)

    def _experiment_description(self) -> dict[str, Any]:
        """Return this rig's part of the description: what its config says, else what the adapter does."""
        said, config = self.adapter.experiment_description(), self.config.experiment_description
        kind, _, label = self.config.name.partition(":")
        devices = config.devices or said.get("devices")
        part = {"devices": devices or {kind: {label or kind: {"collection": self.adapter.collection}}}}
        sync = config.sync or said.get("sync")
        return {**part, "sync": sync} if sync and self.config.main_sync else part


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
