"""Plays a case with real processes: sources, rigs, the command that leads; all of them end with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.truth.model import Cam, Case, Rig

from multirig.keyring import Keyring
from multirig.trust.keys import public_key
from multirig.trust.roles import Role

ROOT = Path(__file__).parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
"""Where Debian's GStreamer is known."""
LIMIT = 40.0
"""Seconds for anything to come up on a busy PC."""
LOADING = 15.0
"""Seconds after which a lab that begins still is no reason to let others wait."""
LOOK_EVERY = 0.02
RIG_ADDRESS = "10.9.0.1"
"""Where rigs are in a case with a network of its own; an address of `lo` there."""
SIGNALS = {
    "interrupt": signal.SIGINT,
    "terminate": signal.SIGTERM,
    "hang up": signal.SIGHUP,
    "kill": signal.SIGKILL,
}


_STARTED = re.compile(rb'"kind":"Replied","data":\{"address":(\[[^]]*\]).*"message":\{"event":2,')
"""In the journal: a rig has answered that it records."""


class NotMade(Exception):
    """The case could not be played: nothing is known of the product by it."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a case."""

    case: Case
    output: str = ""
    """What the leading command said, and what was run after it."""
    code: int | None = None
    verdict: dict[str, Any] | None = None
    """The file of the verdict, if there is one."""
    journal: str = ""
    rig_outputs: dict[str, str] = field(default_factory=dict)
    folders: dict[str, list[Path]] = field(default_factory=dict)
    """Session folders on each rig's disk."""
    truths: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    """Of each camera (rig, label), or program (rig, ""), what its source did."""
    records_on: list[str] = field(default_factory=list)
    """Programs and rigs that still record when all is over."""
    trouble: str | None = None
    """Why the case could not be played."""


class Program:
    """A process whose output goes to a file."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        name: str,
        environment: Mapping[str, str],
        *,
        speaks: bool = False,
    ) -> None:
        self.output = folder / f"{name}.out"
        self._position = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE if speaks else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        """Return all that it has said, this time and before."""
        return self.output.read_bytes().decode(errors="replace")

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it says something."""
        end = time.monotonic() + LIMIT
        while True:
            text = self.output.read_bytes()[self._position :].decode(errors="replace")
            if found := re.search(pattern, text):
                return found
            if self.process.poll() is not None or time.monotonic() > end:
                raise NotMade(f"{self.output.name} did not say {pattern!r} but {text[-2000:]!r}")
            await asyncio.sleep(LOOK_EVERY)

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.write(line.encode() + b"\n")
                self.process.stdin.flush()

    async def ends(self, limit: float) -> int | None:
        """Wait for its end; None: it has not ended in time."""
        end = time.monotonic() + limit
        while self.process.poll() is None and time.monotonic() < end:
            await asyncio.sleep(LOOK_EVERY)
        return self.process.poll()

    async def close(self, number: int = signal.SIGTERM) -> None:
        """End it, in good order if it takes that."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            if await self.ends(2.0) is not None:
                return
        if self.process.poll() is None:
            self.process.send_signal(number)
            if await self.ends(8.0) is None:
                self.process.kill()
                self.process.wait()


class Lab:
    """One case at play.

    Parameters
    ----------
    case : Case
        What is played.
    folder : Path
        An empty one.
    starting : asyncio.Semaphore
        How many labs may start their programs at once: to load them is what needs the processor.
    """

    def __init__(self, case: Case, folder: Path, starting: asyncio.Semaphore) -> None:
        self._case = case
        self._folder = folder
        self._starting = starting
        self._programs: list[Program] = []
        self._sources: dict[str, Program] = {}
        self._rigs: dict[str, Program] = {}
        self._uris: dict[str, str] = {}
        self._truth_files: dict[tuple[str, str], tuple[Path, int]] = {}
        self._data: dict[str, Path] = {}
        self._before: list[str] = []
        """What stands before each command, to run it in the case's own network."""
        self._disks: dict[str, tuple[Path, list[str]]] = {}
        self.outcome = Outcome(case=case)

    # -- all of it

    async def play(self) -> Outcome:
        """Play the case to its end and collect what came of it."""
        try:
            async with self._starting:
                await self._open()
                run = self._lead()
                waiting = asyncio.create_task(self._await_running(run))
                await asyncio.wait([waiting], timeout=LOADING)
            if await waiting:
                await self._record(run)
            self.outcome.code = await run.ends(self._case.limit)
            if self.outcome.code is None:
                self.outcome.output += "(the command did not end)\n"
            await self._afterwards()
            self._look_who_records()
            self._look_whether_iblutil_gave_up()
        except NotMade as error:
            self.outcome.trouble = str(error)
        finally:
            await self._close()
            self._collect()
        return self.outcome

    async def _open(self) -> None:
        if self._case.network:
            await self._make_network()
        if self._case.leader_disk is not None:
            await self._make_disk("leader", self._case.leader_disk)
        for rig in self._case.rigs:
            await self._open_sources(rig)
        for _ in range(self._case.load):
            self._start([sys.executable, "-c", "while True: pass"], "load", nice=True)
        await asyncio.gather(*(self._open_rig(rig) for rig in self._case.rigs if not rig.is_off))

    async def _record(self, run: Program) -> None:
        """Let sources and acts go their way, then end it as the case says."""
        began = time.monotonic()
        (self._folder / "cue").touch()
        for one in self._sources.values():
            one.tell("go")
        stops_at = self._case.seconds if self._case.stop != "end" else None
        acts = sorted(self._case.acts, key=lambda one: one.at)
        for act in acts:
            if stops_at is not None and act.at > stops_at:
                await self._sleep_until(began + stops_at)
                self._stop(run)
                stops_at = None
            await self._sleep_until(began + act.at)
            await self._act(act.what, act.rig)
        if stops_at is not None:
            await self._sleep_until(began + stops_at)
            self._stop(run)

    def _stop(self, run: Program) -> None:
        if run.process.poll() is None:
            run.process.send_signal(SIGNALS[self._case.stop])

    @staticmethod
    async def _sleep_until(at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.monotonic()))

    # -- its parts

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        here = {name: str(self._folder / name) for name in ("state", "config", "cache", "keys")}
        return {
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "XDG_STATE_HOME": here["state"],
            "XDG_CONFIG_HOME": here["config"],
            "XDG_CACHE_HOME": here["cache"],
            "MULTIRIG_KEYS": here["keys"],
            "MULTIRIG_TRUTH_CUE": str(self._folder / "cue"),
            "MULTIRIG_SETTINGS": str(self._folder),
            "HOME": str(self._folder),
            "COLUMNS": "400",
            **more,
        }

    def _start(
        self,
        command: list[str],
        name: str,
        *,
        before: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
        speaks: bool = False,
        nice: bool = False,
    ) -> Program:
        prefix = [*self._before, *(before or []), *(["nice", "-n", "10"] if nice else [])]
        program = Program(
            [*prefix, *command], self._folder, name, self._environment(environment or {}), speaks=speaks
        )
        self._programs.append(program)
        return program

    def _make_keys(self) -> None:
        """Let the PC be of a lab, as it has to be to lead rigs at an address of a network."""
        ring = Keyring(self._folder / "keys")
        own, lab_key = ring.make_own_key("pc"), ring.make_lab_key("mylab")
        ring.add(lab_key.lab, ring.certify(lab_key, public_key(own.private), "pc", Role.LEAD))

    async def _make_network(self) -> None:
        self._make_keys()
        holder = self._start(
            [
                "unshare",
                "-n",
                "sh",
                "-c",
                f"ip link set lo up && ip addr add {RIG_ADDRESS}/32 dev lo && echo up; cat",
            ],
            "network",
            speaks=True,
        )
        await holder.says("up")
        self._before = ["nsenter", f"--net=/proc/{holder.process.pid}/ns/net"]

    async def _make_disk(self, name: str, size: int) -> None:
        """Mount a small disk that only programs behind what is returned see."""
        place = self._folder / f"disk-{name}"
        place.mkdir(exist_ok=True)
        holder = self._start(
            ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size={size} none '{place}' && echo up; cat"],
            f"disk-{name}",
            speaks=True,
        )
        await holder.says("up")
        seen = Path(f"/proc/{holder.process.pid}/root") / str(place).lstrip("/")
        before = ["nsenter", f"--mount=/proc/{holder.process.pid}/ns/mnt", f"--wd={self._folder}"]
        self._disks[name] = (seen, before)

    async def _open_sources(self, rig: Rig) -> None:
        if rig.ibl is not None:
            return
        for over in ("http", "rtsp", "ts"):
            cams = [one for one in rig.cams if one.over == over]
            if cams:
                await self._open_source(rig, over, cams)

    async def _open_source(self, rig: Rig, over: str, cams: list[Cam]) -> None:
        key = f"{rig.name}-{over}"
        script, truth = self._folder / f"{key}.script.json", self._folder / f"{key}.truth.jsonl"
        script.write_text(
            json.dumps(
                [
                    {
                        "rate": one.rate,
                        "jitter": one.jitter,
                        "loss": one.loss,
                        "faults": [
                            {k: v for k, v in asdict(fault).items() if v is not None} for fault in one.faults
                        ],
                    }
                    for one in cams
                ]
            ),
            encoding="utf-8",
        )
        program = {
            "http": [sys.executable, "-m", "tests.truth.sources.http_cameras", str(script), str(truth)],
            "rtsp": [
                SYSTEM_PYTHON,
                str(ROOT / "tests/truth/sources/rtsp_camera.py"),
                str(script),
                str(truth),
            ],
            "ts": [
                *(sys.executable, "-m", "tests.truth.sources.ts_camera", str(script), str(truth)),
                str(free_port("udp")),
            ],
        }[over]
        source = self._sources[key] = self._start(program, key, speaks=True)
        ports = (await source.says(r"ready ([\d ]+)\n"))[1].split()
        for number, cam in enumerate(cams):
            self._truth_files[rig.name, cam.label] = (truth, number)
            match over:
                case "http":
                    self._uris[f"{rig.name}/{cam.label}"] = f"http://127.0.0.1:{ports[number]}/"
                case "rtsp":
                    self._uris[f"{rig.name}/{cam.label}"] = f"rtsp://127.0.0.1:{ports[0]}/{number}"
                case _:
                    self._uris[f"{rig.name}/{cam.label}"] = f"udp://127.0.0.1:{ports[0]}"

    def _adapter_of(self, rig: Rig) -> dict[str, Any]:
        if rig.cams:
            cameras = []
            for one in rig.cams:
                source = "test" if one.over == "test" else self._uris[f"{rig.name}/{one.label}"]
                cameras.append(
                    {
                        "label": one.label,
                        "source": source,
                        **({"fps": one.fps} if one.fps is not None else {}),
                        **one.keys,
                    }
                )
            return {"type": "camera", "min_free_gb": 0.0, "cameras": cameras, **rig.adapter}
        if rig.program is not None:
            script, truth = self._folder / f"{rig.name}.script.json", self._folder / f"{rig.name}.truth.jsonl"
            told = dict(rig.program)
            if told.pop("elsewhere", False):
                told["folder"] = str(self._folder / "elsewhere")
            script.write_text(json.dumps(told), encoding="utf-8")
            self._truth_files[rig.name, ""] = (truth, 0)
            return {
                "type": "process",
                "command": [
                    *("{python}", "-m", "tests.truth.sources.recorder"),
                    *("{folder}", str(script), str(truth)),
                ],
                "ready": "^ready",
                "progress": r"samples (?P<frames>\d+)",
                "stop_by": {"stdin": "stop"},
                **rig.adapter,
            }
        return dict(rig.adapter) or {"type": "fake"}

    async def _open_rig(self, rig: Rig) -> None:
        if rig.ibl is not None:
            script = self._folder / f"{rig.name}.script.json"
            script.write_text(json.dumps({"subject": subject_of(self._case), **rig.ibl}), encoding="utf-8")
            program = self._start(
                [sys.executable, "-m", "tests.truth.sources.ibl_rig", str(script)], rig.name, speaks=True
            )
            self._rigs[rig.name] = program
            self._uris[rig.name] = (await program.says(r"ready at (\S+)"))[1]
            return
        if rig.disk is not None:
            await self._make_disk(rig.name, rig.disk)
            self._data[rig.name] = self._folder / f"disk-{rig.name}"
        else:
            self._data[rig.name] = self._folder / "data" / (rig.shares or rig.name)
        host = RIG_ADDRESS if self._case.network else "127.0.0.1"
        port = free_port(rig.scheme)
        is_first = rig is self._case.rigs[0]
        keys = {
            "name": rig.name,
            "uri": f"{rig.scheme}://{'0.0.0.0' if self._case.network else host}:{port}",
            "main_sync": is_first,
            "data_folder": str(self._data[rig.name]),
            "log_folder": str(self._folder / "logs"),
            "adapter": self._adapter_of(rig),
            **rig.keys,
        }
        (self._folder / f"{rig.name}.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
        self._uris[rig.name] = f"{rig.scheme}://{host}:{port}"
        if rig.longest is not None:
            relay = self._start(
                [sys.executable, "-m", "tests.truth.sources.lossy_relay", str(port), "0", str(rig.longest)],
                f"{rig.name}-relay",
                speaks=True,
            )
            ready = await relay.says(r"ready (\d+)")
            self._uris[rig.name] = f"udp://127.0.0.1:{ready[1]}"
        await self._serve(rig)

    async def _serve(self, rig: Rig) -> None:
        command = [sys.executable, "-m", "multirig"]
        if rig.clock is not None:
            command = [sys.executable, "-m", "tests.truth.sources.jumping_clock", *map(str, rig.clock)]
        program = self._rigs[rig.name] = self._start(
            [*command, "serve", f"{rig.name}.yaml", "--plain", "--no-keyboard"],
            rig.name,
            before=self._disks[rig.name][1] if rig.name in self._disks else None,
            environment=rig.environment,
        )
        await program.says("ready at")

    def _lead(self) -> Program:
        case = self._case
        lines = {}
        for rig in case.rigs:
            uri = "udp://127.0.0.1:9" if rig.is_off else self._uris[rig.name]
            if rig.is_off and rig.keys.get("uri"):
                uri = str(rig.keys["uri"])
            lines[rig.name] = {"uri": uri, **({"role": rig.role} if rig.role else {})}
        (self._folder / "rigs.yaml").write_text(yaml.safe_dump(lines), encoding="utf-8")
        names = [rig.name for rig in case.rigs]
        data = self._folder / "pc"
        common = ["-s", subject_of(case), "--rigs-file", "rigs.yaml", "--remote", *names]
        before = None
        if case.leader_disk is not None:
            data = self._folder / "disk-leader"
            before = self._disks["leader"][1]
        if case.task is not None:
            task = str(ROOT / "tests/truth/sources/dying_task.py")
            command = ["run", task, "--end", case.task, "--duration", f"{case.seconds:g}", *common]
        else:
            command = ["run", *common, *(["--seconds", f"{case.seconds:g}"] if case.stop == "end" else [])]
        return self._start(
            [sys.executable, "-m", "multirig", *command, "--data", str(data), *case.options],
            "run",
            before=before,
            environment=case.environment,
        )

    def _journals(self) -> list[Path]:
        places = [self._folder / "pc"]
        if "leader" in self._disks:
            places.append(self._disks["leader"][0])
        return [one for place in places for one in place.rglob("_multirig_journal.jsonl")]

    async def _await_running(self, run: Program) -> bool:
        """Wait until all rigs that must record say so; False: the command ended before that."""
        end = time.monotonic() + LIMIT + self._case.limit
        wanted = len([one for one in self._case.rigs if not one.is_off and one.role != "optional"])
        while run.process.poll() is None:
            for journal in self._journals():
                with contextlib.suppress(OSError):
                    if len(set(_STARTED.findall(journal.read_bytes()))) >= wanted:
                        return True
            if time.monotonic() > end:
                raise NotMade(f"it never recorded: {run.said()[-2000:]!r}")
            await asyncio.sleep(LOOK_EVERY)
        return False

    async def _act(self, what: str, name: str) -> None:
        match what:
            case "kill" | "terminate" | "interrupt" | "hang up":
                program = self._rigs[name]
                program.process.send_signal(SIGNALS[what])
                if what == "kill":
                    program.process.wait()
                else:
                    await program.ends(LIMIT)
            case "restart":
                await self._serve(next(one for one in self._case.rigs if one.name == name))
            case "cut" | "mend":
                verb = "del" if what == "cut" else "add"
                done = self._start(["ip", "addr", verb, f"{RIG_ADDRESS}/32", "dev", "lo"], "ip")
                await done.ends(LIMIT)
            case _:
                raise NotMade(f"nobody knows how to {what}")

    async def _afterwards(self) -> None:
        if not self._case.then:
            return
        data = [] if "--data" in self._case.then else ["--data", str(self._folder / "pc")]
        after = self._start(
            [sys.executable, "-m", "multirig", *self._case.then, *data],
            "then",
            environment=self._case.environment,
        )
        await after.ends(self._case.limit)

    # -- the end

    def _look_whether_iblutil_gave_up(self) -> None:
        """A server of iblutil closes for good when an echo is late on a busy PC: that is not tried here."""
        for rig in self._case.rigs:
            if rig.ibl is not None and "TimeoutError" in self._rigs[rig.name].said():
                raise NotMade(f"{rig.name}: iblutil waited too long for an echo and has closed")

    def _look_who_records(self) -> None:
        """Find programs that live on, before they are ended."""
        for (name, _), (truth, _) in self._truth_files.items():
            for pid in _pids_of(truth):
                if _lives(pid):
                    self.outcome.records_on.append(name)
        for name, program in self._rigs.items():
            states = re.findall(rf"{re.escape(name)} is (\w+)", program.said())
            if program.process.poll() is None and states and states[-1] == "running":
                self.outcome.records_on.append(name)

    async def _close(self) -> None:
        holders = [one for one in self._programs if one.output.stem.startswith(("network", "disk-"))]
        others = [one for one in self._programs if one not in holders]
        for one in others:
            if one.output.stem == "load":
                one.process.kill()
        sources = list(self._sources.values())
        await asyncio.gather(*(one.close() for one in others if one not in sources))
        for truth, _ in self._truth_files.values():
            for pid in _pids_of(truth):
                if _lives(pid):
                    os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*(one.close() for one in sources))
        for name, (seen, _) in self._disks.items():
            with contextlib.suppress(OSError):
                shutil.copytree(seen, self._folder / f"kept-{name}", dirs_exist_ok=True)
        await asyncio.gather(*(one.close() for one in holders))

    def _collect(self) -> None:
        outcome = self.outcome
        for name in ("run", "then"):
            path = self._folder / f"{name}.out"
            if path.exists():
                outcome.output += path.read_bytes().decode(errors="replace")
        for name in self._rigs:
            path = self._folder / f"{name}.out"
            outcome.rig_outputs[name] = path.read_bytes().decode(errors="replace")
        place = self._folder / ("kept-leader" if "leader" in self._disks else "pc")
        for path in sorted(place.rglob("_multirig_verdict.json")):
            with contextlib.suppress(ValueError):
                outcome.verdict = json.loads(path.read_bytes())
        for path in sorted(place.rglob("_multirig_journal.jsonl")):
            outcome.journal = path.read_bytes().decode(errors="replace")
        for name, data in self._data.items():
            data = self._folder / f"kept-{name}" if name in self._disks else data
            outcome.folders[name] = sorted(data.glob(f"mylab/Subjects/{subject_of(self._case)}/*/*"))
        for (rig, label), (truth, number) in self._truth_files.items():
            if not truth.exists():
                continue
            lines = [json.loads(one) for one in truth.read_text(encoding="ascii").splitlines() if one]
            outcome.truths[rig, label] = [one for one in lines if one.get("camera", number) == number]


def subject_of(case: Case) -> str:
    """Return the animal of a case."""
    return "SP_" + re.sub(r"\W", "_", case.name)[:40].strip("_")


def free_port(scheme: str) -> int:
    """Return a port that nobody has now."""
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def _pids_of(truth: Path) -> list[int]:
    if not truth.exists():
        return []
    lines = (json.loads(one) for one in truth.read_text(encoding="ascii").splitlines() if one)
    return [one["pid"] for one in lines if "pid" in one]


def _lives(pid: int) -> bool:
    """Whether that recorder still runs; another program that has its number by now is none."""
    try:
        return b"tests.truth.sources.recorder" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
