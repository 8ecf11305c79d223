"""A laboratory in one process: rigs and conductors on a memory network or on real loopback sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# What programs remember of this PC is not to be mixed with what tests do.
for _name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "MULTIRIG_KEYS"):
    os.environ[_name] = tempfile.mkdtemp(prefix="multirig-tests-")

# A slow machine is no fault; where changes are judged, the same examples are tried each time.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
# On the other Pythons it is looked at whether the code runs at all, and not for new examples.
settings.register_profile("few", settings.get_profile("ci"), max_examples=10)
chosen = "ci" if os.environ.get("CI") else "here"
settings.load_profile("few" if os.environ.get("MULTIRIG_EXAMPLES") == "few" else chosen)


def is_wine() -> bool:
    """Whether this is Windows' Python, and what it runs on is no Windows."""
    if sys.platform != "win32":
        return False
    import ctypes

    return hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file that share something in one process; all others are spread one by one."""
    here_is_wine = is_wine()
    for item in items:
        lacking = item.get_closest_marker("wine_lacks")
        if lacking is not None and here_is_wine:
            item.add_marker(pytest.mark.skip(reason=f"Wine lacks {lacking.args[0]}"))
        if isinstance(item, pytest.Function) and any(
            definitions[-1].scope == "module" for definitions in item._fixtureinfo.name2fixturedefs.values()
        ):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


class Seen(Sequence[Any]):
    """What has happened so far, of one kind, to a conductor or a session."""

    def __init__(self, watched: Any, kind: type, convert: Callable[[Any], Any]) -> None:
        self._stream = watched.events()
        self._kind = kind
        self._convert = convert
        self._seen: list[Any] = []

    def _look(self) -> list[Any]:
        self._seen += [self._convert(one) for one in self._stream.pending() if isinstance(one, self._kind)]
        return self._seen

    def __getitem__(self, place: Any) -> Any:
        return self._look()[place]

    def __len__(self) -> int:
        return len(self._look())

    def __eq__(self, other: object) -> bool:
        return self._look() == other

    __hash__ = None  # type: ignore[assignment]


def listen(watched: Any, kind: type, convert: Callable[[Any], Any] = lambda event: event) -> Seen:
    """Return what happens from now on, of one kind; it grows by itself."""
    return Seen(watched, kind, convert)


async def hear(conductor: Any, *events: Any) -> tuple[str, Any]:
    """Wait for what a rig says by itself; without events, for anything."""
    from multirig.lifecycle.session_events import Heard

    async for event in conductor.events():
        if isinstance(event, Heard) and (not events or event.word.event in events):
            return event.rig, event.word
    raise AssertionError("the conductor was closed")


class Lab(contextlib.AbstractAsyncContextManager["Lab"]):
    """Whatever is opened here is closed at the end of the test, conductors first."""

    def __init__(self, folder: Path) -> None:
        from multirig.transports.memory import MemoryNetwork

        self.folder = folder
        self.network = MemoryNetwork()
        self.rigs: dict[str, Any] = {}
        self.conductors: list[Any] = []

    async def rig(
        self, name: str = "cam", *, over: str = "memory", adapter: Any = None, fake: Any = None, **keys: Any
    ) -> Any:
        """Open a rig; ``fake`` is what its fake adapter is told, ``adapter`` one to use instead."""
        from multirig.config import RigConfig
        from multirig.rig.service import RigService

        config = RigConfig.model_validate(
            {
                "name": name,
                "uri": f"udp://{name}:11001" if over == "memory" else f"{over}://127.0.0.1:0",
                "data_folder": str(self.folder / name),
                "adapter": {"type": "fake", **(fake or {})},
                **keys,
            }
        )
        rig = RigService(config, adapter=adapter, network=self.network if over == "memory" else None)
        await rig.open()
        self.rigs[name] = rig
        return rig

    async def rigs_of_a_session(self, *others: str, **keys: Any) -> list[Any]:
        """Open a main sync and other rigs."""
        return [
            await self.rig("main", main_sync=True, **keys),
            *[await self.rig(name, **keys) for name in others],
        ]

    def make_conductor(self, *, over: str = "memory", rigs: Any = None, **options: Any) -> Any:
        """Make a conductor of all rigs, which is not open yet; its data goes to ``lab.folder / "pc"``."""
        from multirig.conductor.conductor import Conductor
        from multirig.lifecycle.session_events import Limits
        from multirig.protocol.events import SECOND

        if rigs is None:
            rigs = {name: str(rig.addresses[0]) for name, rig in self.rigs.items()}
        rigs = {name: uri.replace("memory://", "udp://") for name, uri in rigs.items()}
        options.setdefault("data_folder", self.folder / "pc")
        options.setdefault("limits", Limits(lead=SECOND // 50))  # what is near needs no quarter of a second
        conductor = Conductor(rigs, network=self.network if over == "memory" else None, **options)
        self.conductors.append(conductor)
        return conductor

    async def conductor(self, **options: Any) -> Any:
        """Open a conductor of all rigs."""
        conductor = self.make_conductor(**options)
        await conductor.open()
        return conductor

    async def __aexit__(self, *_: object) -> None:
        for conductor in self.conductors:
            await conductor.close()
        await asyncio.gather(*(rig.close() for rig in self.rigs.values()))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


async def _until(claim: Callable[[], Any], limit: float = 5.0) -> None:
    end = time.perf_counter() + limit
    while not claim():
        assert time.perf_counter() < end, "it did not come true in time"
        await asyncio.sleep(0.005)


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait until a claim is true."""
    return _until
