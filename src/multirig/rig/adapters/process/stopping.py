"""The ways to ask a program to stop: as keys of the rig config, and carried out."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from multirig.rig.adapters.process.family import Family, wait_gone
from multirig.rig.adapters.process.program import Program
from multirig.rig.osc import encode_osc

Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]


class _Way(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StopByText(_Way):
    """A line on the program's standard input."""

    stdin: str
    """The line, without its end."""


class StopBySignal(_Way):
    """A signal to the program and what it started, as from a terminal; Windows knows only Ctrl-Break."""

    signal: Literal["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]
    """Its name; on Windows every name means Ctrl-Break."""


class StopByOsc(_Way):
    """An Open Sound Control message over UDP, which a Bonsai workflow can wait for."""

    osc: str
    """Address, beginning with a slash."""
    args: list[StrictInt | StrictFloat | StrictStr] = []
    """Arguments of the message."""
    host: str = "127.0.0.1"
    port: Port

    @model_validator(mode="after")
    def _encodes(self) -> StopByOsc:
        encode_osc(self.osc, self.args)
        return self


class StopByDatagram(_Way):
    """A text over UDP, exactly as given."""

    udp: str
    host: str = "127.0.0.1"
    port: Port


def _name_way(value: object) -> str | None:
    for way in ("stdin", "signal", "osc", "udp"):
        if way in value if isinstance(value, Mapping) else hasattr(value, way):
            return way
    return None


StopBy: TypeAlias = Annotated[
    Annotated[StopByText, Tag("stdin")]
    | Annotated[StopBySignal, Tag("signal")]
    | Annotated[StopByOsc, Tag("osc")]
    | Annotated[StopByDatagram, Tag("udp")],
    Discriminator(
        _name_way,
        custom_error_type="stop_by",
        custom_error_message=(
            "give one of {stdin: TEXT}, {signal: SIGINT}, {osc: /ADDRESS, port: N}, {udp: TEXT, port: N}"
        ),
    ),
]


async def ask(stop_by: StopBy | None, process: Program, family: Family, grace: float) -> None:
    """Ask the program to stop; without a configured way that takes up to half of `grace`."""
    match stop_by:
        case StopByText(stdin=text):
            if process.stdin is not None:
                process.stdin.write(f"{text}\n".encode())
            else:  # its input has died with whoever had it
                _interrupt(process, "SIGINT")
        case StopBySignal(signal=name):
            _interrupt(process, name)
        case StopByOsc(osc=address, args=arguments, host=host, port=port):
            await send_datagram(encode_osc(address, arguments), host, port)
        case StopByDatagram(udp=text, host=host, port=port):
            await send_datagram(text.encode(), host, port)
        case None:
            half = time.perf_counter()
            if process.stdin is not None:
                process.stdin.close()
                half += grace / 2
            if not await wait_gone(process, family, half):
                # fails on Windows where the rig has no console; the rest of the grace may still do
                with suppress(OSError):
                    _interrupt(process, "SIGINT")


async def send_datagram(data: bytes, host: str, port: int) -> None:
    """Send the bytes over UDP, to IPv4 where the host has both."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    # 'localhost' is often ::1 first, where few programs listen
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    with socket.socket(family, kind, protocol) as sender:
        sender.setblocking(False)
        sender.sendto(data, address)


def _interrupt(process: Program, name: str) -> None:
    if sys.platform == "win32":
        # asked directly: where Windows refuses, os.kill() ends the program at once
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        if not kernel.GenerateConsoleCtrlEvent(signal.CTRL_BREAK_EVENT, process.pid):
            raise OSError(
                f"Windows sends it no Ctrl-Break (error {ctypes.get_last_error()}), as where a rig has no "
                "console: use stop_by: {stdin: TEXT}, or serve the rig in a console"
            )
    else:
        # The whole group, as a terminal does it: the program may be a wrapper that does not pass signals on.
        # Not by Popen: its look at whether the process lives can steal the exit code from asyncio.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.Signals[name])
