"""Real rigs, sessions led in processes of their own, the console as a program, and a browser to look at it.

One Chromium serves all tests of a process; each test that takes ``browser`` speaks to it in its own loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml
from tests.programs import Program

from multirig.dashboard.leading.client import Leader
from multirig.dashboard.leading.record import read_record
from multirig.dashboard.snapshot import Order

# -- sessions ------------------------------------------------------------------------------------------------


@pytest.fixture
def state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sessions of this test are led; whoever still leads one when it ends is ended."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("MULTIRIG_SETTINGS", str(tmp_path))
    path = tmp_path / "console" / "session.json"
    yield path
    record = read_record(path)
    if record is not None and record.pid != os.getpid():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(record.pid)
            if "multirig.dashboard.leading" in process.cmdline():
                process.kill()


class Desk(contextlib.AbstractAsyncContextManager["Desk"]):
    """Orders sessions over the lab's rigs; clients that were opened here are closed at its end."""

    def __init__(self, lab: Any, state_file: Path) -> None:
        self.lab = lab
        self.state_file = state_file
        self.leaders: list[Leader] = []

    def order(self, **keys: Any) -> Order:
        """Return an order for a session over all rigs."""
        rigs_file = self.lab.folder / "remote_rigs.yaml"
        rigs = {name: str(rig.addresses[0]) for name, rig in self.lab.rigs.items()}
        rigs_file.write_text(yaml.safe_dump(rigs))
        asked: dict[str, Any] = {
            "subject": "SP_01",
            "rigs": tuple(rigs),
            "rigs_file": str(rigs_file),
            "data_folder": str(self.lab.folder / "pc"),
            "checks": False,
        }
        return Order(**(asked | keys))

    async def begin(self, **keys: Any) -> Leader:
        """Begin a session."""
        self.leaders.append(await Leader.begin(self.order(**keys), self.state_file))
        return self.leaders[-1]

    async def attach(self) -> Leader | None:
        """Find the session that goes on."""
        leader = await Leader.attach(self.state_file)
        if leader is not None:
            self.leaders.append(leader)
        return leader

    async def __aexit__(self, *_: object) -> None:
        for leader in self.leaders:
            await leader.close()


@pytest.fixture
def desk(lab: Any, state_file: Path) -> Desk:
    return Desk(lab, state_file)


LIMIT = 30
"""Seconds that a program may take to start or end on a busy machine."""
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "chrome",
    "msedge",
    "microsoft-edge",
)
"""The first one draws the same pages without a window, in half the time."""
MISSING = (
    "no Chromium on this machine, so no page of the console is tested: apt-get install chromium (as root), "
    "or install Chrome or Edge"
)
SCREENSHOTS = "MULTIRIG_SCREENSHOTS"
"""Environment variable with the folder for pictures of the pages; without it, none are made."""


# -- the console ---------------------------------------------------------------------------------------------


class ConsoleProgram:
    """``multirig console`` in a process of its own.

    `program` is another one in place of ``-m multirig``.
    """

    def __init__(
        self,
        folder: Path,
        *options: object,
        environment: Mapping[str, str] | None = None,
        program: tuple[str, ...] = ("-m", "multirig"),
    ) -> None:
        self.folder = folder
        self.seen: list[str] = []
        self.process = Program(
            [sys.executable, "-W", "error", *program, "console", *map(str, options)],
            cwd=folder,
            env={
                **os.environ,
                "MULTIRIG_RIGS": str(folder),
                "XDG_STATE_HOME": str(folder / "state"),
                "XDG_CONFIG_HOME": str(folder / "config"),
                "XDG_CACHE_HOME": str(folder / "cache"),
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line)

    @property
    def url(self) -> str:
        """The address of its first page; waits until it is served."""
        if not self.seen:
            try:
                self.seen.append(self._lines.get(timeout=LIMIT))
            except queue.Empty:
                self.process.kill()
                raise AssertionError(f"the console does not come: {self.process.communicate()[1]}") from None
        return re.search(r"ready at (\S+)", self.seen[0]).group(1)

    @property
    def own_folder(self) -> Path:
        """Where it keeps what is its own."""
        return self.folder / "state" / "multirig" / "console"

    @property
    def log(self) -> str:
        return (self.folder / "state" / "multirig" / "log" / "console.log").read_text(encoding="utf-8")

    def end(self) -> tuple[int, str]:
        """End it as Ctrl-C does; return its exit code, and what it wrote on standard error."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        with self.process.stderr as stream:
            return code, stream.read()


class Consoles:
    """Starts consoles on free ports, if no other is said; without options, for every user of this PC."""

    options = ("--port", 0, "--no-browser", "--no-token")

    def __init__(self) -> None:
        self.started: list[ConsoleProgram] = []

    @property
    def last(self) -> ConsoleProgram:
        return self.started[-1]

    def __call__(self, folder: Path, *options: object, **keys: Any) -> ConsoleProgram:
        """Start one; `folder` holds its rigs file, its data and all else that it keeps."""
        self.started.append(ConsoleProgram(folder, *self.options, *options, **keys))
        return self.last

    def end(self) -> None:
        for one in self.started:
            if one.process.poll() is None:
                one.process.kill()
            one.process.wait()
            for stream in (one.process.stdout, one.process.stderr):
                stream.close()


@pytest.fixture(scope="module")
def start_console() -> Iterator[Consoles]:
    """Start consoles that may serve several tests, and end them after the last one of a file."""
    consoles = Consoles()
    yield consoles
    consoles.end()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Callable[..., ConsoleProgram]]:
    """Start consoles of this test in its folder, and end them with it."""
    consoles = Consoles()
    yield lambda *options, **keys: consoles(tmp_path, *options, **keys)
    consoles.end()


# -- the browser ---------------------------------------------------------------------------------------------


def find_browser() -> str | None:
    """Return the path of a Chromium, Chrome or Edge of this machine."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """Start the browser of this test process, and give where it is spoken to."""
    program = find_browser()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    pytest.importorskip("playwright", reason="no Playwright: pip install 'multirig[dev]'")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        options = (
            "--headless=new --remote-debugging-port=0 --no-first-run --no-default-browser-check "
            "--disable-gpu --disable-dev-shm-usage --disable-background-networking "
            "--disable-component-update --disable-sync --disable-extensions --mute-audio "
            "--password-store=basic --use-mock-keychain --force-color-profile=srgb"
        ).split()
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *options, *as_root, f"--user-data-dir={folder}/profile", "about:blank"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            port_file = Path(folder) / "profile" / "DevToolsActivePort"
            end = time.monotonic() + LIMIT
            while not (port_file.exists() and port_file.read_text().count("\n") >= 1):
                said = (Path(folder) / "log").read_text(errors="replace")
                assert process.poll() is None, f"{program} ended: {said}"
                assert time.monotonic() < end, f"{program} does not come: {said}"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}"
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


class Browser(contextlib.AbstractAsyncContextManager["Browser"]):
    """The browser in one test: each page is a visitor of its own, who shares nothing with the others.

    At the end of the test no page may have asked anybody but this machine for anything, nor have complained.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.loop = connection.loop
        """In which the test runs."""
        self._stack = contextlib.AsyncExitStack()
        self.requests: list[str] = []
        """Every address that any page has asked for."""
        self.complaints: list[str] = []
        """Errors in scripts, and what the browser wrote as an error into its console."""
        self.may_complain = False
        """For a test in which the console is taken away, or refuses something."""

    async def __aenter__(self) -> Browser:
        self._browser = await self._connection.open()
        return self

    async def page(
        self,
        url: str | None = None,
        *,
        size: tuple[int, int] = (1280, 800),
        dark: bool = False,
        **options: Any,
    ) -> Any:
        """Open a page.

        Parameters
        ----------
        url : str, optional
            Where to go at once.
        size : tuple of int
            Width and height of the window.
        dark : bool
            Whether this visitor likes dark colours.
        **options
            Others of Playwright's ``new_context``: ``has_touch``, ``permissions``…
        """
        width, height = size
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            **options,
        )
        self._stack.push_async_callback(context.close)
        context.on("request", lambda request: self.requests.append(request.url))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        page = await context.new_page()
        page.on("console", self._listen)
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        if url is not None:
            await page.goto(url)
        return page

    def _listen(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    @property
    def foreign(self) -> list[str]:
        """What was asked of other machines."""
        ours = ("127.0.0.1", "localhost", "::1")
        parts = [(one, urlsplit(one)) for one in self.requests]
        return [
            one for one, at in parts if at.scheme not in ("data", "blob", "about") and at.hostname not in ours
        ]

    async def __aexit__(self, *caught: object) -> None:
        await self._stack.aclose()
        if caught[0] is None:
            assert self.foreign == [], "a page asked another machine"
            assert self.may_complain or self.complaints == []


class Connection:
    """The way to a browser that runs, for all tests of a process: to set it up takes a second of processor.

    Parameters
    ----------
    address : str
        Where it is spoken to.
    """

    def __init__(self, address: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._address = address
        self._driver: Any = None
        self._browser: Any = None

    async def open(self) -> Any:
        """Return the browser."""
        if self._browser is None:
            from playwright.async_api import async_playwright

            self._driver = await async_playwright().start()
            self._browser = await self._driver.chromium.connect_over_cdp(self._address)
        return self._browser

    def close(self) -> None:
        """Hang up."""
        if self._driver is not None:
            self.loop.run_until_complete(self._driver.stop())
        self.loop.close()


@pytest.fixture(scope="session")
def connection(chromium: str) -> Iterator[Connection]:
    """Keep one way to the browser, which every test would else set up anew."""
    made = Connection(chromium)
    yield made
    made.close()


@pytest.fixture
def browser(connection: Connection) -> Browser:
    return Browser(connection)


@pytest.fixture
def shoot() -> Callable[..., Any]:
    """Take a picture of a page for the docs, if they are asked for: ``await shoot(page, "lab")``."""
    folder = os.environ.get(SCREENSHOTS)

    async def take(page: Any, name: str, **options: Any) -> None:
        if folder:
            await page.evaluate("document.fonts.ready")
            await page.screenshot(path=f"{folder}/{name}.png", animations="disabled", **options)

    return take


# -- the lab -------------------------------------------------------------------------------------------------


class RigProgram:
    """``multirig serve`` in a process of its own, which can be killed."""

    def __init__(
        self, folder: Path, name: str, uri: str | list[str], options: tuple[str, ...], **config: Any
    ) -> None:
        self.name = name
        file = folder / f"{name}.yaml"
        config = {"adapter": {"type": "fake"}, **config}
        if config["adapter"]["type"] == "fake":  # several rigs of a test write on one disk
            config["adapter"] = {"collection": f"raw_{name}_data", **config["adapter"]}
        shared = {"name": name, "uri": uri, "data_folder": str(folder), "log_folder": str(folder / "logs")}
        file.write_text(yaml.safe_dump({**shared, **config}))
        self.process = Program(
            [sys.executable, "-m", "multirig", "serve", str(file), "--plain", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._uris: list[str] = []

    @property
    def uri(self) -> str:
        """Where it listens first; waits until it does."""
        return self.uris[0]

    @property
    def uris(self) -> list[str]:
        """Where it listens; waits until it does."""
        while not self._uris:
            line = self.process.stdout.readline()
            assert line, f"the rig {self.name} does not come"
            if found := re.search(r"ready at (\S+(?: \w+://\S+)*)", line):
                self._uris = found[1].split()
        return self._uris

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()


class Rigs:
    """Rigs that are real programs, and the list of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: dict[str, RigProgram] = {}

    def start(self, **configs: dict[str, Any]) -> None:
        """Start rigs by name, each with what its config says; ``options`` are those of its command."""
        started = {}
        for name, config in configs.items():
            options = tuple(config.pop("options", ()))
            started[name] = RigProgram(self.folder, name, "udp://127.0.0.1:0", options, **config)
        self.programs |= started
        self.write({name: one.uri for name, one in self.programs.items()})

    def start_with_two_addresses(self, name: str, *options: str, **config: Any) -> str:
        """Start a rig that the list names by IPv4, and return its address of IPv6."""
        both = ["udp://127.0.0.1:0", "udp://[::1]:0"]
        one = self.programs[name] = RigProgram(self.folder, name, both, options, **config)
        self.write({name: one.uri})
        return one.uris[1]

    def write(self, uris: dict[str, str]) -> None:
        """Write the list of rigs."""
        (self.folder / "remote_rigs.yaml").write_text(yaml.safe_dump(uris, sort_keys=False))

    def kill_leader(self) -> None:
        """End the program that leads a session with them, as a power cut does."""
        for found in self._find_leaders():
            found.kill()
            found.wait(LIMIT)

    def _find_leaders(self) -> Iterator[psutil.Process]:
        for file in (self.folder / "state").rglob("console/*.json"):
            record = read_record(file)
            if record is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(record.pid)
                    if "multirig.dashboard.leading" in process.cmdline():
                        yield process

    def end(self) -> None:
        """End all rigs, and whoever leads a session with them."""
        for leader in self._find_leaders():
            leader.kill()
        for one in self.programs.values():
            if one.process.poll() is None:
                one.kill()


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Rigs]:
    """Start rigs as programs in the folder of the test; they are ended with it."""
    found = Rigs(tmp_path)
    yield found
    found.end()
