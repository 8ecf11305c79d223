"""The adapter: the keys of the rig config, and the hooks of a session."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from multirig.errors import AdapterError, ConfigError
from multirig.lifecycle.owners import EVERYTHING
from multirig.rig.adapter import Adapter, File, Finding, Health, Level, below
from multirig.rig.adapters.process.family import Family, end_family, wait_gone
from multirig.rig.adapters.process.orphan import Foreign, Started, find_strangers, forget, recall
from multirig.rig.adapters.process.placeholders import check_placeholders, fill_placeholders
from multirig.rig.adapters.process.program import POLL, find_program, name_program
from multirig.rig.adapters.process.run import Run
from multirig.rig.adapters.process.stopping import (
    StopBy,
    StopByDatagram,
    StopByOsc,
    StopBySignal,
    StopByText,
    ask,
)
from multirig.rig.inspection import list_recorded_files
from multirig.rig.keepsake import Keepsake, Left

# with the types of its keys: the reference is drawn from the module in which an adapter stands
__all__ = ["Process", "StopByDatagram", "StopByOsc", "StopBySignal", "StopByText"]

log = logging.getLogger("multirig.rig")

MORE = 5.0
"""Seconds beside those that the program is allowed, for what is to be done before and after."""
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def check_patterns(patterns: list[str]) -> list[str]:
    """Return patterns of files in a collection, else raise ValueError."""
    for one in patterns:
        if not one or one.startswith("/") or "\\" in one or ":" in one or ".." in one.split("/"):
            raise ValueError(
                f"{one!r} names no files in the collection: write them as 'video*.avi', with forward slashes"
            )
    return patterns


@dataclass(kw_only=True)
class Process(Adapter):
    """Run any program for the time of a session.

    `command`, `working_folder` and the values of `environment` may hold ``{exp_ref}``, ``{subject}``,
    ``{date}``, ``{sequence}``, ``{session_folder}``, ``{folder}`` and ``{python}`` (the rig's interpreter)
    with a format where one is wanted (``{sequence:03d}``, ``{date:%Y%m%d}``); a literal brace is doubled.

    Raises
    ------
    ConfigError
        The command is empty, a placeholder is unknown, `progress` has neither a group ``frames`` nor a group
        ``dropped``, or `writes` names files outside of the collection.
    """

    command: list[str]
    """The program and its arguments, one an entry; no shell comes between."""
    start_on: Literal["init", "start"] = "start"
    """Whether the program is started when the rig gets ready or when recording starts."""
    stop_by: StopBy | None = None
    """How to ask it to stop; None closes its standard input and interrupts it half of `grace` later."""
    grace: Seconds = 10.0
    """Seconds that it, and what it started, gets to stop before it is killed."""
    ready: re.Pattern[str] | None = None
    """Found in a line of its output: the program is ready. The program must flush that line."""
    ready_limit: Seconds = 30.0
    """Seconds to wait for `ready`."""
    settle: Seconds = 0.2
    """Without `ready`: seconds that the program must stay alive to count as started."""
    progress: re.Pattern[str] | None = None
    """Found in a line of its output: the group ``frames`` is the number of frames so far, the
    group ``dropped`` that of frames that it has lost."""
    failure: re.Pattern[str] | None = None
    """Found in a line of its output: it has failed, whatever its exit code (Bonsai's is always 0)."""
    writes: Annotated[list[str], AfterValidator(check_patterns)] = field(default_factory=lambda: [EVERYTHING])
    """Which files in its collection are its own, where several rigs write there: ``['video*.avi']``. A whole
    name, without ``*``, must be there at the end. An empty list: it keeps its data elsewhere, where nothing
    of them is counted or checked."""
    ok_exit_codes: list[int] = field(default_factory=lambda: [0])
    """Exit codes that are no failure; on POSIX the code of a program ended by signal N is -N."""
    may_end: bool = False
    """Whether it may end by itself, with an exit code that is no failure, while recording goes on."""
    environment: dict[str, str] = field(default_factory=dict)
    """Added to the environment of the rig."""
    working_folder: str | None = None
    """Where the program runs; None where the rig runs."""

    def __post_init__(self) -> None:
        if not self.command:
            raise ConfigError("command is empty: give the program and its arguments as a list")
        check_placeholders("command", self.command)
        check_placeholders("environment", self.environment.values())
        check_placeholders("working_folder", [self.working_folder or ""])
        if self.progress is not None and not {"frames", "dropped"} & self.progress.groupindex.keys():
            raise ConfigError(r"progress has no group named frames: write it as (?P<frames>\d+)")
        self.keepsake: Keepsake | None = None
        """Where it keeps which program it has started; None: nowhere."""
        self._run: Run | None = None
        self._ended: list[Started] = []
        """What an earlier session had left, and was ended before this one."""

    def check(self) -> None:
        """Find the program, unless its name depends on the session."""
        program = self.command[0].replace("{python}", sys.executable)
        if "{" not in program:
            find_program(program)

    def least_limits(self) -> Mapping[str, float]:
        """Return for how long the program is waited for, until it is ready and until it has ended."""
        step = "initialise" if self.start_on == "init" else "start"
        waits = {step: self.ready_limit + MORE} if self.ready is not None else {}
        return {**waits, "stop": self.grace + MORE}

    async def initialise(self) -> None:
        """Find the program; start it if it starts on INIT."""
        await asyncio.to_thread(find_program, self.fill(self.command[0]))
        if self._run is not None and self._run.is_closed:
            self._run = None
        await self.end_orphan()
        if self.start_on == "init":
            await self._launch()

    async def take_back(self) -> bool:
        """Go on with the program of this session, where it has gone on without this rig's own one."""
        orphans = await asyncio.to_thread(recall, self.keepsake)
        orphan = next((one for one in orphans if one.folder == str(self.session.folder)), None)
        if orphan is None:
            return False
        self._run = Run(self, orphan)
        await self._run.wait_ready()
        return True

    def find_left(self) -> Left:
        """Return which programs still run and are watched by nobody."""
        own = recall(self.keepsake) if self._run is None or self._run.is_closed else []
        others = tuple(
            f"{one} by rig {one.rig}, still runs and is watched by nobody: start that rig again, or end "
            f"process {one.pid} by hand"
            for one in find_strangers(self.keepsake)
        )
        if not own:
            return Left(others=others)
        return Left(own="; ".join(map(str, own)), exp_ref=own[0].session, others=others)

    async def start(self) -> None:
        """Start the program, or check that it still runs; return when it is ready."""
        await self._launch()

    async def stop(self) -> None:
        """Ask the program to stop; kill it, and all that it started, when it does not."""
        if self._run is not None and not self._run.is_closed:
            await self._run.close()

    async def cleanup(self) -> None:
        """End the program if it still runs."""
        try:
            await self.stop()
        finally:
            if self._run is not None and self._run.is_closed:
                self._run = None
                self._ended = []
        await self.end_orphan()

    async def watch(self) -> None:
        """Raise as soon as the program fails or ends by itself."""
        while True:
            if self._run is not None and not self._run.is_asked:
                self._run.check()
            await asyncio.sleep(POLL)

    def health(self) -> Health:
        """Return what the program said of its progress, and the bytes in its folder."""
        if self._run is None:
            return Health()
        progress = self._run.progress
        return Health(
            frames=progress.frames,
            rate=progress.measure_rate(),
            bytes=self._run.bytes,
            dropped=progress.dropped,
        )

    def findings(self) -> Sequence[Finding]:
        """Return what was seen of the program, which goes on all the same."""
        if self._run is None:
            return ()
        ended = [
            Finding(
                level=Level.NOTE,
                kind="orphan",
                text=f"{one}, still ran, watched by nobody: it was ended before this session",
                at=0.0,
                until=0.0,
            )
            for one in self._ended
        ]
        return [*ended, *self._run.find()]

    def owns(self) -> Sequence[str]:
        """Return what it writes, by its config."""
        return [below(self.collection, one) for one in self.writes]

    def files(self) -> list[File]:
        """Return what was written; tables on this PC's clock tell what they hold."""
        return list_recorded_files(self.session, self.owns())

    def describe(self) -> Mapping[str, Any]:
        """Return the program's name."""
        return {"program": name_program(self.command[0].replace("{python}", sys.executable))}

    def fill(self, text: str) -> str:
        """Return the text with the present session in place of its placeholders."""
        return fill_placeholders(text, self.session)

    async def end_orphan(self) -> None:
        """End what an earlier life of this rig's program has left: there is never a second recorder."""
        if self._run is not None:
            return
        orphans = await asyncio.to_thread(recall, self.keepsake)
        for orphan in orphans:
            process, family = Foreign(orphan), Family(orphan.pid)
            log.warning("%s still runs: it is ended", orphan)
            with suppress(OSError):  # it cannot be asked: nothing to wait for
                await ask(self.stop_by, process, family, self.grace)
                await wait_gone(process, family, time.perf_counter() + self.grace)
            if not await end_family(process, family):
                raise AdapterError(f"{orphan} still runs and cannot be killed: end it by hand")
            forget(self.keepsake, orphan.pid)
            self._ended.append(orphan)

    async def _launch(self) -> None:
        if self._run is not None and self._run.session.folder != self.session.folder:
            await self._run.close()
        if self._run is None or self._run.is_closed:
            # made before anything is awaited: from here on stop() knows of it
            self._run = Run(self)
        run = self._run
        try:
            await run.wait_ready()
        except AdapterError:
            await run.close(by_force=True)
            raise
