"""A lab of real programs: rigs as processes, bad cables, and programs that are killed or held."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import programs

from multirig.conductor.conductor import Conductor
from multirig.keyring import Keyring
from multirig.sim.relay import Relay
from multirig.trust.keys import public_key
from multirig.trust.roles import Role

if os.name == "nt":  # processes are killed and held by signals that Windows does not have
    collect_ignore_glob = ["test_*.py"]

PLUGIN = Path(__file__).parent / "plugin"
"""Where the adapter lies that keeps a ledger of what it was asked to do."""
LIMIT = 30.0
"""Seconds that anything may take on a busy machine."""
SUBJECT = "SP_01"


class Program:
    """A process whose output goes to a file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.output = folder / f"{name}.out"
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PLUGIN), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "COLUMNS": "300",
        }

    def start(self, *command: str, before: tuple[str, ...] = ()) -> None:
        """Start it; what an earlier one of the name said is kept."""
        with self.output.open("ab") as output:
            self.process = programs.Program(
                [*before, sys.executable, "-m", "multirig", *command],
                cwd=self.output.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8") if self.output.exists() else ""

    async def says(self, pattern: str, limit: float = LIMIT) -> re.Match[str]:
        """Wait until its output holds a pattern."""
        end = time.monotonic() + limit
        while (found := re.search(pattern, self.said())) is None:
            assert time.monotonic() < end, f"{self.name} did not say {pattern!r}, but\n{self.said()}"
            await asyncio.sleep(0.02)
        return found

    async def ends(self, limit: float = LIMIT) -> int:
        """Wait for its end and return the exit code."""
        assert self.process is not None
        end = time.monotonic() + limit
        while self.process.poll() is None:
            assert time.monotonic() < end, f"{self.name} did not end:\n{self.said()}"
            await asyncio.sleep(0.02)
        return self.process.returncode

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def hold(self) -> None:
        """Let it stand still, as a program does whose PC is much too busy."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut does: it cannot say or write anything any more."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class RigProgram(Program):
    """``multirig serve`` in a process of its own, on a port that it keeps when it is started again."""

    def __init__(self, folder: Path, name: str, *, scheme: str, adapter: dict[str, Any], **keys: Any) -> None:
        super().__init__(folder, name)
        self.uri = keys.pop("uri", None) or f"{scheme}://127.0.0.1:{free_port(scheme)}"
        self.data = folder / "data" / name
        self.config = folder / f"{name}.yaml"
        self._ledger = folder / f"{name}.ledger"
        settings = {
            "name": name,
            "uri": self.uri,
            "data_folder": str(self.data),
            "log_folder": str(folder / "logs"),
            "adapter": adapter
            if "type" in adapter
            else {"type": "ledger", "ledger": str(self._ledger), **adapter},
            **keys,
        }
        self.config.write_text(yaml.safe_dump(settings))

    async def open(self, *before: str) -> None:
        """Start it and wait until it listens."""
        earlier = self.said().count("ready at")
        self.start("serve", str(self.config), "--plain", "--no-keyboard", before=before)
        await self.says(f"(?s)(ready at.*){{{earlier + 1}}}")

    def hooks(self) -> list[tuple[str, str]]:
        """Return each hook that the adapter was asked for, with its reference, in order."""
        if not self._ledger.exists():
            return []
        lines = self._ledger.read_text(encoding="utf-8").splitlines()
        return [(hook, exp_ref) for hook, exp_ref in map(str.split, lines)]

    async def does(self, hook: str, limit: float = LIMIT) -> None:
        """Wait until its adapter is asked for something."""
        end = time.monotonic() + limit
        while hook not in [one for one, _ in self.hooks()]:
            assert time.monotonic() < end, f"{self.name} was not asked to {hook}:\n{self.said()}"
            await asyncio.sleep(0.01)

    def starts(self) -> Counter[str]:
        """Return how many times the adapter was started for each reference."""
        return Counter(exp_ref for hook, exp_ref in self.hooks() if hook == "start")

    def rows(self, exp_ref: Any = None) -> int:
        """Return how many rows lie on the disk; all of them are whole and in order."""
        count = 0
        number = "???" if exp_ref is None else f"{exp_ref.sequence:03}"
        for path in sorted(self.data.glob(f"mylab/Subjects/{SUBJECT}/*/{number}/raw_data/rows-*.txt")):
            written = path.read_bytes()
            rows = [int(line) for line in written.split(b"\n")[:-1]]
            assert rows == list(range(len(rows))), f"{path} misses rows"
            count += len(rows)
        return count


class LabOfPrograms(contextlib.AbstractAsyncContextManager["LabOfPrograms"]):
    """Starts what a test needs, and ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rigs: dict[str, RigProgram] = {}
        self.relays: dict[str, Relay] = {}
        self._programs: list[Program] = []
        self._stack = contextlib.AsyncExitStack()

    def rig(
        self, name: str, *, scheme: str = "udp", adapter: dict[str, Any] | None = None, **keys: Any
    ) -> RigProgram:
        """Return a rig that is not started yet."""
        self.rigs[name] = RigProgram(self.folder, name, scheme=scheme, adapter=adapter or {}, **keys)
        self._programs.append(self.rigs[name])
        return self.rigs[name]

    async def open_rigs(self, *names: str, scheme: str = "udp", **keys: Any) -> list[RigProgram]:
        """Start rigs beside each other; the first one is the main sync."""
        rigs = [self.rig(name, scheme=scheme, main_sync=name == names[0], **keys) for name in names]
        await asyncio.gather(*(one.open() for one in rigs))
        return rigs

    async def lay_bad_cables(self, **faults: Any) -> None:
        """Put a relay before every rig."""
        for number, (name, rig) in enumerate(self.rigs.items()):
            relay = Relay(rig.uri, **{**faults, "seed": faults.get("seed", 0) + number})
            self.relays[name] = await self._stack.enter_async_context(relay)

    def uris(self) -> dict[str, str]:
        """Return where a conductor finds each rig."""
        return {
            name: self.relays[name].uri if name in self.relays else rig.uri for name, rig in self.rigs.items()
        }

    async def conductor(self, **options: Any) -> Conductor:
        """Open a conductor of all rigs in this process."""
        options.setdefault("data_folder", self.folder / "pc")
        return await self._stack.enter_async_context(Conductor(self.uris(), **options))

    def run(self, *options: str, before: tuple[str, ...] = (), at: str = "127.0.0.1") -> Program:
        """Start ``multirig run`` over all rigs, in a process of its own."""
        lines = [f"{name}: {uri.replace('0.0.0.0', at)}\n" for name, uri in self.uris().items()]
        (self.folder / "rigs.yaml").write_text("".join(lines))
        chosen = ("-s", SUBJECT, "--rigs-file", "rigs.yaml", "--remote", *self.rigs)
        return self.command("run", *chosen, "--data", str(self.folder / "pc"), *options, before=before)

    def command(self, *command: str, before: tuple[str, ...] = ()) -> Program:
        """Start a command in a process of its own."""
        program = Program(self.folder, f"{command[0]}-{len(self._programs)}")
        self._programs.append(program)
        program.start(*command, before=before)
        return program

    async def __aexit__(self, *error: object) -> None:
        try:
            await self._stack.aclose()
        finally:
            for one in self._programs:
                one.kill()


def free_port(scheme: str) -> int:
    """Return a port that nobody has now."""
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


class Cable(contextlib.AbstractAsyncContextManager["Cable"]):
    """Two PCs with a network each, and a cable between them; what runs there sees nothing else."""

    HERE, THERE = "10.90.0.1", "10.90.0.2"
    """Their addresses."""

    def __init__(self) -> None:
        self._pcs: list[subprocess.Popen[bytes]] = []

    async def __aenter__(self) -> Cable:
        self._pcs = [_begin_network() for _ in range(2)]
        self.here(f"ip link add wire type veth peer name wire netns {self._pcs[1].pid}")
        for on_it, address in ((self.here, self.HERE), (self.there, self.THERE)):
            on_it("ip link set lo up")
            on_it(f"ip address add {address}/24 dev wire")
            on_it("ip link set wire up")
        return self

    def enter(self, place: int) -> tuple[str, ...]:
        """Return what runs a program on the PC here (0) or there (1)."""
        return ("nsenter", "-t", str(self._pcs[place].pid), "-n")

    def here(self, command: str) -> None:
        subprocess.run([*self.enter(0), *command.split()], check=True)

    def there(self, command: str) -> None:
        subprocess.run([*self.enter(1), *command.split()], check=True)

    async def __aexit__(self, *error: object) -> None:
        for pc in self._pcs:
            pc.kill()
            pc.wait()
            if pc.stdout is not None:
                pc.stdout.close()


def _begin_network() -> subprocess.Popen[bytes]:
    """Return a process that has a network of its own."""
    command = ["unshare", "-n", "sh", "-c", "echo && exec sleep 600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture
def cable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cable:
    """Return a cable between two PCs of one lab."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("needs the right to make networks")
    ring = Keyring(tmp_path / "keys")
    own, lab_key = ring.make_own_key("pc"), ring.make_lab_key("cortexlab")
    certificate = ring.certify(lab_key, public_key(own.private), "pc", Role.LEAD)
    ring.add(lab_key.lab, certificate)
    monkeypatch.setenv("MULTIRIG_KEYS", str(ring.folder))
    return Cable()


class Labs(contextlib.AbstractAsyncContextManager["Labs"]):
    """Several labs beside each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._labs: list[LabOfPrograms] = []

    def make(self) -> LabOfPrograms:
        """Return one more."""
        folder = self._folder / f"lab-{len(self._labs)}"
        folder.mkdir()
        self._labs.append(LabOfPrograms(folder))
        return self._labs[-1]

    async def __aexit__(self, *error: object) -> None:
        for lab in self._labs:
            await lab.__aexit__(*error)


@pytest.fixture
def lab(tmp_path: Path) -> LabOfPrograms:
    return LabOfPrograms(tmp_path)


@pytest.fixture
def labs(tmp_path: Path) -> Labs:
    return Labs(tmp_path)
