"""The MATLAB peers of wire 1.0, played over real sockets: ScanImage's listener, and how Timeline reads."""

from __future__ import annotations

import asyncio
import datetime
import json
from typing import Any

import pytest

from multirig.errors import MultirigError, RemoteProtocolError, SessionFailed
from multirig.protocol.messages import Event

SUBJECT = "SP_01"


class MatlabRig(asyncio.DatagramProtocol):
    """Echoes what it reads, and answers as ScanImage does: without spaces, with its own status 20."""

    def __init__(self, *, reads: int = 65_507, fails: str | None = None) -> None:
        self.reads = reads
        self.fails = fails
        self.heard: list[int] = []
        self.sequence = 3
        self.said = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @property
    def uri(self) -> str:
        return "udp://{}:{}".format(*self.transport.get_extra_info("sockname")[:2])

    @property
    def exp_ref(self) -> str:
        return f"{datetime.date.today()}_{self.sequence}_{SUBJECT}"

    def datagram_received(self, data: bytes, addr: Any) -> None:
        data = data[: self.reads]
        if data[:2] == b"[0" or data == self.said:
            return
        self.transport.sendto(data, addr)
        try:
            event = int(json.loads(data)[0])
        except ValueError:
            error = json.dumps([0, "cannot parse", data.decode()], separators=(",", ":"))
            self.transport.sendto(error.encode(), addr)
            return
        self.heard.append(event)
        info = {"main_sync": True, "api_version": "1.0.0", "status": 20, "exp_ref": self.exp_ref}
        answer: list[Any] = {
            Event.EXPINFO: [64, 20, info],
            Event.EXPINIT: [1, {"status": 20}],
            Event.EXPSTART: [2, self.exp_ref, {"status": 20}] if self.fails is None else [16, self.fails],
        }.get(Event(event), [event, 20])
        self.said = json.dumps(answer, separators=(",", ":")).encode()
        self.transport.sendto(self.said, addr)


async def play(lab: Any, **keys: Any) -> MatlabRig:
    """Run a rig of MATLAB's kind."""
    _, rig = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: MatlabRig(**keys), local_addr=("127.0.0.1", 0)
    )
    lab.later(rig.transport.close)
    return rig


async def test_scanimage_is_the_main_sync_of_a_session_with_rigs_of_every_kind(lab: Any) -> None:
    scanimage = await play(lab)
    rigs = {"scanimage": scanimage, "theirs": await lab.ibl_rig(), "ours": await lab.rig("ours")}
    conductor = await lab.conductor(rigs)
    for _ in range(2):
        session = conductor.session(SUBJECT)
        assert str(await session.agree()) == scanimage.exp_ref
        scanimage.heard.clear()
        await session.init()
        await session.start()
        outcomes = [*(await session.stop()).values(), *(await session.cleanup()).values()]
        assert not [one for one in outcomes if isinstance(one, MultirigError)]
        assert scanimage.heard == [1, 2, 4, 8]
        scanimage.sequence += 1


async def test_scanimage_refuses_a_start_by_an_interrupt(lab: Any) -> None:
    other = await lab.ibl_rig()
    conductor = await lab.conductor({"scanimage": await play(lab, fails="no ROI is chosen"), "other": other})
    session = conductor.session(SUBJECT)
    await session.agree()
    await session.init()
    with pytest.raises(SessionFailed) as failure:
        await session.start()
    assert list(failure.value.causes) == ["scanimage"]
    assert isinstance(failure.value.causes["scanimage"], RemoteProtocolError)
    assert "no ROI is chosen" in str(failure.value)
    assert other.events()[-2:] == [Event.EXPINTERRUPT, Event.EXPCLEANUP]


async def test_a_text_that_a_matlab_rig_read_in_part_is_its_error_at_once(lab: Any) -> None:
    conductor = await lab.conductor({"timeline": await play(lab, reads=1000)})
    outcome = (await conductor.request(Event.EXPINFO, 0, {"description": "x" * 1400}))["timeline"]
    assert isinstance(outcome, RemoteProtocolError)
    assert str(outcome) == "cannot parse"


async def test_a_matlab_conductor_leads_a_rig_of_ours(lab: Any) -> None:
    rig = await lab.rig("main", main_sync=True)
    peer = await lab.raw(rig)
    info = json.loads(await peer.ask(b'[64,0,{"subject":"SP_01"}]'))[2]
    start = json.dumps([2, info["exp_ref"], None], separators=(",", ":")).encode()
    for request in (b"[1,[]]", start, b"[32,20]", b"[4,[]]", b"[8,[]]"):
        reply = json.loads(await peer.ask(request))
        assert reply[0] == json.loads(request)[0]
    assert rig.adapter.calls == ["initialise", "start", "stop", "cleanup"]
