"""Any program as a rig: started, watched by its output, asked to stop, and ended for certain."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NoReturn, TypeAlias

import psutil
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from multirig.errors import AdapterError, ConfigError
from multirig.rig.adapter import Adapter, Health, RecordedFile
from multirig.rig.inspection import list_recorded_files
from multirig.rig.osc import encode_osc

POLL = 0.02
"""Seconds between two looks at a program and its output: a tick of Windows' clock, and nothing to a CPU."""

SCAN = 0.5
"""Seconds between two counts of the bytes in the folder; a network drive may be slow to tell."""

RATE_WINDOW = 2.0
"""Seconds over which the rate is taken; programs report their progress about once a second."""

TERMINATE_LIMIT = 2.0
"""Seconds between SIGTERM and SIGKILL."""

KILL_LIMIT = 5.0
"""Seconds that the system gets to bury a killed program: it may have to write back what was open."""

CHUNK = 1 << 18
"""Bytes of output read at a time, few enough that other threads get their turn between two."""

MAX_LINE = 1 << 16
"""Bytes without a line end after which a line is taken as it is, so that a binary flood needs no memory."""

MAX_QUOTE = 200
"""Characters of a program's line that go into an error message, which is one line too."""

HEX_FROM = 1 << 16
"""Exit codes from here on are Windows' own (0xc0000005) and are looked up in hexadecimal."""

_SAMPLES: dict[str, object] = {
    "exp_ref": "2024-05-06_1_mouse",
    "subject": "mouse",
    "date": date(2024, 5, 6),
    "sequence": 1,
    "session_folder": "session",
    "folder": "folder",
    "python": "python",
}
"""The placeholders, with a value of each one's type to try a text on."""

if sys.platform == "win32":
    # Ctrl-Break goes to a group: without one of its own the rig would get it too
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0

Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Way(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StopByText(_Way):
    """A line on the program's standard input."""

    stdin: str
    """The line, without its end."""


class StopBySignal(_Way):
    """A signal to the program and what it started, as from a terminal; Windows knows only Ctrl-Break."""

    signal: Literal["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]
    """Its name; on Windows every name means Ctrl-Break."""


class StopByOsc(_Way):
    """An Open Sound Control message over UDP, which a Bonsai workflow can wait for."""

    osc: str
    """Address, beginning with a slash."""
    args: list[StrictInt | StrictFloat | StrictStr] = []
    """Arguments of the message."""
    host: str = "127.0.0.1"
    port: Port

    @model_validator(mode="after")
    def _encodes(self) -> StopByOsc:
        encode_osc(self.osc, self.args)
        return self


class StopByDatagram(_Way):
    """A text over UDP, exactly as given."""

    udp: str
    host: str = "127.0.0.1"
    port: Port


def _name_way(value: object) -> str | None:
    for way in ("stdin", "signal", "osc", "udp"):
        if way in value if isinstance(value, Mapping) else hasattr(value, way):
            return way
    return None


StopBy: TypeAlias = Annotated[
    Annotated[StopByText, Tag("stdin")]
    | Annotated[StopBySignal, Tag("signal")]
    | Annotated[StopByOsc, Tag("osc")]
    | Annotated[StopByDatagram, Tag("udp")],
    Discriminator(
        _name_way,
        custom_error_type="stop_by",
        custom_error_message=(
            "give one of {stdin: TEXT}, {signal: SIGINT}, {osc: /ADDRESS, port: N}, {udp: TEXT, port: N}"
        ),
    ),
]


@dataclass(kw_only=True)
class Process(Adapter):
    """Run any program for the time of a session.

    `command`, `working_folder` and the values of `environment` may hold ``{exp_ref}``, ``{subject}``,
    ``{date}``, ``{sequence}``, ``{session_folder}``, ``{folder}`` and ``{python}`` (the rig's interpreter)
    with a format where one is wanted (``{sequence:03d}``, ``{date:%Y%m%d}``); a literal brace is doubled.

    Raises
    ------
    ConfigError
        The command is empty, a placeholder is unknown, or `progress` has no group ``frames``.
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
    """Found in a line of its output: the group ``frames`` is the number of frames so far."""
    failure: re.Pattern[str] | None = None
    """Found in a line on its stderr: it has failed, whatever its exit code (Bonsai's is always 0)."""
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
        _check_placeholders("command", self.command)
        _check_placeholders("environment", self.environment.values())
        _check_placeholders("working_folder", [self.working_folder or ""])
        if self.progress is not None and "frames" not in self.progress.groupindex:
            raise ConfigError(r"progress has no group named frames: write it as (?P<frames>\d+)")
        self._run: _Run | None = None

    async def initialise(self) -> None:
        """Find the program; start it if it starts on INIT."""
        await asyncio.to_thread(_find_program, self.fill(self.command[0]))
        if self._run is not None and self._run.is_closed:
            self._run = None
        if self.start_on == "init":
            await self._launch()

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
        return Health(frames=self._run.frames, rate=self._run.measure_rate(), bytes=self._run.bytes)

    def files(self) -> list[RecordedFile]:
        """Return what was written; tables on this PC's clock tell what they hold."""
        return list_recorded_files(self.session)

    def describe(self) -> Mapping[str, Any]:
        """Return the program's name."""
        return {"program": _name_program(self.command[0].replace("{python}", sys.executable))}

    def fill(self, text: str) -> str:
        """Return the text with the present session in place of its placeholders."""
        values: dict[str, object] = {
            "exp_ref": str(self.session.exp_ref),
            "subject": self.session.exp_ref.subject,
            "date": self.session.exp_ref.date,
            "sequence": self.session.exp_ref.sequence,
            "session_folder": str(self.session.session_folder),
            "folder": str(self.session.folder),
            "python": sys.executable,
        }
        return text.format_map(values)

    async def _launch(self) -> None:
        if self._run is not None and self._run.folder != self.session.folder:
            await self._run.close()
        if self._run is None or self._run.is_closed:
            # made before anything is awaited: from here on stop() knows of it
            self._run = _Run(self)
        run = self._run
        try:
            await run.wait_ready()
        except AdapterError:
            await run.close(by_force=True)
            raise


class _Run:
    """The program from its start until it, and all that it started, have gone."""

    def __init__(self, adapter: Process) -> None:
        self.folder = adapter.session.folder
        self.is_asked = False
        """Whether it was asked to stop: from then on its end is no failure of the recording."""
        self.is_closed = False
        """Whether it has ended, with all that it started."""
        self.frames: int | None = None
        self.bytes = 0
        self._adapter = adapter
        self._command = [adapter.fill(text) for text in adapter.command]
        self._environment = {name: adapter.fill(text) for name, text in adapter.environment.items()}
        self._working_folder = adapter.fill(adapter.working_folder) if adapter.working_folder else None
        self._name = _name_program(self._command[0])
        self._outputs: list[_Output] = []
        self._progress: deque[tuple[float, int]] = deque()
        self._is_ready = False
        self._failure: str | None = None
        self._exit_code: int | None = None
        self._ended_first = False
        self._told: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._family: _Family | None = None
        self._following: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[str | None] | None = None
        # a task of its own: a start that is cancelled in its middle still leaves a process that can be ended
        self._spawning = asyncio.create_task(self._spawn())

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
                return
            if ready is not None and self._exit_code is not None:
                self._tell(f"{self._name} ended before it was ready; see {self._log}")
            if time.perf_counter() >= deadline:
                break
            await asyncio.sleep(POLL)
        if ready is not None:
            self._tell(
                f"{self._name} was not ready within {limit:g} s: no line of its output matched "
                f"{ready.pattern!r}; see {self._log}"
            )
        self._is_ready = True

    def check(self) -> None:
        """Raise AdapterError if the recording has failed."""
        problem = self._find_problem()
        if problem is not None:
            self._tell(problem)

    def measure_rate(self) -> float | None:
        """Return frames per second over the last seconds; 0 once no more come, None before two reports."""
        if len(self._progress) < 2:
            return None
        (first_time, first), (before_time, _) = self._progress[0], self._progress[-2]
        last_time, last = self._progress[-1]
        # a program may report less often than this looks back
        patience = max(RATE_WINDOW, 2 * (last_time - before_time))
        if time.perf_counter() > last_time + patience:
            return 0.0
        return (last - first) / (last_time - first_time)

    async def close(self, by_force: bool = False) -> None:
        """End the program and all that it started; raise AdapterError for what was not told before.

        The first call decides how. A caller that is cancelled does not cancel the ending.
        """
        if self._closing is None:
            self._ended_first = self._process is not None and self._process.returncode is not None
            self.is_asked = True
            self._closing = asyncio.create_task(self._end(by_force))
        problem = await asyncio.shield(self._closing)
        if problem is not None and problem != self._told:
            self._tell(problem)

    @property
    def _log(self) -> Path:
        return self._get_log("stderr")

    def _get_log(self, stream: str) -> Path:
        return self.folder / f"_multirig_{self._name}.{stream}.log"

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
        if self._exit_code not in self._adapter.ok_exit_codes:
            said = f": {self._outputs[1].last_line[:MAX_QUOTE]!r}" if self._outputs[1].last_line else ""
            hint = "" if is_by_itself else " (if it always ends so when asked, add that to ok_exit_codes)"
            return (
                f"{ended} with exit code {_describe_exit_code(self._exit_code)}{said}; see {self._log}{hint}"
            )
        if is_by_itself and not self._adapter.may_end:
            return f"{ended} (exit code {self._exit_code}); see {self._log}"
        return None

    async def _spawn(self) -> None:
        if self._working_folder is not None and not await asyncio.to_thread(
            Path(self._working_folder).is_dir
        ):
            raise AdapterError(
                f"working_folder {self._working_folder} does not exist: make it, or name another"
            )
        program = await asyncio.to_thread(_find_program, self._command[0])
        with ExitStack() as logs:
            try:
                stdout, stderr = await asyncio.to_thread(self._open_logs, logs)
            except OSError as error:
                self._close_outputs()
                raise AdapterError(
                    f"cannot write {error.filename}: {error.strerror}; check the data folder"
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
                self._close_outputs()
                raise AdapterError(
                    f"program {program} cannot be run: {error.strerror}; check command"
                ) from error
        self._family = _Family(self._process.pid)
        self._following = asyncio.create_task(self._follow(self._process, self._family))

    def _open_logs(self, logs: ExitStack) -> list[BinaryIO]:
        """Open what the program writes its stdout and stderr to, and read behind it; waits for the disk."""
        opened: list[BinaryIO] = []
        for stream in ("stdout", "stderr"):
            path = self._get_log(stream)
            # appended to: a second start within a session must not lose what the first one said
            opened.append(logs.enter_context(path.open("ab", buffering=0)))
            self._outputs.append(_Output(path))
        return opened

    def _close_outputs(self) -> None:
        for output in self._outputs:
            output.close()

    async def _follow(self, process: asyncio.subprocess.Process, family: _Family) -> None:
        """Take in what the program says and writes, until its end."""
        scan_due = time.perf_counter()
        try:
            while True:
                # asked before the output is read, so that nothing said before the end is missed
                code = process.returncode
                now = time.perf_counter()
                if now >= scan_due:
                    scan_due = now + SCAN
                    self.bytes = await asyncio.to_thread(_count_bytes, self.folder)
                look = await asyncio.to_thread(self._read_outputs, code is not None)
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
            self._close_outputs()

    def _read_outputs(self, is_final: bool) -> _Look:
        """Return what the program said since the last look; waits for the disk."""
        adapter = self._adapter
        stdout, stderr = self._outputs
        look = _Look()
        for output in (stdout, stderr):
            for line in output.read_lines(is_final):
                if adapter.ready is not None and adapter.ready.search(line):
                    look.is_ready = True
                if adapter.progress is not None and (match := adapter.progress.search(line)):
                    with suppress(TypeError, ValueError):
                        look.frames = int(match["frames"])
                if output is stderr and adapter.failure is not None and adapter.failure.search(line):
                    look.failure = look.failure or line
            look.has_more |= output.has_more
        return look

    def _take_in(self, look: _Look) -> None:
        self._is_ready |= look.is_ready
        if look.failure is not None and self._failure is None:
            self._failure = f"{self._name} reported {look.failure[:MAX_QUOTE]!r}; see {self._log}"
        if look.frames is not None:
            now = time.perf_counter()
            if self.frames is not None and look.frames < self.frames:
                self._progress.clear()
            self.frames = look.frames
            self._progress.append((now, look.frames))
            while len(self._progress) > 2 and self._progress[1][0] < now - RATE_WINDOW:
                self._progress.popleft()

    async def _end(self, by_force: bool) -> str | None:
        """End everything, and return what went wrong."""
        await asyncio.wait({self._spawning})
        if self._process is None or self._family is None or self._following is None:
            # its start was the failure, and told
            self.is_closed = True
            return None
        trouble = None if by_force else await self._end_politely(self._process, self._family)
        if await self._kill(self._process, self._family):
            await asyncio.wait({self._following})
        else:
            self._following.cancel()
            trouble = f"{self._name} cannot be killed: end process {self._process.pid} by hand"
        self.bytes = await asyncio.to_thread(_count_bytes, self.folder)
        self.is_closed = True
        return trouble if trouble is not None or by_force else self._find_problem()

    async def _end_politely(self, process: asyncio.subprocess.Process, family: _Family) -> str | None:
        """Ask the program to stop, and give it its grace; return why something has to be killed, if so."""
        grace = self._adapter.grace
        deadline = time.perf_counter() + grace
        # looked up while the parents live: later, on Windows, nobody knows whose a child was
        living = await asyncio.to_thread(family.find)
        try:
            # what it had started may still record when the program itself has crashed
            if process.returncode is None or living:
                await self._ask(process, family)
        except OSError as error:
            if process.returncode is None:
                return f"{self._name} could not be asked to stop ({error}) and was killed: check stop_by"
        if await _wait_gone(process, family, deadline):
            return None
        if process.returncode is None:
            return (
                f"{self._name} did not stop within {grace:g} s and was killed: its last data may be missing; "
                "give it a longer grace or another stop_by"
            )
        return (
            f"{self._name} stopped, but what it had started did not within {grace:g} s and was killed: "
            "its last data may be missing; give it a longer grace"
        )

    async def _ask(self, process: asyncio.subprocess.Process, family: _Family) -> None:
        match self._adapter.stop_by:
            case StopByText(stdin=text):
                if process.stdin is not None:
                    process.stdin.write(f"{text}\n".encode())
            case StopBySignal(signal=name):
                _interrupt(process, name)
            case StopByOsc(osc=address, args=arguments, host=host, port=port):
                await _send_datagram(encode_osc(address, arguments), host, port)
            case StopByDatagram(udp=text, host=host, port=port):
                await _send_datagram(text.encode(), host, port)
            case None:
                if process.stdin is not None:
                    process.stdin.close()
                half = time.perf_counter() + self._adapter.grace / 2
                if not await _wait_gone(process, family, half):
                    # fails on Windows where the rig has no console; the rest of the grace may still do
                    with suppress(OSError):
                        _interrupt(process, "SIGINT")

    async def _kill(self, process: asyncio.subprocess.Process, family: _Family) -> bool:
        """Terminate, then kill whatever is left; return whether all have gone."""
        if await _is_gone(process, family):
            return True
        await asyncio.to_thread(family.terminate)
        if await _wait_gone(process, family, time.perf_counter() + TERMINATE_LIMIT):
            return True
        deadline = time.perf_counter() + KILL_LIMIT
        while time.perf_counter() < deadline:
            # again and again: what is being killed may just be starting another
            await asyncio.to_thread(family.kill)
            if await _wait_gone(process, family, time.perf_counter() + 5 * POLL):
                return True
        return False


@dataclass(slots=True, kw_only=True)
class _Look:
    """What one look at the program's output brought."""

    is_ready: bool = False
    frames: int | None = None
    failure: str | None = None
    has_more: bool = False


class _Output:
    """A log that the program writes, read behind it line by line."""

    def __init__(self, path: Path) -> None:
        self.last_line = ""
        self.has_more = False
        """Whether the last reading left something to read."""
        self._file = path.open("rb", buffering=0)
        self._file.seek(0, os.SEEK_END)
        self._rest = b""

    def read_lines(self, is_final: bool) -> list[str]:
        """Return the lines that have come; waits for the disk."""
        received = self._file.read(CHUNK)
        self.has_more = len(received) == CHUNK
        # ffmpeg ends its progress lines with a carriage return alone
        *lines, self._rest = re.split(rb"[\r\n]+", self._rest + received)
        if len(self._rest) > MAX_LINE or (is_final and not self.has_more):
            lines.append(self._rest)
            self._rest = b""
        texts = [line.decode("utf-8", "replace") for line in lines if line]
        if texts:
            self.last_line = texts[-1]
        return texts

    def close(self) -> None:
        """Let go of the file, which Windows could not move before."""
        self._file.close()


class _Family:
    """The program and all that it started, also what has lost its parent; all methods wait for the system."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._root: psutil.Process | None = None
        self._members: set[psutil.Process] = set()
        with suppress(psutil.Error):
            self._root = psutil.Process(leader)

    def find(self) -> list[psutil.Process]:
        """Return those that live."""
        # a copy: the event loop's end may come here while a thread still looks
        members = set(self._members)
        for seed in [self._root, *self._find_orphans()]:
            with suppress(psutil.Error):
                if seed is not None:
                    members.add(seed)
                    members.update(seed.children(recursive=True))
        self._members = {member for member in members if _is_alive(member)}
        return list(self._members)

    def terminate(self) -> None:
        """Ask for the end as the system does; on Windows this kills."""
        for member in self.find():
            with suppress(psutil.Error):
                member.terminate()

    def kill(self) -> None:
        """End them."""
        for member in self.find():
            with suppress(psutil.Error):
                member.kill()

    def _find_orphans(self) -> Iterator[psutil.Process]:
        """Find those whose parent has ended, which the tree below the program no longer shows."""
        if sys.platform == "win32":
            if self._root is None or self._root.is_running():
                return
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    # the parent's number stays, but may since have been given to another
                    is_child = process.ppid() == self._leader
                    if is_child and process.create_time() >= self._root.create_time():
                        yield process
        else:
            for number in psutil.pids():
                with suppress(psutil.Error, OSError):
                    if os.getsid(number) == self._leader:
                        yield psutil.Process(number)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


async def _is_gone(process: asyncio.subprocess.Process, family: _Family) -> bool:
    # Never process.wait(): before Python 3.13 it also waits for each child that has inherited a pipe.
    return process.returncode is not None and not await asyncio.to_thread(family.find)


async def _wait_gone(process: asyncio.subprocess.Process, family: _Family, deadline: float) -> bool:
    """Wait until all have ended, at most until ``time.perf_counter()`` is there; return whether they have."""
    while not await _is_gone(process, family):
        if time.perf_counter() >= deadline:
            return False
        await asyncio.sleep(POLL)
    return True


def _interrupt(process: asyncio.subprocess.Process, name: str) -> None:
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        # The whole group, as a terminal does it: the program may be a wrapper that does not pass signals on.
        # Not by Popen: its look at whether the process lives can steal the exit code from asyncio.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.Signals[name])


async def _send_datagram(data: bytes, host: str, port: int) -> None:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    # 'localhost' is often ::1 first, where few programs listen
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    with socket.socket(family, kind, protocol) as sender:
        sender.setblocking(False)
        sender.sendto(data, address)


def _find_program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise AdapterError(f"program {name!r} was not found: install it, or give its full path in command")
    # a relative path would be looked for in working_folder on POSIX, but not on Windows
    return os.path.abspath(found)


def _name_program(command: str) -> str:
    """Return a name for files and messages: the last part of the path, without .exe."""
    name = re.sub(r"\.(exe|bat|cmd|com)$", "", Path(command).name, flags=re.IGNORECASE)
    return re.sub(r"[^\w.\-]", "_", name) or "program"


def _describe_exit_code(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"{code} ({signal.Signals(-code).name})"
    return f"{code:#x}" if code >= HEX_FROM else str(code)


def _count_bytes(folder: Path) -> int:
    total = 0
    # a program may rename or delete its files and folders at any time; walk() takes no notice
    for where, _, names in os.walk(folder):
        for name in names:
            # not from the folder's entry, which Windows brings up to date only when the file is closed
            with suppress(OSError):
                total += os.stat(os.path.join(where, name)).st_size
    return total


def _check_placeholders(key: str, texts: Iterable[str]) -> None:
    for text in texts:
        try:
            names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
            if unknown := names - _SAMPLES.keys():
                raise ConfigError(
                    f"{key}: {text!r} holds the unknown placeholder {{{min(unknown)}}}: "
                    f"known are {', '.join(f'{{{name}}}' for name in _SAMPLES)}; double a literal brace"
                )
            text.format_map(_SAMPLES)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"{key}: {text!r} is not as it must be ({error}); double a literal brace"
            ) from None
