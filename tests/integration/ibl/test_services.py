"""`Services` of one kind with rigs of the other: ours and the real iblutil, in both roles."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import socket
from typing import Any

import pytest

from multirig.ibl.net.app import EchoProtocol, Services

if importlib.util.find_spec("iblutil") is None:  # it needs a newer Python than multirig does
    pytest.skip("iblutil is not installed here", allow_module_level=True)

from iblutil.io.net import app as theirs

pytestmark = pytest.mark.iblutil

_quiet = logging.getLogger("iblutil-at-the-other-end")
_quiet.propagate = False
_quiet.addHandler(logging.NullHandler())

NAMES = ("left", "body", "right")
SAY: dict[str, tuple[int, tuple[Any, ...]]] = {
    "info": (64, ("CONNECTED", {"subject": "SP_01"})),
    "init": (1, ({"exp_ref": "2024-05-06_2_SP_01"},)),
    "start": (2, ("2024-05-06_2_SP_01",)),
    "status": (32, ("RUNNING",)),
    "stop": (4, ()),
    "cleanup": (8, ()),
}


def free_port(scheme: str) -> int:
    kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Lab(contextlib.AsyncExitStack):
    """Rigs of one kind, and a client of the other for each."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []
        """Which rig was told, in turn."""
        self.dead: set[str] = set()
        """Rigs that hear and do not reply."""
        self._tasks: list[Any] = []

    async def clients(self, rigs: str, leads: str, scheme: str) -> list[Any]:
        """Return a client for each rig, in the order of the names."""
        clients = []
        for name in NAMES:
            server = await self._open(rigs, "server", f"{scheme}://127.0.0.1:{free_port(scheme)}", name)
            for event, _ in SAY.values():
                server.assign_callback(event, self._answering(server, event, name))
            clients.append(await self._open(leads, "client", server.server_uri, name))
        return clients

    async def _open(self, kind: str, role: str, uri: str, name: str) -> Any:
        made = theirs.EchoProtocol if kind == "iblutil" else EchoProtocol
        one = await getattr(made, role)(uri, name=name, log=_quiet)
        if kind == "iblutil":
            self.callback(lambda: one.Server and one.Server.close())
        else:
            self.push_async_callback(one.wait_closed)
        self.callback(one.close)
        return one

    def _answering(self, server: Any, event: int, name: str) -> Any:
        def hear(data: Any, addr: Any) -> None:
            self.order.append(name)
            if name not in self.dead:
                answer = [64, 0, {"name": name}] if event == 64 else [event, name]
                self._tasks.append(asyncio.ensure_future(server.confirmed_send(answer, addr=addr)))

        return hear

    async def __aexit__(self, *error: Any) -> bool:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return bool(await super().__aexit__(*error))


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.mark.parametrize("concurrent", [True, False], ids=["at once", "in turn"])
@pytest.mark.parametrize("scheme", ["udp", "tcp"])
@pytest.mark.parametrize(("rigs", "leads"), [("iblutil", "ours"), ("ours", "iblutil"), ("ours", "ours")])
async def test_every_rig_is_told_and_every_reply_comes_back(
    lab: Lab, rigs: str, leads: str, scheme: str, concurrent: bool
) -> None:
    clients = await lab.clients(rigs, leads, scheme)
    services: Any = (theirs.Services if leads == "iblutil" else Services)(clients, timeout=3)
    for verb, (event, arguments) in SAY.items():
        lab.order.clear()
        replies = await getattr(services, verb)(*arguments, concurrent=concurrent)
        assert replies == {name: [0, {"name": name}] if event == 64 else [name] for name in NAMES}
        if not concurrent:
            assert lab.order == list(reversed(NAMES) if verb in ("stop", "cleanup") else NAMES)


@pytest.mark.parametrize("concurrent", [True, False], ids=["at once", "in turn"])
async def test_who_does_not_reply_is_named_and_only_a_rig_that_waits_its_turn_is_not_told(
    lab: Lab, concurrent: bool
) -> None:
    clients = await lab.clients("iblutil", "ours", "udp")
    lab.dead.add("body")
    services = Services(clients, timeout=0.3)
    with pytest.raises(asyncio.TimeoutError, match="body: did not answer EXPINIT") as caught:
        await services.init(concurrent=concurrent)
    assert isinstance(caught.value, TimeoutError)
    assert "left" not in str(caught.value)
    assert sorted(lab.order) == (sorted(NAMES) if concurrent else ["body", "left"])
    lab.dead.clear()
    assert list(await services.cleanup()) == list(NAMES)  # the conversations have survived
