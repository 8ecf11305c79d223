"""Programs that stand in the field: ``python -m benchmarks.members KIND HOST FOLDER OPTIONS…``.

Each says a line when it is ready, and then answers each line of its input with one, all in JSON; it ends
when its input does. `benchmarks.field` starts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import json
import logging
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.field import SECOND, clock_of_day
from multirig.conductor.conductor import Conductor
from multirig.conductor.session import Session
from multirig.config import RigConfig
from multirig.config.rig import AdapterConfig
from multirig.protocol.clock import ClockMap
from multirig.protocol.dialect import write
from multirig.protocol.messages import Event
from multirig.protocol.words import Word
from multirig.rig.adapter import Adapter, File, Health, Picture
from multirig.rig.adapters.fake import PICTURE
from multirig.rig.service import RigService
from multirig.sim.relay import Relay

Answers = dict[str, Callable[..., Any]]
"""What a program can be asked to do; functions and coroutines."""
EXP_REF = "2026-01-01_1_bench"
LIMIT = 5.0
"""Seconds that a rig may take for anything."""
PICTURE_BYTES = 8_000
"""Of a picture of a camera, 240 pixels wide."""


@dataclass(kw_only=True)
class Stamped(Adapter):
    """Has nothing to do, and notes when it is told to begin."""

    stamps: list[tuple[int, int]] = field(default_factory=list)
    """Time of day and this program's clock, ns."""

    async def start(self) -> None:
        """Note the time of day, which all computers of the field share."""
        self.stamps.append((time.time_ns(), time.perf_counter_ns()))

    async def stop(self) -> None:
        """Do nothing."""

    def health(self) -> Health:
        """Return what always grows."""
        return Health(frames=time.perf_counter_ns() // 1_000_000)

    def files(self) -> list[File]:
        """Return that nothing was written."""
        return []


@dataclass(kw_only=True)
class Filmed(Stamped):
    """Also counts frames while it records, and shows a picture that is another one each time."""

    cameras: tuple[str, ...] = ()
    began: int | None = None
    """On this program's clock; ns."""

    async def start(self) -> None:
        """Count from now on."""
        await super().start()
        self.began = time.perf_counter_ns()

    async def cleanup(self) -> None:
        """Count no more."""
        self.began = None

    def health(self) -> Health:
        """Return what a camera of 100 frames a second has given."""
        seconds = 0.0 if self.began is None else (time.perf_counter_ns() - self.began) / SECOND
        return Health(frames=int(100 * seconds), bytes=int(1e6 * seconds), rate=100.0, dropped=0)

    def picture_labels(self) -> tuple[str, ...]:
        """Return the labels of its cameras."""
        return self.cameras

    def pictures(self) -> list[Picture]:
        """Return a picture of each camera."""
        now = time.perf_counter_ns()
        rest = str(now).encode().ljust(PICTURE_BYTES - len(PICTURE))  # behind its end no browser looks
        return [Picture(label=label, jpeg=PICTURE + rest, at=now) for label in self.cameras]


def _read(clock: ClockMap | None) -> dict[str, int] | None:
    """Return what is known now of another's clock."""
    reading = clock.read(time.perf_counter_ns()) if clock is not None else None
    if reading is None:
        return None
    return {"offset": reading.offset, "bound": reading.bound, "round_trip": reading.round_trip}


@contextlib.asynccontextmanager
async def rig(host: str, folder: str, number: str) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Run a whole rig, as ``multirig serve`` does."""
    adapter = Stamped()
    config = RigConfig(
        name=f"rig{number}",
        uri=f"udp://{host}:0",  # type: ignore[arg-type]
        data_folder=Path(folder),
        adapter=AdapterConfig(type="fake"),
        main_sync=number == "0",
    )
    service = RigService(config, adapter=adapter)

    def starts() -> list[tuple[int, int]]:
        found, adapter.stamps = adapter.stamps, []
        return found

    def read() -> dict[str, int] | None:
        leader = service.machine.leader
        return _read(service.node.peers.clock(leader.address) if leader is not None else None)

    await service.open()
    try:
        ready = {"port": service.addresses[0].port, "clock_port": service.machine.report().clock_port}
        yield ready, {"starts": starts, "read": read}
    finally:
        await service.close()


@contextlib.asynccontextmanager
async def rigs(
    host: str, folder: str, first: str, count: str, cameras: str
) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Run several whole rigs; rig 0 is the main sync, and the first `cameras` of them have two cameras."""
    changes: list[tuple[str, str, float]] = []
    adapters: dict[str, Filmed] = {}
    states: dict[str, str] = {}
    ports: dict[str, int] = {}

    def note() -> None:
        now = time.time()
        for name, service in services.items():
            state = service.machine.state.value
            if states.get(name) != state:
                states[name] = state
                changes.append((name, state, now))

    def changed() -> list[tuple[str, str, float]]:
        """Return each change of state since the last call: rig, state, time of day."""
        found = list(changes)
        changes.clear()
        return found

    def starts() -> dict[str, list[tuple[int, int]]]:
        found = {name: one.stamps for name, one in adapters.items()}
        for one in adapters.values():
            one.stamps = []
        return found

    services: dict[str, RigService] = {}
    async with contextlib.AsyncExitStack() as opened:
        for number in range(int(first), int(first) + int(count)):
            name = f"rig{number}"
            is_filmed = number - int(first) < int(cameras)
            adapters[name] = Filmed(cameras=("left", "right") if is_filmed else ())
            config = RigConfig(
                name=name,
                uri=f"udp://{host}:0",  # type: ignore[arg-type]
                data_folder=Path(folder),
                adapter=AdapterConfig(type="fake"),
                main_sync=number == 0,
            )
            services[name] = RigService(config, adapter=adapters[name], on_news=note)
            await services[name].open()
            opened.push_async_callback(services[name].close)
            ports[name] = services[name].addresses[0].port
            states[name] = services[name].machine.state.value
        yield {"ports": ports}, {"changed": changed, "starts": starts}


def _led_by(leading: Conductor) -> Session:
    if leading.current is None:
        raise RuntimeError("there is no session yet")
    return leading.current


@contextlib.asynccontextmanager
async def conductor(host: str, folder: str, *uris: str) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Run a conductor, with its journal on the disk."""
    rigs = {f"rig{number}": uri for number, uri in enumerate(uris)}
    today, numbers = datetime.date.today(), itertools.count(1)
    async with Conductor(rigs, data_folder=folder) as leading:

        async def begin(subject: str = "bench") -> dict[str, Any]:
            await prepare(subject)
            replies = await _led_by(leading).start()
            return {name: write(one).args[1].get("start") for name, one in replies.items()}

        async def end() -> None:
            await stop()
            await clean_up()

        async def prepare(subject: str = "bench") -> None:
            session = leading.session(subject, date=today)
            await session.agree()
            await session.init()

        async def start() -> float:
            """Return how many seconds passed until all recorded."""
            began = time.perf_counter()
            await _led_by(leading).start()
            return time.perf_counter() - began

        async def stop() -> None:
            await _led_by(leading).stop()

        async def clean_up() -> None:
            await _led_by(leading).cleanup()

        async def ask(event: str, *args: Any) -> None:
            outcomes = await leading.request(Event[event], *args, limit=LIMIT)
            for name, one in outcomes.items():
                if not isinstance(one, Word):
                    raise RuntimeError(f"{name}, {event}: {one}")

        async def tell_at_once() -> None:
            """Tell all to start without an instant, and end it again."""
            exp_ref = f"{today}_{next(numbers)}_plain"
            await ask("EXPSTART", exp_ref, None)
            await ask("EXPEND", exp_ref)
            await ask("EXPCLEANUP", exp_ref)

        def read() -> dict[str, Any]:
            exchange = leading.exchange
            return {name: _read(exchange.node.peers.clock(one)) for name, one in exchange.addresses.items()}

        steps: Answers = {"prepare": prepare, "start": start, "stop": stop, "clean_up": clean_up}
        yield {}, {"begin": begin, "end": end, "tell_at_once": tell_at_once, "read": read, **steps}


@contextlib.asynccontextmanager
async def visitors(
    host: str, folder: str, url: str, count: str
) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Hold pages of a console open as browsers on other computers do: all is fetched, and nothing drawn."""
    import aiohttp
    import socketio

    seen: Counter[str] = Counter()
    fetching: set[asyncio.Task[None]] = set()
    async with contextlib.AsyncExitStack() as opened:
        for _ in range(int(count)):
            session = await opened.enter_async_context(aiohttp.ClientSession())
            async with session.get(url) as answer:
                found = re.search(r"['\"]client_id['\"]: ?['\"]([\w-]+)", await answer.text())
            if found is None:
                raise RuntimeError(f"{url} is no page of NiceGUI")
            query = {"client_id": found[1], "next_message_id": 0, "implicit_handshake": "true"}
            query |= {"tab_id": secrets.token_hex(8), "document_id": secrets.token_hex(8)}
            client = socketio.AsyncClient(http_session=session)

            async def fetch(path: str, session: Any = session) -> None:
                async with session.get(f"{url}{path}") as answer:
                    await answer.read()
                seen["pictures"] += 1

            def take(message: dict[str, Any], fetch: Any = fetch) -> None:
                if found := re.search(r"multirig\.see\((.*)\)", message["code"]):
                    for path in json.loads(found[1]).values():
                        task = asyncio.create_task(fetch(path))
                        fetching.add(task)
                        task.add_done_callback(fetching.discard)

            def count_update(message: dict[str, Any]) -> None:
                seen["updates"] += 1

            client.on("run_javascript", take)
            client.on("update", count_update)
            await client.connect(
                f"{url}/?{urlencode(query)}",
                headers={"Origin": url},
                transports=["websocket"],
                socketio_path="/_nicegui_ws/socket.io",
            )
            opened.push_async_callback(client.disconnect)
        yield {}, {"seen": lambda: dict(seen)}


@contextlib.asynccontextmanager
async def relay(host: str, folder: str, *options: str) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Carry two ports of a rig, under the same numbers at this address: of messages, and of clock probes."""
    target, *ports = options
    async with contextlib.AsyncExitStack() as opened:
        relays = [
            await opened.enter_async_context(Relay(f"udp://{target}:{port}", listen=host, port=int(port)))
            for port in ports
        ]

        def spoil(there: list[float], back: list[float], loss: float) -> None:
            for one in relays:
                one.delay, one.delay_back = (there[0], there[1]), (back[0], back[1])
                one.loss = loss

        yield {"port": int(ports[0])}, {"spoil": spoil}


@contextlib.asynccontextmanager
async def iblutil_rig(host: str, folder: str, port: str) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Run a rig of iblutil that notes when it is told to begin."""
    from iblutil.io.net.app import EchoProtocol
    from iblutil.io.net.base import ExpMessage

    from benchmarks.peers import log_of

    stamps: list[tuple[int, int]] = []
    answers: set[Any] = set()
    serving = await EchoProtocol.server(f"udp://{host}:{port}", name=f"rig{port}", log=log_of("iblutil"))

    def answer(data: Any, addr: Any) -> None:
        stamps.append((time.time_ns(), time.perf_counter_ns()))
        task = asyncio.ensure_future(serving.start(data[0], addr=addr))
        answers.add(task)
        task.add_done_callback(answers.discard)

    def starts() -> list[tuple[int, int]]:
        found = list(stamps)
        stamps.clear()
        return found

    serving.assign_callback(ExpMessage.EXPSTART, answer)
    yield {"port": int(port)}, {"starts": starts}
    serving.close()


@contextlib.asynccontextmanager
async def iblutil_services(
    host: str, folder: str, *uris: str
) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Lead rigs of iblutil as iblrig does."""
    from iblutil.io.net.app import EchoProtocol, Services

    from benchmarks.peers import log_of

    log = log_of("iblutil")
    clients = [
        await EchoProtocol.client(uri, name=f"rig{number}", log=log) for number, uri in enumerate(uris)
    ]
    services = Services(clients)

    async def start() -> None:
        await services.start(EXP_REF)

    yield {}, {"start": start}
    services.close()


@contextlib.asynccontextmanager
async def outlet(host: str, folder: str) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Offer a stream of LSL, whose clock can be asked for."""
    import pylsl

    info = pylsl.StreamInfo("bench", "Markers", 1, 0, "float32", "multirig-bench")
    offered = pylsl.StreamOutlet(info)
    yield {"lsl": _lsl_ahead(pylsl)}, {"consumers": offered.have_consumers}


@contextlib.asynccontextmanager
async def inlet(host: str, folder: str) -> AsyncIterator[tuple[dict[str, Any], Answers]]:
    """Listen to that stream and correct for its clock."""
    import pylsl

    found = await asyncio.to_thread(pylsl.resolve_byprop, "source_id", "multirig-bench", 1, 20.0)
    if not found:
        raise RuntimeError("LSL finds no stream between these two computers")
    listening = pylsl.StreamInlet(found[0])
    await asyncio.to_thread(listening.open_stream, 20.0)

    def read() -> dict[str, int]:
        return {"offset": -round(listening.time_correction(20.0) * SECOND)}

    yield {"lsl": _lsl_ahead(pylsl)}, {"read": read}


def _lsl_ahead(pylsl: Any) -> int:
    """Return by how much LSL's clock is ahead of ours; ns."""
    theirs = clock_of_day(lambda: round(pylsl.local_clock() * SECOND))
    return theirs - clock_of_day(time.perf_counter_ns)


KINDS = {
    one.__name__: one
    for one in (rig, rigs, conductor, visitors, relay, iblutil_rig, iblutil_services, outlet, inlet)
}


async def main(kind: str, *options: str) -> None:
    """Be one of them until the input ends."""
    logging.disable(logging.CRITICAL)  # what is measured is not how fast a screen is
    async with KINDS[kind](*options) as (ready, answers):
        print(json.dumps({**ready, "clock": clock_of_day(time.perf_counter_ns)}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            details = json.loads(line)
            try:
                answer = answers[details.pop("do")](**details)
                if asyncio.iscoroutine(answer):
                    answer = await answer
            except Exception as error:  # noqa: BLE001  whoever asked is told
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
