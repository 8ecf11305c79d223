"""A rig's PC: the rig's own service on a PC, a disk and a device that do not exist."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Callable
from pathlib import Path

from multirig.collect.calling import CollectWorker
from multirig.config import CollectRules, RigConfig
from multirig.keyring.door import Access
from multirig.lifecycle.leader import Leader
from multirig.lifecycle.rig import RigMachine
from multirig.lifecycle.rig_events import Armed, AskedHere, Denied, Entered, Failed, Gathered, LedBy
from multirig.pc.awake import Awake
from multirig.pc.recording import RecordingSign
from multirig.protocol.events import SECOND, Address, Call, Received
from multirig.rig import computer
from multirig.rig.collecting import Collecting
from multirig.rig.service import RigService
from multirig.sim.device import Device, ScriptedAdapter
from multirig.sim.disk import Disk, MemoryStorage
from multirig.sim.facts import HookFailed, RigEntered, RigRefused, StartCalled
from multirig.sim.person import Person
from multirig.sim.scenario import RigPlan
from multirig.sim.world import Clock, Computer, Forged, World, overhear

LOOK_EVERY = SECOND // 50
"""As `multirig.pc.instant` has it."""
ASKED_FOR = 8.0
"""Seconds for which the person at a rig is asked whether it may be taken over."""
PULSE_EVERY = 0.5
"""Seconds between two sync pulses, on average: a false session is short."""
NOON = datetime.time(12, tzinfo=datetime.timezone.utc)
"""When a world begins, by every PC's clock on the wall."""


class RigComputer(Computer):
    """A rig.

    Parameters
    ----------
    world : World
    plan : RigPlan
        What it is like.
    address : Address
        Where it listens.
    date : date
        Today, on this PC.
    """

    def __init__(self, world: World, plan: RigPlan, address: Address, *, date: datetime.date) -> None:
        name = plan.name
        clock = Clock(offset=plan.offset, drift=plan.drift)
        super().__init__(world, name, address, clock, tells_closed=plan.tells_closed)
        self.config = RigConfig.model_validate(
            {
                "name": name,
                "uri": f"udp://{address.host}:{address.port}",
                "main_sync": plan.main_sync,
                "data_folder": "/data",
                "adapter": {"type": "scripted"},
                "sync_pulses": {"mean": PULSE_EVERY, "length": 0.05} if plan.gives_pulses else None,
                "take_over": {"ask": ASKED_FOR, "then": plan.then},
            }
        )
        self.plan = plan
        self.wire = plan.wire
        self.resumes = plan.resumes
        self.noon = datetime.datetime.combine(date, NOON)
        self.disk = Disk(is_emptied=plan.moves_data)
        self.person = Person(self)
        """Whoever stands there."""
        self.device = Device(world, plan, self.disk)
        self.machine = RigMachine(name=name)
        """The rules of the program that runs, or ran last."""
        self.service: RigService | None = None
        """None while the program is dead."""
        self._adapter: ScriptedAdapter | None = None
        self._opening: asyncio.Task[None] | None = None
        self._call: Call | None = None
        self._leader: Leader | None = None
        """Of whoever gave the last command."""
        self._armed_at = 0
        self._doubt: int | None = None
        """How little the session clock was known while an instant was waited for; ns."""

    # -- life -------------------------------------------------------------------------------------------

    def start(self, boot: str) -> None:
        """Begin a new program of the rig."""
        self._adapter = ScriptedAdapter(self.device, resumes=self.resumes, on_start=self._note_start)
        service = self.service = RigService(
            self.config, adapter=self._adapter, network=self, computer=_RigPc(self, boot)
        )
        service.node.greets = self.wire == 2
        self.machine, self.node = service.machine, service.node
        overhear(
            self.machine,
            {
                Received: self.person.hear,
                AskedHere: self.person.be_asked,
                LedBy: self.person.note_leader,
                Armed: self._note_armed,
                Failed: self._note_failed,
                Call: self._note_call,
                Entered: self._note_state,
                Denied: self._note_refusal,
            },
        )
        self._opening = asyncio.get_running_loop().create_task(self.person.open(service))

    def receive(self, data: bytes, source: Address) -> None:
        """Take a datagram."""
        if not isinstance(data, Forged):
            self.person.note_arrival(source.host)
        super().receive(data, source)

    def on_death(self) -> None:
        """Let the device die with its program."""
        self.service = self._adapter = self._opening = self._call = self._leader = None
        self.device.end("its program died")
        self.device.troubles.clear()

    def break_recording(self, reason: str) -> None:
        """Let the device fail by itself."""
        if self.device.session is not None:
            self.device.end(reason)
            self.device.has_broken = True
            if self.loop is not None and self._adapter is not None:
                self.loop.run(self._adapter.notice_break)

    # -- what is seen of the program ----------------------------------------------------------------------

    def _note_armed(self, event: Armed) -> None:
        self._armed_at = self.now

    def _note_failed(self, event: Failed) -> None:
        hook, _, reason = event.reason.partition(": ")
        self.world.note(HookFailed(who=self.name, hook=hook, reason=reason))

    def _note_call(self, effect: Call) -> None:
        self._call, self._leader = effect, self.machine.leader

    def _note_state(self, effect: Entered) -> None:
        exp_ref = str(effect.exp_ref) if effect.exp_ref else None
        self.world.note(
            RigEntered(who=self.name, state=effect.state, exp_ref=exp_ref, failure=effect.failure)
        )

    def _note_refusal(self, effect: Denied) -> None:
        self.world.note(RigRefused(who=self.name, event=effect.event.name, reason=effect.reason))

    def _note_start(self) -> None:
        """Take down what an all-knowing bystander sees of a start."""
        call, leader = self._call, self._leader
        if call is None:
            return
        self.world.note(
            StartCalled(
                who=self.name,
                exp_ref=str(self.machine.exp_ref),
                leader=leader.address.host if leader is not None else None,
                planned=call.start_at,
                bound=self._doubt,
                waited=None if call.heard_at is None else self.now - call.heard_at,
                was_ready="initialise" not in call.hooks,
                armed=self.now - self._armed_at,
            )
        )

    @property
    def led_by(self) -> str | None:
        """Name of the PC that leads it now."""
        leader = self.machine.leader
        return self.world.computers[leader.address.host].name if leader is not None else None

    def forget_doubt(self) -> None:
        """Begin to wait for an instant."""
        self._doubt = None

    def note_doubt(self) -> None:
        """Note how well the clock is known on which an instant is waited for."""
        clock = self.node.peers.clock(self._leader.address) if self.node and self._leader else None
        reading = clock.read(self.now) if clock is not None else None
        if reading is not None:
            self._doubt = max(reading.bound, self._doubt or 0)


class _RigPc(computer.Computer):
    """What the rig's service sees of such a PC.

    Parameters
    ----------
    rig : RigComputer
        The PC.
    boot : str
        Id of this start of the program.
    """

    def __init__(self, rig: RigComputer, boot: str) -> None:
        self._rig = rig
        self._boot = boot
        self.read_clock = rig.read_clock  # type: ignore[method-assign]  # so often that a call more counts

    def draw(self, low: float, high: float) -> float:
        """Return what the PC's own dice say."""
        return self._rig.world.dice("rig", self._rig.name).uniform(low, high)

    def make_boot_id(self) -> str:
        """Return what the world has drawn."""
        return self._boot

    def read_wall_clock(self) -> datetime.datetime:
        """Return the time of day, which is the same on every PC."""
        return self._rig.noon + datetime.timedelta(microseconds=self._rig.world.time // 1000)

    def read_access(self) -> Access:
        """Return by what the PC tells who is of its lab."""
        return self._rig.access

    def open_storage(self, config: RigConfig) -> MemoryStorage:
        """Return the PC's disk."""
        world = self._rig.world
        return MemoryStorage(self._rig.disk, config.lab, lambda: world.time)

    def make_awake(self, why: str) -> Awake:
        """Return nothing that does anything: this PC never sleeps."""
        return _NeverAsleep(why)

    def make_collecting(
        self,
        config: RigConfig,
        rules: CollectRules | None,
        feed: Callable[[Gathered], None],
        warn: Callable[[str], None],
    ) -> Collecting:
        """Return what does nothing: nobody collects here."""
        return Collecting(CollectWorker(Path()), _NoSign(config.name), None, feed)

    def begin_thread(self, work: Callable[[], None], name: str) -> None:
        """Do it a little later."""
        asyncio.get_running_loop().run_in_executor(None, work)

    def keep_quiet(self) -> contextlib.AbstractContextManager[None]:
        """Have nothing to keep away."""
        return contextlib.nullcontext()

    async def wait_for_instant(self, find: Callable[[], int]) -> None:
        """Sleep until then, and look at the clock as often as the real one does."""
        rig = self._rig
        rig.forget_doubt()
        while True:
            left = find() - rig.now
            rig.note_doubt()
            if left <= 0:
                return
            await asyncio.sleep(min(left, LOOK_EVERY) / SECOND)


class _NoSign(RecordingSign):
    def put_up(self) -> None:
        """Do nothing."""

    def take_down(self) -> bool:
        """Do nothing."""
        return False


class _NeverAsleep(Awake):
    def keep(self, wanted: bool) -> None:
        """Do nothing."""
