"""What a session is to be, and what this PC has to say to it before a rig is touched."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.conductor import numbering
from multirig.conductor.storage import Storage
from multirig.protocol.codec import plain
from multirig.protocol.dialect import ask_info_with
from multirig.protocol.exp_ref import check_subject
from multirig.protocol.words import AskInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a session is to be."""

    subject: str
    """Nickname of the animal."""
    date: datetime.date | None = None
    """None: today."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """More for the rigs to know (``experiment_description``)."""
    main_sync: bool = False
    """Whether this PC owns the experiment's number."""
    appends: bool = False
    """Go on in a session that this PC has data of already."""
    takes_over: bool = False
    """Lead rigs that another conductor leads, from the next step on; it is informed."""
    checks: bool = False
    """Look also at every PC, and do not begin where nothing would be recorded."""
    seconds: float | None = None
    """How long it shall be, for the check; None: until it is ended."""
    by_task: bool = False
    """Whether a task leads it, without which nothing goes on as it should."""
    person: str | None = None
    """Name of who leads it, for the journal; None: there is no name."""


async def find_wishes(plan: Plan, storage: Storage | None, now: datetime.datetime) -> dict[str, Any]:
    """Return what rigs are asked to agree on: the number that this PC gives, or the least that it can take.

    Raises
    ------
    LocalProtocolError
        The subject cannot name a folder, or JSON cannot carry the info.
    """
    check_subject(plan.subject)
    date = plan.date or now.date()
    here, least = None, 1
    if storage is not None and plan.main_sync:
        here = await asyncio.to_thread(storage.next_exp_ref, plan.subject, date)
    elif storage is not None and not plan.appends:
        least = await asyncio.to_thread(numbering.first_free, storage, plan.subject, date)
    ask = AskInfo(
        exp_ref=here,
        subject=plan.subject,
        main_sync=plan.main_sync,
        experiment_description={},
        spec_version="1.0.0",
        min_sequence=least if least > 1 else None,
    )
    return {
        "subject": plan.subject,
        "date": date,
        "ask": ask_info_with(ask, plain(plan.info, "info")),
        "here": here,
        "zone": datetime.timezone(offset) if (offset := now.utcoffset()) is not None else None,
        "seconds": plan.seconds,
        "takes_over": plan.takes_over or plan.appends,  # the task before may still hold what it has begun
        "by_task": plan.by_task,
    }
