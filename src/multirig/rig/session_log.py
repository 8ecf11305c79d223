"""What a rig did in a session, beside its data: the lines of its log from getting ready to letting go."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet

from multirig.logs import log_formatter
from multirig.writing import file_name

WAITING_LINES = 10_000
"""Lines that wait for the disk; what comes when there are so many stands in the rig's own log only."""


def session_log_name(rig: str) -> str:
    """Return the name of a rig's log in a session's folder."""
    return f"_multirig_log.{file_name(rig)}.log"


class SessionLog:
    """Writes the log of one session after the other, in threads: a slow disk holds nobody up.

    Lines are kept from `begin` on and written from `keep_in` on, when it is sure that there will be data,
    until `end`. A file that cannot be written costs nothing but its lines, which the rig's own log has too.
    """

    _open: ClassVar[WeakSet[SessionLog]] = WeakSet()
    """Of all rigs of this program: where it runs several, as tests do, nothing tells whose a line is."""

    def __init__(self) -> None:
        self._handler: _Waiting | None = None

    def open(self) -> None:
        """Note that a rig of this program is in use."""
        self._open.add(self)

    def close(self) -> None:
        """Note that it is in use no more; what ends a session that is still open is taken down too."""
        self._open.discard(self)

    def begin(self) -> None:
        """Take down the lines of another session."""
        self.end()
        if not set(self._open) - {self}:
            self._handler = _Waiting()
            logging.getLogger("multirig").addHandler(self._handler)

    def keep_in(self, path: Path) -> None:
        """Write them into a file, those before as well."""
        if self._handler is not None:
            self._handler.write_to(path)

    def end(self) -> None:
        """Take down no more; what there is is still written."""
        if self._handler is not None:
            logging.getLogger("multirig").removeHandler(self._handler)
            self._handler.close()
            self._handler = None


class _Waiting(logging.Handler):
    """Keeps lines until a thread writes them, which begins when it is said where."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(log_formatter())
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING_LINES)
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(self.format(record))

    def write_to(self, path: Path) -> None:
        """Write all lines, those before as well; a second call changes nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, args=(path,), name="session-log", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let the thread end when it has written all."""
        if self._thread is not None:
            threading.Thread(target=self._lines.put, args=(None,), daemon=True).start()
        super().close()

    def _write(self, path: Path) -> None:
        is_over = False
        while not is_over:
            lines = [self._lines.get()]
            with contextlib.suppress(queue.Empty):
                while lines[-1] is not None:
                    lines.append(self._lines.get_nowait())
            is_over = lines[-1] is None
            text = "".join(f"{line}\n" for line in lines if line is not None)
            # closed in between: nothing is lost, and Windows may move the folder
            with contextlib.suppress(OSError), path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
