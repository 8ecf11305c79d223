"""The program and all that it started: found, waited for, killed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

from multirig.rig.adapters.process.program import POLL, Program

TERMINATE_LIMIT = 2.0
"""Seconds between SIGTERM and SIGKILL."""

KILL_LIMIT = 5.0
"""Seconds that the system gets to bury a killed program: it may have to write back what was open."""


class Family:
    """The program and all that it started, also what has lost its parent; all methods wait for the system."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._root: psutil.Process | None = None
        self._members: set[psutil.Process] = set()
        with suppress(psutil.Error):
            self._root = psutil.Process(leader)

    def find(self) -> list[psutil.Process]:
        """Return those that live."""
        # a copy: the event loop's end may come here while a thread still looks
        members = set(self._members)
        for seed in [self._root, *self._find_orphans()]:
            with suppress(psutil.Error):
                if seed is not None:
                    members.add(seed)
                    members.update(seed.children(recursive=True))
        self._members = {member for member in members if _is_alive(member)}
        return list(self._members)

    def terminate(self) -> None:
        """Ask for the end as the system does; on Windows this kills."""
        for member in self.find():
            with suppress(psutil.Error):
                member.terminate()

    def kill(self) -> None:
        """End them."""
        for member in self.find():
            with suppress(psutil.Error):
                member.kill()

    def _find_orphans(self) -> Iterator[psutil.Process]:
        """Find those whose parent has ended, which the tree below the program no longer shows."""
        if sys.platform == "win32":
            if self._root is None or self._root.is_running():
                return
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    # the parent's number stays, but may since have been given to another
                    is_child = process.ppid() == self._leader
                    if is_child and process.create_time() >= self._root.create_time():
                        yield process
        else:
            for number in psutil.pids():
                with suppress(psutil.Error, OSError):
                    if os.getsid(number) == self._leader:
                        yield psutil.Process(number)


async def wait_gone(process: Program, family: Family, deadline: float) -> bool:
    """Wait until all have ended, at most until ``time.perf_counter()`` is there; return whether they have."""
    while not await _is_gone(process, family):
        if time.perf_counter() >= deadline:
            return False
        await asyncio.sleep(POLL)
    return True


async def end_family(process: Program, family: Family) -> bool:
    """Terminate, then kill whatever is left; return whether all have gone."""
    if await _is_gone(process, family):
        return True
    await asyncio.to_thread(family.terminate)
    if await wait_gone(process, family, time.perf_counter() + TERMINATE_LIMIT):
        return True
    deadline = time.perf_counter() + KILL_LIMIT
    while time.perf_counter() < deadline:
        # again and again: what is being killed may just be starting another
        await asyncio.to_thread(family.kill)
        if await wait_gone(process, family, time.perf_counter() + 5 * POLL):
            return True
    return False


async def _is_gone(process: Program, family: Family) -> bool:
    # Never process.wait(): before Python 3.13 it also waits for each child that has inherited a pipe.
    return process.returncode is not None and not await asyncio.to_thread(family.find)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
