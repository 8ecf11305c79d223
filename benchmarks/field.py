"""Computers of a benchmark: programs with an address and a clock of their own, where the system lets us.

A network namespace gives a program its own address, a time namespace another monotonic clock, whose true
offset is known to the nanosecond. All hang at one switch in a namespace of its own, nothing of this
computer's network is touched, and with the programs everything is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.keys import write_keys

SECOND = 1_000_000_000
DISAGREEMENT = 20_000
"""Nanoseconds by which the time of day of this computer may contradict what we asked for."""
NETWORK = "10.207.0"
HOW = "run it as root, or under 'unshare --user --map-root-user'"
_WAIT = 'echo $$; read go; exec "$@"'
"""A shell that says its number, and becomes the program once its network is there."""


class Member:
    """A program at its place in the field: each line it is told it answers with one, both in JSON."""

    def __init__(self, command: list[str], *, host: str, ahead: int, keys: str) -> None:
        self.host = host
        self.ahead = ahead
        """Nanoseconds by which its clock is ahead of this program's."""
        self.pid = 0
        """Of the process that is in its namespaces."""
        self._command = command
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115  as long as the program
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env={**os.environ, "MULTIRIG_KEYS": keys},
        )

    def ready(self) -> dict[str, Any]:
        """Wait until it is ready; return what it says then."""
        told: dict[str, Any] = self.hear()
        contradiction = told["clock"] - clock_of_day(time.perf_counter_ns) - self.ahead
        if abs(contradiction) > DISAGREEMENT:
            raise RuntimeError(f"a clock of the field is {contradiction} ns off: its truth is not known")
        return told

    def say(self, line: object) -> None:
        """Tell it something, and do not wait."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{json.dumps(line)}\n")
            self._process.stdin.flush()

    def hear(self) -> Any:
        """Return its next line."""
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            self._complaints.seek(0)
            raise RuntimeError(f"{' '.join(self._command)} has ended:\n{self._complaints.read()}")
        return json.loads(line)

    def ask(self, what: str, **details: Any) -> Any:
        """Have it do something; return its answer."""
        self.say({"do": what, **details})
        answer = self.hear()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{what}: {answer['error']}")
        return answer

    def end(self) -> None:
        """Let it end; it does when its input does."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def wait(self) -> None:
        """Wait until it has ended, or end it."""
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._complaints.close()


class Field(contextlib.AbstractContextManager["Field"]):
    """Starts programs, each on a computer of its own as far as the system lets us."""

    def __init__(self) -> None:
        self.has_networks = _may("--net", "ip", "link", "set", "lo", "up")
        """Whether each program has an address of its own."""
        self.has_clocks = _may("--time", "--monotonic", "1", "--boottime", "1", "true")
        """Whether each program may have a clock of its own."""
        self._members: list[Member] = []
        self._switch: subprocess.Popen[str] | None = None
        self._keys = ""
        """Folder of the keys by which these computers are of one lab: all between them is sealed."""
        self._hub = 0
        """Number of the process that keeps the switch's namespace."""
        self._folders = contextlib.ExitStack()

    @property
    def lacks(self) -> str | None:
        """What the system does not let us do, in one line; None if nothing."""
        missing = {"addresses": self.has_networks, "clocks": self.has_clocks}
        if all(missing.values()):
            return None
        what = " and ".join(one for one, there in missing.items() if not there)
        return f"programs can have no {what} of their own here, they share them: {HOW}"

    def __enter__(self) -> Field:
        self._folders.__enter__()
        self._keys = self._folders.enter_context(tempfile.TemporaryDirectory())
        write_keys(Path(self._keys))
        if self.has_networks:
            command = ["unshare", "--net", "sh", "-c", "echo $$; read end"]
            self._switch = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._hub = int(self._switch.stdout.readline())  # type: ignore[union-attr]
            self._inside(self._hub, "ip link add switch type bridge && ip link set switch up")
        return self

    def __exit__(self, *error: object) -> None:
        for member in self._members:
            member.end()
        for member in self._members:
            member.wait()
        if self._switch is not None:
            self._switch.communicate("\n")
        self._folders.close()

    def start(self, kind: str, *options: object, hours: float = 0.0, beside: Member | None = None) -> Member:
        """Start a program of `benchmarks.members`; `Member.ready` waits for it.

        Parameters
        ----------
        kind, *options
            Which, and what it needs to know.
        hours : float
            How far its clock shall be ahead.
        beside : Member, optional
            On whose computer it runs; otherwise on one of its own.
        """
        seconds = round(hours * 3600) if self.has_clocks else 0
        host = f"{NETWORK}.{len(self._members) + 1}" if self.has_networks else "127.0.0.1"
        folder = self._folders.enter_context(tempfile.TemporaryDirectory())
        if beside is not None:
            seconds, host = beside.ahead // SECOND, beside.host
        command = [sys.executable, "-m", "benchmarks.members", kind, host, folder, *map(str, options)]
        separate = ["--net"] * self.has_networks + ["--time"] * self.has_clocks
        if beside is not None and separate:
            command = ["nsenter", "--target", str(beside.pid), *separate, *command]
        elif separate:
            clock = ["--monotonic", str(seconds), "--boottime", str(seconds)] if self.has_clocks else []
            shell = ["sh", "-c", _WAIT, "sh"]
            command = ["unshare", "--fork", "--kill-child", *separate, *clock, *shell, *command]
        member = Member(command, host=host, ahead=seconds * SECOND, keys=self._keys)
        self._members.append(member)
        if beside is None and separate:
            member.pid = int(member.hear())
            if self.has_networks:
                self._connect(member)
            member.say("go")
        return member

    def _connect(self, member: Member) -> None:
        """Give a program a cable to the switch, from one namespace to the other."""
        number = member.host.rpartition(".")[2]
        ends = ["ip", "link", "add", "cable", "netns", str(member.pid), "type", "veth"]
        ends += ["peer", "name", f"port{number}", "netns", str(self._hub)]
        subprocess.run(ends, check=True)
        self._inside(self._hub, f"ip link set port{number} master switch up")
        up = f"ip addr add {member.host}/24 dev cable && ip link set cable up && ip link set lo up"
        # others are found by a multicast: there must be a way for it
        self._inside(member.pid, f"{up} && ip route add default dev cable")

    def _inside(self, pid: int, commands: str) -> None:
        subprocess.run(["nsenter", "--target", str(pid), "--net", "sh", "-c", commands], check=True)


@contextlib.contextmanager
def all_cores_loaded() -> Iterator[None]:
    """Keep every core busy with a program of usual priority while the block lasts."""
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for one in burners:
            one.kill()
            one.wait()


def _may(*what: str) -> bool:
    try:
        done = subprocess.run(["unshare", "--fork", *what], capture_output=True)
    except OSError:  # another system, or a smaller one
        return False
    return done.returncode == 0


def clock_of_day(clock: Any) -> int:
    """Return by how much a clock is ahead of the time of day, which all programs share; ns."""
    found = []
    for _ in range(200):
        before, day, after = time.time_ns(), clock(), time.time_ns()
        found.append((after - before, day - (before + after) // 2))
    return min(found)[1]
