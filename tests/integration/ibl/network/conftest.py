"""Rigs in a thread of their own, for tasks that block, and a task to lead them."""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multirig.config import RigConfig
from multirig.rig.service import RigService

LIMIT = 10.0
"""Seconds for anything that a test waits for."""

_silent = logging.getLogger("iblutil-among-rigs")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


class Rigs:
    """Rigs on loopback; each method may be called from the test's thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: dict[str, RigService] = {}
        self.foreign: dict[str, Any] = {}
        self.heard: dict[str, list[list[Any]]] = {}
        """What reached each iblutil rig."""
        self.where: dict[str, tuple[str, int]] = {}
        """From where each iblutil rig was spoken to."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Any) -> Any:
        """Run a coroutine among the rigs."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT)

    def add(self, name: str, *, fake: Any = None, uri: str = "udp://127.0.0.1:0", **keys: Any) -> str:
        """Open a rig with a fake adapter and return its URI."""
        config = RigConfig.model_validate(
            {
                "name": name,
                "uri": uri,
                "data_folder": str(self.folder / name),
                "adapter": {"type": "fake", **(fake or {})},
                **keys,
            }
        )

        async def open_it() -> RigService:
            service = RigService(config)
            await service.open()
            return service

        self.services[name] = self.do(open_it())
        return str(self.services[name].addresses[0])

    @staticmethod
    def free_port() -> int:
        """Return a UDP port that was free a moment ago."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            return int(one.getsockname()[1])

    def add_iblutil(
        self, name: str, *, exp_ref: str | None = None, answers: bool = True, says: Any = None
    ) -> str:
        """Open a rig of the real iblutil; with a reference it is the main sync.

        `says` holds what it adds to an answer, by the number of the event.
        """
        from iblutil.io.net.app import EchoProtocol

        port = self.free_port()
        heard = self.heard.setdefault(name, [])
        tasks: set[asyncio.Task[None]] = set()

        async def open_it() -> Any:
            server = await EchoProtocol.server(f"udp://127.0.0.1:{port}", name=name, log=_silent)

            async def answer(event: int, data: list[Any], addr: tuple[str, int]) -> None:
                if event == 64:
                    info = {"exp_ref": exp_ref, "main_sync": exp_ref is not None}
                    await server.confirmed_send([64, 0, info], addr=addr)
                elif says and event in says:
                    await server.confirmed_send(
                        [event, *(data[:1] if event == 2 else []), says[event]], addr=addr
                    )
                else:
                    await server.confirmed_send([event, *data], addr=addr)

            def hear(event: int, data: list[Any], addr: tuple[str, int]) -> None:
                heard.append([event, *data])
                self.where[name] = addr
                if answers:
                    task = asyncio.ensure_future(answer(event, data, addr))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)

            for event in (1, 2, 4, 8, 16, 32, 64):
                server.assign_callback(event, lambda data, addr, event=event: hear(event, data, addr))
            return server

        self.foreign[name] = self.do(open_it())
        return f"udp://127.0.0.1:{port}"

    def say(self, name: str, message: list[Any]) -> None:
        """Let an iblutil rig speak to whoever spoke to it last.

        iblutil forgets what it sends while it awaits an echo, so this waits for its last one first.
        """
        server, where = self.foreign[name], self.where[name]
        self.until(lambda: where not in server._last_sent)
        self.do(server.confirmed_send(message, addr=where))

    def state(self, name: str) -> str:
        """Return what a rig is doing."""
        return str(self.services[name].machine.state)

    def states(self) -> set[str]:
        """Return what all rigs are doing."""
        return {self.state(name) for name in self.services}

    def until(self, claim: Callable[[], Any]) -> None:
        """Wait until a claim is true."""
        end = time.perf_counter() + LIMIT
        while not claim():
            assert time.perf_counter() < end, "it did not come true in time"
            time.sleep(0.005)

    def close(self) -> None:
        async def end() -> None:
            for server in self.foreign.values():
                server.close()
            await asyncio.gather(*(one.close() for one in self.services.values()))

        self.do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        self._loop.close()


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Rigs]:
    among = Rigs(tmp_path)
    yield among
    among.close()


@pytest.fixture
def today() -> datetime.date:
    return datetime.date.today()


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """What every task is given: a data folder of its own."""
    return {
        "iblrig_settings": {"iblrig_local_data_path": str(tmp_path / "pc"), "ALYX_LAB": "mylab"},
        "interactive": False,
    }


@pytest.fixture
def needs_iblutil() -> None:
    if importlib.util.find_spec("iblutil") is None:
        pytest.fail("iblutil is missing: make test installs it")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
