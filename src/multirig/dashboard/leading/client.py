"""The console's side of a session's process: begin it, find it again, hear it, tell it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from multirig.dashboard.leading.child import last_line, output_file, spawn
from multirig.dashboard.leading.lines import HOST, Lines
from multirig.dashboard.leading.record import (
    COMMISSION,
    NOW,
    Commission,
    Record,
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


class Leader:
    """A session that is led by a process of its own; made by `begin` or `attach`."""

    def __init__(self, state_file: Path, record: Record) -> None:
        self._state_file = state_file
        self._secret = record.secret
        self._now = record.now
        self._lines: Lines | None = None
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
            commission = COMMISSION.dump_json(Commission(order=order, secret=secret))
        except PydanticSerializationError as error:
            raise ConfigError(f"the order cannot be told to the session's process: {error}") from error
        process = await asyncio.to_thread(spawn, state_file, commission)
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
        why = await asyncio.to_thread(last_line, output_file(state_file))
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

    async def stop(self, *, by: str | None = None) -> None:
        """End the recording in good order; before it, let the rigs go. Returns when it is under way.

        Parameters
        ----------
        by : str, optional
            Name of who wants it, for the journal.

        Raises
        ------
        MultirigError
            It cannot be done, or the process is not heard.
        """
        await self._ask("stop", by=by)

    async def interrupt(self, why: str, *, by: str | None = None) -> None:
        """Stop every rig at once, whatever goes on, and tell them why; see `stop`."""
        await self._ask("interrupt", text=why, by=by)

    async def mark(self, text: str, *, by: str | None = None) -> None:
        """Set a marker, for now; see `stop`."""
        await self._ask("mark", text=text, by=by)

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
        is_open = await self._open(record)
        if is_open:
            self._listening = asyncio.create_task(self._listen())
        return is_open

    async def _open(self, record: Record) -> bool:
        """Open the channel, and take the state that comes first; return whether there is one."""
        try:
            opening = asyncio.open_connection(HOST, record.port, limit=MAX_LINE)
            self._lines = lines = Lines(*await asyncio.wait_for(opening, CONNECT_LIMIT))
            lines.write_text(self._secret)
            first = await asyncio.wait_for(lines.read(), CONNECT_LIMIT)
        except (OSError, asyncio.TimeoutError):
            first = None
        if first is not None and self._take(first):
            return True
        await self._hang_up()
        return False

    async def _listen(self) -> None:
        """Take what the process says, until it is gone; one that has only hung up is called again."""
        while (lines := self._lines) is not None:
            try:
                while (said := await lines.read()) is not None:
                    if self._take(said):
                        self._call_back()
            finally:
                await self._hang_up()
            record = await asyncio.to_thread(read_record, self._state_file)
            if record is None or record.secret != self._secret:
                break
            self._now = max(self._now, record.now, key=lambda now: now.revision)
            if not self._now.is_over:
                await self._open(record)
            self._call_back()
        asyncio.get_running_loop().call_soon(self._call_back)  # once `is_alive` is false

    def _take(self, said: dict[str, Any]) -> bool:
        """Take what the process says; return whether it is a state."""
        if (future := self._asked.get(said.get("number") or 0)) is not None and not future.done():
            if (error := said.get("error")) is not None:
                future.set_exception(MultirigError(str(error)))
            else:
                future.set_result(None)
        if "now" not in said:
            return False
        try:
            self._now = NOW.validate_python(said["now"])
        except ValidationError:
            log.exception("the session's process is of another release")
            return False
        return True

    async def _ask(self, do: str, **more: str | None) -> None:
        number = next(self._numbers)
        lines = self._lines
        if lines is None or not self.is_alive:
            raise MultirigError(f"cannot {do}: the session's process is not heard; recover the session first")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            lines.write({"number": number, "do": do, **more})
            await asyncio.wait_for(future, ANSWER_LIMIT)
        except (OSError, asyncio.TimeoutError):
            raise MultirigError(
                f"cannot {do}: the session's process does not answer; try again, or look at its log"
            ) from None
        finally:
            self._asked.pop(number, None)

    async def _hang_up(self) -> None:
        lines, self._lines = self._lines, None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(MultirigError("the session's process has ended; see what it last told"))
        if lines is not None:
            await lines.close()

    def _call_back(self) -> None:
        for callback in list(self._on_change):
            try:
                callback()
            except Exception:
                log.exception("a callback failed")
