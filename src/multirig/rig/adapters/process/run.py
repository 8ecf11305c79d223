"""One started program, from its start until it has gone."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from multirig.errors import AdapterError, why_not
from multirig.rig.adapter import Finding, Level, list_files
from multirig.rig.adapters.process.family import Family, end_family, wait_gone
from multirig.rig.adapters.process.orphan import Foreign, Started, find_birth, forget, remember
from multirig.rig.adapters.process.output import Look, Outputs
from multirig.rig.adapters.process.program import (
    POLL,
    UNKNOWN_CODE,
    Program,
    describe_exit_code,
    find_program,
    name_program,
)
from multirig.rig.adapters.process.progress import Progress
from multirig.rig.adapters.process.stopping import ask
from multirig.wording import discreet

if TYPE_CHECKING:
    # the adapter makes runs: at run time only it knows of the other
    from multirig.rig.adapters.process.adapter import Process

log = logging.getLogger("multirig.rig")

SCAN = 0.5
"""Seconds between two counts of the bytes in the folder; a network drive may be slow to tell."""

QUIET = 10.0
"""Seconds for which a program may write nothing at all before that is told."""
KIND = "program"
"""Of what is found of it."""

MAX_QUOTE = 200
"""Characters of a program's line that go into an error message, which is one line too."""

if sys.platform == "win32":
    # Ctrl-Break goes to a group: without one of its own the rig would get it too
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0


class Run:
    """The program from its start until it, and all that it started, have gone."""

    def __init__(self, adapter: Process, orphan: Started | None = None) -> None:
        self.session = adapter.session
        self.is_asked = False
        """Whether it was asked to stop: from then on its end is no failure of the recording."""
        self.is_closed = False
        """Whether it has ended, with all that it started."""
        self.progress = Progress()
        self.bytes = 0
        self._adapter = adapter
        self._command = [adapter.fill(text) for text in adapter.command]
        self._environment = {name: adapter.fill(text) for name, text in adapter.environment.items()}
        self._working_folder = adapter.fill(adapter.working_folder) if adapter.working_folder else None
        self._name = name_program(self._command[0])
        self._outputs = Outputs(
            self.session,
            self._name,
            ready=adapter.ready,
            progress=adapter.progress,
            failure=adapter.failure,
        )
        self._log = self._outputs.log
        self._is_ready = False
        self._ready_at: float | None = None
        """When that was: seconds on the conductor's clock."""
        self._failure: str | None = None
        self._exit_code: int | None = None
        self._ended_first = False
        self._told: str | None = None
        self._process: Program | None = None
        self._taken_back_at: int | None = None
        """When it was found that had gone on by itself; ns of this PC's clock."""
        self._family: Family | None = None
        self._following: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[str | None] | None = None
        # a task of its own: a start that is cancelled in its middle still leaves a process that can be ended
        self._spawning = asyncio.create_task(self._spawn() if orphan is None else self._adopt(orphan))

    async def wait_ready(self) -> None:
        """Return once the program is ready; raise AdapterError when it will not be."""
        await asyncio.shield(self._spawning)
        ready = self._adapter.ready
        limit = self._adapter.settle if ready is None else self._adapter.ready_limit
        deadline = time.perf_counter() + limit
        while True:
            if self.is_asked:
                raise AdapterError(f"{self._name} was stopped while it started")
            self.check()
            if self._is_ready:
                break
            if ready is not None and self._exit_code is not None:
                self._tell(f"{self._name} ended before it was ready; see {self._log}")
            if time.perf_counter() >= deadline:
                if ready is None:
                    break
                self._tell(
                    f"{self._name} was not ready within {limit:g} s: no line of its output matched "
                    f"{ready.pattern!r}; see {self._log}"
                )
            await asyncio.sleep(POLL)
        self._is_ready = True
        self._ready_at = self._ready_at or self._read_session_time()

    def check(self) -> None:
        """Raise AdapterError if the recording has failed."""
        problem = self._find_problem()
        if problem is not None:
            self._tell(problem)

    async def close(self, *, by_force: bool = False) -> None:
        """End the program and all that it started; raise AdapterError for what was not told before.

        The first call decides how. A caller that is cancelled does not cancel the ending.
        """
        if self._closing is None:
            self._ended_first = self._process is not None and self._process.returncode is not None
            self.is_asked = True
            self._closing = asyncio.create_task(self._end(by_force=by_force))
        problem = await asyncio.shield(self._closing)
        if problem is not None and problem != self._told:
            self._tell(problem)

    def _tell(self, problem: str) -> NoReturn:
        self._told = problem
        raise AdapterError(problem)

    def _find_problem(self) -> str | None:
        if self._following is not None and self._following.done() and not self._following.cancelled():
            error = self._following.exception()
            if error is not None:
                return f"the output of {self._name} cannot be followed: {error}; see {self._log}"
        if self._failure is not None or self._exit_code is None:
            return self._failure
        is_by_itself = self._ended_first or not self.is_asked
        ended = f"{self._name} ended by itself" if is_by_itself else f"{self._name} ended"
        if self._exit_code not in (*self._adapter.ok_exit_codes, UNKNOWN_CODE):
            said = f": {discreet(self._outputs.last_error)[:MAX_QUOTE]!r}" if self._outputs.last_error else ""
            hint = "" if is_by_itself else " (if it always ends so when asked, add that to ok_exit_codes)"
            return (
                f"{ended} with exit code {describe_exit_code(self._exit_code)}{said}; see {self._log}{hint}"
            )
        if is_by_itself and not self._adapter.may_end:
            return f"{ended} (exit code {describe_exit_code(self._exit_code)}); see {self._log}"
        return None

    async def _spawn(self) -> None:
        if self._working_folder is not None and not await asyncio.to_thread(
            Path(self._working_folder).is_dir
        ):
            raise AdapterError(
                f"working_folder {self._working_folder} does not exist: make it, or name another"
            )
        program = await asyncio.to_thread(find_program, self._command[0])
        with ExitStack() as logs:
            try:
                stdout, stderr = await asyncio.to_thread(self._outputs.open, logs)
            except OSError as error:
                self._outputs.close()
                raise AdapterError(
                    f"cannot write {error.filename}: {why_not(error)}; check the data folder"
                ) from error
            # The program writes its logs by itself: no flood can fill a pipe, and its words outlive the rig.
            # Its standard input stays open until it is asked to stop: many programs end with it.
            try:
                self._process = await asyncio.create_subprocess_exec(
                    program,
                    *self._command[1:],
                    stdin=asyncio.subprocess.PIPE,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=self._working_folder,
                    env={**os.environ, **self._environment},
                    creationflags=_CREATION_FLAGS,
                    # not on Windows: keeps Ctrl-C at the rig's terminal away from it, and marks its orphans
                    start_new_session=True,
                )
            except OSError as error:
                self._outputs.close()
                raise AdapterError(
                    f"program {program} cannot be run: {why_not(error)}; check command"
                ) from error
        pid = self._process.pid
        remember(
            self._adapter.keepsake,
            Started(
                pid=pid,
                birth=find_birth(pid) or "",
                name=self._name,
                exp_ref=str(self.session.exp_ref),
                folder=str(self.session.folder),
                logs=self._outputs.began_at,
            ),
        )
        self._family = Family(pid)
        self._following = asyncio.create_task(self._follow(self._process, self._family))

    async def _adopt(self, orphan: Started) -> None:
        """Go on with a program that has gone on by itself since this rig's own program had died."""
        await asyncio.to_thread(self._outputs.reopen, orphan.logs)
        remember(self._adapter.keepsake, orphan)  # this program watches it from now on
        self._is_ready, self._taken_back_at = True, time.perf_counter_ns()
        self._process, self._family = Foreign(orphan), Family(orphan.pid)
        self._following = asyncio.create_task(self._follow(self._process, self._family))

    async def _follow(self, process: Program, family: Family) -> None:
        """Take in what the program says and writes, until its end."""
        scan_due = time.perf_counter()
        try:
            while True:
                # asked before the output is read, so that nothing said before the end is missed
                code = process.returncode
                now = time.perf_counter()
                if now >= scan_due:
                    scan_due = now + SCAN
                    self.bytes = await asyncio.to_thread(self._count_bytes)
                look = await asyncio.to_thread(self._outputs.read, is_final=code is not None)
                self._take_in(look)
                if look.has_more:
                    continue
                if code is not None:
                    self._exit_code = code
                    return
                await asyncio.sleep(POLL)
        except asyncio.CancelledError:
            # the event loop is closing and nobody has stopped the program: it must not run on unseen
            family.kill()
            raise
        finally:
            self._outputs.close()

    def find(self) -> list[Finding]:
        """Return what was seen of it, and is no failure."""
        now, began = self._read_session_time(), self._ready_at
        if began is None:
            return []
        found = list(self._find_orphaned())
        if not self._adapter.writes:
            text = (
                "keeps its data elsewhere (writes: [] in its config): nothing of them is counted or checked"
            )
            return [*found, Finding(level=Level.NOTE, kind=KIND, text=text, at=began, until=began)]
        if self.bytes or self.is_asked or now - began < QUIET:
            return found
        text = (
            f"has written nothing into {self.session.folder} for {now - began:.0f} s: "
            "does it save elsewhere, or at its end?"
        )
        return [*found, Finding(level=Level.NOTE, kind=KIND, text=text, at=began)]

    def _find_orphaned(self) -> Iterator[Finding]:
        if (at := self._taken_back_at) is not None:
            when = self.session.to_session_time(at) / 1e9
            text = (
                f"its own program had died; {self._name} recorded on meanwhile and was taken back: its exit "
                "code will not be known, and no line can be sent to its input"
            )
            yield Finding(level=Level.NOTE, kind="orphan", text=text, at=when, until=when)

    def _read_session_time(self) -> float:
        """Return seconds on the conductor's clock."""
        return self.session.to_session_time(time.perf_counter_ns()) / 1e9

    def _count_bytes(self) -> int:
        """Return the bytes of all that it has written; waits for the disk."""
        return sum(one.bytes for one in list_files(self.session, self._adapter.owns()))

    def _take_in(self, look: Look) -> None:
        self._is_ready |= look.is_ready
        if look.failure is not None and self._failure is None:
            said = discreet(look.failure)[:MAX_QUOTE]
            self._failure = f"{self._name} reported {said!r}; see {look.failure_log}"
        if look.dropped is not None:
            self.progress.add_dropped(look.dropped)
        if look.frames is not None:
            self.progress.add(look.frames)

    async def _end(self, *, by_force: bool) -> str | None:
        """End everything, and return what went wrong."""
        await asyncio.wait({self._spawning})
        if self._process is None or self._family is None or self._following is None:
            # its start was the failure, and told
            self.is_closed = True
            return None
        trouble = None if by_force else await self._end_politely(self._process, self._family)
        if await end_family(self._process, self._family):
            await asyncio.wait({self._following})
            forget(self._adapter.keepsake, self._process.pid)
        else:
            self._following.cancel()
            trouble = f"{self._name} cannot be killed: end process {self._process.pid} by hand"
        self.bytes = await asyncio.to_thread(self._count_bytes)
        self.is_closed = True
        return trouble if trouble is not None or by_force else self._find_problem()

    async def _end_politely(self, process: Program, family: Family) -> str | None:
        """Ask the program to stop, and give it its grace; return why something has to be killed, if so."""
        grace = self._adapter.grace
        deadline = time.perf_counter() + grace
        # looked up while the parents live: later, on Windows, nobody knows whose a child was
        living = await asyncio.to_thread(family.find)
        refusal: OSError | None = None
        try:
            # what it had started may still record when the program itself has crashed
            if process.returncode is None or living:
                await ask(self._adapter.stop_by, process, family, grace)
        except OSError as error:
            refusal = error
            log.warning("%s cannot be asked to stop: %s", self._name, error)
            if process.stdin is not None:
                process.stdin.close()  # many a program ends with its input
        if await wait_gone(process, family, deadline):
            return None
        if refusal is not None and process.returncode is None:
            return (
                f"{self._name} could not be asked to stop ({refusal}) and was killed after {grace:g} s: "
                "check stop_by"
            )
        if process.returncode is None:
            return (
                f"{self._name} did not stop within {grace:g} s and was killed: its last data may be missing; "
                "give it a longer grace or another stop_by"
            )
        return (
            f"{self._name} stopped, but what it had started did not within {grace:g} s and was killed: "
            "its last data may be missing; give it a longer grace"
        )
