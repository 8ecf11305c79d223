"""The stage on which the corpus was recorded: computers of the driver, scripted peers, a network that obeys.

Nothing here knows multirig: it moves the lines of the corpus. Only `record.py` needs it.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.unit.corpus.driver import Computer, Line, expand, from_bytes, to_bytes

MS = 1_000_000
SECOND = 1000 * MS
DELAY = MS
"""That each datagram takes."""
DATE = "2024-05-06"

Carry = Callable[[str, str, bytes, int], list[int]]
"""(from, to, data, how manieth between these) -> delays of each copy in nanoseconds."""


def carry_all(source: str, target: str, data: bytes, count: int) -> list[int]:
    """Carry every datagram once."""
    return [DELAY]


class Stage:
    """Virtual time, computers and peers; writes down all that crosses a border."""

    def __init__(self, carry: Carry = carry_all) -> None:
        self.time = 0
        self.carry = carry
        self.lines: list[Line] = []
        self.computers: dict[str, Computer] = {}
        self.homes: dict[str, str] = {}
        """Names of computers by address."""
        self.closed: set[str] = set()
        """Addresses at which nothing listens, and whose system says so."""
        self.peers: dict[str, Any] = {}
        """Scripted peers by address."""
        self.rigs: dict[str, RigHands] = {}
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._ticks = itertools.count()
        self._counts: dict[tuple[str, str], int] = {}
        self._numbers: dict[str, int] = {}
        self._rings = 0
        self._sent: int | None = None
        """Number of the line of the datagram that leaves a computer just now."""

    # -- time ---------------------------------------------------------------------------------------------

    def after(self, delay: float, call: Callable[[], None]) -> None:
        """Call something after so many nanoseconds."""
        heapq.heappush(self._heap, (self.time + int(delay), next(self._ticks), call))

    def run(self, seconds: float) -> None:
        """Let everything happen for a while."""
        until = self.time + int(seconds * SECOND)
        while True:
            timers = [(at, one) for one in self.computers.values() if (at := one.timer()) is not None]
            first = min((at for at, _ in timers), default=None)
            due = None if first is None else max(first, self.time)
            ready = self._heap[0][0] if self._heap else None
            if due is not None and due <= until and (ready is None or due <= ready):
                self._rings = self._rings + 1 if due == self.time else 0
                assert self._rings < 10_000, "it does not come to rest"
                self.time = due
                computer = next(one for at, one in timers if at == first)
                computer.ring(due)
                self._spread(computer)
            elif ready is not None and ready <= until:
                self.time, _, call = heapq.heappop(self._heap)
                call()
            else:
                break
        self.time = until

    def end(self) -> list[Line]:
        """Return all that was written down."""
        for name in self.computers:
            self.lines.append({"at": self.time, "who": name, "do": "end"})
        return self.lines

    # -- computers ----------------------------------------------------------------------------------------

    def do(self, who: str, what: str, **more: Any) -> None:
        """Let something happen to a computer now."""
        computer = self.computers[who]
        while (due := computer.timer()) is not None and due <= self.time:
            computer.ring(self.time)
            self._spread(computer)
        line = {"at": self.time, "who": who, "do": what, **more}
        self.lines.append(line)
        computer.take(json.loads(json.dumps(expand(line, self.lines))))
        self._spread(computer)

    def boot(self, who: str, side: str, address: str, **settings: Any) -> None:
        """Start a program on a PC, the first or another one."""
        self.computers.setdefault(who, Computer(who))
        self.homes[address] = who
        settings.setdefault("boot", f"{len(self.lines) + 1:016x}")
        self.do(who, "boot", side=side, address=address, **settings)

    def number(self, who: str) -> int:
        """Return the next number of a request of a conductor."""
        self._numbers[who] = self._numbers.get(who, 0) + 1
        return self._numbers[who]

    def _spread(self, computer: Computer) -> None:
        fresh, computer.lines = computer.lines, []
        source = next(address for address, who in self.homes.items() if who == computer.name)
        for line in fresh:
            self.lines.append(line)
            if "to" in line:
                self._sent = len(self.lines)
                self.send(source, line["to"], to_bytes(line))
                self._sent = None
            elif computer.name in self.rigs and "wants" in line:
                self.rigs[computer.name].serve(line)

    # -- the network --------------------------------------------------------------------------------------

    def send(self, source: str, target: str, data: bytes) -> None:
        """Carry a datagram as the network of this conversation does."""
        sent = self._sent
        count = self._counts[source, target] = self._counts.get((source, target), 0) + 1
        for delay in self.carry(source, target, data, count):
            self.after(delay, lambda: self._deliver(source, target, data, sent))

    def _deliver(self, source: str, target: str, data: bytes, sent: int | None) -> None:
        if target in self.closed:
            if (who := self.homes.get(source)) is not None:
                self.after(DELAY, functools.partial(self.do, who, "closed", where=target))
        elif (who := self.homes.get(target)) is not None and self.computers[who].node is not None:
            came: Line = {"from": source, **from_bytes(data)} if sent is None else {"line": sent}
            self.do(who, "hear", **came)
        elif (peer := self.peers.get(target)) is not None:
            peer.hear(source, data)


class RigHands:
    """What a rig's service does for its program: hooks that take time, descriptions, files.

    Parameters
    ----------
    stage : Stage
    who : str
        Name of the rig.
    exp_ref : str, optional
        What it offers as the main sync; the number counts up at each start.
    times : mapping of str to float
        Seconds that each hook takes.
    fails : mapping of str to str
        What a hook says that cannot be done.
    hangs : set of str
        Hooks that never end.
    """

    def __init__(
        self,
        stage: Stage,
        who: str,
        *,
        subject: str = "SP_01",
        sequence: int = 1,
        times: Mapping[str, float] | None = None,
        fails: Mapping[str, str] | None = None,
        hangs: set[str] | None = None,
        info: Mapping[str, Any] | None = None,
        room: bool = True,
        session_clock: int = 0,
    ) -> None:
        self.stage, self.who = stage, who
        self.subject, self.sequence = subject, sequence
        self.times = {"initialise": 0.02, "start": 0.01, "stop": 0.03, "cleanup": 0.02, "resume": 0.02}
        self.times |= times or {}
        self.fails, self.hangs = dict(fails or {}), set(hangs or ())
        self.info = dict(info or {})
        self.session_clock = session_clock
        """Of whoever leads: its nanoseconds where the stage's are 0."""
        self.recorded = False
        self.files = 0
        self._call: Line | None = None
        self._busy_until = 0
        stage.rigs[who] = self

    def serve(self, line: Line) -> None:
        """Do what the program wants."""
        match line["wants"]:
            case "call":
                self._begin(line)
            case "description":
                self.stage.after(2 * MS, lambda: self._describe(line))
            case "pictures":
                taken = [
                    {"label": "left", "jpeg": "/9j/2Q==", "age": 0.25},
                    {"label": "right", "jpeg": "/9j/2Q==", "age": None},
                ]
                self.stage.after(
                    2 * MS, lambda: self._do("pictures taken", request=line["request"], pictures=taken)
                )

    def _do(self, what: str, **more: Any) -> None:
        if self.stage.computers[self.who].node is not None:
            self.stage.do(self.who, what, **more)

    def _describe(self, asked: Line) -> None:
        info = {
            "name": self.who,
            "date": DATE,
            "adapter": "fake",
            "collection": "raw_video_data",
            "disk_free": 512_000_000_000,
            "version": "0.1.0",
            "device": {"rate": 100.0},
            **self.info,
        }
        if asked.get("subject") is not None:
            number = max(self.sequence, asked["at_least"])
            info["exp_ref"] = f"{DATE}_{number}_{asked['subject']}"
        if asked.get("check") is not None:
            info["preflight"] = [
                {"check": "disk", "level": "ok", "text": "512.0 GB free: 17.5 h at 8.1 MB/s"},
                {"check": "sleep", "level": "warning", "text": "this PC may fall asleep: switch that off"},
            ]
            info["time"] = "2024-05-06T12:00:00.000+00:00"
        self._do("described", request=asked["request"], info=info, room=asked.get("room"))

    def _begin(self, call: Line) -> None:
        if self._call is not None and not call.get("preempts"):
            self.stage.after(max(0, self._busy_until - self.stage.time), lambda: self._work(call))
        else:
            self._work(call)

    def _work(self, call: Line) -> None:
        self._call = call
        seconds = 0.0
        for hook in call["hooks"]:
            seconds += self.times[hook]
            if hook in self.hangs:
                return
            if hook in self.fails:
                self._end(call, seconds, hook, self.fails[hook])
                return
        if "start" in call["hooks"]:
            self._arm(call, seconds)
        else:
            self._end(call, seconds)

    def _arm(self, call: Line, seconds: float) -> None:
        at = call.get("start_at")
        left = 0 if at is None else at - self.session_clock - self.stage.time
        self.stage.after(MS, lambda: self._do("armed", call=call["call"]) if self._call is call else None)
        self._end(call, max(seconds, left / SECOND + self.times["start"]))

    def _end(self, call: Line, seconds: float, hook: str = "", reason: str = "") -> None:
        self._busy_until = self.stage.time + int(seconds * SECOND)

        def finish() -> None:
            if self._call is not call:
                return  # another call has cancelled it
            self._call = None
            if reason:
                self._do("failed", call=call["call"], reason=f"{hook}: {reason}", report={})
            else:
                self._do("done", call=call["call"], report=self._report(call["hooks"]))

        self.stage.after(seconds * SECOND, finish)

    def _report(self, hooks: list[str]) -> dict[str, Any]:
        report: dict[str, Any] = {}
        session = (self.stage.time + self.session_clock) / SECOND
        if "start" in hooks:
            self.recorded, self.sequence = True, self.sequence + 1
            start = {"planned": session - 0.01, "heard": session - 0.2, "called": session - 0.01}
            start |= {"returned": session, "late": 0.0, "bound": 0.0005}
            report |= {"started_at": session, "start": start}
        if "resume" in hooks:
            gap = {"from": "2024-05-06T12:00:01.000+00:00", "to": "2024-05-06T12:00:03.500+00:00"}
            report |= {"gap": {**gap, "seconds": 2.5}}
        if "stop" in hooks:
            file = {
                "path": "raw_video_data/fake.csv",
                "bytes": 4096,
                "frames": 100,
                "first": session - 1.0,
                "last": session - 0.1,
                "blake2b": "00ff",
            }
            report |= {
                "files": [file] if self.recorded else [],
                "manifest": f"_multirig_manifest.{self.who}.json" if self.recorded else None,
                "health": {"frames": 100, "bytes": 4096, "dropped": 0, "rate": 100.0},
                "stopped_at": session,
                "clock": {"offset": 1.5, "bound": 0.0005},
            }
        if "cleanup" in hooks:
            self.recorded = False
        return report


class EchoPeer:
    """A peer on wire 1.0: says the bytes back, does its work, says the same event again.

    Parameters
    ----------
    answer : callable
        (event, args) -> the array of the answer, or None for none; bytes are sent as they are.
    compact : bool
        Whether it writes no spaces, as MATLAB's peers.
    """

    def __init__(
        self,
        stage: Stage,
        address: str,
        answer: Callable[[int, list[Any]], Any] | None = None,
        *,
        compact: bool = False,
        echoes: bool = True,
        delay: float = 0.005,
    ) -> None:
        self.stage, self.address = stage, address
        self.answer, self.compact, self.echoes, self.delay = answer, compact, echoes, delay
        self._mine: list[tuple[str, bytes]] = []
        """Said, and not echoed yet."""
        self._queue: list[tuple[str, bytes]] = []
        stage.peers[address] = self

    def say(self, target: str, array: Any) -> None:
        """Say something and wait for its echo before the next."""
        data = array if isinstance(array, bytes) else self.encode(array)
        self._queue.append((target, data))
        self._go_on()

    def encode(self, array: Any) -> bytes:
        """Write a message as it does."""
        return json.dumps(array, separators=(",", ":") if self.compact else None).encode()

    def hear(self, source: str, data: bytes) -> None:
        """Take a datagram."""
        if (source, data) in self._mine:
            self._mine.remove((source, data))
            self._go_on()
            return
        if data[:1] == b"{":
            return
        array = json.loads(data)
        if array[0] == 0:
            self._mine.clear()
            self._go_on()
            return
        if self.echoes:
            self.stage.send(self.address, source, data)
        if self.answer is not None and (reply := self.answer(array[0], array[1:])) is not None:
            self.stage.after(self.delay * SECOND, lambda: self.say(source, reply))

    def _go_on(self) -> None:
        if self._queue and not self._mine:
            target, data = self._queue.pop(0)
            if data[:2] not in (b"[0", b"x"):
                self._mine.append((target, data))
            self.stage.send(self.address, target, data)


def ibl_rig(
    exp_ref: str | None = None, *, fails: Mapping[int, str] | None = None
) -> Callable[[int, list[Any]], Any]:
    """Return the answers of a rig as iblrig's services give them."""
    state = {"status": 0}
    after = {1: 10, 2: 20, 4: 30, 16: 30, 8: 0}

    def answer(event: int, args: list[Any]) -> Any:
        if event in (fails or {}):
            return [0, (fails or {})[event], event]
        state["status"] = after.get(event, state["status"])
        match event:
            case 64:
                info = {"exp_ref": exp_ref, "main_sync": exp_ref is not None, "experiment_description": {}}
                info |= {"master": False, "rig_version": "8.24.7", "spec_version": "1.0.0", "subject": None}
                return [64, state["status"], info]
            case 1:
                return [1, {"exp_ref": args[0]["exp_ref"]}]
            case 2:
                return [2, args[0], None]
            case 4 | 16:
                return [event, []]
            case 8:
                return [8, None]
            case 32:
                return [32, state["status"]]
        return None

    return answer


def scan_image(exp_ref: str, *, fails_start: bool = False) -> Callable[[int, list[Any]], Any]:
    """Return the answers of ScanImage's listener."""
    state = {"status": 0}
    after = {1: 10, 2: 20, 4: 30, 16: 30, 8: 0}

    def answer(event: int, args: list[Any]) -> Any:
        if event == 2 and fails_start:
            return [16, 30]
        state["status"] = status = after.get(event, state["status"])
        match event:
            case 64:
                said = {"main_sync": True, "api_version": "1.0.0", "status": status, "exp_ref": exp_ref}
                return [64, status, said]
            case 1:
                return [1, {"status": status}]
            case 2:
                return [2, exp_ref, {"status": status}]
        return [event, status]

    return answer
