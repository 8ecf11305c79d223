"""Network cameras that send MJPEG over HTTP and fail as a script says; run as a program.

``python -m tests.truth.sources.http_cameras SCRIPT.json TRUTH.jsonl``. It prints ``ready PORT…``, one port
a camera. A line ``go`` on its standard input begins the script's time; its end ends the program. What it
did stands in the truth file: a line for each frame, with its number, when it was exposed and when it was
sent, both by the monotonic clock of this PC.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.truth.drawing import jpeg_picture

BOUNDARY = b"frame"
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
SEND_LIMIT = 5.0
"""Seconds for which a reader may take nothing before it is left."""
BILLION = 1_000_000_000


class Camera:
    """One camera: a thread that exposes and sends, and one that takes connections."""

    def __init__(self, number: int, script: dict[str, Any], go: threading.Event, truth: Any) -> None:
        self._number = number
        self._rate = float(script["rate"])
        self._jitter = float(script.get("jitter", 0.0))
        self._faults = sorted(script.get("faults", ()), key=lambda one: one.get("at", 0.0))
        self._go = go
        self._truth = truth
        self._random = random.Random(number)
        self._peers: list[socket.socket] = []
        self._held: list[tuple[int, int, bytes, bool]] = []
        self._lock = threading.Lock()
        self._zero: int | None = None
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", int(script.get("port", 0))))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        threading.Thread(target=self._expose, daemon=True).start()

    # -- connections

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._greet, args=(peer,), daemon=True).start()

    def _greet(self, peer: socket.socket) -> None:
        """Read a request; one who only knocks is let go."""
        peer.settimeout(SEND_LIMIT)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked:
                more = peer.recv(4096)
                if not more:
                    peer.close()
                    return
                asked += more
            peer.sendall(HEAD)
            with self._lock:
                self._peers.append(peer)

    def _close(self) -> None:
        """Close the listener and all connections."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            peers, self._peers = self._peers, []
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    # -- pictures

    def _expose(self) -> None:
        number, due = 0, float(time.monotonic_ns())
        while True:
            left = due - time.monotonic_ns()
            if left > 0:
                time.sleep(left / BILLION)
            now = time.monotonic_ns()
            self._take(number, now)
            number += 1
            period = BILLION / self._rate_at(now)
            wobble = self._random.uniform(-self._jitter, self._jitter) * period
            due = max(due + period, now - period) + wobble - getattr(self, "_wobble", 0.0)
            self._wobble = wobble

    def _seconds(self, now: int) -> float | None:
        """Return the script's time."""
        if self._zero is None and self._go.is_set():
            self._zero = now
        return None if self._zero is None else (now - self._zero) / BILLION

    def _rate_at(self, now: int) -> float:
        seconds, rate = self._seconds(now), self._rate
        for one in self._faults:
            if one["kind"] == "rate" and seconds is not None and one["at"] <= seconds:
                rate = one["value"]
        return rate

    def _active(self, kind: str, seconds: float | None) -> dict[str, Any] | None:
        for one in self._faults:
            lasts = one.get("seconds")
            if (
                one["kind"] == kind
                and seconds is not None
                and one.get("at", 0.0) <= seconds
                and (lasts is None or seconds < one.get("at", 0.0) + lasts)
            ):
                return one
        return None

    def _take(self, number: int, now: int) -> None:
        seconds = self._seconds(now)
        if self._active("close", seconds):
            if self._listener is not None:
                self._close()
        elif self._listener is None:
            self._listen()
        picture = jpeg_picture(number, self._number)
        damaged = self._active("cut", seconds)
        is_cut = damaged is not None and number % int(damaged["every"]) == 0
        if is_cut:
            picture = picture[: len(picture) * 4 // 5]
        if self._active("silent", seconds) or self._active("close", seconds):
            self._note(number, now, None, is_cut)
        elif self._active("hiccup", seconds):
            self._held.append((number, now, picture, is_cut))
        else:
            held, self._held = self._held, []
            for one in [*held, (number, now, picture, is_cut)]:
                self._send(*one)

    def _send(self, number: int, exposed: int, picture: bytes, is_cut: bool) -> None:
        part = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (
            BOUNDARY,
            len(picture),
            picture,
        )
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            try:
                peer.sendall(part)
            except OSError:
                with self._lock:
                    if peer in self._peers:
                        self._peers.remove(peer)
                peer.close()
        self._note(number, exposed, time.monotonic_ns() if peers else None, is_cut)

    def _note(self, number: int, exposed: int, sent: int | None, is_cut: bool) -> None:
        self._truth(
            {"camera": self._number, "number": number, "exposed": exposed, "sent": sent, "cut": is_cut}
        )


def main(script: str, truth: str) -> None:
    """Serve the cameras of a script until standard input ends."""
    go, lock = threading.Event(), threading.Lock()
    with Path(truth).open("w", encoding="ascii") as file:

        def note(line: dict[str, Any]) -> None:
            with lock:
                if not file.closed:
                    file.write(json.dumps(line) + "\n")

        cameras = [
            Camera(number, one, go, note)
            for number, one in enumerate(json.loads(Path(script).read_text(encoding="utf-8")))
        ]
        print("ready", *(one.port for one in cameras), flush=True)
        for line in sys.stdin:
            if line.strip() == "go":
                go.set()
        with lock:
            file.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
