"""The control channel of a session's process: JSON lines on 127.0.0.1 behind a secret, in its own thread.

Whatever its clients do, the session does not wait for them: each is sent the newest state when it has taken
the one before, and one that takes nothing is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from multirig.dashboard.leading.board import Board
from multirig.dashboard.leading.lines import HOST, Lines, within
from multirig.dashboard.leading.record import NOW, Record, write_record
from multirig.errors import ConfigError, MultirigError

MAX_LINE = 64 * 1024
"""Bytes of a line from a client: a command with a marker's text."""
MAX_CLIENTS = 32
"""Connections at a time: the consoles of one PC, and strangers until they are shown out."""
SECRET_LIMIT = 5.0
"""Seconds that a client has to say the secret."""
SEND_LIMIT = 10.0
"""Seconds that a client may take for what it is sent; then it is dropped."""
GATHER = 0.02
"""Seconds in which changes are gathered before they are sent: a step of 32 rigs is told in a few lines."""
WRITE_EVERY = 0.5
"""Seconds between two writes of the state file."""
BEGIN_LIMIT = 10.0
"""Seconds until the channel must be open."""

log = logging.getLogger("multirig.console")


class Led(Protocol):
    """A session, as the channel asks things of it; called in the channel's thread, must not block.

    Each raises a `MultirigError` with one line where it cannot be done. `by` is the name of who wants it.
    """

    def stop(self, by: str | None = None) -> None:
        """End the recording in good order."""

    def interrupt(self, why: str, by: str | None = None) -> None:
        """Stop every rig at once."""

    def mark(self, text: str, by: str | None = None) -> None:
        """Set a marker."""


class Channel:
    """Serves what is on the board, and takes commands from whoever knows the secret.

    In `state_file` it writes how it is reached, and how far the session is.
    """

    def __init__(self, board: Board, led: Led, *, secret: str, state_file: Path, pid: int) -> None:
        self._board = board
        self._led = led
        self._secret = secret
        self._state_file = state_file
        self._pid = pid
        self._port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._has_opened = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve_in_thread, name="control channel", daemon=True)
        self._changed: set[asyncio.Event] = set()
        """One for each who waits for a change."""
        self._clients: set[asyncio.Task[None]] = set()
        self._is_dismissed = threading.Event()

    def open(self) -> None:
        """Serve from now on.

        Raises
        ------
        MultirigError
            No port, or the state file cannot be written.
        """
        self._thread.start()
        if not self._has_opened.wait(BEGIN_LIMIT) or self._failure is not None:
            raise MultirigError(
                f"the control channel cannot be opened: {self._failure or 'it takes too long'}"
            )

    def close(self) -> None:
        """Write down what was last told, and hang up."""
        if self._loop is not None and self._ended is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(BEGIN_LIMIT)

    def linger(self, seconds: float) -> None:
        """Wait until everybody had the time to hear the last word, or somebody says that it is enough."""
        self._is_dismissed.wait(seconds)

    # -- in its thread ----------------------------------------------------------------------------------

    def _serve_in_thread(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            log.exception("the control channel has ended")
        finally:
            self._has_opened.set()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._greet, HOST, 0, limit=MAX_LINE)
        self._port = server.sockets[0].getsockname()[1]
        self._board.on_change(self._wake)
        await asyncio.to_thread(self._write)
        writing = asyncio.create_task(self._keep_file())
        self._has_opened.set()
        try:
            await self._ended.wait()
        finally:
            server.close()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await asyncio.to_thread(self._write)  # whoever is hung up on may take the file away
            for task in self._clients:
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    def _wake(self) -> None:
        """Let all who wait know that there is news; called in any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for changed in self._changed:
            changed.set()

    # -- the state file -----------------------------------------------------------------------------------

    async def _keep_file(self) -> None:
        """Write the state file after each change."""
        with self._waiting() as changed:
            while True:
                changed.clear()
                await asyncio.to_thread(self._write)
                await asyncio.sleep(WRITE_EVERY)
                await changed.wait()

    def _write(self) -> None:
        record = Record(pid=self._pid, port=self._port, secret=self._secret, now=self._board.now)
        try:
            write_record(self._state_file, record)
        except ConfigError as error:  # the session goes on all the same
            if self._port and self._has_opened.is_set():
                log.error("%s", error)
                return
            raise

    # -- clients ------------------------------------------------------------------------------------------

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to a client, once it has said the secret."""
        task = asyncio.current_task()
        if task is None or len(self._clients) >= MAX_CLIENTS:
            writer.transport.abort()
            return
        self._clients.add(task)
        lines = Lines(reader, writer)
        try:
            secret = await within(SECRET_LIMIT, lines.read_text())
            if secret is None or not hmac.compare_digest(secret, self._secret.encode()):
                log.warning("somebody on this PC knocked at the control channel without its secret")
                return
            await self._talk(lines)
        except (OSError, asyncio.TimeoutError, asyncio.CancelledError):
            pass  # it is gone, or too slow, or the session is over
        finally:
            self._clients.discard(task)
            lines.drop()

    async def _talk(self, lines: Lines) -> None:
        showing = asyncio.create_task(self._show(lines))
        hearing = asyncio.create_task(self._hear(lines))
        try:
            await asyncio.wait({showing, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            showing.cancel()
            hearing.cancel()
            await asyncio.gather(showing, hearing, return_exceptions=True)

    async def _show(self, lines: Lines) -> None:
        """Send the newest state after each change, as fast as the client takes it."""
        shown = -1
        with self._waiting() as changed:
            while True:
                now = self._board.now
                if now.revision != shown:
                    shown = now.revision
                    await lines.send({"now": NOW.dump_python(now, mode="json")}, SEND_LIMIT)
                    await asyncio.sleep(GATHER)
                await changed.wait()
                changed.clear()

    async def _hear(self, lines: Lines) -> None:
        """Take commands, and answer each under its number."""
        while (command := await lines.read()) is not None:
            number = command.get("number")
            answer: dict[str, Any] = {"number": number if isinstance(number, int) else None}
            try:
                self._obey(command)
            except MultirigError as error:
                answer["error"] = " ".join(str(error).split())
            except Exception as error:
                log.exception("a command failed")
                answer["error"] = f"a fault of multirig itself: {type(error).__name__}: {error}"
            await lines.send(answer, SEND_LIMIT)

    def _obey(self, command: Mapping[str, Any]) -> None:
        text = command.get("text")
        by = str(command["by"]) if command.get("by") else None
        match command.get("do"):
            case "dismiss":
                self._is_dismissed.set()
                return
            case "stop" if not self._board.now.is_over:
                self._led.stop(by)
            case "interrupt" if not self._board.now.is_over:
                self._led.interrupt(" ".join(str(text or "").split()) or "interrupted by the operator", by)
            case "mark" if not self._board.now.is_over:
                if not str(text or "").strip():
                    raise MultirigError("the marker has no text: say in a line what has happened")
                self._led.mark(str(text), by)
            case "stop" | "interrupt" | "mark":
                raise MultirigError("the session is over: begin another one")
            case unknown:
                raise MultirigError(f"the session's process knows no command {unknown!r:.40}")

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change."""
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            yield changed
        finally:
            self._changed.discard(changed)
