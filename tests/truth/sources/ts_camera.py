"""A camera that sends an MPEG transport stream over UDP; run as a program.

``python -m tests.truth.sources.ts_camera SCRIPT.json TRUTH.jsonl PORT``: pictures with their numbers drawn
in, H.264 without B-frames, their presentation times from the moment of exposure; ``loss`` is the share of
datagrams that never arrive. The lines ``go`` and the end of its standard input mean what they do for the
HTTP cameras.
"""

from __future__ import annotations

import io
import json
import random
import socket
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from tests.truth.drawing import HEIGHT, WIDTH, grey_picture

PACKETS = 7 * 188
"""Bytes of transport packets in a datagram, as everybody sends them."""
CLOCK = 90_000
NOISE_ROWS = 64
"""Rows below the numbers that make a frame as large as a camera's: several datagrams."""


class Sink(io.RawIOBase):
    """What the muxer writes is sent at once; lost by the dice."""

    def __init__(self, port: int, loss: float) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._to = ("127.0.0.1", port)
        self._dice = random.Random(7)
        self._loss = loss
        self.is_lossy = False
        self.lost = 0
        self._waiting = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += bytes(data)
        while len(self._waiting) >= PACKETS:
            self.flush_some()
        return len(bytes(data))

    def flush_some(self) -> None:
        """Send what waits, a datagram of it."""
        data, self._waiting = self._waiting[:PACKETS], self._waiting[PACKETS:]
        if not data:
            return
        if self.is_lossy and self._dice.random() < self._loss:
            self.lost += 1
        else:
            self._socket.sendto(data, self._to)


def main(script_path: str, truth_path: str, port: str) -> None:
    """Send until standard input ends."""
    script = json.loads(Path(script_path).read_text(encoding="utf-8"))[0]
    sink = Sink(int(port), script.get("loss", 0.0))
    output = av.open(sink, "w", format="mpegts", options={"flush_packets": "1", "muxdelay": "0"})
    rate = float(script["rate"])
    stream = output.add_stream(
        "libx264",
        rate=Fraction(rate).limit_denominator(1001),
        options={"preset": "ultrafast", "tune": "zerolatency", "crf": "20", "g": "15", "bf": "0"},
    )
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT + NOISE_ROWS, "yuv420p"
    stream.codec_context.time_base = Fraction(1, CLOCK)
    ended = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "go":
                sink.is_lossy = True
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    noise = np.random.default_rng(3)
    print("ready", port, flush=True)
    with Path(truth_path).open("w", encoding="ascii") as truth:
        number, begin = 0, time.monotonic_ns()
        while not ended.is_set():
            due = begin + round(number * 1e9 / rate)
            time.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
            exposed = time.monotonic_ns()
            drawn = np.frombuffer(grey_picture(number, 0), np.uint8).reshape(HEIGHT, WIDTH)
            rows = noise.integers(60, 200, (NOISE_ROWS, WIDTH)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.concatenate([drawn, rows]), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts = (exposed - begin) * CLOCK // 1_000_000_000
            frame.time_base = Fraction(1, CLOCK)
            for packet in stream.encode(frame):
                output.mux(packet)
            sink.flush_some()
            line = {
                "camera": 0,
                "number": number,
                "exposed": exposed,
                "sent": time.monotonic_ns(),
                "cut": False,
            }
            truth.write(json.dumps(line) + "\n")
            number += 1
        truth.write(json.dumps({"lost_datagrams": sink.lost}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
