"""The console's side of a session's process: begin it, find it again, hear it, tell it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from multirig.dashboard.leading.channel import HOST
from multirig.dashboard.leading.record import (
    Commission,
    Record,
    commission_to_json,
    now_from_json,
    read_record,
)
from multirig.dashboard.snapshot import Order, SessionNow
from multirig.errors import ConfigError, MultirigError

BEGIN_LIMIT = 30.0
"""Seconds until the process must answer, on a slow PC that is at its limit."""
CONNECT_LIMIT = 3.0
"""Seconds until a process that lives must have answered on its channel."""
ANSWER_LIMIT = 5.0
"""Seconds until a command must be acknowledged; it is done later."""
LEAVE_LIMIT = 15.0
"""Seconds until a process whose session is over must have ended."""
MAX_LINE = 16 * 1024 * 1024
"""Bytes of one state: 32 rigs with all they say need some hundred thousand."""
LOOK_EVERY = 0.02
"""Seconds between two looks for the state file of a process that begins."""

log = logging.getLogger("multirig.console")


def read_last(state_file: Path) -> SessionNow | None:
    """Return what the last session's process last told, whether it lives or not; None: there was none."""
    record = read_record(state_file)
    return record.now if record is not None else None


def output_file(state_file: Path) -> Path:
    """Return the file that holds what a session's process, and its task, print."""
    return state_file.with_suffix(".out")


class Leader:
    """A session that is led by a process of its own; made by `begin` or `attach`."""

    def __init__(self, state_file: Path, record: Record) -> None:
        self._state_file = state_file
        self._secret = record.secret
        self._now = record.now
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._on_change: list[Callable[[], None]] = []
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[None]] = {}

    # -- find one ---------------------------------------------------------------------------------------

    @classmethod
    async def begin(cls, order: Order, state_file: Path) -> Leader:
        """Start a session in a process of its own, and return when it answers.

        Parameters
        ----------
        order : Order
            What shall be done.
        state_file : pathlib.Path
            Of the sessions that are led from here: there is one at a time.

        Raises
        ------
        MultirigError
            A session goes on already, or the process cannot be started.
        """
        if (last := await cls.attach(state_file)) is not None:
            if not last.session.is_over:
                await last.close()
                name = last.session.exp_ref or f"with {last.session.order.subject}"
                raise MultirigError(f"the session {name} goes on already: stop it first")
            await last.dismiss()
        secret = secrets.token_urlsafe(32)
        try:
            commission = commission_to_json(Commission(order=order, secret=secret))
        except PydanticSerializationError as error:
            raise ConfigError(f"the order cannot be told to the session's process: {error}") from error
        process = await asyncio.to_thread(_spawn, state_file, commission)
        return await cls._connect_to(process, state_file, secret)

    @classmethod
    async def attach(cls, state_file: Path) -> Leader | None:
        """Return the session whose process lives, if there is one; see `read_last` for one that has died."""
        record = await asyncio.to_thread(read_record, state_file)
        if record is None or not psutil.pid_exists(record.pid):
            return None
        leader = cls(state_file, record)
        return leader if await leader._connect(record) else None

    @classmethod
    async def _connect_to(cls, process: subprocess.Popen[bytes], state_file: Path, secret: str) -> Leader:
        """Wait until a process that begins is reached."""
        loop = asyncio.get_running_loop()
        end = loop.time() + BEGIN_LIMIT
        while loop.time() < end:
            record = await asyncio.to_thread(read_record, state_file)
            if record is not None and record.secret == secret:
                leader = cls(state_file, record)
                if await leader._connect(record):
                    return leader
            if process.returncode is not None:
                break
            await asyncio.sleep(LOOK_EVERY)
        why = await asyncio.to_thread(_last_line, output_file(state_file))
        raise MultirigError(
            f"the session's process did not begin: {why or 'it said nothing'}; "
            f"see {output_file(state_file)}, then start again"
        )

    # -- what is ----------------------------------------------------------------------------------------

    @property
    def session(self) -> SessionNow:
        """What the session's process last told."""
        return self._now

    @property
    def is_alive(self) -> bool:
        """Whether its process is heard; a session that is over is no more after a while."""
        return self._listening is not None and not self._listening.done()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each change of `session` or `is_alive`."""
        self._on_change.append(callback)

    # -- what the operator wants ------------------------------------------------------------------------

    async def stop(self) -> None:
        """End the recording in good order; before it, let the rigs go. Returns when it is under way.

        Raises
        ------
        MultirigError
            It cannot be done, or the process is not heard.
        """
        await self._ask("stop")

    async def interrupt(self, why: str) -> None:
        """Stop every rig at once, whatever goes on, and tell them why; see `stop`."""
        await self._ask("interrupt", text=why)

    async def mark(self, text: str) -> None:
        """Set a marker, for now; see `stop`."""
        await self._ask("mark", text=text)

    async def dismiss(self) -> None:
        """Let a process whose session is over end at once, and return when it writes nothing more.

        Raises
        ------
        MultirigError
            Its session goes on.
        """
        if self.is_alive and not self._now.is_over:
            raise MultirigError("the session goes on: stop it first")
        try:
            with contextlib.suppress(MultirigError):
                await self._ask("dismiss")
            if self._listening is not None:
                await asyncio.wait({self._listening}, timeout=LEAVE_LIMIT)
        finally:
            await self.close()

    async def close(self) -> None:
        """Listen no more; the session goes on."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        await self._hang_up()

    # -- inside -----------------------------------------------------------------------------------------

    async def _connect(self, record: Record) -> bool:
        """Listen to the process of a record; return whether it is one that knows the secret."""
        reader = await self._open(record)
        if reader is not None:
            self._listening = asyncio.create_task(self._listen(reader))
        return reader is not None

    async def _open(self, record: Record) -> asyncio.StreamReader | None:
        """Open the channel, and take the state that comes first."""
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(HOST, record.port, limit=MAX_LINE), CONNECT_LIMIT
            )
            self._writer = writer
            writer.write(self._secret.encode() + b"\n")
            first = await asyncio.wait_for(_read(reader), CONNECT_LIMIT)
        except (OSError, asyncio.TimeoutError):
            first = None
        if first is not None and self._take(first):
            return reader
        await self._hang_up()
        return None

    async def _listen(self, reader: asyncio.StreamReader | None) -> None:
        """Take what the process says, until it is gone; one that has only hung up is called again."""
        while reader is not None:
            try:
                while (told := await _read(reader)) is not None:
                    if self._take(told):
                        self._call_back()
            finally:
                await self._hang_up()
            record = await asyncio.to_thread(read_record, self._state_file)
            if record is None or record.secret != self._secret:
                break
            self._now = max(self._now, record.now, key=lambda now: now.revision)
            reader = None if self._now.is_over else await self._open(record)
            self._call_back()
        asyncio.get_running_loop().call_soon(self._call_back)  # once `is_alive` is false

    def _take(self, told: dict[str, Any]) -> bool:
        """Take what the process says; return whether it is a state."""
        if (future := self._asked.get(told.get("number") or 0)) is not None and not future.done():
            if (error := told.get("error")) is not None:
                future.set_exception(MultirigError(str(error)))
            else:
                future.set_result(None)
        if "now" not in told:
            return False
        try:
            self._now = now_from_json(told["now"])
        except ValidationError:
            log.exception("the session's process is of another release")
            return False
        return True

    async def _ask(self, do: str, **more: str) -> None:
        number = next(self._numbers)
        writer = self._writer
        if writer is None or not self.is_alive:
            raise MultirigError(f"cannot {do}: the session's process is not heard; recover the session first")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            writer.write(json.dumps({"number": number, "do": do, **more}).encode() + b"\n")
            await asyncio.wait_for(future, ANSWER_LIMIT)
        except (OSError, asyncio.TimeoutError):
            raise MultirigError(
                f"cannot {do}: the session's process does not answer; try again, or look at its log"
            ) from None
        finally:
            self._asked.pop(number, None)

    async def _hang_up(self) -> None:
        writer, self._writer = self._writer, None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(MultirigError("the session's process has ended; see what it last told"))
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _call_back(self) -> None:
        for callback in list(self._on_change):
            try:
                callback()
            except Exception:
                log.exception("a callback failed")


async def _read(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return what the next line says; None at the end, or where it is none of ours."""
    try:
        line = await reader.readuntil(b"\n")
        told = json.loads(line)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _spawn(state_file: Path, commission: bytes) -> subprocess.Popen[bytes]:
    """Start the process, out of reach of whatever ends the console."""
    output = output_file(state_file)
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        # no console of ours, no Ctrl-C meant for us, and no window
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    try:
        state_file.parent.mkdir(parents=True, exist_ok=True)
        with open(output, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "multirig.dashboard.leading", str(state_file.absolute())],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                **options,
            )
    except OSError as error:
        raise MultirigError(
            f"the session's process cannot be started ({error.strerror or error}): "
            f"check the disk and the rights of {state_file.parent}"
        ) from error
    # somebody has to take its exit code, else it stays a zombie
    threading.Thread(target=process.wait, name="end of a session", daemon=True).start()
    if process.stdin is not None:
        with contextlib.suppress(OSError), process.stdin as pipe:  # it has ended already: its output says why
            pipe.write(commission)
    return process


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
