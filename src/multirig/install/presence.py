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
from multirig.rig.lock import InstanceLock, keeper_lock
from multirig.state import state_folder

DEFAULT_PORT = 8090
"""Of the console."""
HEED = 0.5
"""Seconds between two looks at whether somebody asks for an end."""


def console_lock(port: int) -> InstanceLock:
    """Return the lock of the console at a port."""
    return InstanceLock(f"{CONSOLE_NAME} {port}", state_folder() / CONSOLE_NAME)


def console_keeper(port: int) -> InstanceLock:
    """Return the lock of the process that starts the console at a port again."""
    return keeper_lock(state_folder() / f"{CONSOLE_NAME} {port}")


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


def find_locks(record: Record) -> list[InstanceLock]:
    """Return the locks of which it holds one while it runs: a config may name another folder by now."""
    if record.job.is_console:
        return [console_lock(record.port or DEFAULT_PORT)]
    folders = [record.lock_folder, *record.old_folders]
    if record.config is not None:
        with contextlib.suppress(ConfigError):  # it may have been written anew since
            now = load_rig_config(record.config)
            if now.name == record.job.name:
                folders.insert(0, None if now.log_folder is None else str(now.log_folder))
    return [_rig_lock(record, folder) for folder in dict.fromkeys(folders)]


def find_held(record: Record) -> list[InstanceLock]:
    """Return those of its locks that a process holds now."""
    return [lock for lock in find_locks(record) if lock.find_process() is not None]


def find_keeper(record: Record) -> InstanceLock | None:
    """Return the lock of the process that starts it again, if there is one now."""
    if record.job.is_console:
        keeper = console_keeper(record.port or DEFAULT_PORT)
    elif record.config is not None:
        keeper = keeper_lock(record.config)
    else:
        return None
    return keeper if keeper.find_process() is not None else None


def find_process(record: Record) -> int | None:
    """Return the process that it is now, if it runs."""
    return next((lock.find_process() for lock in find_held(record)), None)


def find_old_folders(before: Record, now: Record) -> tuple[str | None, ...]:
    """Return where what was installed before may still hold its lock, besides where it will be."""
    if now.job.is_console:
        return ()
    folders = dict.fromkeys((before.lock_folder, *before.old_folders))
    is_held = {one: _rig_lock(now, one).find_process() is not None for one in folders}
    return tuple(one for one in folders if one != now.lock_folder and is_held[one])


def _rig_lock(record: Record, folder: str | None) -> InstanceLock:
    return InstanceLock(record.job.name, None if folder is None else Path(folder))


def let_in(at: Iterable[Uri]) -> list[str]:
    """Let the PC that leads reach a rig, where this program may; return what is in the way otherwise."""
    listeners = find_listeners((one.scheme, one.host, one.port) for one in at)
    found = open_firewall(this_pc(), listeners)
    return [one.text for one in found if one.level in (Level.WARNING, Level.FAILURE)]
