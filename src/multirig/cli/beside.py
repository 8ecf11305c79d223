"""What goes on beside a rig's work: a look at its network, and an ear for who wants it to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from multirig.cli import render
from multirig.keyring.door import Access
from multirig.keyring.saying import say_rig_access
from multirig.lifecycle.rig_states import RigState
from multirig.pc.finding import Level
from multirig.pc.network import check_network, find_listeners
from multirig.pc.reader import this_pc
from multirig.rig.lock import InstanceLock
from multirig.rig.snapshot import Snapshot

HEED = 0.5
"""Seconds between two looks at whether somebody asks for an end."""

log = logging.getLogger("multirig.rig")


def tell_access(access: Access, say: Callable[[str], object]) -> None:
    """Say who may lead a rig."""
    for line in say_rig_access(access):
        if line.is_warning:
            log.warning("%s", line.text)
            render.warn(line.text)
        else:
            say(line.text)


async def tell_changed_access(access: Access, say: Callable[[str], object]) -> None:
    """Say anew who may lead a rig whenever that has become another: this PC has joined a lab, say."""
    told = say_rig_access(access)
    while True:
        await asyncio.sleep(HEED)
        if (now := say_rig_access(access)) != told:
            told = now
            log.info("the keys of this PC are others: %s", "; ".join(one.text for one in now))
            tell_access(access, say)


async def tell_network(at: Sequence[tuple[str, str, int]]) -> None:
    """Say what keeps the PC that leads from reaching a rig at its addresses, where the system tells."""
    for one in await asyncio.to_thread(check_network, this_pc(), find_listeners(at)):
        if one.level in (Level.WARNING, Level.FAILURE):
            log.warning("%s: %s", one.check, one.text)
            render.warn(one.text)


async def wait_until_asked(
    lock: InstanceLock, look: Callable[[], Snapshot], say: Callable[[str], object]
) -> None:
    """Return when another program of this user wants a rig to end, and no session goes on any more.

    Parameters
    ----------
    lock : InstanceLock
        Of the rig, by which it is asked.
    look : callable
        Returns what the rig is doing.
    say : callable
        Is given a line for its screen.
    """
    while not await asyncio.to_thread(lock.is_asked_to_end):
        await asyncio.sleep(HEED)
    told: bool | None = None
    while (now := look()).state is not RigState.CONNECTED:
        if told is not now.is_left:
            session = str(now.exp_ref or "its session")
            await asyncio.to_thread(lock.answer, session, is_left=now.is_left)
            if told is None:
                log.info("asked to end, after %s", session)
                say(f"{now.name} was asked to end: it does when {session} is over")
            if now.is_left:
                say(f"nobody leads {session} any more: multirig stop {now.name} ends it")
            told = now.is_left
        await asyncio.sleep(HEED)
    log.info("asked to end")
