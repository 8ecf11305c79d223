"""Asks whether a PC is there at all, by the system's own ping."""

from __future__ import annotations

from multirig.pc.reader import Reader


def ping(pc: Reader, host: str) -> bool | None:
    """Return whether a PC answers a ping within a second; None where this one cannot ask.

    Parameters
    ----------
    pc : Reader
        The PC that asks.
    host : str
        Name or IP address of the other one.
    """
    if ":" in host and pc.system != "linux":
        return None  # what they print of IPv6 does not tell
    match pc.system:
        case "win32":
            command = ("ping", "-n", "1", "-w", "1000", host)
        case "darwin":
            command = ("ping", "-c", "1", "-t", "1", host)
        case _:
            command = ("ping", "-c", "1", "-W", "1", host)
    told = pc.run(command).lower()
    # the words are in any language, and Windows counts another PC's "no way there" as an answer
    return "ttl=" in told if told else None
