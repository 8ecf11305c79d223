"""From what a rig was heard to say to what the console knows of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multirig.conductor.observer import Sighting
from multirig.conductor.roster import RosterEntry
from multirig.dashboard.snapshot import RigNow
from multirig.protocol.events import SECOND


def see(name: str, entry: RosterEntry, sighting: Sighting | None, now: int) -> RigNow:
    """Return what is known of a rig.

    Parameters
    ----------
    name : str
        Its name in the rigs file.
    entry : RosterEntry
        What that file says of it.
    sighting : Sighting or None
        What was heard of it; None: nothing yet.
    now : int
        The observer's clock, nanoseconds.
    """
    known: dict[str, Any] = {"name": name, "uri": str(entry.uri), "role": entry.role.value}
    if sighting is None:
        return RigNow(**known)
    info, news = sighting.info, sighting.news
    health = _mapping(news.get("health"))
    gap = news.get("gap")
    said = {**info, **news}
    return RigNow(
        **known,
        state=_text(said.get("state")),
        is_armed=news.get("armed") is True,
        is_foreign=sighting.heard_at is not None and not sighting.is_multirig,
        heard_ago=None if sighting.heard_at is None else max(0.0, (now - sighting.heard_at) / SECOND),
        problem=None if sighting.problem is None else sighting.problem.removeprefix(f"{name} "),
        failure=_text(said.get("failure")),
        stalled=_number(news.get("stalled")),
        gap=_text(gap.get("from")) if isinstance(gap, Mapping) and gap.get("to") is None else None,
        conductor=_text(news.get("led_by")),
        exp_ref=_text(said.get("exp_ref")),
        subject=_text(said.get("subject")),
        adapter=_text(said.get("adapter")),
        main_sync=said.get("main_sync") is True,
        version=_text(said.get("version")),
        frames=_count(health.get("frames")),
        bytes=_count(health.get("bytes")),
        dropped=_count(health.get("dropped")),
        rate=_number(health.get("rate")),
        disk_free=_count(said.get("disk_free")),
        hours_left=_number(news.get("hours_left")),
        offset=sighting.offset,
        bound=sighting.bound,
        pictures=tuple(one for one in said.get("pictures") or () if isinstance(one, str)),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
