"""Whether it is the same day on two PCs, by instants: they may be in different time zones. Pure."""

from __future__ import annotations

import datetime

from multirig.protocol.words import Info

ZONE = "its time zone is UTC{theirs:%z}, this PC's UTC{ours:%z}"
"""How two time zones are told, of two times of day."""


def read_time(text: str | None) -> datetime.datetime | None:
    """Return a time of day with its zone, as a rig tells it; None: it cannot be read."""
    try:
        told = datetime.datetime.fromisoformat(text) if text is not None else None
    except ValueError:
        return None
    return told if told is not None and told.tzinfo is not None else None


def read_day(text: str | None) -> datetime.date | None:
    """Return the day of an ISO date or time; what a foreign peer writes in another way says nothing."""
    try:
        return datetime.date.fromisoformat(text[:10]) if text is not None else None
    except ValueError:
        return None


def day_here(info: Info, zone: datetime.tzinfo | None) -> datetime.date | None:
    """Return which day it is here at the instant that a rig's clock shows; None: it does not say.

    Parameters
    ----------
    info : Info
        What it has said of itself.
    zone : datetime.tzinfo, optional
        Of this PC; without it, the rig's own day is returned.
    """
    told = read_time(info.time)
    return read_day(info.date) if told is None or zone is None else told.astimezone(zone).date()


def object_to_day(info: Info, date: datetime.date, zone: datetime.tzinfo | None) -> str | None:
    """Say why a rig cannot take part in a session of that day, in words that follow its name; None: it can.

    Parameters
    ----------
    info : Info
        What it has said of itself.
    date : datetime.date
        Of the session.
    zone : datetime.tzinfo, optional
        Of this PC.
    """
    theirs, told = read_day(info.date), read_time(info.time)
    if (day := day_here(info, zone)) is not None and day != date:
        return f"is at {theirs or day}, the session at {date}: set the clock of that PC"
    if info.main_sync and theirs not in (None, date) and told is not None:
        zones = ZONE.format(theirs=told, ours=told.astimezone(zone))
        return f"gives numbers of {theirs}, and here it is {date}: {zones}; set the time zone that is wrong"
    return None
