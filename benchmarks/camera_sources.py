"""Cameras whose truth is known: each frame is due at a known time, and shows its number.

``python -m benchmarks.camera_sources KIND PORT`` runs one until its standard input ends. It prints a line
when it is there, and the time of its frame 0 on the system's monotonic clock as soon as it is shown.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np

FPS, SIZE = 30, (160, 120)
CYCLE, STEP, DARKEST = 60, 3, 32
"""Numbers that are told apart, grey values between two of them, and that of the number 0."""
HICCUP = (8.0, 1.5)
"""When what is sent is held up, and for how long; seconds."""


def draw(number: int) -> np.ndarray:
    """Return the picture of a number."""
    return np.full((SIZE[1], SIZE[0], 3), number % CYCLE * STEP + DARKEST, np.uint8)


def read_numbers(path: str) -> np.ndarray:
    """Return the numbers that the pictures of a video show, the first one below `CYCLE`."""
    with av.open(path) as container:
        greys = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    levels = np.array(greys)
    # whatever became of black and white on the way
    numbers = np.round((levels - levels.min()) / np.ptp(levels) * (CYCLE - 1)).astype(int)
    steps = np.diff(numbers) % CYCLE
    return np.concatenate([[numbers[0]], numbers[0] + np.cumsum(steps)])


def encode(codec: str, form: str) -> Iterator[bytes]:
    """Give each frame as it is sent."""
    out = io.BytesIO()
    with av.open(out, "w", format=form, options={"flush_packets": "1"}) as container:
        stream: Any = container.add_stream(codec, rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec != "mjpeg":
            stream.options = {"tune": "zerolatency", "preset": "ultrafast"}
            stream.codec_context.gop_size = 10
        number = 0
        while True:
            picture = av.VideoFrame.from_ndarray(draw(number))
            picture.pts = number
            container.mux(stream.encode(picture))
            yield out.getvalue()
            out.seek(0)
            out.truncate()
            number += 1


def pace(send: Callable[[bytes], Any], data: Iterator[bytes], hiccup: tuple[float, float]) -> None:
    """Send each frame when it is due, but for the hiccup; tell when the first was."""
    begin, length = hiccup
    began = time.perf_counter_ns()
    print(began, flush=True)
    for number, frame in enumerate(data):
        due = number / FPS
        due = begin + length if begin <= due < begin + length else due
        time.sleep(max(0.0, due - (time.perf_counter_ns() - began) / 1e9))
        send(frame)


def serve(kind: str, port: int, hiccup: tuple[float, float]) -> None:
    """Be that camera."""
    if kind == "MPEG-TS over UDP":
        print("ready", flush=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.connect(("127.0.0.1", port))

            def send(data: bytes) -> None:
                for start in range(0, len(data), 1316):
                    with contextlib.suppress(ConnectionRefusedError):
                        out.send(data[start : start + 1316])

            pace(send, encode("libx264", "mpegts"), hiccup)
        return
    with socket.create_server(("127.0.0.1", port)) as listener:
        print("ready", flush=True)
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            if kind == "MJPEG over HTTP":
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                frames = (head % len(one) + one + b"\r\n" for one in encode("mjpeg", "image2pipe"))
                pace(connection.sendall, frames, hiccup)
            else:
                pace(connection.sendall, encode("libx264", "mpegts"), hiccup)


RTSP = textwrap.dedent(
    """
    import sys, threading, time
    import gi
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer
    port, width, height, fps, cycle, step, darkest, begin, length = map(float, sys.argv[1:])
    Gst.init(None)
    size = int(width * height)
    server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
    server.set_service(str(int(port)))
    factory.set_launch(
        f"appsrc name=camera is-live=true format=time caps=video/x-raw,format=I420,width={int(width)},"
        f"height={int(height)},framerate={int(fps)}/1 ! jpegenc ! rtpjpegpay name=pay0"
    )
    def feed(source):
        began = time.perf_counter_ns()
        print(began, flush=True)
        number = 0
        while True:
            due = number / fps
            due = begin + length if begin <= due < begin + length else due
            time.sleep(max(0.0, due - (time.perf_counter_ns() - began) / 1e9))
            grey = int(number % cycle * step + darkest)
            buffer = Gst.Buffer.new_wrapped(bytes([grey]) * size + bytes([128]) * (size // 2))
            buffer.pts = round(number / fps * 1e9)
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            number += 1
    def configure(factory, media):
        source = media.get_element().get_by_name_recurse_up("camera")
        threading.Thread(target=feed, args=(source,), daemon=True).start()
    factory.connect("media-configure", configure)
    server.get_mount_points().add_factory("/camera", factory)
    server.attach(None)
    print("ready", flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()
    """
)
"""A camera of RTSP: GStreamer's server, for the system's own Python, which alone knows it."""

if __name__ == "__main__":
    threading.Thread(target=serve, args=(sys.argv[1], int(sys.argv[2]), HICCUP), daemon=True).start()
    sys.stdin.read()
