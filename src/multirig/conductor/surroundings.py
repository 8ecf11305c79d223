"""What a conductor needs of the PC that it runs on: its clocks, its name, and threads for what blocks."""

from __future__ import annotations

import asyncio
import datetime
import platform
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from multirig.pc.awake import Awake

_Result = TypeVar("_Result")


class KeepsAwake(Protocol):
    """Keeps a PC from going to sleep; neither call waits for anything."""

    def keep(self, wanted: bool) -> None:  # noqa: FBT001  as Awake has it
        """Keep it awake from now on, or let it sleep again."""

    def close(self) -> None:
        """Let it sleep again, for good; may block."""


def read_wall_clock() -> datetime.datetime:
    """Return the time of day, with its zone."""
    return datetime.datetime.now().astimezone()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A PC as a conductor meets it; the simulator has PCs of its own."""

    clock: Callable[[], int] = time.perf_counter_ns
    """The session clock: nanoseconds that never go back."""
    wall: Callable[[], datetime.datetime] = read_wall_clock
    """The time of day, with its zone."""
    name: str = field(default_factory=lambda: platform.node() or "conductor")
    """What rigs call this PC."""
    boot: str = field(default_factory=lambda: secrets.token_hex(8))
    """Names this life of the program, and no other."""
    awake: KeepsAwake = field(default_factory=lambda: Awake("a session is led"))


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Do what blocks beside the event loop; in it where the program is ending and begins no more threads."""
    try:
        return await asyncio.to_thread(work)
    except RuntimeError:
        return work()
