"""Rigs are told to collect, or to clear, and asked what they have; no session is moved by it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from multirig.conductor.conductor import Conductor
from multirig.config import Uri
from multirig.errors import MultirigError
from multirig.protocol.dialect import write
from multirig.protocol.holdings import WISHES, Holdings
from multirig.protocol.messages import Event
from multirig.protocol.words import Complaint

LIMIT = 30.0
"""Seconds that a rig may take to look at the sessions on its disk."""
MEETING_LIMIT = 5.0
"""Seconds that a rig may take to say who it is."""

Told = Holdings | MultirigError
"""What a rig has said, or why it has said nothing."""


async def wish_of_rigs(rigs: Mapping[str, Uri], wish: WISHES, limit: float = LIMIT) -> dict[str, Told]:
    """Say to each rig what is wished of the sessions on its PC; return what it has answered.

    Parameters
    ----------
    rigs : mapping of str to Uri
        By name.
    wish : AskHoldings, Collect or Clear
    limit : float
        Seconds that each may take.
    """
    answers = await asyncio.gather(*(_wish(name, uri, wish, limit) for name, uri in rigs.items()))
    return dict(zip(rigs, answers, strict=True))


async def _wish(name: str, uri: Uri, wish: WISHES, limit: float) -> Told:
    message = write(wish)
    try:
        async with Conductor({name: str(uri)}) as conductor:
            # it is a multirig by what it answers to that
            met = await conductor.request(Event.EXPINFO, 0, {"subject": None}, limit=MEETING_LIMIT)
            if isinstance(refused := met.get(name), MultirigError):
                return refused
            if not conductor.can_report(name):
                return MultirigError("speaks IBL's wire, which cannot collect: iblrig copies its data")
            answers = await conductor.request(message.event, *message.args, limit=limit)
    except MultirigError as error:
        causes = getattr(error, "causes", {})
        cause = causes.get(name, error) if isinstance(causes, Mapping) else error
        return cause if isinstance(cause, MultirigError) else MultirigError(str(cause))
    answer = answers.get(name)
    if isinstance(answer, MultirigError):
        return answer
    match answer:
        case Holdings() as holdings:
            return holdings
        case Complaint(text=text):
            return MultirigError(text)
        case _:
            return MultirigError("its multirig is too old to collect: update multirig on that PC")
