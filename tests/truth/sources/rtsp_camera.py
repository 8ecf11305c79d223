"""Network cameras that speak RTSP, by GStreamer; run as a program by the system's own Python.

``python3 rtsp_camera.py SCRIPT.json TRUTH.jsonl``: prints ``ready PORT``; the cameras are at ``/0``,
``/1``, …. Pictures with their numbers drawn in, H.264, RTP times from the moment of exposure. The lines
``go`` and the end of its standard input mean what they do for the HTTP cameras; it knows the faults
``silent`` and ``hiccup``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.truth.drawing import HEIGHT, STUDIO, WIDTH, grey_picture  # noqa: E402

LAUNCH = (
    "( appsrc name=source is-live=true format=time do-timestamp=false block=false "
    "caps=video/x-raw,format=GRAY8,width={width},height={height},framerate={rate}/1 ! videoconvert ! "
    "video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 quantizer=20 "
    "pass=qual ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


class Camera:
    """One camera; what it exposes goes into each stream that somebody has opened."""

    def __init__(self, number: int, script: dict[str, Any], go: threading.Event, note: Any) -> None:
        self._number = number
        self._rate = int(script["rate"])
        self._faults = script.get("faults", [])
        self._go = go
        self._note = note
        self._zero: int | None = None
        self._sources: list[tuple[Any, list[int]]] = []
        self._lock = threading.Lock()
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_launch(LAUNCH.format(width=WIDTH, height=HEIGHT, rate=self._rate))
        self.factory.set_shared(True)
        self.factory.connect("media-configure", self._configure)
        threading.Thread(target=self._expose, daemon=True).start()

    def _configure(self, _factory: Any, media: Any) -> None:
        source = media.get_element().get_child_by_name("source")
        with self._lock:
            self._sources.append((source, []))
        media.connect("unprepared", lambda *_: self._forget(source))

    def _forget(self, source: Any) -> None:
        with self._lock:
            self._sources = [one for one in self._sources if one[0] is not source]

    def _active(self, kind: str, now: int) -> bool:
        if self._zero is None and self._go.is_set():
            self._zero = now
        if self._zero is None:
            return False
        seconds = (now - self._zero) / 1e9
        return any(
            one["kind"] == kind
            and one["at"] <= seconds
            and (one.get("seconds") is None or seconds < one["at"] + one["seconds"])
            for one in self._faults
        )

    def _expose(self) -> None:
        number, begin = 0, time.monotonic_ns()
        held: list[tuple[int, int]] = []
        while True:
            due = begin + round(number * 1e9 / self._rate)
            time.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
            exposed = time.monotonic_ns()
            if self._active("silent", exposed):
                self._tell(number, exposed, None)
            elif self._active("hiccup", exposed):
                held.append((number, exposed))
            else:
                held.append((number, exposed))
                for one in held:
                    self._push(*one)
                held.clear()
            number += 1

    def _push(self, number: int, exposed: int) -> None:
        with self._lock:
            sources = list(self._sources)
        for source, zero in sources:
            if not zero:
                zero.append(exposed)
            # GStreamer takes these greys for luma as they are, and says that they are video's
            buffer = Gst.Buffer.new_wrapped(grey_picture(number, self._number).translate(STUDIO))
            buffer.pts = buffer.dts = exposed - zero[0]
            buffer.duration = round(1e9 / self._rate)
            source.emit("push-buffer", buffer)
        self._tell(number, exposed, time.monotonic_ns() if sources else None)

    def _tell(self, number: int, exposed: int, sent: int | None) -> None:
        self._note({"camera": self._number, "number": number, "exposed": exposed, "sent": sent, "cut": False})


def main(script: str, truth: str) -> None:
    """Serve the cameras of a script until standard input ends."""
    Gst.init(None)
    go, lock = threading.Event(), threading.Lock()
    file = Path(truth).open("w", encoding="ascii")  # noqa: SIM115 - closed by the thread that listens

    def note(line: dict[str, Any]) -> None:
        with lock:
            if not file.closed:
                file.write(json.dumps(line) + "\n")

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    cameras = []
    for number, one in enumerate(json.loads(Path(script).read_text(encoding="utf-8"))):
        cameras.append(Camera(number, one, go, note))
        server.get_mount_points().add_factory(f"/{number}", cameras[-1].factory)
    server.attach(None)
    loop = GLib.MainLoop()

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "go":
                go.set()
        with lock:
            file.close()
        loop.quit()

    threading.Thread(target=listen, daemon=True).start()
    print("ready", server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:3])
