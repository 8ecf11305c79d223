"""An acquisition program that obeys a script, and the adapter that drives it: the false lab's only device."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from multirig.errors import AdapterError
from multirig.protocol.events import SECOND
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Evidence
from multirig.rig.adapter import Adapter, File, Health, Picture, Session
from multirig.sim.disk import Disk, is_rehearsal
from multirig.sim.facts import (
    DeviceArmed,
    HookBegan,
    PicturesMade,
    PulseGiven,
    RecordingBegan,
    RecordingEnded,
    TimesFell,
)
from multirig.sim.scenario import RigPlan
from multirig.sim.world import World

STUCK_FOR = 8.0
"""A hook that does not notice that it was cancelled does its work so many seconds later."""
FRAME_EVERY = SECOND // 100
"""The device gives a hundred frames a second."""


class Device:
    """An acquisition program as it really is, whatever the rig's program thinks of it.

    Parameters
    ----------
    world : World
        Where it is.
    plan : RigPlan
        What its rig is like.
    disk : Disk
        Where it writes.
    """

    def __init__(self, world: World, plan: RigPlan, disk: Disk) -> None:
        self.pauses = dict(plan.pauses)
        self.collection = f"raw_{plan.name}_data"
        """Each rig has its own: what would overwrite another's on a server is let into no session."""
        self.cameras = tuple(f"camera {number + 1}" for number in range(plan.cameras))
        self.troubles: dict[str, str] = {}
        """What the next call of a hook will do: fail, hang or be stuck."""
        self.session: Session | None = None
        """What it records now."""
        self.has_broken = False
        """Whether the last recording has ended by itself."""
        self.is_stalled = False
        self._falls: Counter[ExpRef] = Counter()
        """How often times did not rise, by session."""
        self._world = world
        self._name = plan.name
        self._disk = disk
        self._picture = b"\xff\xd8\xff" + bytes(plan.picture - 3) if plan.picture else b""
        self._more_files = plan.files
        self._began = 0
        self._frames = 0

    @property
    def exp_ref(self) -> str | None:
        """What it records now."""
        return None if self.session is None else str(self.session.exp_ref)

    async def run(self, hook: str, session: Session) -> None:
        """Take as long for a hook as the script says, and fail where it says so."""
        self._world.note(
            HookBegan(
                who=self._name,
                hook=hook,
                exp_ref=str(session.exp_ref),
                is_rehearsal=is_rehearsal(session),
            )
        )
        trouble = self.troubles.pop(hook, "")
        if pause := self.pauses.get(hook, 0.0):
            await asyncio.sleep(pause)
        if trouble == "hang":
            await asyncio.Event().wait()
        if trouble == "stuck":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(STUCK_FOR)
        if trouble == "fail":
            raise AdapterError(f"the scripted failure of {hook}")

    def arm(self, session: Session) -> None:
        """Get ready."""
        self._world.note(DeviceArmed(who=self._name, exp_ref=str(session.exp_ref)))

    async def pulse(self, session: Session, seconds: float) -> None:
        """Raise the sync line and let it fall."""
        self._world.note(PulseGiven(who=self._name, folder=session.session_folder))
        await asyncio.sleep(seconds)

    def make_pictures(self) -> list[Picture]:
        """Show what its cameras see: nothing."""
        self._world.note(PicturesMade(who=self._name))
        return [Picture(label=label, jpeg=self._picture) for label in self.cameras]

    def begin(self, session: Session, *, resumed: bool = False) -> None:
        """Record.

        Raises
        ------
        AdapterError
            The disk is full.
        """
        if self._disk.is_full and not resumed:
            raise AdapterError("the disk is full: free some space")
        self.end("for another recording")
        self.session = session
        self.is_stalled = self.has_broken = False
        self._began, self._frames = self._world.time, 0
        self._disk.parts(session).append(0)
        self._world.note(RecordingBegan(who=self._name, exp_ref=str(session.exp_ref), resumed=resumed))

    def end(self, why: str) -> None:
        """Record no more."""
        session = self.session
        if session is not None:
            self._disk.parts(session)[-1] = self._frames = self.frames
            self.session = None
            self._world.note(
                RecordingEnded(
                    who=self._name,
                    exp_ref=str(session.exp_ref),
                    why=why,
                    is_rehearsal=is_rehearsal(session),
                )
            )

    def times_fall(self) -> None:
        """Give some frames times that are not later than the ones before."""
        if self.session is not None and not is_rehearsal(self.session):
            self._falls[self.session.exp_ref] += 1
            self._world.note(TimesFell(who=self._name, exp_ref=str(self.session.exp_ref)))

    def stall(self) -> None:
        """Give no more frames, and go on as if nothing was."""
        self._frames = self.frames
        self.is_stalled = True

    @property
    def frames(self) -> int:
        """Frames since the recording began."""
        if self.session is None or self.is_stalled:
            return self._frames
        return (self._world.time - self._began) // FRAME_EVERY

    def files(self, session: Session) -> list[File]:
        """Return what was recorded."""
        parts, falls = self._disk.parts(session), self._falls[session.exp_ref]
        found = [
            File(
                path=f"part{number}.csv",
                bytes=1000 * count,
                frames=count,
                evidence=Evidence(backwards=falls) if falls else None,
            )
            for number, count in enumerate(parts)
        ]
        more = range(self._more_files if any(parts) else 0)
        return [*found, *(File(path=f"{self._name} {one:04}.csv", bytes=1000, frames=1) for one in more)]


class ScriptedAdapter(Adapter):
    """Drives the device; of one program.

    Parameters
    ----------
    device : Device
        Which it drives.
    resumes : bool
        Whether it goes on after a restart.
    on_start : callable
        Called when the device is to start.
    """

    def __init__(self, device: Device, *, resumes: bool, on_start: Callable[[], None]) -> None:
        super().__init__()
        self.resumes = resumes  # type: ignore[misc]  # of a class elsewhere, here of a rig
        self.collection = device.collection
        self._device = device
        self._on_start = on_start
        self._breaking: asyncio.Future[None] | None = None

    async def initialise(self) -> None:
        """Open the device."""
        await self._device.run("initialise", self.session)

    async def arm(self) -> None:
        """Get ready to start."""
        await self._device.run("arm", self.session)
        self._device.arm(self.session)

    async def start(self) -> None:
        """Record."""
        self._on_start()
        await self._device.run("start", self.session)
        self._device.begin(self.session)

    async def resume(self) -> None:
        """Record again."""
        await self._device.run("resume", self.session)
        self._device.begin(self.session, resumed=True)

    async def stop(self) -> None:
        """Record no more."""
        await self._device.run("stop", self.session)
        self._device.end("by stop")

    async def cleanup(self) -> None:
        """Let go of the device."""
        await self._device.run("cleanup", self.session)
        self._device.end("by cleanup")

    async def watch(self) -> None:
        """Wait until the device ends by itself."""
        if not self._device.has_broken:
            self._breaking = asyncio.get_running_loop().create_future()
            await self._breaking
        raise AdapterError("the device failed by itself")

    def notice_break(self) -> None:
        """Learn that the device has ended by itself."""
        if self._breaking is not None and not self._breaking.done():
            self._breaking.set_result(None)

    async def pulse(self, seconds: float) -> None:
        """Give a sync pulse."""
        await self._device.pulse(self.session, seconds)

    def pictures(self) -> list[Picture]:
        """Return what the device's cameras see."""
        return self._device.make_pictures()

    def picture_labels(self) -> Sequence[str]:
        """Return the labels of the device's cameras."""
        return self._device.cameras

    def health(self) -> Health:
        """Return its proof of recording."""
        frames = self._device.frames
        return Health(frames=frames, bytes=1000 * frames, dropped=0, rate=100.0)

    def files(self) -> list[File]:
        """Return what was recorded."""
        return self._device.files(self.session)
