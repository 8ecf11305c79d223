"""A rig of IBL's kind, made of the real iblutil; run as a program.

``python -m tests.truth.sources.ibl_rig SCRIPT.json``. It prints ``ready at URI``. With ``{"end_status": 20}``
it answers the stop as a camera service does that records on.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import socket
import sys
from pathlib import Path
from typing import Any

from iblutil.io.net.app import EchoProtocol

ECHO_PAUSE = 0.02
"""Seconds in which the other side's echo is behind it: iblutil takes nothing new before."""


class Rig:
    """Answers each event as iblrig's services do."""

    def __init__(self, server: Any, script: dict[str, Any]) -> None:
        self._server = server
        self._script = script
        self._status = 0
        self._tasks: set[asyncio.Task[None]] = set()
        for event in ("EXPINFO", "EXPINIT", "EXPSTART", "EXPEND", "EXPCLEANUP", "EXPINTERRUPT", "EXPSTATUS"):
            server.assign_callback(event, lambda data, addr, event=event: self._hear(event, data, addr))

    def _hear(self, event: str, data: list[Any], addr: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(event, data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, event: str, data: list[Any], addr: Any) -> None:
        await asyncio.sleep(ECHO_PAUSE)
        server = self._server
        match event:
            case "EXPINFO":
                main_sync = bool(self._script.get("main_sync"))
                today = datetime.date.today()
                info = {
                    "exp_ref": f"{today}_1_{self._script['subject']}" if main_sync else None,
                    "main_sync": main_sync,
                    "experiment_description": {},
                    "master": False,
                    "subject": None,
                }
                await server.info(self._status, info, addr=addr)
            case "EXPINIT":
                self._status = 10
                await server.init({"exp_ref": data[0]["exp_ref"]}, addr=addr)
            case "EXPSTART":
                self._status = 20
                await server.start(data[0], addr=addr)
            case "EXPEND" | "EXPINTERRUPT":
                told = self._script.get("end_status")
                self._status = 30 if told is None else told
                answer = [] if told is None else {"status": told}
                await server.stop(answer, immediately=event == "EXPINTERRUPT", addr=addr)
            case "EXPCLEANUP":
                self._status = 0
                if not self._script.get("no_cleanup"):
                    await server.cleanup(addr=addr)
            case "EXPSTATUS":
                await server.status(self._status, addr=addr)


async def main(script: dict[str, Any]) -> None:
    """Serve until standard input ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = await EchoProtocol.server(f"udp://127.0.0.1:{port}", name="ibl")
    rig = Rig(server, script)
    print(f"ready at {server.server_uri}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    del rig
    server.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
