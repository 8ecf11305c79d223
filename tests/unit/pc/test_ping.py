"""What the system's ping prints is read in any language."""

from __future__ import annotations

import pytest

from multirig.pc.ping import ping
from multirig.pc.reader import Reader

GERMAN = "Antwort von 192.168.1.20: Bytes=32 Zeit<1ms TTL=128\r\nPakete: Gesendet = 1, Empfangen = 1"
NO_WAY = "Antwort von 192.168.1.5: Zielhost nicht erreichbar.\r\nPakete: Gesendet = 1, Empfangen = 1"
LINUX = "64 bytes from 192.168.1.20: icmp_seq=1 ttl=64 time=0.031 ms\n1 packets transmitted, 1 received"
SILENT = "PING 192.168.1.20 56(84) bytes of data.\n1 packets transmitted, 0 received, 100% packet loss"


@pytest.mark.parametrize(
    ("system", "host", "printed", "told"),
    [
        ("win32", "192.168.1.20", GERMAN, True),
        ("win32", "192.168.1.20", NO_WAY, False),
        ("linux", "192.168.1.20", LINUX, True),
        ("linux", "192.168.1.20", SILENT, False),
        ("darwin", "192.168.1.20", LINUX, True),
        ("linux", "192.168.1.20", "", None),
        ("linux", "fd00::1", LINUX, True),
        ("win32", "fd00::1", "Antwort von fd00::1: Zeit<1ms", None),
    ],
)
def test_an_answer_is_known(system: str, host: str, printed: str, told: bool | None) -> None:
    asked: list[tuple[str, ...]] = []

    def run(command: object) -> str:
        asked.append(tuple(command))  # type: ignore[arg-type]
        return printed

    pc = Reader(
        system=system,
        run=run,
        read=lambda path: None,
        registry=lambda key, name: None,
        service=lambda name: None,
    )
    assert ping(pc, host) is told
    assert all(host in command and "1" in command for command in asked)
