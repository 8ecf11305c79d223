"""Whether something that is installed runs now, whether others reach it, and how it is asked to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from multirig.config import Uri, load_rig_config
from multirig.errors import ConfigError
from multirig.install.job import CONSOLE_NAME
from multirig.install.records import Record
from multirig.pc.finding import Level
from multirig.pc.network import find_listeners, open_firewall
from multirig.pc.reader import this_pc
from multirig.rig.lock import InstanceLock
from multirig.state import state_folder

DEFAULT_PORT = 8090
"""Of the console."""
HEED = 0.5
"""Seconds between two looks at whether somebody asks for an end."""


def console_lock(port: int) -> InstanceLock:
    """Return the lock of the console at a port."""
    return InstanceLock(f"{CONSOLE_NAME} {port}", state_folder() / CONSOLE_NAME)


@contextlib.asynccontextmanager
async def being_there(port: int, end: Callable[[], object]) -> AsyncIterator[None]:
    """Let a console be found meanwhile, and be asked to end; its sessions go on in processes of their own.

    Where its lock cannot be had, the port tells what is wrong.

    Parameters
    ----------
    port : int
        Of the console.
    end : callable
        What is done when another program of this user asks for an end.
    """
    lock = console_lock(port)
    try:
        lock.acquire()  # the thread that takes it lets go of it
    except ConfigError:
        yield
        return
    heeding = asyncio.create_task(_heed(lock, end))
    try:
        yield
    finally:
        heeding.cancel()
        await asyncio.wait([heeding])
        lock.release()


async def _heed(lock: InstanceLock, end: Callable[[], object]) -> None:
    while not await asyncio.to_thread(lock.is_asked_to_end):
        await asyncio.sleep(HEED)
    end()


def find_lock(record: Record) -> InstanceLock:
    """Return the lock that it holds while it runs."""
    if record.job.is_console:
        return console_lock(record.port or DEFAULT_PORT)
    name = record.job.name
    known = InstanceLock(name, None if record.lock_folder is None else Path(record.lock_folder))
    if record.config is not None and known.find_process() is None:
        with contextlib.suppress(ConfigError):  # it may have been written anew since
            now = load_rig_config(record.config)
            if now.name == name:
                return InstanceLock(name, now.log_folder)
    return known


def let_in(at: Iterable[Uri]) -> list[str]:
    """Let the PC that leads reach a rig, where this program may; return what is in the way otherwise."""
    listeners = find_listeners((one.scheme, one.host, one.port) for one in at)
    found = open_firewall(this_pc(), listeners)
    return [one.text for one in found if one.level in (Level.WARNING, Level.FAILURE)]
