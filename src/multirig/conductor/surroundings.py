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

from multirig.config.conductor import load_conductor_config
from multirig.keyring.door import Access
from multirig.pc.awake import Awake
from multirig.state import config_folder

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


def read_access() -> Access:
    """Return by what this PC tells who is of its lab: its keys, and the ``multirig.yaml`` of its user.

    One that lies elsewhere may be written by others, and cannot make this PC believe strangers.

    Raises
    ------
    ConfigError
        Something there cannot be read, or is wrong; TrustError: the keys are not this PC's.
    """
    config = load_conductor_config(config_folder() / "remote_rigs.yaml")
    return Access.of_this_pc(allow_ibl=config.allow_ibl, is_open=config.open)


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
    access: Access = field(default_factory=read_access)
    """By what it tells who is of its lab."""
    awake: KeepsAwake = field(default_factory=lambda: Awake("a session is led"))

    def describe_leader(self, person: str | None) -> dict[str, str]:
        """Return who leads, for the journal: this PC, the id of its key where it has one, and the person."""
        keys = self.access.keys()
        told = {"pc": self.name}
        if keys is not None and keys.memberships:
            told["key"] = keys.memberships[-1].certificate.id
        return told if person is None else {**told, "person": person}


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Do what blocks beside the event loop; in it where the program is ending and begins no more threads."""
    try:
        return await asyncio.to_thread(work)
    except RuntimeError:
        return work()
