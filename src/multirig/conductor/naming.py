"""What rigs that are chosen by their address are called: each tells its name when it is asked who it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from multirig.conductor.conductor import Conductor
from multirig.config import Uri
from multirig.errors import MultirigError
from multirig.protocol.messages import Event
from multirig.protocol.words import Info

LIMIT = 1.0
"""Seconds that a rig has to say its name; one that does not is called by its address."""


async def learn_names(rigs: Mapping[str, Uri]) -> dict[str, Uri]:
    """Return the rigs, those that are called by their address by the name that they have told.

    Parameters
    ----------
    rigs : mapping of str to Uri
        As they were chosen; in the same order they are returned.
    """
    unnamed = [name for name in rigs if "://" in name]
    told = dict(zip(unnamed, await asyncio.gather(*(_ask(rigs[name]) for name in unnamed)), strict=True))
    called = {name: told.get(name) or name for name in rigs}
    times = Counter(called.values())
    return {new if times[new] == 1 else old: rigs[old] for old, new in called.items()}


async def _ask(uri: Uri) -> str | None:
    try:
        async with Conductor({"rig": uri}) as conductor:
            answer = (await conductor.request(Event.EXPINFO, 0, {"subject": None}, limit=LIMIT))["rig"]
    except MultirigError:  # the session will say what is the matter with it
        return None
    return answer.name if isinstance(answer, Info) else None
