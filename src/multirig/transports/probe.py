"""Measures clocks: each PC has a socket with a thread of its own, so that little is between it and the clock.

The conductor sends bursts of probes to the port that a rig tells (`ClockProber`), the rig's thread answers
(`ClockPort`). A probe also carries what the conductor has noted of those before, so that both sides get
all stamps. Between PCs of a lab they are sealed, and a second message brings the stamps of an answer (see
`multirig.trust.clock_seal`); on one PC, and where all is open, they are as they were in 0.1. Whoever hears
nothing here, since a firewall is in between, has the stamps of wire 2: they are coarser, and their bounds
say so.

Where the system stamps datagrams itself (Linux) its stamps are taken: they do not wait until Python runs.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from multirig.errors import ConfigError, TrustError
from multirig.trust.clock_seal import (
    ANSWER,
    NO_STAMPS,
    PROBE,
    SIZE,
    STAMPS,
    ClockSeal,
    ProbeHead,
    ProbeStamps,
    read_head,
)

BURST = 10
"""Probes in a row, each sent as soon as the answer before is in: a thread that has slept wakes slowly."""
PATIENCE = 0.05
"""Seconds that an answer may take; a slower one tells less than the stamps of wire 2."""
MAX_LOST = 3
"""Answers in a row that may be missing before a burst is given up."""
MAX_SENDERS = 64
"""Conductors whose last probe is remembered."""
FASTEST = 5_000
"""One clock gains at most one part in so many on another: 200 ppm."""

_PROBE, _ANSWER = 1, 2
_FORMAT = struct.Struct("!4sB16s16sIqqqI")
"""Magic, kind, who speaks, to whom, number; three stamps and by how much they may be wrong, ns."""
_MAGIC = b"mrck"
_MOST = max(_FORMAT.size, SIZE) + 1
_KERNEL_STAMPS = 35
"""SO_TIMESTAMPNS, and what such a stamp is called among the ancillary data."""
_SECOND = 1_000_000_000


class Exchange(NamedTuple):
    """The stamps of a message and its answer, in nanoseconds, as `ClockMap.add` takes them."""

    sent: int
    heard: int
    answered: int
    received: int
    slack: int
    """By how much a stamp may be wrong."""


class _Datagram(NamedTuple):
    data: bytes
    sender: tuple[str, int]
    at: int
    """When it came; ns of ``time.perf_counter_ns()``."""
    slack: int


class _Socket:
    """A UDP socket whose datagrams are stamped as early as the system allows."""

    def __init__(self, family: socket.AddressFamily, host: str, port: int = 0) -> None:
        self.inner = socket.socket(family, socket.SOCK_DGRAM)
        # another library may have set a time-out for all sockets, as iblrig does: it would outlast ours
        self.inner.settimeout(None)
        try:
            self.inner.bind((host, port))
        except OSError:
            self.inner.close()
            raise
        self._is_stamped = False
        if sys.platform == "linux" and struct.calcsize("l") == 8:
            with contextlib.suppress(OSError):
                self.inner.setsockopt(socket.SOL_SOCKET, _KERNEL_STAMPS, 1)
                self._is_stamped = True

    def wait_at_most(self, seconds: float) -> None:
        """Give up a wait after that time."""
        if self._is_stamped:  # by the system: a time-out of Python's costs a call more for each datagram
            limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
            self.inner.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        else:
            self.inner.settimeout(seconds)

    def receive(self) -> _Datagram:
        """Wait for a datagram; OSError if none comes in time."""
        if sys.platform == "win32" or not self._is_stamped:
            data, sender = self.inner.recvfrom(_MOST)
            return _Datagram(data, sender[:2], time.perf_counter_ns(), 0)
        data, ancillary, _, sender = self.inner.recvmsg(_MOST, 64)
        now = time.perf_counter_ns()
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _KERNEL_STAMPS and len(value) >= 16:
                seconds, rest = struct.unpack_from("qq", value)
                ours, theirs, slack = _both_clocks()
                at = ours - (theirs - (seconds * _SECOND + rest))
                if now - _SECOND < at <= now:  # else the time of day was set just now
                    return _Datagram(data, sender[:2], at, slack)
        return _Datagram(data, sender[:2], now, 0)


def _both_clocks() -> tuple[int, int, int]:
    """Return this program's clock and the time of day at one moment, and how far apart they may be; ns."""
    best = (0, 0, _SECOND)
    for _ in range(3):
        before = time.perf_counter_ns()
        day = time.time_ns()
        after = time.perf_counter_ns()
        slack = (after - before) // 2 + 1
        if slack < best[2]:
            best = before + slack, day, slack
        if slack < 500:
            break
    return best


class _Answered(NamedTuple):
    """A probe, and the answer to it; ns."""

    number: int
    at: int
    answered: int
    slack: int


class ClockPort:
    """Answers probes, on a rig.

    Parameters
    ----------
    boot : str
        Boot id of this rig's node.
    permits : callable
        Whether what comes from an IP address is taken without a seal.
    report : callable
        Takes the boot id of a conductor and an `Exchange` with it; called in the port's own thread.
    find_seal : callable
        Returns the keys of a channel that this side calls so; called in the port's own thread.
    """

    def __init__(
        self,
        boot: str,
        *,
        permits: Callable[[str], bool],
        report: Callable[[str, Exchange], None],
        find_seal: Callable[[bytes], ClockSeal | None] = lambda index: None,
    ) -> None:
        self._boot = _id(boot)
        self._permits = permits
        self._report = report
        self._find_seal = find_seal
        self._sealed: dict[bytes, deque[_Answered]] = {}
        """Of each channel: the last two probes."""
        self._socket: _Socket | None = None
        self._thread: threading.Thread | None = None
        self._last: dict[bytes, tuple[int, int]] = {}
        """Of each conductor: the number of the last probe, and when it was answered."""

    def open(self, host: str, port: int = 0) -> int:
        """Listen at a port of an address of this PC, and return it.

        Parameters
        ----------
        host : str
            IP address.
        port : int
            0: any that is free.

        Raises
        ------
        ConfigError
            The port cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = _Socket(family, host, port)
        except OSError as error:
            which = f"UDP port {port}" if port else "no port"
            why = error.strerror or error
            raise ConfigError(f"{which} to measure clocks at on {host} cannot be had: {why}") from None
        self._thread = threading.Thread(target=self._serve, args=(self._socket,), name="clock", daemon=True)
        self._thread.start()
        return int(self._socket.inner.getsockname()[1])

    def close(self) -> None:
        """Answer no more."""
        opened, self._socket = self._socket, None
        if opened is None or self._thread is None:
            return
        host, port = opened.inner.getsockname()[:2]
        if host in ("0.0.0.0", "::"):
            host = "127.0.0.1" if host == "0.0.0.0" else "::1"
        with contextlib.suppress(OSError):
            opened.inner.sendto(b"", (host, port))  # wakes the thread, which sees that it is over
        self._thread.join(1.0)
        opened.inner.close()

    def _serve(self, opened: _Socket) -> None:
        while self._socket is opened:
            try:
                came = opened.receive()
            except OSError:  # also what Windows tells of a peer that has closed its socket
                continue
            if (head := read_head(came.data)) is not None:
                self._answer_sealed(opened, came, head)
            elif len(came.data) == _FORMAT.size and self._permits(_plain(came.sender[0])):
                self._answer(opened, came)

    def _answer_sealed(self, opened: _Socket, came: _Datagram, head: ProbeHead) -> None:
        seal = self._find_seal(head.to) if head.kind == PROBE else None
        if seal is None:
            return
        with contextlib.suppress(OSError, TrustError):
            told = seal.open(came.data)
            answer = seal.seal(ANSWER, head.number)
            now = time.perf_counter_ns()
            opened.inner.sendto(answer, came.sender)
            stamps = ProbeStamps(came.at, now, came.slack)
            opened.inner.sendto(seal.seal(STAMPS, head.number, stamps), came.sender)
            self._note_sealed(seal, _Answered(head.number, came.at, now, came.slack), told)

    def _note_sealed(self, seal: ClockSeal, one: _Answered, told: ProbeStamps) -> None:
        """Put together what this probe tells of the two before: our answer, and the probe after it."""
        last = self._sealed.pop(seal.mine, None) or deque(maxlen=2)
        self._sealed[seal.mine] = last
        while len(self._sealed) > MAX_SENDERS:
            del self._sealed[next(iter(self._sealed))]
        if len(last) == 2 and told.first:
            first, second = last
            is_row = (first.number, second.number) == (one.number - 2, one.number - 1)
            if is_row and told.first <= told.second:
                drifts = (told.second - told.first) // FASTEST
                slack = max(told.slack, second.slack) + drifts
                exchange = Exchange(first.answered, told.first, told.second, second.at, slack)
                self._report(seal.boot, exchange)
        last.append(one)

    def _answer(self, opened: _Socket, came: _Datagram) -> None:
        magic, kind, sender, receiver, number, sent, heard, answered, slack = _FORMAT.unpack(came.data)
        if magic != _MAGIC or kind != _PROBE or receiver != self._boot:
            return
        with contextlib.suppress(OSError):
            now = time.perf_counter_ns()
            told = (_MAGIC, _ANSWER, self._boot, sender, number, sent, came.at, now, came.slack)
            opened.inner.sendto(_FORMAT.pack(*told), came.sender)
            before = self._last.pop(sender, None)
            self._last[sender] = number, now
            while len(self._last) > MAX_SENDERS:
                del self._last[next(iter(self._last))]
            # `heard` is when our answer to the probe before came there; this probe is the answer to it
            if before is not None and before[0] == number - 1 and answered and heard and heard <= sent:
                drifts = (sent - heard) // FASTEST
                exchange = Exchange(before[1], heard, sent, came.at, max(slack, came.slack) + drifts)
                self._report(_text(sender), exchange)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rig answers probes."""

    boot: str
    """Of the rig's node."""
    host: str
    """IP address."""
    port: int
    seal: ClockSeal | None = None
    """Keys for the probes; None: they go as they are."""


@dataclass(slots=True)
class _Burst:
    target: Target
    number: int
    before: Exchange | None = None
    """What the probe before has brought."""
    last_but_one: Exchange | None = None
    """What the one before that has brought, where probes are sealed."""
    lost: int = 0
    """Answers in a row that are missing."""
    exchanges: list[Exchange] = field(default_factory=list)


class ClockProber:
    """Sends bursts of probes to rigs, from a thread of its own, on the conductor's PC.

    Parameters
    ----------
    boot : str
        Boot id of the conductor's node.
    """

    def __init__(self, boot: str) -> None:
        self._boot = _id(boot)
        self._sockets: dict[socket.AddressFamily, _Socket] = {}
        self._number = 0
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clock")

    def measure(self, targets: Iterable[Target]) -> Future[dict[str, list[Exchange]]]:
        """Send a burst to each.

        Returns
        -------
        Future of dict of str to list of Exchange
            By boot id; an empty list where nobody has answered.
        """
        return self._thread.submit(self._measure, list(targets))

    def close(self) -> None:
        """Stop measuring."""
        self._is_closed = True
        self._thread.shutdown(wait=True, cancel_futures=True)
        for opened in self._sockets.values():
            opened.inner.close()
        self._sockets.clear()

    def _measure(self, targets: list[Target]) -> dict[str, list[Exchange]]:
        bursts = [_Burst(one, self._next_number()) for one in targets]
        for burst in bursts:
            for _ in range(BURST + 1):
                if burst.lost < MAX_LOST and not self._is_closed:
                    if burst.target.seal is not None:
                        self._probe_sealed(burst, burst.target.seal)
                    else:
                        self._probe(burst)
        return {one.target.boot: one.exchanges for one in bursts}

    def _next_number(self) -> int:
        """Return where the numbers of a burst begin; its first probe follows none."""
        self._number = (self._number + BURST + 2) % 2**32
        return self._number

    def _socket(self, family: socket.AddressFamily) -> _Socket:
        if family not in self._sockets:
            opened = self._sockets[family] = _Socket(family, "::" if family == socket.AF_INET6 else "0.0.0.0")
            opened.wait_at_most(PATIENCE)
        return self._sockets[family]

    def _probe_sealed(self, burst: _Burst, seal: ClockSeal) -> None:
        """Send a probe; a second message brings the stamps of the answer to it."""
        target, before, number = burst.target, burst.before, seal.next_number()
        heard = burst.last_but_one
        burst.last_but_one, burst.before = before, None
        burst.lost += 1
        told = NO_STAMPS
        if before is not None and heard is not None:
            told = ProbeStamps(heard.received, before.sent, max(heard.slack, before.slack))
        try:
            opened = self._socket(socket.AF_INET6 if ":" in target.host else socket.AF_INET)
            probe = seal.seal(PROBE, number, told)
            sent = time.perf_counter_ns()
            opened.inner.sendto(probe, (target.host, target.port))
            until = time.perf_counter() + PATIENCE
            answer: _Datagram | None = None
            stamps: ProbeStamps | None = None
            while time.perf_counter() < until and (answer is None or stamps is None):
                came = opened.receive()
                head = read_head(came.data)
                if head is None or (head.to, head.number) != (seal.mine, number) or head.kind == PROBE:
                    continue
                with contextlib.suppress(TrustError):
                    found = seal.open(came.data)
                    if head.kind == ANSWER:
                        answer = answer or came
                    else:
                        stamps = found
            if answer is not None and stamps is not None:
                slack = max(stamps.slack, answer.slack)
                exchange = Exchange(sent, stamps.first, stamps.second, answer.at, slack)
                burst.exchanges.append(exchange)
                burst.before, burst.lost = exchange, 0
        except OSError:  # no answer in time, nobody there, or no way there
            return

    def _probe(self, burst: _Burst) -> None:
        target, before = burst.target, burst.before
        burst.number, burst.before = (burst.number + 1) % 2**32, None
        burst.lost += 1
        try:
            opened = self._socket(socket.AF_INET6 if ":" in target.host else socket.AF_INET)
            to, number = _id(target.boot), burst.number
            heard, slack = (before.received, before.slack) if before is not None else (0, 0)
            sent = time.perf_counter_ns()
            told = (_MAGIC, _PROBE, self._boot, to, number, sent, heard, int(before is not None), slack)
            opened.inner.sendto(_FORMAT.pack(*told), (target.host, target.port))
            until = time.perf_counter() + PATIENCE
            while time.perf_counter() < until:
                came = opened.receive()
                if len(came.data) != _FORMAT.size:
                    continue
                magic, kind, who, receiver, which, _, theirs, answered, slack = _FORMAT.unpack(came.data)
                if (magic, kind, who, receiver, which) == (_MAGIC, _ANSWER, to, self._boot, number):
                    exchange = Exchange(sent, theirs, answered, came.at, max(slack, came.slack))
                    burst.exchanges.append(exchange)
                    burst.before, burst.lost = exchange, 0
                    return
        except OSError:  # no answer in time, nobody there, or no way there
            return


def _id(boot: str) -> bytes:
    return boot.encode()[:16].ljust(16, b"\0")


def _text(boot: bytes) -> str:
    return boot.rstrip(b"\0").decode(errors="replace")


def _plain(host: str) -> str:
    return host[7:] if host.startswith("::ffff:") else host
